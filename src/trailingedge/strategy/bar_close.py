"""Closed klines: each updates the reentry gate, applies the QUOTE stop and may raise the high.

The QUOTE stop acts while we hold quote: it shuts the gate if a close shows too large a loss since
the anchor. The high is raised to a kline's best price only if the book was missing or untrusted for
a part of that kline. The same code applies a close when it happens and, after a restart, all closes
of the time offline.
"""

from collections.abc import Iterable
from dataclasses import replace

from trailingedge.indicators.donchian import Channel
from trailingedge.model.intent import ExitEndReason
from trailingedge.model.market import Kline, Regime
from trailingedge.strategy.blocks import stop_ends
from trailingedge.strategy.hard_stop import is_breached, stop_distance
from trailingedge.strategy.inputs import ClosedKline, StrategyParams
from trailingedge.strategy.reentry_gate import gate_mid, gate_opens
from trailingedge.strategy.state import ReentryGate, ShutBy, StrategyState
from trailingedge.strategy.strategy_events import BrokeOut, ExitEnding, GateOpened, GateShut, StrategySignal
from trailingedge.strategy.unit_value import unit_value

BarCloseResult = tuple[StrategyState, tuple[StrategySignal, ...]]


def apply_closed_bars(state: StrategyState, closes: Iterable[ClosedKline], params: StrategyParams) -> BarCloseResult:
    """Apply klines that closed while we were offline, oldest first. Returns state and signals.

    High and gate may change, but no exit starts. The high may differ from the high of an
    uninterrupted run by at most the widest spread while we were offline, because a kline shows
    trades and not the book.
    """
    signals: tuple[StrategySignal, ...] = ()
    for closed in closes:
        state, of_this_close = on_bar_close(state, closed, params, unwatched=True)
        signals += of_this_close
    return state, signals


def on_bar_close(
    state: StrategyState, closed: ClosedKline, params: StrategyParams, *, unwatched: bool = False
) -> BarCloseResult:
    """Apply one closed kline. Returns the new state and the signals.

    A kline that is not newer than the last applied one is ignored. `unwatched` means that we saw no book while the
    kline formed, so the best price within the kline counts for the high. With TRIGGER_ON=close only the close of the
    kline counts, whether or not the book was seen.
    """
    kline, channel = closed.kline, closed.channel
    # A reconnect loads recent klines again, and they may repeat closes that have been applied.
    if kline.close_ms <= state.last_close_ms:
        return state, ()
    close = float(kline.close)
    if params.trigger_on.at_close:
        state = raise_high_to_close(state, close, kline.close_ms)
    # The book was untrusted for a part of the kline: trades in it may have gone beyond any price that we saw.
    elif unwatched or kline.open_ms <= state.untrusted_book_ms:
        state = raise_high_to_kline(state, kline)
    state, of_gate = _update_gate(state, close, kline.close_ms, channel, params)
    state, of_channel = remember_close(state, close, kline.close_ms, channel)
    return state, of_gate + of_channel


def pass_bar_close(state: StrategyState, closed: ClosedKline) -> BarCloseResult:
    """Store one closed kline; gate, high and exit stay as they are. Returns the new state and the signals."""
    if closed.kline.close_ms <= state.last_close_ms:
        return state, ()
    return remember_close(state, float(closed.kline.close), closed.kline.close_ms, closed.channel)


def raise_high_to_kline(state: StrategyState, kline: Kline) -> StrategyState:
    """Return `state` with its high raised to the best unit value within the kline, if that is higher.

    A kline that began before the anchor changes nothing, because its best price may be older than
    the anchor.
    """
    if state.regime is None or state.funded is False or kline.open_ms < state.anchor_ms:
        return state
    # The best price is the highest to sell at in BASE, and the lowest to buy at in QUOTE.
    best = float(kline.high) if state.regime is Regime.BASE else 1 / float(kline.low)
    return replace(state, high=best) if best > state.high else state


def raise_high_to_close(state: StrategyState, close: float, close_ms: int) -> StrategyState:
    """Return `state`, its high raised to this close if that is a better unit value and newer than the anchor."""
    if state.regime is None or state.funded is False or close_ms <= state.anchor_ms:
        return state
    value = unit_value(state.regime, close)
    return replace(state, high=value) if value > state.high else state


