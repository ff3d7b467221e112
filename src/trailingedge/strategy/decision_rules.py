"""Rules of the decision table: each reads the evaluation (all data of one tick) and returns True if it acted.

A rule that returns False may still have noted when a breach of the hard stop began, or have
refused a command.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Final

from trailingedge.indicators.donchian import Breakout
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Regime, Side
from trailingedge.strategy.bar_close import on_bar_close, pass_bar_close
from trailingedge.strategy.blocks import REFUSALS, TradeBlock, flip_block, stop_blocks
from trailingedge.strategy.evaluation_context import Evaluation
from trailingedge.strategy.exit_completion import is_sold_out
from trailingedge.strategy.hard_stop import LARGEST_LOSS_CONFIRM_S, is_breached, is_confirmed
from trailingedge.strategy.inputs import StrategyCommand
from trailingedge.strategy.state import ActiveExit, StrategyState
from trailingedge.strategy.strategy_events import (
    BrokeOut,
    ExitRelabelled,
    ExitStarted,
    GateOpened,
    GateShut,
    HardStopTriggered,
    Squeezed,
)
from trailingedge.strategy.unit_value import price_at

_JUST_FILLED: Final = "the exit has just been filled"


def await_end_of_sold_exit(evaluation: Evaluation) -> bool:
    """If the exit in progress has had its last fill, wait for its end: no other rule acts in this tick.

    A stop must not take over this exit and shut the gate, and a command must not relabel it. A kline
    that closes together with the last fill is only stored: it belongs to neither side.
    """
    if not is_sold_out(evaluation):
        return False
    evaluation.refuse_command(_JUST_FILLED)
    _clear_breach(evaluation)
    _pass_closed_klines(evaluation)
    return True


def _pass_closed_klines(evaluation: Evaluation) -> None:
    evaluation.closed_klines_applied = True
    for closed in evaluation.inputs.closed_klines:
        evaluation.state, signals = pass_bar_close(evaluation.state, closed)
        evaluation.events.extend(signals)
    _update_squeeze(evaluation)


def halt(evaluation: Evaluation) -> bool:
    """Stop trading after a broken invariant: start no exit, and cancel an exit in progress."""
    if not evaluation.inputs.halted:
        return False
    exit_ = evaluation.state.exit
    if exit_ is not None and exit_.ending is None:
        evaluation.end_exit(exit_, ExitEndReason.HALTED)
    evaluation.refuse_command(REFUSALS[TradeBlock.HALTED])
    # After a resume the breach has to last its full time again: nothing is sold in the first tick.
    _clear_breach(evaluation)
    return True


def cancel_exit(evaluation: Evaluation) -> bool:
    """Carry out the command 'c': cancel the exit in progress, even the sale of a hard stop."""
    if evaluation.inputs.command is not StrategyCommand.CANCEL:
        return False
    exit_ = evaluation.state.exit
    if exit_ is None:
        evaluation.refuse_command("no exit is in progress")
        return False
    if exit_.ending is not None:
        evaluation.refuse_command(f"the exit is ending already: {exit_.ending.value}")
        return False
    evaluation.end_exit(exit_, ExitEndReason.CANCELLED)
    return True


def hard_stop_in_base(evaluation: Evaluation) -> bool:
    """Apply the hard stop in BASE, even while trading is paused.

    A breach that has lasted long enough starts a sale of all base. An exit in progress becomes that
    sale. A gap in the feed does not end a breach: the first price after it shows whether the breach lasts.
    """
    if evaluation.params.trigger_on.at_close:
        return _hard_stop_at_close(evaluation)
    state, value, top = evaluation.state, evaluation.unit_value, evaluation.inputs.top
    # The price is judged first: nearly always it alone shows that there is nothing to do.
    breached = value is None or is_breached(value, state.anchor, evaluation.stop_distance)
    if not breached or not _hard_stop_applies(state):
        _clear_breach(evaluation)
        return False
    if value is None or top is None or not _breach_is_confirmed(evaluation, value):
        return False
    _start_flush(evaluation, top.bid)
    return True


def _hard_stop_at_close(evaluation: Evaluation) -> bool:
    """Apply the hard stop to a candle's close, which needs no confirmation. Waits for a trusted book."""
    state, close = evaluation.state, evaluation.judged_close
    if close is None or evaluation.unit_value is None or not _hard_stop_applies(state):
        return False
    if not is_breached(close, state.anchor, evaluation.stop_distance):
        return False
    _start_flush(evaluation, Decimal(repr(close)))  # the shortest text of a float is the price on its grid
    return True


