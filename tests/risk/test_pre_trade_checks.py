"""Pre-trade checks: no command that breaks a rule is sent."""

from dataclasses import replace
from typing import Any

import pytest
from tests.execution.exchange_model import Breach
from tests.execution.order_builders import NUMBER, RULES, D, own, record, report, top
from tests.execution.test_maker_exit_at_random import WEATHERS, play, world

from trailingedge.core.errors import BrokenInvariant
from trailingedge.execution.maker_exit import MakerExit, MakerExitParams
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.model.intent import ExitKind, OrderIntent
from trailingedge.model.market import BookTop, OrderStatus, Regime, Side, SymbolRules
from trailingedge.model.market_state import StateView
from trailingedge.model.order_commands import (
    Cancel,
    ExecutionCommand,
    OrderInput,
    OrderReply,
    Place,
    QueryOrder,
    QueryOrdersFrom,
    Refresh,
    Replace,
)
from trailingedge.model.order_outcomes import Accepted, Unanswered
from trailingedge.risk.pre_trade_checks import PreTradeChecks
from trailingedge.strategy.decide import Decision
from trailingedge.strategy.inputs import Holdings
from trailingedge.strategy.state import StrategyState

SELL, BUY = Side.SELL, Side.BUY
BOOK = top("100.00", "100.10")
MARKET_MS = NUMBER + 60_000


def view(book: BookTop | None = BOOK, age_s: float = 0.1, *, proven: bool = True, now_s: float = 0.0) -> StateView:
    return StateView(now_s, MARKET_MS, book, age_s, {}, 0, proven, ())


def decision(
    base: str = "1",
    quote: str = "100",
    *,
    halted: bool = False,
    memory: StrategyState | None = None,
    known: bool = True,
) -> Decision:
    return Decision(
        acted=None,
        state=memory or StrategyState(),
        trading_paused=False,
        halted=halted,
        unit_value=None,
        trail=None,
        stop_distance=0.0,
        stop_breach_ms=None,
        channel=None,
        squeezed=False,
        holdings=Holdings(D(base), D(quote)) if known else None,
    )


def sell(price: str | None = "100.09", quantity: str = "1", **changes: Any) -> Place:
    plain = Place(1, own(), SELL, None if price is None else D(price), D(quantity))
    return replace(plain, **changes)


def buy(price: str | None = "100.01", quantity: str = "0.9", **changes: Any) -> Place:
    return sell(price, quantity, side=BUY, **changes)


def guard(*, resting: bool = False, escape: bool = False) -> PreTradeChecks:
    """With `resting` our order 7 is on the book."""
    invariants = PreTradeChecks(stale_after_s=10.0, request_expires_s=6.0, escape=escape)
    if resting:
        invariants.on_order_input(report(7))
    return invariants


def moved(order_id: int = 7, price: str = "100.05", quantity: str = "1") -> Replace:
    return Replace(2, order_id, own(), SELL, D(price), D(quantity))


@pytest.mark.parametrize(
    ("command", "resting"),
    [
        pytest.param(sell(), False, id="a sell of all"),
        pytest.param(buy(), False, id="a buy"),
        pytest.param(sell(None), False, id="pegged"),
        pytest.param(sell("100.01"), False, id="one tick from taking"),
        pytest.param(moved(), True, id="a replace"),
        pytest.param(Cancel(2, 7, own()), True, id="a cancel"),
        pytest.param(QueryOrder(2, 7, own()), True, id="a question by order id"),
        pytest.param(QueryOrder(2, None, own()), False, id="a question by client id"),
        pytest.param(QueryOrdersFrom(2, 7, own()), True, id="a question for a list"),
        pytest.param(Refresh.BALANCES, False, id="a remedy"),
    ],
)
def test_what_breaks_no_rule_goes_out(command: ExecutionCommand, resting: bool) -> None:
    guard(resting=resting).approve([command], view(), decision(), RULES)