def _update_gate(
    state: StrategyState,
    close: float,
    close_ms: int,
    channel: Channel | None,
    params: StrategyParams,
    last: tuple[float, int] | None = None,
) -> BarCloseResult:
    """If the gate is shut, open it if the close crosses the channel's mid. If it is open, apply the QUOTE stop.

    `last` is the previous close and its time, if `state` does not contain them yet.
    """
    if state.regime is not Regime.QUOTE:
        return state, ()
    gate = state.gate
    if gate is None:
        return _apply_quote_stop(state, close, close_ms, channel, params)
    if close_ms <= gate.shut_ms:
        return state, ()
    last_close, last_close_ms = last or (state.last_close, state.last_close_ms)
    # The first close after the gate shut is compared with the price that shut it: older closes crossed the mid of
    # another channel.
    before = last_close if last_close_ms > gate.shut_ms else gate.price
    if channel is None or not gate_opens(gate, close, before, channel):
        return state, ()
    # The opening price becomes the new anchor: measured from the anchor before the stop, the next buy-back would look
    # like a loss for a long time.
    opened = replace(state.anchored(Regime.QUOTE, close, close_ms), gate=None)
    return opened, (GateOpened(gate.shut_by, close, channel.mid),)


def _apply_quote_stop(
    state: StrategyState, close: float, close_ms: int, channel: Channel | None, params: StrategyParams
) -> BarCloseResult:
    """Shut the gate and cancel a take-profit buy if the close shows too large a loss (QUOTE stop).

    The stop does nothing during a manual buy, a breakout buy, or a buy that is being cancelled.
    """
    buying = state.exit
    if buying is not None and not stop_ends(buying):
        return state, ()
    # A close from before the anchor shows no loss since the anchor. `funded` is None in a catch-up after a restart,
    # because balances are not known yet; the stop must be able to shut the gate then, too.
    if state.funded is False or close_ms <= state.anchor_ms:
        return state, ()
    if not is_breached(1 / close, state.anchor, stop_distance(channel, params)):
        return state, ()
    mid = gate_mid(channel)
    shut = replace(state, gate=ReentryGate(ShutBy.QUOTE_STOP, close, close_ms))
    if buying is None:
        return shut, (GateShut(ShutBy.QUOTE_STOP, close, mid),)
    ending = ExitEnding(buying.kind, buying.side, buying.number, ExitEndReason.STOPPED)
    return replace(shut, exit=replace(buying, ending=ExitEndReason.STOPPED)), (
        GateShut(ShutBy.QUOTE_STOP, close, mid),
        ending,
    )


def remember_close(state: StrategyState, close: float, close_ms: int, channel: Channel | None) -> BarCloseResult:
    """Store this close in the state, for comparison with the next. Returns state and signals.

    The first close beyond the channel is signalled as a breakout.
    """
    state, signals = _signal_breakout(state, close, channel)
    return replace(state, last_close=close, last_close_ms=close_ms), signals


def leaves_gate_and_exit(
    state: StrategyState,
    close: float,
    close_ms: int,
    channel: Channel | None,
    params: StrategyParams,
    before: tuple[float, int] | None = None,
) -> bool:
    """Return whether `on_bar_close` would leave gate and exit unchanged, so that a backtest may skip the tick.

    `before` is the previous close and its time, if that close has not been applied to `state` yet. With
    TRIGGER_ON=close nearly every close is judged: the answer is True only if the gate is shut and the close does not
    raise the high.
    """
    if params.trigger_on.at_close and (
        state.exit is not None or state.gate is None or raise_high_to_close(state, close, close_ms) is not state
    ):
        return False
    return not _update_gate(state, close, close_ms, channel, params, before)[1]


def _signal_breakout(state: StrategyState, close: float, channel: Channel | None) -> BarCloseResult:
    """Signal the first close beyond an edge of the channel, and not the closes after it."""
    direction = channel.breakout(close) if channel is not None else None
    # The next signal comes after a close back within the channel, or beyond the other edge.
    if direction is state.broken_out:
        return state, ()
    state = replace(state, broken_out=direction)
    if direction is None or channel is None:
        return state, ()
    return state, (BrokeOut(direction, close, channel.upper, channel.lower),)