def _breach_is_confirmed(evaluation: Evaluation, value: float) -> bool:
    """Note when the breach at the unit value `value` began. Returns whether it has lasted long enough."""
    state, params = evaluation.state, evaluation.params
    # The breach is timed by the market, not by our clock: a tick that comes late must not make it look longer.
    now_ms, since, max_since = evaluation.inputs.market_ms, state.stop_breach_since_ms, None
    since = now_ms if since is None else since
    if is_breached(value, state.anchor, params.hard_stop_max_frac):
        max_since = now_ms if state.max_breach_since_ms is None else state.max_breach_since_ms
    if (since, max_since) != (state.stop_breach_since_ms, state.max_breach_since_ms):
        evaluation.state = replace(state, stop_breach_since_ms=since, max_breach_since_ms=max_since)
    return is_confirmed(since, now_ms, params.hard_stop_confirm_sec) or (
        max_since is not None and is_confirmed(max_since, now_ms, LARGEST_LOSS_CONFIRM_S)
    )


def _hard_stop_applies(state: StrategyState) -> bool:
    """Whether the hard stop may act now. It needs enough base to sell.

    It does not act during its own sale, nor while an exit is being cancelled.
    """
    # `halt` comes first in the table: here trading is not halted.
    return state.regime is Regime.BASE and not stop_blocks(state.exit, halted=False, funded=bool(state.funded))


def _start_flush(evaluation: Evaluation, price: Decimal) -> None:
    """Start the hard stop's sale of all base, at the bid or the close `price`.

    An exit in progress becomes that sale, and keeps its number, fills and orders.
    """
    running = evaluation.state.exit
    if running is None:
        flush = evaluation.start_exit(ExitKind.FLUSH, Side.SELL)
    else:
        # The orders of the exit go on under their number; only kind and pricing change, so that no second sale starts.
        flush = replace(running, kind=ExitKind.FLUSH)
        evaluation.state = replace(evaluation.state, exit=flush, stop_breach_since_ms=None, max_breach_since_ms=None)
    upgraded = None if running is None else running.kind
    anchor_price = price_at(Regime.BASE, evaluation.state.anchor)
    evaluation.events.append(HardStopTriggered(flush.number, price, anchor_price, evaluation.stop_distance, upgraded))


def _clear_breach(evaluation: Evaluation) -> None:
    if evaluation.state.stop_breach_since_ms is not None:
        evaluation.state = replace(evaluation.state, stop_breach_since_ms=None, max_breach_since_ms=None)


def manual_flip(evaluation: Evaluation) -> bool:
    """Carry out the command 'x': start a manual exit now, even if the gate is shut.

    Its first order is placed once the book is fresh. An exit in progress becomes the manual exit.
    """
    state, inputs = evaluation.state, evaluation.inputs
    if inputs.command is not StrategyCommand.FLIP:
        return False
    if evaluation.side_is_new:
        # The operator has not seen the fill: this command would undo it.
        evaluation.refuse_command(_JUST_FILLED)
        return False
    block = flip_block(
        state,
        halted=inputs.halted,
        has_holdings=evaluation.holdings is not None,
        paused=inputs.trading_paused,
    )
    if block is not None or state.regime is None:
        evaluation.refuse_command(REFUSALS[block or TradeBlock.UNFUNDED])
    elif state.exit is None:
        started = evaluation.start_exit(ExitKind.MANUAL, state.regime.exit_side)
        evaluation.events.append(ExitStarted(started.kind, started.side, started.number, started.mid_price))
        return True
    else:
        return _relabel_as_manual(evaluation, state.exit)
    return False


def _relabel_as_manual(evaluation: Evaluation, exit_: ActiveExit) -> bool:
    """Turn an exit in progress into a manual exit.

    The sale of a hard stop is not changed: as a manual exit it would lose its pricing and not shut the gate at its end.
    """
    if exit_.ending is not None:
        evaluation.refuse_command(f"the exit is ending already: {exit_.ending.value}")
    elif exit_.kind in (ExitKind.FLUSH, ExitKind.MANUAL):
        evaluation.refuse_command("already under way")
    else:
        evaluation.state = replace(evaluation.state, exit=replace(exit_, kind=ExitKind.MANUAL))
        evaluation.events.append(ExitRelabelled(exit_.number, exit_.side, ExitKind.MANUAL, exit_.kind))
        return True
    return False


