"""Strategy series: anchor, high, trail, stop and gate at each close of past candles.

The strategy is run over the candles as after a restart (`HistoryFold`), but with a result for each close. This run
starts no exit, because the past exits are known. The run also finds for each exit the anchor from which the exit's gain
or loss is measured.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from trailingedge.indicators.donchian import DonchianChannel
from trailingedge.model.market import Kline
from trailingedge.reconciliation.history_types import HistoricalExit
from trailingedge.reconciliation.rebuild import HistoryFold
from trailingedge.strategy.chart_levels import ChartLevels, chart_levels
from trailingedge.strategy.inputs import ClosedKline, StrategyParams
from trailingedge.strategy.side_change import NewAnchor
from trailingedge.strategy.state import ActiveExit, StrategyState
from trailingedge.strategy.unit_value import price_at


@dataclass(frozen=True, slots=True)
class StrategyPoint:
    """The state of the strategy after one close. The channel of `levels` applies from this close on."""

    kline: Kline
    levels: ChartLevels


class StrategySeries(HistoryFold):
    """Runs the strategy once over the candles.

    `anchors` holds, by exit number, the anchor from which the exit's gain or loss is measured.
    """

    def __init__(
        self,
        turns: Iterable[NewAnchor],
        exits: Sequence[HistoricalExit],
        params: StrategyParams,
        channel: Callable[[], DonchianChannel],
    ) -> None:
        open_exit = next((exit_ for exit_ in reversed(exits) if exit_.open_order is not None), None)
        changes = sorted(turns, key=lambda turn: turn.market_ms)
        super().__init__(StrategyState(), changes, exits, params, unfinished=open_exit)
        self.anchors: dict[int, float] = {}
        self._params = params
        self._channel = channel()
        self._ends = deque(sorted((exit_ for exit_ in exits if exit_.base), key=lambda exit_: exit_.last_fill_ms))

    def over(self, klines: Sequence[Kline]) -> Iterator[StrategyPoint]:
        """Yield the strategy's state at each close.

        After the last candle, the anchors of the remaining exits are recorded too.
        """
        for kline in klines:
            self.close(ClosedKline(kline, self._channel.push(kline)))
            yield self._stance(kline, self.state.exit)
        self.advance(None)

    def advance(self, until_ms: int | None) -> None:
        """Record the anchor of each exit that ended up to `until_ms`, and apply position changes.

        The anchor of an exit is recorded before the exit's own position change sets the next
        anchor.
        """
        while self._ends and (until_ms is None or self._ends[0].last_fill_ms <= until_ms):
            exit_ = self._ends.popleft()
            super().advance(exit_.last_fill_ms - 1)
            if self.state.regime is exit_.sold_regime:
                self.anchors[exit_.number] = price_at(exit_.sold_regime, self.state.anchor)
        super().advance(until_ms)

    def _stance(self, kline: Kline, running: ActiveExit | None) -> StrategyPoint:
        state, kind = self.state, None if running is None else running.kind
        levels = chart_levels(state, kind, state.high, float(kline.close), self._channel.current, self._params)
        return StrategyPoint(kline, levels)
