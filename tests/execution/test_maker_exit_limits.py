"""What limits the maker exit or lets it go further: stale data, the rate budget, the taker escape."""

from dataclasses import replace
from random import Random
from typing import Final

import pytest
from tests.execution.chaser_harness import (
    BUY,
    CANCELED,
    LOWER,
    SELL,
    SERVER_MS,
    MakerExitHarness,
    pending_new,
    working,
)
from tests.execution.order_builders import RULES, D, order_intent, own, record, rejection, top

from trailingedge.execution.maker_exit import MakerExitParams
from trailingedge.execution.order import OrderState
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import OrderStatus, RateLimit
from trailingedge.model.order_commands import (
    Cancel,
    Place,
    QueryOrder,
    Replace,
)
from trailingedge.model.order_outcomes import Accepted, RejectReason
from trailingedge.model.pricing_mode import Pricing

# Stale data -------------------------------------------------------------------------------------------


def test_on_a_stale_market_a_sell_stays_where_it_is() -> None:
    harness = working()
    harness.book = None
    harness.set_intent_kind(ExitKind.FLUSH)
    assert harness.tick(5.0) == []
    assert harness.state() is OrderState.WORKING


def test_on_a_stale_market_a_buy_is_cancelled_and_comes_back_with_the_data() -> None:
    harness = MakerExitHarness(order_intent(BUY, "100"))
    harness.tick()
    harness.reply(Accepted(record(7, "100.01", "0.9999", side=BUY)))
    harness.book = None
    assert harness.tick(1.0) == [Cancel(2, 7, own())]
    harness.reply(Accepted(record(7, "100.01", "0.9999", status=CANCELED, side=BUY)))
    assert harness.tick(2.0) == []
    harness.book = LOWER
    assert [type(command) for command in harness.tick(3.0)] == [Place]


def test_doubt_is_settled_on_a_stale_market_too() -> None:
    harness = pending_new()
    harness.book = None
    assert harness.tick(3.0) == [QueryOrder(2, None, own())]


# The budget ---------------------------------------------------------------------------------------------


def test_a_first_placement_is_never_held_back() -> None:
    budget = OrderRateBudget(0.2)
    budget.update_limits([RateLimit("ORDERS", 10, 100, count=100)], SERVER_MS)
    assert [type(command) for command in MakerExitHarness(budget=budget).tick()] == [Place]


def test_short_of_budget_moves_are_spread_over_the_window() -> None:
    budget = OrderRateBudget(0.2)
    budget.update_limits([RateLimit("ORDERS", 10, 100, count=75)], SERVER_MS)
    harness = MakerExitHarness(budget=budget)
    harness.tick()
    harness.reply(Accepted(record(7)))
    moved: list[float] = []
    for step in range(1, 100):
        harness.book = top("90.00", str(D("100") + step * D("0.05")))
        for command in harness.tick(step / 10):
            assert isinstance(command, Replace)
            assert command.price is not None
            moved.append(step / 10)
            harness.reply(
                Accepted(record(command.order_id, status=CANCELED)),
                Accepted(record(command.order_id + 1, command.price)),
            )
    assert moved == [2.0, 4.0, 6.0, 8.0]


@pytest.mark.parametrize("seed", range(5))
def test_moves_leave_the_reserve_of_every_window_alone(seed: int) -> None:
    random = Random(seed)
    budget = OrderRateBudget(0.2)
    budget.update_limits([RateLimit("ORDERS", 10, 20)], SERVER_MS)
    harness = MakerExitHarness(budget=budget)
    harness.tick()
    harness.reply(Accepted(record(1)))
    moves: dict[int, int] = {0: 1}
    for step in range(1, 400):
        harness.book = top("90.00", str(D("100") + random.randint(1, 400) * D("0.01")))
        for command in harness.tick(step / 10):
            assert isinstance(command, Replace)
            assert command.price is not None
            moves[step // 100] = moves.get(step // 100, 0) + 1
            harness.reply(
                Accepted(record(command.order_id, status=CANCELED)),
                Accepted(record(command.order_id + 1, command.price)),
            )
    assert max(moves.values()) <= 16
    assert min(moves.values()) >= 10


# The taker escape -----------------------------------------------------------------------------------------

ESCAPE: Final = MakerExitParams(escape_after_s=60.0, escape_slippage_frac=D("0.001"))


def test_no_order_takes_unless_the_escape_is_switched_on() -> None:
    harness = working()
    harness.age_s = 1e9
    assert harness.tick(1.0) == []


def test_an_old_exit_takes_once_within_its_bound_and_then_rests_again() -> None:
    harness = MakerExitHarness(params=ESCAPE)
    harness.tick()
    harness.reply(Accepted(record(7)))
    harness.age_s = 59.9
    assert harness.tick(1.0) == []
    harness.age_s = 60.0
    assert harness.tick(2.0) == [Cancel(2, 7, own())]
    harness.reply(Accepted(record(7, status=CANCELED)))
    # 100.00 less 0.1 % is 99.90.
    assert harness.tick(2.1) == [Place(3, own(ExitKind.ESCAPE), SELL, D("99.90"), D("1"), escape=True)]
    taken = record(8, "99.90", "1", "0.4", OrderStatus.EXPIRED, client_order_id=own(ExitKind.ESCAPE))
    harness.reply(Accepted(taken))
    harness.set_intent_funds("0.6")
    (rest,) = harness.tick(2.2)
    assert isinstance(rest, Place)
    assert (rest.client_order_id, rest.escape, rest.quantity) == (own(), False, D("0.6"))


def test_an_escape_of_a_buy_is_bounded_above_and_paid_at_the_bound() -> None:
    harness = MakerExitHarness(order_intent(BUY, "100"), params=ESCAPE)
    harness.age_s = 60.0
    # 100.10 and 0.1 % is 100.2001; 100 of quote buys 0.9980 at 100.20.
    assert harness.tick() == [Place(1, own(ExitKind.ESCAPE), BUY, D("100.20"), D("0.9980"), escape=True)]


def test_an_escape_is_never_pegged() -> None:
    harness = MakerExitHarness(order_intent(pricing=Pricing.PEG), params=ESCAPE, rules=replace(RULES, peg_allowed=True))
    harness.age_s = 60.0
    (command,) = harness.tick()
    assert isinstance(command, Place)
    assert (command.price, command.escape) == (D("99.90"), True)


def test_a_rejected_escape_is_not_tried_again() -> None:
    harness = MakerExitHarness(params=ESCAPE)
    harness.age_s = 60.0
    harness.tick()
    harness.reply(rejection(RejectReason.OTHER))
    (command,) = harness.tick(1.0)
    assert isinstance(command, Place)
    assert not command.escape