@pytest.mark.parametrize(
    ("command", "resting", "reason"),
    [
        pytest.param(
            sell(quantity="1.0001"), False, ("would spend 1.0001 ETH, more than the 1 that"), id="more base than held"
        ),
        pytest.param(
            buy("100.09", "1"), False, ("would spend 100.09 FDUSD, more than the 100 that"), id="more quote than held"
        ),
        pytest.param(moved(quantity="1.2"), True, "would spend", id="a larger replace"),
        pytest.param(sell("100.00"), False, "would take", id="a sell at the bid"),
        pytest.param(buy("100.10"), False, "would take", id="a buy at the ask"),
        pytest.param(moved(price="99.99"), True, "would take", id="a replace through the bid"),
        pytest.param(sell("100.095"), False, "PRICE_FILTER", id="off the tick"),
        pytest.param(sell(quantity="0.00015"), False, "LOT_SIZE", id="off the step"),
        pytest.param(sell(quantity="0.01"), False, "NOTIONAL", id="too small"),
        pytest.param(sell(escape=True), False, "do not allow", id="an escape that is not allowed"),
        pytest.param(sell(), True, "while order 7 of ours is open", id="a second order"),
        pytest.param(moved(8), True, "not known to be ours", id="a replace of another's order"),
        pytest.param(Cancel(2, 8, own()), True, "not known to be ours", id="a cancel of another's order"),
        pytest.param(QueryOrder(2, 8, own()), True, "not known to be ours", id="a question about another's order"),
        pytest.param(
            Cancel(2, 7, "web_4711"), True, "not a client order id of our exits", id="a cancel under another's name"
        ),
        pytest.param(
            sell(client_order_id=own(ExitKind.NOTE)),
            False,
            "not a client order id of our exits",
            id="a note is no exit",
        ),
    ],
)
def test_what_breaks_a_rule_does_not(command: ExecutionCommand, resting: bool, reason: str) -> None:
    invariants = guard(resting=resting)
    with pytest.raises(BrokenInvariant, match=reason):
        invariants.approve([command], view(), decision(), RULES)
    assert not invariants.orders.placement_unanswered(0.0)  # it was not sent


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        pytest.param(view(age_s=10.0), "10.0 s old", id="stale"),
        pytest.param(view(None), "bid and ask", id="no book"),
        pytest.param(view(proven=False), "without an account connection", id="account unproven"),
    ],
)
def test_nothing_is_ordered_on_stale_data(seen: StateView, reason: str) -> None:
    for command in (sell(), moved()):
        with pytest.raises(BrokenInvariant, match=reason):
            guard(resting=isinstance(command, Replace)).approve([command], seen, decision(), RULES)


def test_on_a_stale_market_an_order_may_still_be_cancelled() -> None:
    guard(resting=True).approve([Cancel(2, 7, own())], view(None, float("inf")), decision(), RULES)


@pytest.mark.parametrize(
    "decided",
    [pytest.param(decision(halted=True), id="halted"), pytest.param(None, id="winding down")],
)
def test_nothing_is_ordered_when_nothing_is_decided_and_what_rests_is_cancelled(decided: Decision | None) -> None:
    with pytest.raises(BrokenInvariant, match="without a decision, or while trading is halted"):
        guard().approve([sell()], view(), decided, RULES)
    guard(resting=True).approve([Cancel(2, 7, own())], view(), decided, RULES)


def test_nothing_is_ordered_before_the_balances_are_known() -> None:
    with pytest.raises(BrokenInvariant, match="before the balances"):
        guard().approve([sell()], view(), decision(known=False), RULES)


def test_nothing_is_ordered_while_the_symbol_is_not_trading() -> None:
    with pytest.raises(BrokenInvariant, match="HALT"):
        guard().approve([sell()], view(), decision(), replace(RULES, status="HALT"))


def test_an_escape_may_take_where_it_is_allowed() -> None:
    guard(escape=True).approve([sell("99.90", escape=True)], view(), decision(), RULES)


def test_one_request_at_a_time() -> None:
    with pytest.raises(BrokenInvariant, match="2 requests"):
        guard(resting=True).approve([Cancel(2, 7, own()), QueryOrder(3, 7, own())], view(), decision(), RULES)


def test_a_second_order_waits_until_the_first_can_no_longer_come() -> None:
    invariants = guard()
    invariants.approve([sell()], view(), decision(), RULES)
    invariants.on_order_input(OrderReply(1, Unanswered("timeout")))
    with pytest.raises(BrokenInvariant, match="may still be executed"):
        invariants.approve([sell(tag=2)], view(now_s=5.9), decision(), RULES)
    invariants.approve([sell(tag=2)], view(now_s=6.0), decision(), RULES)


def test_an_order_follows_one_that_is_over() -> None:
    invariants = guard()
    invariants.approve([sell()], view(), decision(), RULES)
    invariants.on_order_input(OrderReply(1, Accepted(record(7))))
    invariants.on_order_input(report(7, filled="0.4", status=OrderStatus.CANCELED))
    invariants.approve([sell(quantity="0.6", tag=2)], view(now_s=1.0), decision("0.6"), RULES)


# The high ------------------------------------------------------------------------------------


def in_regime(regime: Regime, high: float, anchor_ms: int = 1, *, funded: bool = True) -> Decision:
    anchor = 90.0 if regime is Regime.BASE else 1 / 120.0
    return decision(memory=StrategyState(regime=regime, anchor=anchor, high=high, anchor_ms=anchor_ms, funded=funded))