def cancel_buy_while_paused(evaluation: Evaluation) -> bool:
    """Cancel a buy in progress while trading is paused by the operator or a circuit breaker.

    A sell goes on, because it reduces the risk.
    """
    exit_ = evaluation.state.exit
    # Also a manual buy: a breaker may have tripped after the command.
    if not evaluation.inputs.trading_paused or exit_ is None or exit_.side is Side.SELL or exit_.ending is not None:
        return False
    evaluation.end_exit(exit_, ExitEndReason.PAUSED)
    return True


def expire_command(evaluation: Evaluation) -> bool:
    """Cancel a manual exit if its first order did not rest on the book before its deadline."""
    exit_ = evaluation.state.exit
    if (
        not evaluation.inputs.command_expired
        or exit_ is None
        or exit_.kind is not ExitKind.MANUAL
        or exit_.ending is not None
    ):
        return False
    evaluation.end_exit(exit_, ExitEndReason.EXPIRED)
    return True


def apply_closed_klines(evaluation: Evaluation) -> bool:
    """Update the reentry gate and the QUOTE stop with each closed kline.

    Breakout and squeeze are only signalled here. Returns True if the gate opened or shut.
    """
    if not evaluation.inputs.closed_klines:
        return False
    # Gate and stop are updated even while trading is paused or an exit is in progress: they follow the market, and only
    # later orders depend on them.
    if evaluation.side_is_new:
        _pass_closed_klines(evaluation)  # they closed before the side changed
        return False
    evaluation.closed_klines_applied = True
    moved = False
    for closed in evaluation.inputs.closed_klines:
        evaluation.state, signals = on_bar_close(evaluation.state, closed, evaluation.params)
        evaluation.events.extend(signals)
        moved = moved or any(isinstance(event, GateShut | GateOpened) for event in signals)
        # The newest close alone counts: one of several closes that came at once may be a breakout that is over.
        evaluation.broke_out = next((event.direction for event in signals if isinstance(event, BrokeOut)), None)
    _update_squeeze(evaluation)
    return moved


def _update_squeeze(evaluation: Evaluation) -> None:
    """Signal the start of a squeeze: the channel has become narrow compared with its recent widths."""
    if not evaluation.inputs.closed_klines:
        return
    # Kept in the state, so that a squeeze of many klines is signalled once.
    channel = evaluation.inputs.channel
    squeezed = channel is not None and channel.squeezed(evaluation.params.donchian_squeeze_frac)
    if squeezed is evaluation.state.squeezed:
        return
    evaluation.state = replace(evaluation.state, squeezed=squeezed)
    if squeezed and channel is not None and channel.squeeze_share is not None:
        evaluation.events.append(Squeezed(channel.width, channel.squeeze_share))


def take_profit(evaluation: Evaluation) -> bool:
    """Start a take-profit exit if the trail is due: a sale in BASE, a buy-back in QUOTE."""
    if evaluation.params.trigger_on.at_close and evaluation.judged_close is None:
        return False  # between two closes
    now, regime = evaluation.trail(), evaluation.state.regime
    if now is None or regime is None or not now.due or evaluation.exit_blocks():
        return False
    started = evaluation.start_exit(ExitKind.TAKE_PROFIT, regime.exit_side)
    evaluation.events.append(ExitStarted(started.kind, started.side, started.number, started.mid_price, now))
    return True


def breakout(evaluation: Evaluation) -> bool:
    """Start an exit if the newest close, and not the close before it, is a breakout against the regime.

    In QUOTE an upward breakout starts a buy if BREAKOUT_ENTRY is set. In BASE a downward breakout
    starts a sale if BREAKOUT_EXIT is set. A breakout that cannot be followed at once is not followed later.
    """
    direction = evaluation.broke_out
    if direction is None or evaluation.exit_blocks():
        return False
    entry = evaluation.params.breakout_entry and direction is Breakout.UP and evaluation.state.regime is Regime.QUOTE
    leave = evaluation.params.breakout_exit and direction is Breakout.DOWN and evaluation.state.regime is Regime.BASE
    # A close from before the anchor belongs to the other side, even where both are heard in one tick.
    if not (entry or leave) or evaluation.inputs.closed_klines[-1].kline.close_ms <= evaluation.state.anchor_ms:
        return False
    started = evaluation.start_exit(ExitKind.BREAKOUT, Side.BUY if entry else Side.SELL)
    evaluation.events.append(ExitStarted(started.kind, started.side, started.number, started.mid_price))
    return True
