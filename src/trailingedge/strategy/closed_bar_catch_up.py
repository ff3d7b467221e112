"""Closed-bar catch-up: applies closed klines to a strategy state where no ticks were evaluated.

Used after a restart, by reports and by backtests. `apply` evaluates a kline in full and raises the
high to the kline's best price. A backtest evaluates its ticks itself and need not evaluate a
hundred thousand klines in full: if `changes_nothing` returns true, it calls `skip`, which is cheap.
Only the newest skipped close is kept, because the next close is compared with it.
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
        """Return `state` after a kline in which no ticks were evaluated: high, gate and QUOTE stop are updated."""
        return on_bar_close(self.catch_up(state), closed, self._params, unwatched=True)[0]

    def changes_nothing(self, state: StrategyState, close: float, close_ms: int, channel: Channel | None) -> bool:
        """Return whether this close changes neither gate nor exit, so that the caller may skip it."""
        before = None if self._skipped is None else self._skipped[:2]
        return leaves_gate_and_exit(state, close, close_ms, channel, self._params, before)

    def skip(self, close: float, close_ms: int, channel: Channel | None) -> None:
        """Skip a kline that changes nothing, and keep only its close. `channel` was in force while the kline formed."""
        self._skipped = (close, close_ms, channel)

    def catch_up(self, state: StrategyState) -> StrategyState:
        """Return `state` with the close of the newest kline that `skip` was called for.

        The next close is compared with it.
        """
        if self._skipped is None:
            return state
        skipped, self._skipped = self._skipped, None
        return remember_close(state, *skipped)[0]
