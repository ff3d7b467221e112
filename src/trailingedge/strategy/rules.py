"""The rows of the table: each looks at the beat, may act, and says whether it did.

A row that does not act may still take note of something: a breach begun, a command refused.
"""

from dataclasses import replace

from trailingedge.indicators.donchian import Breakout
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Regime, Side
from trailingedge.strategy.bar_close import on_bar_close
from trailingedge.strategy.evaluation import Evaluation
from trailingedge.strategy.hard_stop import is_breached, is_confirmed
from trailingedge.strategy.inputs import StrategyCommand
from trailingedge.strategy.regime import price_at
from trailingedge.strategy.signals import ExitRelabelled, ExitStarted, GateOpened, GateShut, HardStopTriggered, Squeezed
from trailingedge.strategy.state import ActiveExit, StrategyState


def halt(beat: Evaluation) -> bool:
    """We were wrong somewhere: nothing is armed, and what is on the book comes back."""
    if not beat.inputs.halted:
        return False
    exit_ = beat.state.exit
    if exit_ is not None and exit_.ending is None:
        beat.end_exit(exit_, ExitEndReason.HALTED)
    beat.refuse_command("trading is halted")
    _clear_breach(beat)
    return True


def cancel_exit(beat: Evaluation) -> bool:
    """'c': call an exit or a flush back."""
    if beat.inputs.command is not StrategyCommand.CANCEL:
        return False
    exit_ = beat.state.exit
    if exit_ is None:
        beat.refuse_command("no exit is in progress")
        return False
    if exit_.ending is not None:
        beat.refuse_command(f"the exit is ending already: {exit_.ending.value}")
        return False
    beat.end_exit(exit_, ExitEndReason.CANCELLED)
    return True


def hard_stop_in_base(beat: Evaluation) -> bool:
    """The hard stop in BASE, held or not: a breach that lasts becomes a flush, also of an exit in progress."""
    memory, inputs, u = beat.state, beat.inputs, beat.unit_value
    if u is None or not _hard_stop_applies(memory):
        _clear_breach(beat)
        return False
    if not is_breached(u, memory.anchor, beat.stop_distance):
        _clear_breach(beat)
        return False
    since = memory.stop_breach_since_ms
    if since is None:
        since = inputs.market_ms
        beat.state = replace(memory, stop_breach_since_ms=since)
    if not is_confirmed(since, inputs.market_ms, beat.params.hard_stop_confirm_sec):
        return False
    _start_flush(beat)
    return True


def _hard_stop_applies(memory: StrategyState) -> bool:
    """A flush needs no second one, and what is being withdrawn is to end first."""
    if memory.regime is not Regime.BASE or not memory.funded:
        return False
    return memory.exit is None or (memory.exit.ending is None and memory.exit.kind is not ExitKind.FLUSH)


def _start_flush(beat: Evaluation) -> None:
    running, top = beat.state.exit, beat.inputs.top
    if running is None:
        flush = beat.start_exit(ExitKind.FLUSH, Side.SELL)
    else:
        flush = replace(running, kind=ExitKind.FLUSH)
        beat.state = replace(beat.state, exit=flush, stop_breach_since_ms=None)
    upgraded = None if running is None else running.kind
    anchor_price = price_at(Regime.BASE, beat.state.anchor)
    if top is not None:
        beat.events.append(HardStopTriggered(flush.number, top.bid, anchor_price, beat.stop_distance, upgraded))


def _clear_breach(beat: Evaluation) -> None:
    if beat.state.stop_breach_since_ms is not None:
        beat.state = replace(beat.state, stop_breach_since_ms=None)


def manual_flip(beat: Evaluation) -> bool:
    """'x': leave the side held now, gate or not; with fresh data or without, the chaser will wait for it."""
    memory, inputs = beat.state, beat.inputs
    if inputs.command is not StrategyCommand.FLIP:
        return False
    if memory.regime is None or (memory.exit is None and not memory.funded) or beat.holdings is None:
        beat.refuse_command("there is nothing to trade")
    elif memory.regime is Regime.QUOTE and inputs.trading_paused:
        beat.refuse_command("no buying while held")
    elif memory.exit is None:
        started = beat.start_exit(ExitKind.MANUAL, memory.regime.exit_side)
        beat.events.append(ExitStarted(started.kind, started.side, started.number, started.mid_price))
        return True
    else:
        return _relabel_as_manual(beat, memory.exit)
    return False


