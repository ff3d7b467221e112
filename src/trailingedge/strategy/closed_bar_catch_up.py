"""The fold of closed klines into a strategy state, where no live tick saw them: restart, report and backtest.

`apply` judges a kline in full and takes the high from its range. A backtest has seen every tick itself and would
judge a hundred thousand klines for nothing: it asks `changes_nothing` and then only `skip`s the kline, which costs
next to nothing. Of the skipped klines the newest counts, as the close that the next one is compared with.
"""

from trailingedge.indicators.donchian import Channel
from trailingedge.strategy.bar_close import leaves_gate_and_exit, on_bar_close, remember_close
from trailingedge.strategy.inputs import ClosedKline, StrategyParams
from trailingedge.strategy.state import StrategyState


class BarFold:
    """Applies closed klines, oldest first, to the state that the caller keeps. It never starts an exit."""

    def __init__(self, params: StrategyParams) -> None:
        self._params = params
        self._skipped: tuple[float, int, Channel | None] | None = None  # the newest: close, its time, its channel

    def apply(self, state: StrategyState, closed: ClosedKline) -> StrategyState:
        """`state` after a kline that no tick saw: high, gate and the QUOTE stop move."""
        return on_bar_close(self.catch_up(state), closed, self._params, unwatched=True)[0]

    def changes_nothing(self, state: StrategyState, close: float, close_ms: int, channel: Channel | None) -> bool:
        """Whether this close moves neither gate nor exit, so that it may be skipped."""
        before = None if self._skipped is None else self._skipped[:2]
        return leaves_gate_and_exit(state, close, close_ms, channel, self._params, before)

    def skip(self, close: float, close_ms: int, channel: Channel | None) -> None:
        """Leave out a kline that changes nothing. `channel` was in force while it formed."""
        self._skipped = (close, close_ms, channel)

    def catch_up(self, state: StrategyState) -> StrategyState:
        """`state` with the newest skipped close in it."""
        if self._skipped is None:
            return state
        skipped, self._skipped = self._skipped, None
        return remember_close(state, *skipped)[0]
