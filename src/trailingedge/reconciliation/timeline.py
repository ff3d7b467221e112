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
from trailingedge.reconciliation.exit_history import AnchorMarker, ExitHistory, HistoricalExit, newest_finished, turned
from trailingedge.strategy.inputs import Holdings, StrategyParams
from trailingedge.strategy.regime import tradable

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
        return tradable(regime, self.holdings, self.top, self.params)

    def price_in(self, regime: Regime) -> float:
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

    turns: tuple[PositionChange, ...] = ()
    exits: tuple[HistoricalExit, ...] = ()
    in_hand: HistoricalExit | None = None
    newest_number: int = 0
    note_needed: bool = False
    alerts: tuple[str, ...] = ()


def reconstruct(history: ExitHistory, now: CurrentPosition) -> PositionTimeline:
    """What the history comes to."""
    finished = newest_finished(history.exits, now.rules)
    exits = history.exits if finished is None else history.exits[history.exits.index(finished) :]
    chapters: list[TimelineEntry] = sorted([*exits, *history.notes], key=place_of)
    in_hand = _in_hand(chapters, now)
    course = PositionTimeline(
        turns=tuple(turns_of(chapters, in_hand, now.rules)),
        exits=exits,
        in_hand=in_hand,
        newest_number=history.newest_number,
        alerts=history.problems,
    )
    if in_hand is not None:
        return _agreeing(course, in_hand, history.foreign, now)
    if course.turns:
        return _as_others_left_it(course, history.foreign, now)
    if history.blank:
        return course
    return _with(course, "restart: no anchor of ours is on record; starting from the market's price")


def place_of(chapter: TimelineEntry) -> int:
    """Which chapter came first, by the exchange's own count."""
    return chapter.last_order_id if isinstance(chapter, HistoricalExit) else chapter.order_id


def _in_hand(chapters: Sequence[TimelineEntry], now: CurrentPosition) -> HistoricalExit | None:
    """The exit that goes on."""
    for chapter in reversed(chapters):
        if isinstance(chapter, HistoricalExit) and chapter.open_order is not None:
            return chapter
    newest = chapters[-1] if chapters else None
    if not isinstance(newest, HistoricalExit) or newest.finished(now.rules) or not now.tradable(newest.leaves):
        return None
    return newest if newest.kind is ExitKind.FLUSH or newest.base else None


def turns_of(
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
                to_the_end = chapter.finished(rules) or later is None
                if to_the_end:
                    flushed = chapter.kind is ExitKind.FLUSH
                    turns.append(PositionChange(chapter.last_fill_ms, chapter.leaves.other, chapter.average, flushed))
                elif isinstance(later, HistoricalExit) and turned(chapter, later):
                    turns.append(PositionChange(chapter.ended_ms, chapter.leaves.other, chapter.average))
    return turns


def _agreeing(
    course: PositionTimeline, in_hand: HistoricalExit, foreign: Sequence[AccountTrade], now: CurrentPosition
) -> PositionTimeline:
    """The side of the exit in hand is the regime, whatever the anchors say."""
    regime = in_hand.leaves
    last = course.turns[-1] if course.turns else None
    if last is not None and last.regime is regime:
        return course
    since_ms = 0 if last is None else last.market_ms
    brought = _newest(foreign, regime, since_ms)
    if brought is not None:
        return replace(course, turns=(*course.turns, _outside(brought, regime)), note_needed=True)
    turn = PositionChange(now.market_ms, regime, now.price_in(regime))
    told = _with(course, "restart: the exit in hand is known, its anchor is not; taking the market's price")
    return replace(told, turns=(*course.turns, turn), note_needed=True)


def _as_others_left_it(
    course: PositionTimeline, foreign: Sequence[AccountTrade], now: CurrentPosition
) -> PositionTimeline:
    """Where another hand sold what we held, its fill is the anchor; without a fill the first beat will see to it."""
    last = course.turns[-1]
    if now.tradable(last.regime) or not now.tradable(last.regime.other):
        return course
    brought = _newest(foreign, last.regime.other, last.market_ms)
    if brought is None:
        return course
    return replace(course, turns=(*course.turns, _outside(brought, last.regime.other)), note_needed=True)


def _newest(foreign: Sequence[AccountTrade], regime: Regime, since_ms: int) -> AccountTrade | None:
    """Another's newest fill that brought us into `regime`."""
    side = regime.other.exit_side
    return next((fill for fill in reversed(foreign) if fill.side is side and fill.time_ms >= since_ms), None)


def _outside(fill: AccountTrade, regime: Regime) -> PositionChange:
    return PositionChange(fill.time_ms, regime, float(fill.price))


def _with(course: PositionTimeline, sentence: str) -> PositionTimeline:
    return replace(course, alerts=(*course.alerts, sentence))
