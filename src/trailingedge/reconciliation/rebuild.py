"""The strategy's memory, made anew: the same pure strategy, folded over the klines that nobody watched.

The fold moves high and gate; it never arms anything. What it ends with is what the first fresh beat
starts from.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from trailingedge.model.intent import ExitEndReason
from trailingedge.model.market import BookTop, Kline, Regime, Side
from trailingedge.reconciliation.exit_history import HistoricalExit
from trailingedge.reconciliation.timeline import CurrentPosition, PositionChange, PositionTimeline
from trailingedge.strategy.bar_close import on_bar_close, raise_high_to_kline
from trailingedge.strategy.inputs import ClosedKline
from trailingedge.strategy.regime import more_valuable_regime
from trailingedge.strategy.state import ActiveExit, ReentryGate, ShutBy, StrategyState


def rebuild(
    course: PositionTimeline, closes: Iterable[ClosedKline], fine: Sequence[Kline], now: CurrentPosition
) -> StrategyState:
    """What a session that never ended would remember.

    `closes` are the closed klines since the first turn, each with the channel that was in force, `fine`
    shorter klines for the parts of them that count only in part; both oldest first.
    """
    fold = _Fold(course, fine, now)
    for closed in closes:
        fold.hear(closed)
    return fold.end()


class _Fold:
    """One pass over the klines."""

    def __init__(self, course: PositionTimeline, fine: Sequence[Kline], now: CurrentPosition) -> None:
        self._memory = StrategyState(last_number=course.newest_number)
        self._turns = deque(course.changes)
        self._exits = course.exits
        self._in_hand = course.active_exit
        self._fine = deque(fine)
        self._now = now

    def hear(self, closed: ClosedKline) -> None:
        close_ms = closed.kline.close_ms
        self._go_on_until(close_ms)
        if self._memory.regime is None:
            return
        self._memory = replace(self._memory, exit=self._running(close_ms))
        self._memory, _ = on_bar_close(self._memory, closed, self._now.params, unwatched=True)
        self._end_stopped(closed.kline)

    def end(self) -> StrategyState:
        """The memory as it is now."""
        # What has happened has happened, also where our idea of the market's time lags behind it.
        self._go_on_until(max([self._now.market_ms, *(turn.market_ms for turn in self._turns)]))
        memory, in_hand = self._memory, self._in_hand
        if memory.regime is None:
            return memory
        return replace(
            memory,
            exit=None if in_hand is None else self._as_exit(in_hand),
            # With an exit in hand nobody asks again whether there was something to sell.
            funded=True if in_hand is not None else None,
            holdings=self._now.holdings,
            untrusted_book_ms=self._now.market_ms,
        )

    def _go_on_until(self, market_ms: int) -> None:
        """Take the turns and the fine klines up to that moment."""
        while self._turns and self._turns[0].market_ms <= market_ms:
            self._memory = enter_position(self._memory, self._turns.popleft())
        while self._fine and self._fine[0].close_ms <= market_ms:
            self._memory = raise_high_to_kline(self._memory, self._fine.popleft())

    def _running(self, market_ms: int) -> ActiveExit | None:
        """The exit that was in progress at that moment: the QUOTE stop is judged differently meanwhile."""
        for past in reversed(self._exits):
            lasts = past is self._in_hand or market_ms <= past.ended_ms
            if past.began_ms <= market_ms and lasts and past.sold_regime is self._memory.regime:
                return self._as_exit(past)
        return None

    def _as_exit(self, past: HistoricalExit) -> ActiveExit:
        before = self._memory.exit
        ending = before.ending if before is not None and before.number == past.number else None
        sold = past.base if past.side is Side.SELL else past.quote
        return ActiveExit(past.kind, past.side, past.number, past.began_ms, ending=ending, accounted=sold)

    def _end_stopped(self, kline: Kline) -> None:
        """The QUOTE stop ended the exit in hand, and nothing of it is on the book: what was filled decides."""
        running, past = self._memory.exit, self._in_hand
        if (
            past is None
            or running is None
            or running.number != past.number
            or running.ending is not ExitEndReason.STOPPED
        ):
            return
        if past.open_order is not None:
            return  # the chase will withdraw it, and the strategy judge what came of it
        self._in_hand = None
        top = BookTop(kline.close - self._now.rules.tick_size, kline.close)
        if more_valuable_regime(self._now.holdings, top, self._now.params) is Regime.BASE:
            self._memory = self._memory.anchored(Regime.BASE, past.average_price, kline.close_ms)


def enter_position(memory: StrategyState, turn: PositionChange) -> StrategyState:
    """`memory` once we have come into the regime of `turn`; a flush has shut the gate."""
    memory = memory.anchored(turn.regime, turn.price, turn.market_ms)
    if not turn.flushed:
        return memory
    return replace(memory, gate=ReentryGate(ShutBy.HARD_STOP, turn.price, turn.market_ms))
