"""Rebuild: computes the strategy's state after a restart by running the strategy's code over the past.

This run, the fold, takes past position changes and klines in order. It updates the high and the
gate, and never starts an exit. The first live tick begins with the resulting state. The report uses
the same fold to show anchor, high, trail and stop at each close.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from trailingedge.model.intent import ExitEndReason
from trailingedge.model.market import BookTop, Kline, Regime, Side
from trailingedge.reconciliation.anchor_timeline import CurrentPosition, PositionTimeline
from trailingedge.reconciliation.history_types import HistoricalExit
from trailingedge.strategy.bar_close import raise_high_to_close, raise_high_to_kline
from trailingedge.strategy.closed_bar_catch_up import BarFold
from trailingedge.strategy.inputs import ClosedKline, StrategyParams
from trailingedge.strategy.side_change import NewAnchor, after_partial_exit, side_after_partial_exit, with_new_anchor
from trailingedge.strategy.state import ActiveExit, StrategyState


def rebuild(
    timeline: PositionTimeline, closes: Iterable[ClosedKline], fine: Sequence[Kline], now: CurrentPosition
) -> StrategyState:
    """Return the state that the strategy would have now if the last session had never ended.

    `closes` are the closed klines since the first position change, each with the channel in force at its close. `fine`
    are shorter klines, for those parts of the time that whole klines do not cover. Both come oldest first.
    """
    fold = _RestartFold(timeline, fine, now)
    for closed in closes:
        fold.close(closed)
    return fold.end()


class HistoryFold:
    """Runs the strategy once over an account's past: closed klines, position changes and exits.

    `state` is the strategy's state after the klines so far. `changes` come oldest first. The exit
    `unfinished` counts as still in progress at every time after its beginning.
    """

    def __init__(
        self,
        state: StrategyState,
        changes: Iterable[NewAnchor],
        exits: Iterable[HistoricalExit],
        params: StrategyParams,
        unfinished: HistoricalExit | None = None,
    ) -> None:
        self.state = state
        self.changes = deque(changes)
        self.unfinished = unfinished
        self._exits = deque(sorted(exits, key=lambda exit_: exit_.began_ms))
        self._bars = BarFold(params)

    def close(self, closed: ClosedKline) -> None:
        """Apply the position changes up to the end of this kline, then the kline itself."""
        close_ms = closed.kline.close_ms
        self.advance(close_ms)
        if self.state.regime is None:
            return  # before the first anchor there is neither a high nor a gate
        # While a buy is in progress, a close above the QUOTE stop cancels it instead of only shutting the gate.
        self.state = replace(self.state, exit=self._exit_at(close_ms))
        self.state = self._bars.apply(self.state, closed)

    def advance(self, until_ms: int | None) -> None:
        """Apply the position changes up to `until_ms`; all changes if `until_ms` is None."""
        while self.changes and (until_ms is None or self.changes[0].market_ms <= until_ms):
            self.state = with_new_anchor(self.state, self.changes.popleft())

    def as_active(self, exit_: HistoricalExit) -> ActiveExit:
        """Convert `exit_` to the strategy's type.

        If the strategy is already cancelling this exit, the reason is kept.
        """
        before = self.state.exit
        ending = before.ending if before is not None and before.number == exit_.number else None
        sold = exit_.base if exit_.side is Side.SELL else exit_.quote
        return ActiveExit(exit_.kind, exit_.side, exit_.number, exit_.began_ms, ending=ending, accounted=sold)

    def _exit_at(self, market_ms: int) -> ActiveExit | None:
        """Return the exit in progress at `market_ms`, or None."""
        while self._exits and self._is_over(self._exits[0], market_ms):
            self._exits.popleft()
        found = None
        for exit_ in self._exits:
            if exit_.began_ms > market_ms:
                break
            if exit_.sold_regime is self.state.regime and not self._is_over(exit_, market_ms):
                found = exit_
        return None if found is None else self.as_active(found)

    def _is_over(self, exit_: HistoricalExit, market_ms: int) -> bool:
        return exit_ is not self.unfinished and exit_.ended_ms < market_ms


class _RestartFold(HistoryFold):
    """Runs the strategy over the past at a restart. Applies finer klines, too, and knows the exit to continue."""

    def __init__(self, timeline: PositionTimeline, fine: Sequence[Kline], now: CurrentPosition) -> None:
        state = StrategyState(last_number=timeline.newest_number)
        super().__init__(state, timeline.changes, timeline.exits, now.params, timeline.active_exit)
        self._fine = deque(fine)
        self._now = now

    def close(self, closed: ClosedKline) -> None:
        super().close(closed)
        self._end_stopped_exit(closed.kline)

    def advance(self, until_ms: int | None) -> None:
        """Apply the position changes up to `until_ms`, then the finer klines up to `until_ms`.

        The changes come first, because a finer kline raises the high of the anchor that was set
        before it.
        """
        super().advance(until_ms)
        while self._fine and (until_ms is None or self._fine[0].close_ms <= until_ms):
            kline = self._fine.popleft()
            if self._now.params.trigger_on.at_close:
                self.state = raise_high_to_close(self.state, float(kline.close), kline.close_ms)
            else:
                self.state = raise_high_to_kline(self.state, kline)

    def end(self) -> StrategyState:
        """Apply the remaining position changes and klines, and return the strategy's present state."""
        # A change that is on record has happened, also where our idea of the market's time lags behind it.
        self.advance(max([self._now.market_ms, *(change.market_ms for change in self.changes)]))
        state, active_exit = self.state, self.unfinished
        if state.regime is None:
            return state
        return replace(
            state,
            exit=None if active_exit is None else self.as_active(active_exit),
            # With an exit in progress the strategy does not ask again whether there was something to sell.
            funded=True if active_exit is not None else None,
            holdings=self._now.holdings,
            # We have not seen a part of the kline that is forming now. When it closes, its range counts for the high.
            untrusted_book_ms=self._now.market_ms,
        )

    def _end_stopped_exit(self, kline: Kline) -> None:
        """End the unfinished buy-back if the stop in regime QUOTE cancelled it and none of its orders is open."""
        running, exit_ = self.state.exit, self.unfinished
        if (
            exit_ is None
            or running is None
            or running.number != exit_.number
            or running.ending is not ExitEndReason.STOPPED
        ):
            return
        if exit_.open_order is not None:
            return  # the first live tick cancels the order, and the strategy then judges what it filled
        self.unfinished = None
        # There is no book of that time. The close with one tick of spread is near enough to compare two balances.
        top = BookTop(kline.close - self._now.rules.tick_size, kline.close)
        held = side_after_partial_exit(Regime.QUOTE, self._now.holdings, top, self._now.params)
        new = after_partial_exit(Regime.QUOTE, held, exit_.average_price, kline.close_ms)
        if new is not None:
            self.state = with_new_anchor(self.state, new)
