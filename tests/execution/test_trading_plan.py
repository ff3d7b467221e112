"""The trading plan: what it names is what a full tick would do, and where it might not be, there is no plan."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.execution.order_builders import RULES, D, report, top
from tests.execution.test_trading_core import Bench
from tests.strategy.strategy_harness import START_MS, params

from trailingedge.core.errors import BrokenInvariant
from trailingedge.execution.maker_exit import MakerExitParams
from trailingedge.execution.trading_plan import NextStep, TradingPlan
from trailingedge.model.market import BookTop, OrderStatus, RateLimit, Side, SymbolRules
from trailingedge.model.order_commands import (
    Cancel,
    ExecutionCommand,
    OrderReply,
    Place,
    Refresh,
    Replace,
    ReplaceReply,
)
from trailingedge.model.order_outcomes import Accepted, NotTried, Rejected, RejectReason, ReplaceOutcome
from trailingedge.model.pricing_mode import Pricing
from trailingedge.strategy.inputs import StrategyCommand


def resting(bench: Bench) -> Bench:
    """An operator's exit whose order rests, with no open request; the last tick had nothing to do."""
    bench.rest(bench.flip())
    bench.tick()
    return bench


def orders(commands: list[ExecutionCommand]) -> list[ExecutionCommand]:
    return [command for command in commands if not isinstance(command, Refresh)]


def next_step(bench: Bench, book: BookTop, after_s: float = 0.01) -> Replace | NextStep:
    """What the plan says about `book`, so much later."""
    bench.now_s = round(bench.now_s + after_s, 3)
    bench.top, plan = book, bench.trader.plan
    return NextStep.TICK if plan is None else plan.next_step(book, bench.now_s)


def react(bench: Bench, book: BookTop, after_s: float = 0.01) -> Replace | None:
    """What is sent for `book` without a tick."""
    plan, step = bench.trader.plan, next_step(bench, book, after_s)
    if plan is None or not isinstance(step, Replace):
        return None
    bench.trader.plan = TradingPlan(plan.limits, plan.due_s)
    bench.trader.on_replace_sent(step, book, bench.now_s, START_MS + round(bench.now_s * 1000))
    return step


def untagged(commands: list[ExecutionCommand]) -> list[ExecutionCommand]:
    """The commands, all with one tag: the plan has reserved a tag of its own."""
    return [replace(each, tag=0) if isinstance(each, Replace) else each for each in commands]


def carry_out(bench: Bench, command: Replace, order_id: int) -> None:
    """The exchange executes the command and replies; the next tick has nothing to do."""
    rests = replace(
        bench.record(Place(command.tag, command.client_order_id, command.side, command.price, command.quantity)),
        order_id=order_id,
    )
    old = bench.trader.maker_exit.order
    assert old is not None
    assert old.price is not None
    gone = replace(rests, order_id=command.order_id, status=OrderStatus.CANCELED, price=old.price)
    bench.trader.inbox.append(ReplaceReply(command.tag, ReplaceOutcome(Accepted(gone), Accepted(rests))))
    asset = "ETH" if command.side is Side.SELL else "FDUSD"
    spent = command.quantity if command.side is Side.SELL else command.quantity * (command.price or 0)
    total = bench.balances[asset].total
    bench.set_balance(asset, str(total - spent), str(spent))
    bench.tick(0.01)
    bench.tick(0.01)


@pytest.mark.parametrize(
    ("base", "quote", "book", "price", "quantity"),
    [
        pytest.param("1", "0", top("99.90", "100.05"), "100.04", "1", id="a SELL goes down with the ask"),
        pytest.param("1", "0", top("100.20", "100.30"), "100.29", "1", id="and up"),
        pytest.param("0", "1000", top("100.05", "100.20"), "100.06", "9.9940", id="a BUY goes up, and buys less"),
        pytest.param("0", "1000", top("99.00", "99.50"), "99.01", "10.0999", id="and down, and buys more"),
    ],
)
def test_another_price_is_answered_without_a_tick(
    base: str, quote: str, book: BookTop, price: str, quantity: str
) -> None:
    bench = resting(Bench(base, quote))
    command = react(bench, book)
    assert command is not None
    assert (command.order_id, command.price, command.quantity) == (7, D(price), D(quantity))
    assert next_step(bench, top("99.60", "99.70")) is NextStep.NOTHING  # one request is in flight
    assert orders(bench.tick()) == []


