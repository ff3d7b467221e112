"""An exit of an earlier session goes on as if it had been ours from the start."""

import pytest
from tests.execution.chaser_harness import CANCELED, FILLED, LOWER, PART, SELL, MakerExitHarness, progress_of
from tests.execution.order_builders import NUMBER, D, record, report

from trailingedge.execution.order import OrderState
from trailingedge.execution.order_events import OrderFilled, UnknownOrderWithOurId
from trailingedge.model.intent import ExitEndReason
from trailingedge.model.market import OrderRecord
from trailingedge.model.order_commands import Cancel, Place, Replace
from trailingedge.reconciliation.exit_history import HistoricalExit

BEFORE = record(5, "100.20", filled="0.3", status=CANCELED)


def taken_up(*orders: OrderRecord, funds: str = "0.7") -> MakerExitHarness:
    chase = MakerExitHarness()
    chase.maker_exit.adopt(HistoricalExit(NUMBER, SELL, orders), 0.0)
    chase.set_intent_funds(funds)
    return chase


def test_its_order_is_followed_not_placed_again() -> None:
    chase = taken_up(BEFORE, record(7, "100.09", "0.7"))
    assert chase.tick(0.1) == []
    assert chase.state() is OrderState.WORKING
    chase.book = LOWER
    (command,) = chase.tick(2.0)
    assert isinstance(command, Replace)
    assert command.order_id == 7


def test_what_it_had_filled_counts() -> None:
    chase = taken_up(BEFORE, record(7, "100.09", "0.7"))
    chase.handle(report(7, "100.09", "0.7", "0.7", FILLED))
    progress = progress_of(chase)
    assert progress.filled_base == 1
    assert progress.filled_quote == D("0.3") * D("100.20") + D("0.7") * D("100.09")
    assert progress.rested
    chase.set_intent_funds("0")
    chase.tick(1.0)
    assert progress_of(chase).complete is ExitEndReason.FILLED


def test_only_news_are_told() -> None:
    chase = taken_up(BEFORE, record(7, "100.09", "0.7", "0.1", PART))
    assert chase.maker_exit.events == []
    chase.handle(report(7, "100.09", "0.7", "0.3", PART))
    (told,) = chase.maker_exit.events
    assert isinstance(told, OrderFilled)
    assert told.quantity == D("0.2")


def test_without_an_order_the_next_is_placed() -> None:
    (command,) = taken_up(BEFORE).tick(0.1)
    assert isinstance(command, Place)
    assert command.quantity == D("0.7")


def test_nothing_left_to_sell_completes_it() -> None:
    chase = taken_up(BEFORE, funds="0.0001")
    assert chase.tick(0.1) == []
    assert progress_of(chase).complete is ExitEndReason.DUST


def test_doubt_about_the_next_order_is_settled_by_what_came_after_the_known_ones() -> None:
    chase = taken_up(BEFORE)
    chase.tick(0.1)
    chase.tick(4.0)
    assert chase.sent[-1].__class__.__name__ == "QueryOrdersFrom"


def test_it_remembers_when_funds_moved_last() -> None:
    assert taken_up(BEFORE, record(7, time_ms=5000)).maker_exit.funds_changed_ms == 5000


def test_a_successor_that_our_predecessor_had_asked_for_is_ours() -> None:
    chase = taken_up(BEFORE, record(7, "100.09", "0.7"))
    chase.handle(report(7, "100.09", "0.7", status=CANCELED), report(8, "100.08", "0.7"))
    assert chase.maker_exit.events[-1].__class__.__name__ != "UnknownOrderWithOurId"
    assert chase.maker_exit.order is not None
    assert (chase.maker_exit.order.order_id, chase.state()) == (8, OrderState.WORKING)


def test_a_second_order_that_shows_late_is_taken_away() -> None:
    chase = taken_up(BEFORE, record(7, "100.09", "0.7"))
    chase.handle(report(8, "100.08", "0.7"))
    (command,) = chase.tick(0.1)
    assert isinstance(command, Cancel)
    assert command.order_id == 8


@pytest.mark.parametrize("now_s", [6.0, 60.0])
def test_what_shows_later_than_any_request_could_live_is_somebody_elses(now_s: float) -> None:
    chase = taken_up(BEFORE, record(7, "100.09", "0.7"))
    chase.tick(now_s)
    chase.handle(report(8, "100.08", "0.7"))
    assert isinstance(chase.maker_exit.events[-1], UnknownOrderWithOurId)