@pytest.mark.parametrize(
    ("regime", "best", "less"),
    [
        pytest.param(Regime.BASE, 100.0, 99.99, id="base, at the bid"),
        pytest.param(Regime.QUOTE, 1 / 100.1, 1 / 100.11, id="quote, at the ask"),
    ],
)
def test_the_high_is_at_least_what_is_seen_now(regime: Regime, best: float, less: float) -> None:
    guard().approve([], view(), in_regime(regime, best), RULES)
    with pytest.raises(BrokenInvariant, match="the high is"):
        guard().approve([], view(), in_regime(regime, less), RULES)


def test_the_high_does_not_fall_while_the_anchor_stays() -> None:
    invariants = guard()
    invariants.approve([], view(), in_regime(Regime.BASE, 100.0), RULES)
    with pytest.raises(BrokenInvariant, match="the high is"):
        invariants.approve([], view(top("95.00", "95.10")), in_regime(Regime.BASE, 99.0), RULES)


@pytest.mark.parametrize(
    ("seen", "decided"),
    [
        pytest.param(view(top("95.00", "95.10")), in_regime(Regime.BASE, 95.0, anchor_ms=2), id="another anchor"),
        pytest.param(view(top("95.00", "95.10")), in_regime(Regime.BASE, 95.0, MARKET_MS), id="anchored this moment"),
        pytest.param(view(), in_regime(Regime.QUOTE, 0.1), id="another regime"),
        pytest.param(view(), decision(), id="no regime"),
        pytest.param(view(top("110.00", "110.10")), in_regime(Regime.BASE, 100.0, funded=False), id="unfunded"),
        pytest.param(view(top("110.00", "110.10"), 10.0), in_regime(Regime.BASE, 100.0), id="a stale book"),
        pytest.param(
            view(top("110.00", "110.10")),
            decision(halted=True, memory=StrategyState(regime=Regime.BASE, high=1.0, funded=True)),
            id="halted",
        ),
    ],
)
def test_the_high_owes_nothing_to(seen: StateView, decided: Decision) -> None:
    invariants = guard()
    invariants.approve([], view(), in_regime(Regime.BASE, 100.0), RULES)
    invariants.approve([], seen, decided, RULES)


def test_where_closes_alone_are_judged_the_high_owes_nothing_to_prices_between_them() -> None:
    invariants = PreTradeChecks(10.0, 6.0, closes_alone=True)
    invariants.approve([], view(top("110.00", "110.10")), in_regime(Regime.BASE, 100.0), RULES)
    with pytest.raises(BrokenInvariant, match="the high is"):
        invariants.approve([], view(), in_regime(Regime.BASE, 100.0)._replace(judged_close=100.5), RULES)


def test_after_a_halt_the_operator_can_go_on_with_the_high_there_is() -> None:
    invariants, lower = guard(), view(top("95.00", "95.10"))
    invariants.approve([], view(), in_regime(Regime.BASE, 100.0), RULES)
    invariants.reset_high()
    invariants.approve([], lower, in_regime(Regime.BASE, 99.0), RULES)


# Beside the real maker exit ----------------------------------------------------------------------


class Guarded(MakerExit):
    """A maker exit with every command checked; the intent says what it may spend."""

    def __init__(self, params: MakerExitParams) -> None:
        super().__init__(RULES, OrderRateBudget(0.2), params)
        self.invariants = guard(escape=params.escape_after_s > 0)

    def handle(self, event: OrderInput, now_s: float) -> None:
        self.invariants.on_order_input(event)
        super().handle(event, now_s)

    def commands_for(
        self, intent: OrderIntent | None, top: BookTop | None, now_s: float, **how: Any
    ) -> list[ExecutionCommand]:
        commands = super().commands_for(intent, top, now_s, **how)
        funds = "0" if intent is None else str(intent.funds)
        self.invariants.approve(commands, view(top, now_s=now_s), decision(funds, funds), self.rules)
        return commands


@pytest.mark.parametrize("weather", WEATHERS)
@pytest.mark.parametrize("seed", range(5))
def test_the_maker_exit_is_never_accused_of_what_it_did_not_do(seed: int, weather: str) -> None:
    run = world(seed, weather)
    run.maker_exit = Guarded(run.params)
    try:
        play(run)
    except (Breach, BrokenInvariant) as breach:
        pytest.fail(f"{breach!r}\n" + "\n".join(run.transcript[-60:]))


def test_rules_read_again_are_those_that_count() -> None:
    stricter: SymbolRules = replace(RULES, min_notional=D(101))
    with pytest.raises(BrokenInvariant, match="NOTIONAL"):
        guard().approve([sell()], view(), decision(), stricter)