@given(
    ticks=st.integers(9_850, 10_110),
    spread=st.sampled_from([1, 1, 2, 3, 10, 50]),
    bid_quantity=st.sampled_from(["0.5", "1", "20"]),
    ask_quantity=st.sampled_from(["0.5", "1", "20"]),
    selling=st.booleans(),
    pricing=st.sampled_from([Pricing.IMPROVE, Pricing.OPPOSITE, Pricing.JOIN]),
    moves=st.integers(0, 2),
    after_s=st.sampled_from([0.001, 0.3, 0.95, 1.0, 2.5]),
)
@settings(max_examples=80, deadline=None)
def test_a_reaction_is_what_the_tick_would_have_sent(
    ticks: int,
    spread: int,
    bid_quantity: str,
    ask_quantity: str,
    selling: bool,
    pricing: Pricing,
    moves: int,
    after_s: float,
) -> None:
    funds = ("1", "0") if selling else ("0", "1000")
    bench = resting(Bench(*funds, strategy=params(exit_pricing=pricing)))
    for number in range(moves):  # prices that were left a moment ago
        command = react(bench, top(f"100.{number}1", f"100.{number}5"))
        if command is not None:
            carry_out(bench, command, 8 + number)
    book = top(str(D(ticks) / 100), str(D(ticks + spread) / 100), bid_quantity, ask_quantity)
    other, due_s = deepcopy(bench), bench.trader.due_s
    other.top = book
    step, by_the_tick = next_step(bench, book, after_s), untagged(orders(other.tick(after_s)))
    if isinstance(step, Replace):
        assert by_the_tick == untagged([step])
    elif step is NextStep.NOTHING:
        assert by_the_tick == []
    elif not moves and bench.now_s < due_s and other.trader.due_s > bench.now_s + 1.0:
        # A price that we left may be our own old one. Without such prices only a stop that begins needs a tick.
        assert other.trader.decision is not None
        assert other.trader.decision.stop_breach_ms is not None


@pytest.mark.parametrize(
    ("ask_quantity", "price"),
    [pytest.param("1", None, id="no more than we had there"), pytest.param("1.0001", "100.03", id="more: others")],
)
def test_a_price_that_we_left_is_followed_without_a_tick_where_others_are_there(
    ask_quantity: str, price: str | None
) -> None:
    bench = resting(Bench())
    for number, ask in enumerate(("100.05", "100.03")):
        moved = react(bench, top("99.90", ask))
        assert moved is not None
        carry_out(bench, moved, 8 + number)  # the second one left 100.04
    command = react(bench, top("99.90", "100.04", ask_quantity=ask_quantity))
    assert (None if command is None else command.price) == (None if price is None else D(price))


def test_a_price_at_which_a_stop_begins_takes_a_tick() -> None:
    bench = resting(Bench())
    assert next_step(bench, top("95.00", "95.10")) is NextStep.TICK
    assert len(orders(bench.tick())) == 1


@pytest.mark.parametrize(
    "book",
    [
        pytest.param(top("100.00", "100.10"), id="the same"),
        pytest.param(top("99.60", "100.10"), id="the other side alone has moved"),
        pytest.param(top("100.00", "100.09", ask_quantity="1"), id="we stand alone at the best price"),
    ],
)
def test_a_price_that_moves_nothing_is_answered_by_nothing(book: BookTop) -> None:
    bench = resting(Bench())
    assert next_step(bench, book) is NextStep.NOTHING


def part_fill(bench: Bench) -> None:
    partly = report(
        7,
        filled="0.4",
        status=OrderStatus.PARTIALLY_FILLED,
        client_order_id=bench.trader.maker_exit.alive[0].client_order_id,
    )
    bench.trader.on_report(partly, bench.pushes)
    bench.set_balance("ETH", "0", "0.6")
    bench.set_balance("FDUSD", "40.036")


def refuse(bench: Bench) -> None:
    command = react(bench, top("99.90", "100.05"))
    assert command is not None
    refused = Rejected(RejectReason.TOO_MANY_ORDERS, -1015, "Too many new orders.")
    bench.trader.inbox.append(ReplaceReply(command.tag, ReplaceOutcome(NotTried(), refused)))


def use_up(bench: Bench) -> None:
    bench.trader.maker_exit._budget.update_limits(
        [RateLimit("ORDERS", 10, 100, 60)], START_MS + round(bench.now_s * 1000)
    )


def cancel_exit(bench: Bench) -> None:
    bench.trader.operator_commands.append(StrategyCommand.CANCEL)


