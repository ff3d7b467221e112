"""Where the books say that we stand: which anchors there were, and which exit is still in hand.

Three cases. An own exit order is open: the exit goes on. The newest exit is unfinished and nothing newer was
written down: a flush goes on while there is something to sell, another one if some of it was filled, and
what was never filled is judged afresh. Else the last finished exit, or a newer note, says where we came in.
What the books cannot prove takes the careful value, and a sentence tells of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import AccountTrade, BookTop, Regime, SymbolRules
from trailingedge.reconciliation.exit_history import (
    AnchorMarker,
    ExitHistory,
    HistoricalExit,
    changed_side,
    newest_finished,
)
from trailingedge.strategy.inputs import Holdings, StrategyParams
from trailingedge.strategy.regime import is_tradable

TimelineEntry = HistoricalExit | AnchorMarker


@dataclass(frozen=True, slots=True)
class CurrentPosition:
    """How things are now. `market_ms` is market time."""

    rules: SymbolRules
    params: StrategyParams
    holdings: Holdings
    top: BookTop
    market_ms: int

    def tradable(self, regime: Regime) -> bool:
        return is_tradable(regime, self.holdings, self.top, self.params)

    def exit_price(self, regime: Regime) -> float:
        """The price that leaves `regime` at once."""
        return float(self.top.bid if regime is Regime.BASE else self.top.ask)


@dataclass(frozen=True, slots=True)
class PositionChange:
    """We came into `regime` at `price`, in quote per base. `flushed`: by a finished flush, which shuts the gate."""

    market_ms: int
    regime: Regime
    price: float
    flushed: bool = False


@dataclass(frozen=True, slots=True)
class PositionTimeline:
    """The anchors, oldest first; the exits since the first of them; of these the one in hand, if any.

    `note_needed`: the last anchor has neither an exit of ours nor a note behind it. `alerts` are sentences.
    """

    changes: tuple[PositionChange, ...] = ()
    exits: tuple[HistoricalExit, ...] = ()
    active_exit: HistoricalExit | None = None
    newest_number: int = 0
    marker_needed: bool = False
    alerts: tuple[str, ...] = ()


def reconstruct(history: ExitHistory, now: CurrentPosition) -> PositionTimeline:
    """What the history comes to."""
    finished = newest_finished(history.exits, now.rules)
    exits = history.exits if finished is None else history.exits[history.exits.index(finished) :]
    chapters: list[TimelineEntry] = sorted([*exits, *history.markers], key=entry_order_id)
    in_hand = _active_exit(chapters, now)
    course = PositionTimeline(
        changes=tuple(position_changes(chapters, in_hand, now.rules)),
        exits=exits,
        active_exit=in_hand,
        newest_number=history.newest_number,
        alerts=history.problems,
    )
    if in_hand is not None:
        return _with_side_of_exit(course, in_hand, history.foreign_fills, now)
    if course.changes:
        return _after_foreign_fills(course, history.foreign_fills, now)
    if history.is_empty:
        return course
    return _with_alert(course, "restart: no anchor of ours is on record; starting from the market's price")


def entry_order_id(chapter: TimelineEntry) -> int:
    """Which chapter came first, by the exchange's own count."""
    return chapter.last_order_id if isinstance(chapter, HistoricalExit) else chapter.order_id


def _active_exit(chapters: Sequence[TimelineEntry], now: CurrentPosition) -> HistoricalExit | None:
    """The exit that goes on."""
    for chapter in reversed(chapters):
        if isinstance(chapter, HistoricalExit) and chapter.open_order is not None:
            return chapter
    newest = chapters[-1] if chapters else None
    if not isinstance(newest, HistoricalExit) or newest.is_finished(now.rules) or not now.tradable(newest.sold_regime):
        return None
    return newest if newest.kind is ExitKind.FLUSH or newest.base else None


def position_changes(
    chapters: Sequence[TimelineEntry], in_hand: HistoricalExit | None, rules: SymbolRules
) -> list[PositionChange]:
    """The anchors that these chapters, the oldest first, have set."""
    turns = []
    for chapter, later in pairwise([*chapters, None]):
        match chapter:
            case AnchorMarker():
                turns.append(PositionChange(chapter.time_ms, chapter.regime, float(chapter.price)))
            case HistoricalExit() if chapter is not in_hand and chapter.base:
                # Half-way and not in hand: what is left of it became too little to trade, or the next exit tells.
                to_the_end = chapter.is_finished(rules) or later is None
                if to_the_end:
                    flushed = chapter.kind is ExitKind.FLUSH
                    turns.append(
                        PositionChange(chapter.last_fill_ms, chapter.sold_regime.other, chapter.average_price, flushed)
                    )
                elif isinstance(later, HistoricalExit) and changed_side(chapter, later):
                    turns.append(PositionChange(chapter.ended_ms, chapter.sold_regime.other, chapter.average_price))
    return turns


def _with_side_of_exit(
    course: PositionTimeline, in_hand: HistoricalExit, foreign: Sequence[AccountTrade], now: CurrentPosition
) -> PositionTimeline:
    """The side of the exit in hand is the regime, whatever the anchors say."""
    regime = in_hand.sold_regime
    last = course.changes[-1] if course.changes else None
    if last is not None and last.regime is regime:
        return course
    since_ms = 0 if last is None else last.market_ms
    brought = _newest_fill_into(foreign, regime, since_ms)
    if brought is not None:
        return replace(course, changes=(*course.changes, _change_by_foreign_fill(brought, regime)), marker_needed=True)
    turn = PositionChange(now.market_ms, regime, now.exit_price(regime))
    told = _with_alert(course, "restart: the exit in hand is known, its anchor is not; taking the market's price")
    return replace(told, changes=(*course.changes, turn), marker_needed=True)


def _after_foreign_fills(
    course: PositionTimeline, foreign: Sequence[AccountTrade], now: CurrentPosition
) -> PositionTimeline:
    """Where another hand sold what we held, its fill is the anchor; without a fill the first beat will see to it."""
    last = course.changes[-1]
    if now.tradable(last.regime) or not now.tradable(last.regime.other):
        return course
    brought = _newest_fill_into(foreign, last.regime.other, last.market_ms)
    if brought is None:
        return course
    return replace(
        course, changes=(*course.changes, _change_by_foreign_fill(brought, last.regime.other)), marker_needed=True
    )


def _newest_fill_into(foreign: Sequence[AccountTrade], regime: Regime, since_ms: int) -> AccountTrade | None:
    """Another's newest fill that brought us into `regime`."""
    side = regime.other.exit_side
    return next((fill for fill in reversed(foreign) if fill.side is side and fill.time_ms >= since_ms), None)


def _change_by_foreign_fill(fill: AccountTrade, regime: Regime) -> PositionChange:
    return PositionChange(fill.time_ms, regime, float(fill.price))


def _with_alert(course: PositionTimeline, sentence: str) -> PositionTimeline:
    return replace(course, alerts=(*course.alerts, sentence))
