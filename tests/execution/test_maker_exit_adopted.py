"""An adopted exit of an earlier session continues as if it had been ours from the start."""

import pytest
from tests.execution.chaser_harness import CANCELED, FILLED, LOWER, PART, SELL, MakerExitHarness, progress_of
from tests.execution.order_builders import NUMBER, D, record, rejection, report

from trailingedge.execution.order import OrderState
from trailingedge.execution.order_events import OrderFilled, UnknownOrderWithOurId
from trailingedge.model.intent import ExitEndReason
from trailingedge.model.market import OrderRecord
from trailingedge.model.order_commands import Cancel, OrdersListed, Place, Replace
from trailingedge.model.order_outcomes import RejectReason
from trailingedge.reconciliation.history_types import HistoricalExit

BEFORE = record(5, "100.20", filled="0.3", status=CANCELED)


def taken_up(*orders: OrderRecord, funds: str = "0.7") -> MakerExitHarness:
    harness = MakerExitHarness()
    harness.maker_exit.adopt(HistoricalExit(NUMBER, SELL, orders), 0.0)
    harness.set_intent_funds(funds)
    return harness


def test_its_order_is_followed_not_placed_again() -> None:
    harness = taken_up(BEFORE, record(7, "100.09", "0.7"))
    assert harness.tick(0.1) == []
    assert harness.state() is OrderState.WORKING
    harness.book = LOWER
    (command,) = harness.tick(2.0)
    assert isinstance(command, Replace)
    assert command.order_id == 7


def test_what_it_had_filled_counts() -> None:
    harness = taken_up(BEFORE, record(7, "100.09", "0.7"))
    harness.handle(report(7, "100.09", "0.7", "0.7", FILLED))
    progress = progress_of(harness)
    assert progress.filled_base == 1
    assert progress.filled_quote == D("0.3") * D("100.20") + D("0.7") * D("100.09")
    assert progress.rested
    harness.set_intent_funds("0")
    harness.tick(1.0)
    assert progress_of(harness).complete is ExitEndReason.FILLED


def test_only_news_are_told() -> None:
    harness = taken_up(BEFORE, record(7, "100.09", "0.7", "0.1", PART))
    assert harness.maker_exit.events == []
    harness.handle(report(7, "100.09", "0.7", "0.3", PART))
    (received,) = harness.maker_exit.events
    assert isinstance(received, OrderFilled)
    assert received.quantity == D("0.2")


def test_without_an_order_the_next_is_placed() -> None:
    (command,) = taken_up(BEFORE).tick(0.1)
    assert isinstance(command, Place)
    assert command.quantity == D("0.7")


def test_nothing_left_to_sell_completes_it() -> None:
    harness = taken_up(BEFORE, funds="0.0001")
    assert harness.tick(0.1) == []
    assert progress_of(harness).complete is ExitEndReason.DUST


def test_doubt_about_the_next_order_is_settled_by_what_came_after_the_known_ones() -> None:
    harness = taken_up(BEFORE)
    harness.tick(0.1)
    harness.tick(4.0)
    assert harness.sent[-1].__class__.__name__ == "QueryOrdersFrom"


def test_it_remembers_when_funds_moved_last() -> None:
    assert taken_up(BEFORE, record(7, time_ms=5000)).maker_exit.funds_changed_ms == 5000


def test_a_successor_that_our_predecessor_had_asked_for_is_ours() -> None:
    harness = taken_up(BEFORE, record(7, "100.09", "0.7"))
    harness.handle(report(7, "100.09", "0.7", status=CANCELED), report(8, "100.08", "0.7"))
    assert harness.maker_exit.events[-1].__class__.__name__ != "UnknownOrderWithOurId"
    assert harness.maker_exit.order is not None
    assert (harness.maker_exit.order.order_id, harness.state()) == (8, OrderState.WORKING)


def test_a_second_order_that_shows_late_is_cancelled() -> None:
    harness = taken_up(BEFORE, record(7, "100.09", "0.7"))
    harness.handle(report(8, "100.08", "0.7"))
    (command,) = harness.tick(0.1)
    assert isinstance(command, Cancel)
    assert command.order_id == 8


@pytest.mark.parametrize("now_s", [6.0, 60.0])
def test_what_shows_later_than_any_request_could_live_is_foreign(now_s: float) -> None:
    harness = taken_up(BEFORE, record(7, "100.09", "0.7"))
    harness.tick(now_s)
    harness.handle(report(8, "100.08", "0.7"))
    assert isinstance(harness.maker_exit.events[-1], UnknownOrderWithOurId)


def test_a_duplicate_of_an_order_that_our_predecessor_requested_last_leads_to_that_order() -> None:
    harness = taken_up(BEFORE)
    harness.tick(0.1)
    harness.reply(rejection(RejectReason.DUPLICATE))
    harness.tick(0.2)
    harness.handle(OrdersListed(harness.sent[-1].tag, (BEFORE, record(7, "100.09", "0.7"))))
    assert harness.tick(0.3) == []
    assert harness.maker_exit.order is not None
    assert (harness.maker_exit.order.order_id, harness.state()) == (7, OrderState.WORKING)
    assert not [event for event in harness.maker_exit.events if isinstance(event, UnknownOrderWithOurId)]