def go_silent(bench: Bench) -> None:
    bench.fresh, bench.market_seen_s = False, bench.now_s - 100.0


def lose_the_account(bench: Bench) -> None:
    bench.proven = False


def halt_the_symbol(bench: Bench) -> None:
    bench.trader.update_rules(replace(RULES, status="HALT"))


@pytest.mark.parametrize(
    "happens",
    [part_fill, refuse, use_up, cancel_exit, go_silent, lose_the_account, halt_the_symbol],
    ids=lambda it: it.__name__,
)
def test_where_anything_but_the_price_matters_there_is_no_reaction(happens: Callable[[Bench], None]) -> None:
    bench = resting(Bench())
    happens(bench)
    bench.tick(0.01)
    bench.tick(0.01)
    assert react(bench, top("99.90", "100.06")) is None


def test_a_plan_ends_when_the_taker_escape_is_due() -> None:
    bench = resting(Bench(harness=MakerExitParams(escape_after_s=5.0)))
    plan, started_s = bench.trader.plan, bench.now_s - bench.trader.exit_age_s(START_MS + round(bench.now_s * 1000))
    assert plan is not None
    book = top("99.90", "100.05")
    assert isinstance(plan.next_step(book, started_s + 4.999), Replace)
    assert plan.next_step(book, started_s + 5.0) is NextStep.TICK
    (command,) = orders(bench.tick(started_s + 5.0 - bench.now_s))
    assert isinstance(command, Cancel)


def test_an_escape_that_is_due_but_may_not_be_sent_yet_leaves_no_plan() -> None:
    bench = resting(Bench(harness=MakerExitParams(escape_after_s=5.0)))
    (command,) = orders(bench.tick(5.0))
    assert isinstance(command, Cancel)
    bench.trader.deliver(OrderReply(command.tag, Rejected(RejectReason.TOO_MANY_ORDERS, -1015, "Too many new orders.")))
    bench.tick(0.01)
    assert bench.trader.plan is None
    assert bench.trader.due_s == pytest.approx(bench.now_s + 2.0)


def test_anything_else_that_changes_makes_the_plan_void() -> None:
    bench = resting(Bench())
    bench.trader.invalidate_plan()
    assert react(bench, top("99.90", "100.05")) is None


def test_a_replace_that_contradicts_the_records_is_a_broken_invariant() -> None:
    bench = resting(Bench())
    book = top("99.90", "100.05")
    first, again = next_step(bench, book), next_step(bench, book)
    assert isinstance(first, Replace)
    assert isinstance(again, Replace)
    bench.trader.on_replace_sent(first, book, bench.now_s, START_MS)
    with pytest.raises(BrokenInvariant, match="was sent, but the current order is"):
        bench.trader.on_replace_sent(again, book, bench.now_s, START_MS)


def test_a_replace_that_spends_too_much_is_recorded_and_a_broken_invariant() -> None:
    bench = resting(Bench())
    book = top("99.90", "100.05")
    step = next_step(bench, book)
    assert isinstance(step, Replace)
    with pytest.raises(BrokenInvariant, match="would spend 2 ETH, more than the 1 that may be traded"):
        bench.trader.on_replace_sent(replace(step, quantity=D(2)), book, bench.now_s, START_MS)
    assert not bench.trader.maker_exit.idle


@pytest.mark.parametrize(
    "rules", [replace(RULES, status="BREAK"), replace(RULES, tick_size=D("0.10"))], ids=["break", "tick"]
)
def test_rules_that_were_read_again_make_the_plan_void(rules: SymbolRules) -> None:
    bench = resting(Bench())
    bench.trader.update_rules(rules)
    assert bench.trader.plan is None


def test_the_boundary_of_an_echo_is_the_same_for_reaction_and_tick() -> None:
    bench = resting(Bench())
    command = react(bench, top("99.90", "100.05"))
    assert command is not None
    carry_out(bench, command, 8)
    for after_s in (0.97, 0.018, 0.001, 0.001, 0.001):
        other = deepcopy(bench)
        other.top = top("99.90", "100.09", ask_quantity="1")  # the order that left
        step, by_the_tick = next_step(bench, other.top, after_s), untagged(orders(other.tick(after_s)))
        if by_the_tick:
            assert isinstance(step, Replace)  # the second is over
            assert by_the_tick == untagged([step])
            return
        assert step is NextStep.TICK  # which waits until the second is over
    pytest.fail("the price that we left is never followed")
