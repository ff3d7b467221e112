"""The strategy over candles that are long closed: where anchor, high, trail, stop and gate stood at each close.

It is the fold of a restart, but told close by close. It arms nothing: when an exit ended is known, and which
anchor it is measured against comes out on the way.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from trailingedge.indicators.donchian import Channel, DonchianChannel
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Kline, Regime
from trailingedge.reconciliation.exit_history import HistoricalExit
from trailingedge.reconciliation.rebuild import enter_position
from trailingedge.reconciliation.timeline import PositionChange
from trailingedge.strategy.bar_close import on_bar_close
from trailingedge.strategy.hard_stop import stop_distance
from trailingedge.strategy.inputs import ClosedKline, StrategyParams
from trailingedge.strategy.regime import price_at, unit_value
from trailingedge.strategy.state import ActiveExit, StrategyState
from trailingedge.strategy.trailing_stop import compute_min_gain, compute_trail


@dataclass(frozen=True, slots=True)
class StrategyPoint:
    """What the strategy made of one close. Prices in quote per base, None where there is none.

    `channel` is the one in force from this close on, only where it is full. A trail or a stop that nobody
    watches, because the gate is shut or a flush is under way, is none.
    """

    kline: Kline
    regime: Regime | None
    anchor: float | None
    high: float | None
    trail: float | None
    stop: float | None
    channel: Channel | None
    gate_shut: bool


class StrategySeries:
    """One pass over the candles. `anchors` fills on the way: by the number of an exit, what it is measured against."""

    def __init__(
        self,
        turns: Iterable[PositionChange],
        exits: Iterable[HistoricalExit],
        params: StrategyParams,
        channel: Callable[[], DonchianChannel],
    ) -> None:
        self.anchors: dict[int, float] = {}
        self._params = params
        self._channel = channel()
        self._memory = StrategyState()
        self._turns = deque(sorted(turns, key=lambda turn: turn.market_ms))
        filled = [past for past in exits if past.base]
        self._ends = deque(sorted(filled, key=lambda past: past.last_fill_ms))
        self._exits = deque(sorted(exits, key=lambda past: past.began_ms))

    def over(self, klines: Sequence[Kline]) -> Iterator[StrategyPoint]:
        """The stance at each close; afterwards everything is told, what came after the last candle too."""
        for kline in klines:
            yield self._hear(kline)
        self._go_on_until(None)

    def _hear(self, kline: Kline) -> StrategyPoint:
        self._go_on_until(kline.close_ms)
        running = self._running(kline.close_ms)
        in_force = self._channel.push(kline)
        self._memory = replace(self._memory, exit=running)
        self._memory, _ = on_bar_close(self._memory, ClosedKline(kline, in_force), self._params, unwatched=True)
        return self._stance(kline, running)

    def _stance(self, kline: Kline, running: ActiveExit | None) -> StrategyPoint:
        memory, params, current = self._memory, self._params, self._channel.current
        full = current if current is not None and current.full else None
        regime = memory.regime
        if regime is None:
            return StrategyPoint(kline, None, None, None, None, None, full, gate_shut=False)
        close = float(kline.close)
        measured = compute_trail(
            unit_value(regime, close),
            memory.anchor,
            memory.high,
            compute_min_gain(regime, memory.anchor, close, current, params),
            params.fee,
            start_factor=params.start_factor,
            min_factor=params.min_factor,
            gain_scale_frac=params.gain_scale_frac(regime),
        )
        shut = memory.gate is not None
        watched = not shut and (running is None or running.kind is not ExitKind.FLUSH)
        stop = memory.anchor * (1 - stop_distance(current, params))
        return StrategyPoint(
            kline,
            regime,
            anchor=price_at(regime, memory.anchor),
            high=price_at(regime, memory.high),
            trail=price_at(regime, measured.trigger_value) if watched and measured.trigger_value is not None else None,
            stop=price_at(regime, stop) if watched else None,
            channel=full,
            gate_shut=shut,
        )

    def _go_on_until(self, market_ms: int | None) -> None:
        """Take what happened up to that moment, or all of it. An exit is measured before it sets an anchor itself."""
        while True:
            end = self._ends[0].last_fill_ms if self._ends else None
            turn = self._turns[0].market_ms if self._turns else None
            first = min((each for each in (end, turn) if each is not None), default=None)
            if first is None or (market_ms is not None and first > market_ms):
                return
            if end == first:
                past = self._ends.popleft()
                if self._memory.regime is past.sold_regime:
                    self.anchors[past.number] = price_at(past.sold_regime, self._memory.anchor)
            else:
                self._memory = enter_position(self._memory, self._turns.popleft())

    def _running(self, market_ms: int) -> ActiveExit | None:
        """The exit that was in progress at that moment: the QUOTE stop is judged differently meanwhile."""
        while self._exits and self._exits[0].open_order is None and self._exits[0].ended_ms < market_ms:
            self._exits.popleft()
        past = self._exits[0] if self._exits else None
        if past is None or past.began_ms > market_ms or past.sold_regime is not self._memory.regime:
            return None
        return ActiveExit(past.kind, past.side, past.number, past.began_ms)
