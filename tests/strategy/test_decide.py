"""The decision table as a whole: precedence, phases, and one run from rally to re-entry."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from tests.strategy.strategy_harness import (
    StrategyRun,
    full_channel,
    gated,
    held,
    in_base,
    in_quote,
    kline,
    params,
    top,
)

from trailingedge.model.intent import ExitEndReason, ExitKind, OrderIntent
from trailingedge.model.market import Regime
from trailingedge.strategy.decide import RULES, Occasion, Rule, StrategyStep
from trailingedge.strategy.evaluation_context import Evaluation
from trailingedge.strategy.inputs import Inputs, StrategyCommand
from trailingedge.strategy.state import Phase
from trailingedge.strategy.strategy_events import (
    BrokeOut,
    ExitEnded,
    ExitStarted,
    GateOpened,
    GateShut,
    HardStopTriggered,
    RegimeSet,
)


def exiting() -> StrategyRun:
    run = in_base("2500")
    run.flip("2500")
    return run


def flushing() -> StrategyRun:
    run = in_base("2500")
    run.tick("2480")
    run.tick("2480")
    return run


def unfunded() -> StrategyRun:
    run = in_base("2500")
    run.holdings = held()
    run.tick("2500")
    return run


def stopped() -> StrategyRun:
    run = in_quote("2500")
    run.close(2520)
    return run


def filled(run: StrategyRun, price: str) -> StrategyStep:
    run.fill(price)
    return run.tick(price)


def withdrawn(run: StrategyRun) -> None:
    run.cancel("2500")
    run.tick("2500")


def breached(run: StrategyRun) -> None:
    run.tick("2480")
    run.tick("2480")


def risen(run: StrategyRun) -> None:
    run.tick("2560")
    run.tick("2545")


def refunded(run: StrategyRun) -> None:
    run.holdings = held("1")
    run.tick("2500")


def emptied(run: StrategyRun) -> None:
    run.holdings = held()
    run.tick("2500")


def crossed(run: StrategyRun) -> None:
    for close in (2480, 2470, 2460, 2475):
        run.close(close)


def crossed_down(run: StrategyRun) -> None:
    for close in (2520, 2521, 2522, 2510):
        run.close(close)


CHANGES: list[tuple[str, Callable[[], StrategyRun], Callable[[StrategyRun], object], Phase, Regime]] = [
    ("a trail that is due", lambda: in_base("2500"), risen, Phase.EXITING, Regime.BASE),
    ("x", lambda: in_base("2500"), lambda s: s.flip("2500"), Phase.EXITING, Regime.BASE),
    ("a breach", lambda: in_base("2500"), breached, Phase.FLUSHING, Regime.BASE),
    ("nothing left", lambda: in_base("2500"), emptied, Phase.UNFUNDED, Regime.BASE),
    ("a sell fills", exiting, lambda s: filled(s, "2500"), Phase.WATCHING, Regime.QUOTE),
    ("a sell is withdrawn", exiting, withdrawn, Phase.WATCHING, Regime.BASE),
    ("a breach in a sell", exiting, breached, Phase.FLUSHING, Regime.BASE),
    ("a flush fills", flushing, lambda s: filled(s, "2480"), Phase.GATED, Regime.QUOTE),
    ("a flush is withdrawn", flushing, withdrawn, Phase.WATCHING, Regime.BASE),
    ("x in a flush", flushing, lambda s: s.flip("2480"), Phase.FLUSHING, Regime.BASE),
    ("money again", unfunded, refunded, Phase.WATCHING, Regime.BASE),
    ("a quote stop", lambda: in_quote("2500"), lambda s: s.close(2520), Phase.GATED, Regime.QUOTE),
    ("mid crossed upwards", gated, crossed, Phase.WATCHING, Regime.QUOTE),
    ("mid crossed downwards", stopped, crossed_down, Phase.WATCHING, Regime.QUOTE),
    ("x under a gate", gated, lambda s: s.flip("2470"), Phase.EXITING, Regime.QUOTE),
    ("x under a gate fills", gated, lambda s: (s.flip("2470"), filled(s, "2470")), Phase.WATCHING, Regime.BASE),
    ("base from outside under a gate", gated, refunded, Phase.WATCHING, Regime.BASE),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "change", "phase", "regime"), [pytest.param(*change[1:], id=change[0]) for change in CHANGES]
)
def test_each_change_of_phase(
    before: Callable[[], StrategyRun], change: Callable[[StrategyRun], object], phase: Phase, regime: Regime
) -> None:
    run = before()
    change(run)
    assert (run.phase(), run.regime()) == (phase, regime)


def test_the_table_is_asked_in_this_order() -> None:
    assert [rule for rule, _, _ in RULES] == [
        Rule.SOLD_OUT,
        Rule.HALT,
        Rule.CANCEL,
        Rule.BASE_STOP,
        Rule.FLIP,
        Rule.PAUSE,
        Rule.COMMAND_EXPIRY,
        Rule.CLOSED_KLINES,
        Rule.TAKE_PROFIT,
        Rule.BREAKOUT,
    ]


@pytest.mark.parametrize("row", RULES, ids=[rule.name for rule, _, _ in RULES])
def test_a_rule_whose_occasion_is_missing_would_do_nothing(
    row: tuple[Rule, Occasion, Callable[[Evaluation], bool]],
) -> None:
    _, needed, acts = row
    for run in (in_base(), in_quote(), gated()):
        inputs = Inputs(run.market_ms, run.market_ms, top("2400"), run.holdings, full_channel(2400, 2450))
        evaluation = Evaluation(inputs, run.state, run.params)
        assert needed is Occasion.PRICE or not acts(evaluation)
        assert needed is Occasion.PRICE or (evaluation.state is run.state and not evaluation.events)


def test_c_goes_before_the_stop() -> None:
    run = in_base("2500")
    run.flip("2500")
    run.tick("2480")
    assert run.cancel("2480").decision.acted is Rule.CANCEL


def test_the_stop_goes_before_x() -> None:
    run = in_base("2500")
    run.tick("2480")
    assert run.flip("2480").decision.acted is Rule.BASE_STOP


def test_x_goes_before_the_take_profit() -> None:
    run = in_base("2500")
    run.tick("2560")
    want = run.flip("2545").intent
    assert want is not None
    assert want.kind is ExitKind.MANUAL


def test_the_quote_stop_goes_before_the_take_profit() -> None:
    run = in_quote("2500")
    run.tick("2440")
    step = run.close(2520, bid="2455")
    assert (step.decision.acted, step.intent) == (Rule.CLOSED_KLINES, None)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"halted": True}, id="a halt"),
        pytest.param({"command": StrategyCommand.FLIP}, id="x"),
        pytest.param({"trading_paused": True}, id="a hold"),
    ],
)
def test_a_close_is_applied_in_a_tick_where_another_rule_acts(given: dict[str, Any]) -> None:
    run = in_quote("2500")
    if "trading_paused" in given:
        run.flip("2500")
    step = run.tick("2500", closes=[kline(0, 2501)], **given)
    assert step.decision.acted is not None
    assert (run.state.last_close, run.state.last_close_ms) == (2501.0, kline(0, 2501).close_ms)


def test_a_flip_and_a_stopping_close_in_one_tick_leave_the_gate_open() -> None:
    run = in_quote("2500")
    assert run.close(2520, command=StrategyCommand.FLIP).intent is not None
    assert run.gate() is None


def test_an_opened_gate_has_a_high_no_lower_than_the_market() -> None:
    run = gated("2500")
    for close in (2480, 2470, 2460):
        run.close(close)
    run.close(2475, bid="2470")
    assert run.gate() is None
    assert run.state.anchor == 1 / 2475
    assert run.state.high == 1 / 2470.01


def test_a_tick_in_which_no_rule_acts_changes_nothing() -> None:
    run = in_base("2500")
    run.tick("2510")
    before = run.state
    step = run.tick("2509")
    assert step.state is before
    assert (step.intent, step.events, step.decision.acted) == (None, (), None)


def test_deciding_twice_is_deciding_once() -> None:
    one, other = in_base("2500"), in_base("2500")
    for run in (one, other):
        run.tick("2560")
    assert one.tick("2545") == other.tick("2545")


def test_a_whole_run() -> None:
    run = StrategyRun(base="1", settings=params(), window=3)
    story: list[str] = []

    def tell(want: OrderIntent | None) -> None:
        base, quote = run.holdings.base, run.holdings.quote
        wanted = "-" if want is None else f"{want.side.value} {want.kind.name}"
        story.append(f"{run.phase().value:8} {wanted:16} {base:.4f} {quote:.2f}")

    for price in (2500, 2501, 2502, 2503):  # start; the channel fills
        run.close(price)
    tell(run.tick("2545").intent)  # a rally …
    tell(run.tick("2530").intent)  # … a little back: take-profit
    run.fill("2530.5")
    tell(run.tick("2531").intent)  # all quote, anchored at 2530.50
    tell(run.tick("2490").intent)  # it falls …
    tell(run.tick("2501").intent)  # … and turns: buy back
    run.fill("2500")
    tell(run.tick("2500").intent)  # more base than before
    tell(run.tick("2420").intent)  # a crash …
    tell(run.tick("2419").intent)  # … confirmed: flush
    run.fill("2419", "0.5")
    tell(run.tick("2415").intent)
    run.fill("2415")
    tell(run.tick("2400").intent)  # cash; the gate is shut
    for price in (2410, 2400, 2390, 2380):
        tell(run.close(price).intent)
    tell(run.close(2398).intent)  # a close above mid: the gate opens
    tell(run.tick("2350").intent)  # it falls on …
    tell(run.tick("2357").intent)  # … and turns: buy back
    run.fill("2357")
    tell(run.tick("2360").intent)

    assert story == [
        "watching -                1.0000 0.00",
        "exiting  SELL TAKE_PROFIT 1.0000 0.00",
        "watching -                0.0000 2530.50",
        "watching -                0.0000 2530.50",
        "exiting  BUY TAKE_PROFIT  0.0000 2530.50",
        "watching -                1.0122 0.00",
        "watching -                1.0122 0.00",
        "flushing SELL FLUSH       1.0122 0.00",
        "flushing SELL FLUSH       0.5061 1224.26",
        "gated    -                0.0000 2446.49",
        "gated    -                0.0000 2446.49",
        "gated    -                0.0000 2446.49",
        "gated    -                0.0000 2446.49",
        "gated    -                0.0000 2446.49",
        "watching -                0.0000 2446.49",
        "watching -                0.0000 2446.49",
        "exiting  BUY TAKE_PROFIT  0.0000 2446.49",
        "watching -                1.0380 0.00",
    ]
    assert [type(event) for event in run.events if not isinstance(event, RegimeSet | BrokeOut)] == [
        ExitStarted,
        ExitEnded,
        ExitStarted,
        ExitEnded,
        HardStopTriggered,
        ExitEnded,
        GateShut,
        GateOpened,
        ExitStarted,
        ExitEnded,
    ]
    assert all(event.cause is ExitEndReason.FILLED for event in run.events if isinstance(event, ExitEnded))
    assert run.holdings.base > Decimal("1.03")


def test_in_base_before_the_trail_is_armed() -> None:
    now = in_base("2500").tick("2510").decision
    assert (now.phase, now.regime, now.acted) == (Phase.WATCHING, Regime.BASE, None)
    assert (now.anchor_price, now.high_price, now.unit_value) == (2500.0, 2510.0, 2510.0)
    assert now.trail_arms_at_price == 2525.0
    assert now.take_profit_price is None
    assert now.stop_price == pytest.approx(2487.5)
    assert now.value_in_other_asset == 2510.0
    assert now.gate_price is None


def test_in_base_with_the_trail_armed() -> None:
    now = in_base("2500").tick("2560").decision
    assert now.trail is not None
    assert now.take_profit_price == pytest.approx(2560 - now.trail.callback)


def test_in_quote_prices_run_the_other_way() -> None:
    run = in_quote("2500")
    now = run.tick("2439.99", "2440").decision
    assert now.trail is not None
    assert now.anchor_price == pytest.approx(2500)
    assert now.high_price == pytest.approx(2440)
    assert now.trail_arms_at_price == pytest.approx(2500 / 1.01)
    assert now.take_profit_price is not None
    assert 2440 < now.take_profit_price < 2460
    assert now.stop_price == pytest.approx(2500 / 0.995)
    assert now.value_in_other_asset == pytest.approx(2500 / 2440)


def test_under_a_shut_gate_the_gate_is_what_counts() -> None:
    run = gated("2500")
    assert run.tick("2475").decision.gate_price is None  # the channel is not full yet
    now = run.tick("2475", channel=full_channel(2460, 2500)).decision
    assert now.gate_price == 2480.0
    assert now.stop_price is None


def test_a_take_profit_that_can_never_arm_has_no_price() -> None:
    run = in_quote("2500", settings=params(donchian_gain_multiplier=1.0))
    now = run.tick("2499", channel=full_channel(1, 9000)).decision
    assert now.trail_arms_at_price is None


def test_before_anything_is_known_there_are_no_numbers() -> None:
    now = StrategyRun().tick(None).decision
    assert (now.unit_value, now.trail, now.anchor, now.high, now.stop_price, now.value_in_other_asset) == (None,) * 6
    assert (now.trail_arms_at_price, now.take_profit_price, now.anchor_price) == (None, None, None)


def test_while_the_market_is_stale_the_remembered_numbers_stay() -> None:
    run = in_base("2500")
    now = run.tick(None).decision
    assert (now.unit_value, now.value_in_other_asset) == (None, None)
    assert now.anchor == 2500.0
    assert now.stop_price == pytest.approx(2487.5)


def test_a_breach_is_counted_in_market_time() -> None:
    run = in_base("2500", settings=params(hard_stop_confirm_sec=5.0))
    run.tick("2480")
    assert run.tick("2480", seconds=2.5).decision.stop_breach_ms == 2500
