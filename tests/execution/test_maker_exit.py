"""The maker exit compares intent and book: the first order, and following the price."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.execution.chaser_harness import (
    BUY,
    CANCELED,
    FILLED,
    LOWER,
    SELL,
    STATES,
    MakerExitHarness,
    partially_filled,
    pending_cancel,
    pending_new,
    progress_of,
    replacing,
    unanswered,
    working,
)
from tests.execution.order_builders import NUMBER, RULES, D, order_intent, own, record, rejection, report, top

from trailingedge.execution.order import OrderState
from trailingedge.execution.order_events import OrderRejected
from trailingedge.model.intent import ExitEndReason, ExitKind, ExitProgress
from trailingedge.model.market import BookTop, Side, SymbolRules
from trailingedge.model.order_commands import (
    OrderCommand,
    Place,
    Refresh,
    Replace,
)
from trailingedge.model.order_outcomes import Accepted, NotTried, RejectReason, Unanswered
from trailingedge.model.pricing_mode import Pricing

# The first order ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "pricing", "price", "quantity"),
    [
        pytest.param(SELL, Pricing.IMPROVE, "100.09", "1.2345", id="sell, improve"),
        pytest.param(SELL, Pricing.OPPOSITE, "100.01", "1.2345", id="sell, opposite"),
        pytest.param(SELL, Pricing.JOIN, "100.10", "1.2345", id="sell, join"),
        pytest.param(SELL, Pricing.PEG, "100.10", "1.2345", id="sell, peg where it is not allowed: join"),
        pytest.param(BUY, Pricing.IMPROVE, "100.01", "0.0123", id="buy, improve"),
        pytest.param(BUY, Pricing.OPPOSITE, "100.09", "0.0123", id="buy, opposite"),
        pytest.param(BUY, Pricing.JOIN, "100.00", "0.0123", id="buy, join"),
    ],
)
def test_the_first_order_sells_everything_rounded_down_to_the_step(
    side: Side, pricing: Pricing, price: str, quantity: str
) -> None:
    harness = MakerExitHarness(order_intent(side, "1.23459", pricing), rules=replace(RULES, min_notional=D("1")))
    assert harness.tick() == [Place(1, own(), side, D(price), D(quantity))]


def test_nothing_wanted_is_nothing_done() -> None:
    harness = MakerExitHarness()
    harness.intent = None
    assert harness.tick() == []
    assert harness.maker_exit.progress() is None
    assert harness.maker_exit.idle


def test_a_placement_waits_until_the_balances_account_for_everything() -> None:
    harness = MakerExitHarness()
    harness.balances_current = False
    assert harness.tick() == []
    harness.balances_current = True
    assert [type(command) for command in harness.tick(0.1)] == [Place]


def test_a_placement_waits_for_a_book_that_can_be_trusted() -> None:
    harness = MakerExitHarness(book=None)
    assert harness.tick() == []


def test_the_id_tells_the_kind_and_the_exit() -> None:
    (command,) = MakerExitHarness(order_intent(kind=ExitKind.FLUSH, number=NUMBER + 5)).tick()
    assert isinstance(command, Place)
    assert command.client_order_id == own(ExitKind.FLUSH, NUMBER + 5)


@pytest.mark.parametrize(
    ("rules", "most"),
    [
        pytest.param(replace(RULES, max_quantity=D("0.3")), "0.3", id="largest quantity"),
        pytest.param(replace(RULES, max_notional=D("50.045")), "0.5", id="largest notional"),
    ],
)
def test_what_is_too_large_for_one_order_is_sold_in_several(rules: SymbolRules, most: str) -> None:
    harness = MakerExitHarness(rules=rules)
    assert harness.tick() == [Place(1, own(), SELL, D("100.09"), D(most))]
    harness.reply(Accepted(record(7, "100.09", most, most, FILLED)))
    harness.set_intent_funds(str(D("1") - D(most)))
    assert harness.tick(0.1) == [Place(2, own(), SELL, D("100.09"), D(most))]


@pytest.mark.parametrize(
    "funds", ["0", "0.00009", "0.0499"], ids=["nothing", "less than a step", "less than the notional"]
)
def test_an_exit_whose_funds_left_by_another_road_has_vanished(funds: str) -> None:
    harness = MakerExitHarness(order_intent(funds=funds))
    assert harness.tick() == []
    assert progress_of(harness) == ExitProgress(
        NUMBER, D("0"), D("0"), idle=True, complete=ExitEndReason.FUNDS_GONE, rested=False, may_fill=False
    )
    assert harness.tick(60.0) == []


def test_a_complete_exit_stays_complete_after_late_updates() -> None:
    harness = MakerExitHarness(order_intent(funds="0"))
    harness.tick()
    harness.set_intent_funds("1")
    assert harness.tick(1.0) == []


@pytest.mark.parametrize(
    ("rules", "refusal", "text"),
    [
        pytest.param(replace(RULES, max_price=D("100")), RejectReason.FILTER, "filter PRICE_FILTER", id="price filter"),
        pytest.param(replace(RULES, status="HALT"), RejectReason.NOT_TRADING, "symbol status HALT", id="not trading"),
    ],
)
def test_what_the_exchange_would_reject_is_told_and_not_sent(
    rules: SymbolRules, refusal: RejectReason, text: str
) -> None:
    harness = MakerExitHarness(rules=rules)
    assert harness.tick() == []
    assert harness.refreshes == [Refresh.RULES]
    assert harness.maker_exit.events == [OrderRejected(own(), refusal, 0, text, 1)]
    assert harness.tick(0.5) == []
    assert len(harness.maker_exit.events) == 1
    harness.maker_exit.rules = RULES
    assert [type(command) for command in harness.tick(5.0)] == [Place]


# Following the price --------------------------------------------------------------------------------


def test_an_order_at_the_best_price_is_left_alone() -> None:
    harness = working()
    harness.book = top("100.02", "100.09", ask_quantity="1")
    assert harness.tick(1.0) == []


@pytest.mark.parametrize(
    ("book", "price"),
    [
        pytest.param(top("99.90", "100.05"), "100.04", id="others undercut us"),
        pytest.param(top("100.00", "100.09", ask_quantity="1.5"), "100.08", id="others joined us"),
        pytest.param(top("100.09", "100.20"), "100.19", id="the market went up past us"),
        pytest.param(top("100.20", "100.21"), "100.21", id="and the book is tight"),
    ],
)
def test_a_better_price_is_followed_by_cancel_replace(book: BookTop, price: str) -> None:
    harness = working()
    harness.book = book
    assert harness.tick(2.0) == [Replace(2, 7, own(), SELL, D(price), D("1"))]


def test_only_the_newest_of_the_prices_that_waited_counts() -> None:
    harness = replacing()
    for ask in ("100.04", "99.95", "100.20"):
        harness.book = top("99.80", ask)
        assert harness.tick() == []
    harness.reply(Accepted(record(7, status=CANCELED)), Accepted(record(8, "100.04")))
    assert harness.tick(4.0) == [Replace(3, 8, own(), SELL, D("100.19"), D("1"))]


def test_a_buy_is_sized_again_at_each_price() -> None:
    harness = MakerExitHarness(order_intent(BUY, "100"))
    assert harness.tick() == [Place(1, own(), BUY, D("100.01"), D("0.9999"))]
    harness.reply(Accepted(record(7, "100.01", "0.9999", side=BUY)))
    harness.book = top("90.00", "90.10")
    assert harness.tick(2.0) == [Replace(2, 7, own(), BUY, D("90.01"), D("1.1109"))]


@given(st.decimals("6", "100000", places=8), st.integers(500, 10**6), st.integers(1, 100))
def test_a_buy_never_costs_more_than_there_is(funds: Decimal, bid: int, spread: int) -> None:
    book = top(str(bid * RULES.tick_size), str((bid + spread) * RULES.tick_size))
    harness = MakerExitHarness(order_intent(BUY, funds), book)
    for command in harness.tick():
        assert isinstance(command, Place)
        assert command.price is not None
        cost = command.price * command.quantity
        assert cost <= funds < cost + command.price * RULES.step_size


def test_the_price_just_left_is_still_ours_in_a_late_frame() -> None:
    harness = replacing()
    harness.reply(Accepted(record(7, status=CANCELED)), Accepted(record(8, "100.04")))
    harness.book = top("99.90", "100.09", ask_quantity="1")
    assert harness.tick(2.4) == []
    assert harness.tick(2.5) == [Replace(3, 8, own(), SELL, D("100.08"), D("1"))]


def test_every_price_left_within_the_last_second_is_ours() -> None:
    harness = replacing()
    harness.reply(Accepted(record(7, status=CANCELED)), Accepted(record(8, "100.04")))
    harness.book = top("99.90", "100.02")
    assert harness.tick(1.6) == [Replace(3, 8, own(), SELL, D("100.01"), D("1"))]
    harness.reply(Accepted(record(8, "100.04", status=CANCELED)), Accepted(record(9, "100.01")))
    for stale_ask in ("100.09", "100.04"):
        harness.book = top("99.90", stale_ask, ask_quantity="1")
        assert harness.tick(1.7) == []


def test_a_market_that_comes_back_with_more_than_our_rest_is_followed_at_once() -> None:
    harness = replacing()
    harness.reply(Accepted(record(7, status=CANCELED)), Accepted(record(8, "100.04")))
    harness.book = top("99.90", "100.09", ask_quantity="1.0001")
    assert harness.tick(1.6) == [Replace(3, 8, own(), SELL, D("100.08"), D("1"))]


def test_the_rest_of_a_part_filled_order_is_what_a_late_frame_may_show_of_it() -> None:
    harness = partially_filled("0.4")
    harness.book = LOWER
    harness.tick(2.0)
    harness.reply(Accepted(record(7, filled="0.4", status=CANCELED)))
    harness.set_intent_funds("0.6")
    harness.book = top("100.00", "100.09", ask_quantity="0.7")
    assert harness.tick(2.1) == [Place(3, own(), SELL, D("100.08"), D("0.6"))]


def test_an_order_that_filled_may_still_be_seen_with_what_it_had_before_its_last_fill() -> None:
    harness = working()
    harness.handle(report(7, filled="1", status=FILLED))
    harness.set_intent_funds("0.5")
    harness.book = top("100.00", "100.09", ask_quantity="1")
    assert harness.tick(0.5) == [Place(2, own(), SELL, D("100.09"), D("0.5"))]


def test_our_own_quantity_as_placed_explains_a_frame_older_than_our_fill() -> None:
    harness = partially_filled("0.4")
    harness.book = top("100.00", "100.09", ask_quantity="1")
    assert harness.tick(3.0) == []


def test_a_first_order_after_a_cancel_joins_the_price_it_left() -> None:
    harness = pending_cancel()
    harness.reply(Accepted(record(7, status=CANCELED)))
    harness.intent = order_intent()
    harness.book = top("100.00", "100.09", ask_quantity="1")
    assert harness.tick(1.6) == [Place(3, own(), SELL, D("100.09"), D("1"))]


def test_a_deposit_is_added_once_it_has_lasted() -> None:
    harness = working()
    harness.set_intent_funds("1.5")
    assert harness.tick(1.0) == []
    assert harness.tick(1.9) == []
    assert harness.tick(2.0) == [Replace(2, 7, own(), SELL, D("100.09"), D("1.5"))]


def test_a_quantity_that_differs_for_a_moment_only_moves_nothing() -> None:
    harness = working()
    for now_s, funds in ((1.0, "0.7"), (1.9, "1"), (2.5, "0.7"), (3.4, "0.7")):
        harness.set_intent_funds(funds)
        assert harness.tick(now_s) == []


def test_a_quantity_is_not_judged_while_the_balances_lag() -> None:
    harness = working()
    harness.set_intent_funds("0.7")
    harness.balances_current = False
    assert harness.tick(1.0) == harness.tick(3.0) == []


def test_an_order_at_a_price_the_filters_forbid_to_leave_stays() -> None:
    harness = working()
    harness.maker_exit.rules = replace(RULES, max_price=D("100.10"))
    harness.book = top("100.15", "100.20")
    assert harness.tick(1.0) == []
    assert harness.state() is OrderState.WORKING


def test_while_the_symbol_does_not_trade_an_order_is_not_moved() -> None:
    harness = working()
    harness.maker_exit.rules = replace(RULES, status="HALT")
    harness.book = LOWER
    assert harness.tick(1.0) == []
    assert harness.refreshes == [Refresh.RULES]
    harness.maker_exit.rules = RULES
    assert [type(command) for command in harness.tick(6.0)] == [Replace]


def test_an_order_cancelled_by_hand_is_placed_again() -> None:
    harness = working()
    harness.handle(report(7, status=CANCELED))
    assert [type(command) for command in harness.tick(2.0)] == [Place]


# Pegged orders --------------------------------------------------------------------------------------

PEGGED_RULES: Final = replace(RULES, peg_allowed=True)


def test_a_pegged_order_leaves_its_price_to_the_exchange() -> None:
    harness = MakerExitHarness(order_intent(pricing=Pricing.PEG), rules=PEGGED_RULES)
    assert harness.tick() == [Place(1, own(), SELL, None, D("1"))]
    harness.reply(Accepted(record(7, "0", pegged_price=D("100.10"))))
    assert harness.tick(1.0) == []


def test_a_pegged_order_does_not_follow_so_it_is_replaced_when_the_best_price_leaves_it() -> None:
    harness = MakerExitHarness(order_intent(pricing=Pricing.PEG), rules=PEGGED_RULES)
    harness.tick()
    harness.reply(Accepted(record(7, "0", pegged_price=D("100.10"))))
    harness.book = LOWER
    assert harness.tick(1.0) == [Replace(2, 7, own(), SELL, None, D("1"))]


def test_a_pegged_buy_whose_price_is_not_known_yet_may_have_locked_anything() -> None:
    harness = MakerExitHarness(order_intent(BUY, "100", Pricing.PEG), rules=PEGGED_RULES)
    harness.tick()
    assert harness.maker_exit.max_locked(BUY) is None
    harness.reply(Accepted(record(7, "0", "1", pegged_price=D("100.00"), side=BUY)))
    assert harness.maker_exit.max_locked(BUY) == D("100")


# What others ask ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prepare", "most"),
    [
        pytest.param(MakerExitHarness, "0", id="nothing sent"),
        pytest.param(pending_new, "1", id="in flight"),
        pytest.param(working, "1", id="working"),
        pytest.param(partially_filled, "0.6", id="part-filled"),
        pytest.param(replacing, "1", id="replacing"),
        pytest.param(lambda: unanswered(pending_new()), "1", id="in doubt"),
    ],
)
def test_the_most_that_may_be_locked_is_what_may_be_on_the_book(
    prepare: Callable[[], MakerExitHarness], most: str
) -> None:
    harness = prepare()
    assert harness.maker_exit.max_locked(SELL) == D(most)
    assert harness.maker_exit.max_locked(BUY) == 0


def test_nothing_is_locked_once_the_order_is_gone() -> None:
    harness = pending_cancel()
    harness.reply(Accepted(record(7, status=CANCELED)))
    assert harness.maker_exit.max_locked(SELL) == 0


def test_an_exit_has_rested_once_an_order_of_it_was_on_the_book() -> None:
    harness = pending_new()
    assert not progress_of(harness).rested
    harness.reply(rejection(RejectReason.WOULD_TAKE))
    assert not progress_of(harness).rested
    harness.tick(1.0)
    harness.reply(Accepted(record(7)))
    assert progress_of(harness).rested


@pytest.mark.parametrize("prepare", list(STATES.values())[1:], ids=list(STATES)[1:])
def test_no_exit_is_idle_while_something_of_it_may_be_on_the_book(prepare: Callable[[], MakerExitHarness]) -> None:
    harness = prepare()
    assert not harness.maker_exit.idle
    assert not progress_of(harness).idle


def test_a_report_that_only_says_new_touches_no_funds() -> None:
    harness = pending_new()
    harness.handle(report(7, time_ms=9000))
    assert harness.maker_exit.funds_changed_ms == 0


def test_silence_after_reports_told_everything_is_no_doubt() -> None:
    harness = replacing()
    harness.handle(report(7, status=CANCELED), report(8, "100.04"))
    received = len(harness.maker_exit.events)
    assert harness.tick(5.0) == []
    assert harness.state() is OrderState.WORKING
    assert len(harness.maker_exit.events) == received


def test_an_answer_long_after_the_query_was_settled_changes_nothing() -> None:
    harness = unanswered(pending_new())
    harness.reply(Accepted(record(7)))
    harness.tick(3.1)
    late: list[OrderCommand] = [harness.sent[0]]
    sent, harness.sent = harness.sent, late
    for outcome in (Accepted(record(7)), Unanswered("timeout"), NotTried(), rejection(RejectReason.BUSY)):
        harness.reply(outcome)
        assert harness.state() is OrderState.WORKING
    harness.sent = sent
    assert harness.maker_exit.order is not None
    assert harness.maker_exit.order.order_id == 7
