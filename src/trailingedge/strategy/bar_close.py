"""What a closed kline changes: the gate, the QUOTE stop, and the high where nobody was looking.

The same code hears closes live, one at a time, and folds in those of a night spent offline.
"""

from collections.abc import Iterable
from dataclasses import replace

from trailingedge.indicators.donchian import Channel
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Kline, Regime
from trailingedge.strategy.hard_stop import is_breached, stop_distance
from trailingedge.strategy.inputs import ClosedKline, StrategyParams
from trailingedge.strategy.reentry_gate import gate_opens
from trailingedge.strategy.signals import BrokeOut, ExitEnding, GateOpened, GateShut, StrategySignal
from trailingedge.strategy.state import ReentryGate, ShutBy, StrategyState

BarCloseResult = tuple[StrategyState, tuple[StrategySignal, ...]]


def apply_closed_bars(memory: StrategyState, closes: Iterable[ClosedKline], params: StrategyParams) -> BarCloseResult:
    """`memory` after closed klines that nobody watched, oldest first: high and gate move, nothing is armed.

    The high comes out within the widest spread of what beat by beat would have seen: a kline knows
    trades, not the book.
    """
    events: tuple[StrategySignal, ...] = ()
    for closed in closes:
        memory, news = on_bar_close(memory, closed, params, unwatched=True)
        events += news
    return memory, events


def on_bar_close(
    memory: StrategyState, closed: ClosedKline, params: StrategyParams, *, unwatched: bool = False
) -> BarCloseResult:
    """`memory` after one closed kline. One that is not newer than the last is ignored."""
    kline, channel = closed.kline, closed.channel
    if kline.close_ms <= memory.last_close_ms:
        return memory, ()
    if unwatched or kline.open_ms <= memory.untrusted_book_ms:
        memory = raise_high_to_kline(memory, kline)
    close = float(kline.close)
    memory, moved = _update_gate(memory, close, kline.close_ms, channel, params)
    memory, left = remember_close(memory, close, kline.close_ms, channel)
    return memory, moved + left


def raise_high_to_kline(memory: StrategyState, kline: Kline) -> StrategyState:
    """The high is no less than the best unit value that traded within the kline.

    A kline that began before the anchor proves nothing.
    """
    if memory.regime is None or memory.funded is False or kline.open_ms < memory.anchor_ms:
        return memory
    best = float(kline.high) if memory.regime is Regime.BASE else 1 / float(kline.low)
    return replace(memory, high=best) if best > memory.high else memory


def _update_gate(
    memory: StrategyState,
    close: float,
    close_ms: int,
    channel: Channel | None,
    params: StrategyParams,
    last: tuple[float, int] | None = None,
) -> BarCloseResult:
    if memory.regime is not Regime.QUOTE:
        return memory, ()
    gate = memory.gate
    if gate is None:
        return _apply_quote_stop(memory, close, close_ms, channel, params)
    if close_ms <= gate.shut_ms:
        return memory, ()
    last_close, last_close_ms = last or (memory.last_close, memory.last_close_ms)
    before = last_close if last_close_ms > gate.shut_ms else gate.price
    if channel is None or not gate_opens(gate, close, before, channel):
        return memory, ()
    opened = replace(memory.anchored(Regime.QUOTE, close, close_ms), gate=None)
    return opened, (GateOpened(gate.shut_by, close, channel.mid),)


def _apply_quote_stop(
    memory: StrategyState, close: float, close_ms: int, channel: Channel | None, params: StrategyParams
) -> BarCloseResult:
    """The QUOTE stop: shut the gate, and withdraw a take-profit buy."""
    buying = memory.exit
    if buying is not None and (buying.kind is not ExitKind.TAKE_PROFIT or buying.ending is not None):
        return memory, ()
    if memory.funded is False or close_ms <= memory.anchor_ms:
        return memory, ()
    if not is_breached(1 / close, memory.anchor, stop_distance(channel, params)):
        return memory, ()
    mid = channel.mid if channel is not None else None
    shut = replace(memory, gate=ReentryGate(ShutBy.QUOTE_STOP, close, close_ms))
    if buying is None:
        return shut, (GateShut(ShutBy.QUOTE_STOP, close, mid),)
    ending = ExitEnding(buying.kind, buying.side, buying.number, ExitEndReason.STOPPED)
    return replace(shut, exit=replace(buying, ending=ExitEndReason.STOPPED)), (
        GateShut(ShutBy.QUOTE_STOP, close, mid),
        ending,
    )


def remember_close(memory: StrategyState, close: float, close_ms: int, channel: Channel | None) -> BarCloseResult:
    """What any close leaves, whatever else it moves: the next one is compared with it, and a breakout is news once."""
    memory, left = _signal_breakout(memory, close, channel)
    return replace(memory, last_close=close, last_close_ms=close_ms), left


def leaves_gate_and_exit(
    memory: StrategyState,
    close: float,
    close_ms: int,
    channel: Channel | None,
    params: StrategyParams,
    before: tuple[float, int] | None = None,
) -> bool:
    """Whether a close would leave nothing but its note: `hear_close` moves neither gate nor exit.

    `before` is the close before it and its time, where `memory` has not heard of that one yet.
    """
    return not _update_gate(memory, close, close_ms, channel, params, before)[1]


def _signal_breakout(memory: StrategyState, close: float, channel: Channel | None) -> BarCloseResult:
    """Only the first close beyond an edge is news."""
    direction = channel.breakout(close) if channel is not None else None
    if direction is memory.broken_out:
        return memory, ()
    memory = replace(memory, broken_out=direction)
    if direction is None or channel is None:
        return memory, ()
    return memory, (BrokeOut(direction, close, channel.upper, channel.lower),)