def _relabel_as_manual(beat: Evaluation, exit_: ActiveExit) -> bool:
    """Already going that way: only the name changes, and never that of a flush."""
    if exit_.ending is not None:
        beat.refuse_command(f"the exit is ending already: {exit_.ending.value}")
    elif exit_.kind in (ExitKind.FLUSH, ExitKind.MANUAL):
        beat.refuse_command("already under way")
    else:
        beat.state = replace(beat.state, exit=replace(exit_, kind=ExitKind.MANUAL))
        beat.events.append(ExitRelabelled(exit_.number, exit_.side, ExitKind.MANUAL, exit_.kind))
        return True
    return False


def cancel_buy_while_paused(beat: Evaluation) -> bool:
    """Pause or breaker: a buy in progress comes back, a sell goes on."""
    exit_ = beat.state.exit
    if not beat.inputs.trading_paused or exit_ is None or exit_.side is Side.SELL or exit_.ending is not None:
        return False
    beat.end_exit(exit_, ExitEndReason.PAUSED)
    return True


def expire_command(beat: Evaluation) -> bool:
    """A command is meant for now: one that could not rest in time is dropped."""
    exit_ = beat.state.exit
    if (
        not beat.inputs.command_expired
        or exit_ is None
        or exit_.kind is not ExitKind.MANUAL
        or exit_.ending is not None
    ):
        return False
    beat.end_exit(exit_, ExitEndReason.EXPIRED)
    return True


def apply_closed_klines(beat: Evaluation) -> bool:
    """The QUOTE stop and the gate, at each close; breakout and squeeze are news only."""
    beat.closed_klines_applied = True
    moved = False
    for closed in beat.inputs.closed_klines:
        beat.state, news = on_bar_close(beat.state, closed, beat.params)
        beat.events.extend(news)
        moved = moved or any(isinstance(event, GateShut | GateOpened) for event in news)
    if beat.inputs.closed_klines:
        _update_squeeze(beat)
    return moved


def _update_squeeze(beat: Evaluation) -> None:
    channel = beat.inputs.channel
    squeezed = channel is not None and channel.squeezed(beat.params.donchian_squeeze_frac)
    if squeezed is beat.state.squeezed:
        return
    beat.state = replace(beat.state, squeezed=squeezed)
    if squeezed and channel is not None and channel.squeeze_share is not None:
        beat.events.append(Squeezed(channel.width, channel.squeeze_share))


def take_profit(beat: Evaluation) -> bool:
    """The trail is due: sell in BASE, buy back in QUOTE."""
    if not _free_to_trade(beat):
        return False
    now, regime = beat.trail(), beat.state.regime
    if now is None or regime is None or not now.due:
        return False
    started = beat.start_exit(ExitKind.TAKE_PROFIT, regime.exit_side)
    beat.events.append(ExitStarted(started.kind, started.side, started.number, started.mid_price, now))
    return True


def breakout(beat: Evaluation) -> bool:
    """The newest close left the channel against the side held, and the settings follow that."""
    if not beat.inputs.closed_klines or not _free_to_trade(beat):
        return False
    newest = beat.inputs.closed_klines[-1]
    direction = None if newest.channel is None else newest.channel.breakout(float(newest.kline.close))
    entry = beat.params.breakout_entry and direction is Breakout.UP and beat.state.regime is Regime.QUOTE
    leave = beat.params.breakout_exit and direction is Breakout.DOWN and beat.state.regime is Regime.BASE
    if not (entry or leave):
        return False
    started = beat.start_exit(ExitKind.BREAKOUT, Side.BUY if entry else Side.SELL)
    beat.events.append(ExitStarted(started.kind, started.side, started.number, started.mid_price))
    return True


def _free_to_trade(beat: Evaluation) -> bool:
    """Nothing forbids an exit of the strategy's own accord."""
    memory, inputs = beat.state, beat.inputs
    watching = memory.exit is None and memory.gate is None and bool(memory.funded)
    return watching and not inputs.trading_paused and inputs.top is not None and inputs.holdings is not None
