"""Each rule of the table alone: when it acts, and when it does not."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.strategy.strategy_harness import (
    MINUTE_MS,
    StrategyRun,
    full_channel,
    gated,
    held,
    in_base,
    in_quote,
    kline,
    params,
)

from trailingedge.model.intent import ExitEndReason, ExitKind, OrderIntent
from trailingedge.model.market import Regime, Side
from trailingedge.model.pricing_mode import Pricing
from trailingedge.strategy.decide import Rule
from trailingedge.strategy.inputs import StrategyCommand
from trailingedge.strategy.state import Phase
from trailingedge.strategy.strategy_events import (
    BrokeOut,
    CommandRefused,
    ExitEnding,
    ExitRelabelled,
    ExitStarted,
    GateShut,
    HardStopTriggered,
    Squeezed,
)


def kind(run: StrategyRun) -> ExitKind | None:
    """What the exit in progress is."""
    exit_ = run.exit()
    return None if exit_ is None else exit_.kind


def buying_back(**given: Any) -> StrategyRun:
    """In QUOTE since 2500, a take-profit buy in progress."""
    run = in_quote("2500", **given)
    run.tick("2440")
    run.tick("2455")
    return run


# The hard stop in BASE


def test_a_breach_that_lasts_becomes_a_flush() -> None:
    run = in_base("2500")
    first = run.tick("2487.5")
    assert first.intent is None
    assert first.decision.stop_breach_ms == 0
    second = run.tick("2487.5")
    assert second.decision.acted is Rule.BASE_STOP
    assert second.intent == OrderIntent(Side.SELL, Decimal(1), Pricing.OPPOSITE, ExitKind.FLUSH, run.market_ms)
    assert second.events == (HardStopTriggered(run.market_ms, Decimal("2487.5"), 2500.0, 0.005, None),)
    assert run.phase() is Phase.FLUSHING


def test_a_breach_that_passes_is_forgotten() -> None:
    run = in_base("2500")
    run.tick("2487")
    run.tick("2488", seconds=0.5)
    run.tick("2487", seconds=0.4)
    assert run.tick("2487", seconds=0.9).intent is None
    assert run.tick("2487", seconds=0.2).intent is not None


def test_a_gap_in_the_feed_neither_restarts_nor_ends_the_confirmation() -> None:
    run = in_base("2500", settings=params(hard_stop_confirm_sec=600.0))
    run.tick("2487")
    for _ in range(2):
        assert run.tick(None, seconds=250).intent is None
    assert run.tick("2487", seconds=99).intent is None
    assert run.tick(None, seconds=300).intent is None  # nothing is sold on stale data, however long it lasts
    assert run.tick("2487").intent is not None


def test_the_first_price_after_a_gap_ends_a_breach_or_begins_one() -> None:
    run = in_base("2500", settings=params(hard_stop_confirm_sec=600.0))
    run.tick("2487")
    run.tick(None, seconds=700)
    assert run.tick("2499").decision.stop_breach_ms is None
    run.tick(None, seconds=700)
    assert run.tick("2487").decision.stop_breach_ms == 0


def test_the_largest_loss_is_confirmed_within_a_second() -> None:
    run = in_base("2500", settings=params(hard_stop_confirm_sec=600.0, hard_stop_max_frac=0.15))
    run.tick("2124")
    run.tick("2126", seconds=0.9)  # still a breach, but of the nearer distance
    assert run.tick("2125", seconds=0.9).decision.stop_confirms_in_s(run.params) == 1.0
    assert run.tick("2125", seconds=0.9).intent is None
    assert run.tick("2125", seconds=0.1).decision.acted is Rule.BASE_STOP


def test_without_a_confirmation_the_first_breach_flushes() -> None:
    assert in_base("2500", settings=params(hard_stop_confirm_sec=0.0)).tick("2487").intent is not None


def test_the_hard_stop_works_while_paused_and_while_balances_settle() -> None:
    run = in_base("2500")
    run.tick("2487", trading_paused=True, settled=False)
    step = run.tick("2487", trading_paused=True, settled=False)
    assert step.intent is not None
    assert step.intent.funds == 1


@pytest.mark.parametrize(
    "first", [pytest.param(ExitKind.TAKE_PROFIT, id="take-profit"), pytest.param(ExitKind.MANUAL, id="x")]
)
def test_the_stop_takes_over_a_sell_in_progress(first: ExitKind) -> None:
    run = in_base("2500")
    if first is ExitKind.MANUAL:
        run.flip("2500")
    else:
        run.tick("2560")
        run.tick("2545")
    assert kind(run) is first
    number = run.state.last_number
    run.tick("2480")
    step = run.tick("2480")
    assert step.intent is not None
    assert (step.intent.kind, step.intent.number, step.intent.pricing) == (ExitKind.FLUSH, number, Pricing.OPPOSITE)
    assert [event.upgraded for event in run.events if isinstance(event, HardStopTriggered)] == [first]


def test_the_hard_stop_waits_for_a_sell_that_is_being_cancelled() -> None:
    run = in_base("2500")
    run.flip("2500")
    run.cancel("2480")
    run.report(idle=False)
    run.tick("2480")
    assert run.tick("2480").intent is None
    assert run.signals(HardStopTriggered) == []


def test_an_unfunded_base_has_nothing_to_flush() -> None:
    run = in_base("2500")
    run.holdings = held()
    run.tick("2400")
    assert run.tick("2400").intent is None


def test_a_wide_channel_gives_the_stop_room() -> None:
    run = in_base("2500")
    wide = full_channel(2450, 2550)  # half of 4 %
    run.tick("2460", channel=wide)
    assert run.tick("2460", channel=wide).intent is None
    run.tick("2449", channel=wide)
    assert run.tick("2449", channel=wide).intent is not None


# Halt


def test_a_halt_cancels_and_starts_nothing() -> None:
    run = in_base("2500")
    run.flip("2500")
    assert run.tick("2300", halted=True).decision.acted is Rule.HALT
    run.tick("2300", halted=True)
    assert run.tick("2300", halted=True, command=StrategyCommand.FLIP).intent is None
    assert run.exit() is None
    assert run.signals(CommandRefused) == [CommandRefused(StrategyCommand.FLIP, "trading is halted")]


# The operator


@pytest.mark.parametrize(
    ("run", "side"),
    [
        pytest.param(in_base(), Side.SELL, id="base: sell"),
        pytest.param(in_quote(), Side.BUY, id="quote: buy"),
        pytest.param(gated(), Side.BUY, id="a shut gate: buy"),
    ],
)
def test_x_leaves_the_regime(run: StrategyRun, side: Side) -> None:
    step = run.flip("2490")
    assert step.decision.acted is Rule.FLIP
    assert step.intent is not None
    assert (step.intent.side, step.intent.kind, step.intent.pricing) == (side, ExitKind.MANUAL, Pricing.IMPROVE)
    armed = step.events[-1]
    assert isinstance(armed, ExitStarted)
    assert (armed.kind, armed.price) == (ExitKind.MANUAL, Decimal("2490.005"))


def test_x_does_not_wait_for_fresh_data() -> None:
    run = in_base()
    assert run.tick(None, command=StrategyCommand.FLIP).intent is not None


@pytest.mark.parametrize(
    ("run", "given", "reason"),
    [
        pytest.param(StrategyRun(base="0"), {}, "there is nothing to trade", id="unfunded"),
        pytest.param(StrategyRun(), {"bid": None}, "there is nothing to trade", id="nothing known yet"),
        pytest.param(in_quote(), {"trading_paused": True}, "no buying while held", id="a buy while held"),
    ],
)
def test_x_is_refused_with_a_reason(run: StrategyRun, given: dict[str, Any], reason: str) -> None:
    step = run.tick(**({"bid": "2490"} | given), command=StrategyCommand.FLIP)
    assert step.intent is None
    assert CommandRefused(StrategyCommand.FLIP, reason) in step.events


def test_x_sells_while_paused() -> None:
    assert in_base().flip("2500", trading_paused=True).intent is not None


def test_x_relabels_a_take_profit() -> None:
    run = buying_back()
    number = run.state.last_number
    step = run.flip("2455")
    assert step.intent is not None
    assert (step.intent.kind, step.intent.number) == (ExitKind.MANUAL, number)
    assert step.events == (ExitRelabelled(number, Side.BUY, ExitKind.MANUAL, ExitKind.TAKE_PROFIT),)


def test_x_never_downgrades_a_flush() -> None:
    run = in_base("2500")
    run.tick("2480")
    run.tick("2480")
    step = run.flip("2480")
    assert kind(run) is ExitKind.FLUSH
    assert step.events == (CommandRefused(StrategyCommand.FLIP, "already under way"),)


@pytest.mark.parametrize("command", StrategyCommand)
def test_an_exit_that_is_ending_takes_no_command(command: StrategyCommand) -> None:
    run = in_base()
    run.flip("2500")
    run.cancel("2500")
    run.report(idle=False)
    step = run.tick("2500", command=command)
    assert step.events == (CommandRefused(command, "the exit is ending already: withdrawn"),)


def test_c_calls_an_exit_back() -> None:
    run = in_base()
    run.flip("2500")
    step = run.cancel(None)
    assert step.decision.acted is Rule.CANCEL
    assert step.intent is None
    assert step.events == (ExitEnding(ExitKind.MANUAL, Side.SELL, run.state.last_number, ExitEndReason.CANCELLED),)


def test_c_without_an_exit_is_refused() -> None:
    assert in_base().cancel("2500").events == (CommandRefused(StrategyCommand.CANCEL, "no exit is in progress"),)


# Hold and expiry


@pytest.mark.parametrize("run", [pytest.param(buying_back(), id="take-profit"), pytest.param(in_quote(), id="x")])
def test_a_pause_cancels_a_buy(run: StrategyRun) -> None:
    if run.exit() is None:
        run.flip("2455")
    step = run.tick("2455", trading_paused=True)
    assert (step.decision.acted, step.intent) == (Rule.PAUSE, None)


def test_a_hold_lets_a_sell_go_on() -> None:
    run = in_base()
    run.flip("2500")
    assert run.tick("2500", trading_paused=True).intent is not None


def test_only_a_command_expires() -> None:
    run = buying_back()
    assert run.tick("2455", command_expired=True).intent is not None
    run.flip("2455")
    step = run.tick("2455", command_expired=True)
    assert (step.decision.acted, step.intent) == (Rule.COMMAND_EXPIRY, None)


# Take-profit


@pytest.mark.parametrize(
    ("run", "bids", "side"),
    [
        pytest.param(in_base("2500"), ["2560", "2545"], Side.SELL, id="base: up and a little back"),
        pytest.param(in_quote("2500"), ["2440", "2455"], Side.BUY, id="quote: down and a little back"),
    ],
)
def test_a_trail_that_is_due_starts_the_exit(run: StrategyRun, bids: list[str], side: Side) -> None:
    assert run.tick(bids[0]).intent is None
    step = run.tick(bids[1])
    assert step.decision.acted is Rule.TAKE_PROFIT
    assert step.intent is not None
    assert (step.intent.side, step.intent.kind) == (side, ExitKind.TAKE_PROFIT)
    armed = step.events[-1]
    assert isinstance(armed, ExitStarted)
    assert armed.trail is not None
    assert armed.trail.due


def test_an_exit_is_latched() -> None:
    run = in_base("2500")
    run.tick("2560")
    first = run.tick("2545").intent
    assert first is not None
    assert run.tick("2600").intent == first
    assert run.tick(None).intent == first


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"trading_paused": True}, id="held"),
        pytest.param({"halted": True}, id="halted"),
        pytest.param({"settled": False}, id="balances unsettled"),
        pytest.param({"bid": None}, id="market stale"),
    ],
)
def test_no_take_profit_while(given: dict[str, Any]) -> None:
    run = in_base("2500")
    run.tick("2560")
    assert run.tick(**({"bid": "2545"} | given)).intent is None
    assert run.tick("2545").intent is not None


# The QUOTE stop, and news of the channel


def test_a_quote_stop_holds_cash() -> None:
    run = in_quote("2500")
    step = run.close(2520)
    assert step.decision.acted is Rule.CLOSED_KLINES
    assert run.phase() is Phase.GATED
    assert [event.price for event in run.events if isinstance(event, GateShut)] == [2520.0]


def test_a_manual_buy_is_not_stopped() -> None:
    run = in_quote("2500")
    run.flip("2500")
    assert run.close(2520).intent is not None
    assert run.gate() is None


def test_a_squeeze_is_signalled_when_it_begins() -> None:
    run = in_base("2500", window=2)
    for _ in range(60):
        run.close(2500)
        run.close(2501)
    assert run.signals(Squeezed) == [Squeezed(width=1.0, share=0.0)]  # no width among the hundred is smaller
    for _ in range(30):
        run.close(2501)
    run.close(2511)
    assert len(run.signals(Squeezed)) == 1
    for _ in range(3):
        run.close(2511)
    assert run.signals(Squeezed)[1:] == [Squeezed(width=0.0, share=0.0)]


# Breakout


@pytest.mark.parametrize(
    ("run", "close", "side"),
    [
        pytest.param(in_quote(settings=params(breakout_entry=True)), 2503, Side.BUY, id="up in quote: buy"),
        pytest.param(in_base(settings=params(breakout_exit=True)), 2497, Side.SELL, id="down in base: sell"),
        pytest.param(in_quote(settings=params(breakout_entry=True)), 2497, None, id="down in quote"),
        pytest.param(in_base(settings=params(breakout_exit=True)), 2503, None, id="up in base"),
        pytest.param(in_quote(), 2503, None, id="entry not asked for"),
        pytest.param(in_base(), 2497, None, id="exit not asked for"),
    ],
)
def test_a_breakout_is_followed_where_the_settings_say_so(run: StrategyRun, close: float, side: Side | None) -> None:
    for _ in range(4):
        run.close(2500)
    want = run.close(close).intent
    assert (None if want is None else (want.side, want.kind)) == (None if side is None else (side, ExitKind.BREAKOUT))


def test_a_close_after_the_breakout_does_not_act_on_it_again() -> None:
    run = in_base(settings=params(breakout_exit=True))
    for _ in range(4):
        run.close(2500)
    assert run.close(2497, settled=False).intent is None  # it cannot be followed at once
    assert run.close(2496).intent is None  # still beyond the channel, but the close before was, too
    for _ in range(4):
        run.close(2496)
    assert run.close(2495).intent is not None
    assert len(run.signals(BrokeOut)) == 2


def test_of_several_closes_at_once_the_newest_must_be_the_breakout() -> None:
    run = in_base(settings=params(breakout_exit=True))
    for _ in range(4):
        run.close(2500)
    run.market_ms += 2 * MINUTE_MS
    assert run.tick("2496", closes=[kline(4, 2497), kline(5, 2496)]).intent is None
    assert len(run.signals(BrokeOut)) == 1


def test_a_breakout_on_stale_data_passes_by() -> None:
    run = in_quote(settings=params(breakout_entry=True))
    for _ in range(4):
        run.close(2500)
    run.tick(None, closes=[kline(4, 2503)])
    assert run.tick("2503").intent is None


def test_no_breakout_buy_under_a_shut_gate() -> None:
    run = in_quote("2500", settings=params(breakout_entry=True))
    for _ in range(4):
        run.close(2500)
    assert run.close(2520).intent is None
    assert run.gate() is not None
    assert run.close(2530).intent is None
    assert run.regime() is Regime.QUOTE


# The last fill, and what is heard with it


@pytest.mark.parametrize("settled", [True, False])
def test_the_quote_stop_does_not_end_a_buy_that_has_had_its_last_fill(settled: bool) -> None:
    run = in_quote("2500")
    run.tick("2400")
    run.tick("2430")
    before = run.exit()
    assert before is not None
    assert before.kind is ExitKind.TAKE_PROFIT
    run.report(filled_base=Decimal(1), filled_quote=Decimal(2500), may_fill=False, rested=True)
    if settled:
        run.holdings = held("1.0", "0")
    step = run.close("2800", settled=settled)  # a loss of more than 10 %
    assert step.decision.acted is Rule.SOLD_OUT
    assert run.exit() == replace(before, accounted=Decimal(2500) if settled else before.accounted)
    assert run.gate() is None
    assert run.state.last_close == 2800.0


def test_a_close_heard_with_the_end_of_an_exit_is_not_judged_for_the_new_side() -> None:
    run = in_base("2500", settings=params(breakout_entry=True))
    for _ in range(5):
        run.close("2500")
    run.flip("2500")
    run.fill("2500")
    run.close("2520")  # beyond the channel, and a loss since the sale at 2500
    assert run.regime() is Regime.QUOTE
    assert run.exit() is None
    assert run.gate() is None
    assert len(run.signals(BrokeOut)) == 1
    assert run.close("2560").decision.acted is Rule.CLOSED_KLINES  # the next close is judged
