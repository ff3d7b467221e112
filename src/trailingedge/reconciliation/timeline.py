"""Where the books say that we stand: which anchors there were, and which exit is still in hand.

Three cases. An own exit order is open: the exit goes on. The newest exit is unfinished and nothing newer was
written down: a flush goes on while there is something to sell, another one if some of it was filled, and
what was never filled is judged afresh. Else the last finished exit, or a newer note, says where we came in.
What the books cannot prove takes the careful value, and a sentence tells of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from trailingedge.model.intent import Kind
from trailingedge.model.market import AccountTrade, BookTop, Regime, SymbolRules
from trailingedge.reconciliation.exit_history import History, PastExit, PastNote, newest_finished, turned
from trailingedge.strategy.inputs import Holdings, Params
from trailingedge.strategy.regime import tradable

Chapter = PastExit | PastNote


@dataclass(frozen=True, slots=True)
class Standing:
    """How things are now. `market_ms` is market time."""

    rules: SymbolRules
    params: Params
    holdings: Holdings
    top: BookTop
    market_ms: int

    def tradable(self, regime: Regime) -> bool:
        return tradable(regime, self.holdings, self.top, self.params)

    def price_in(self, regime: Regime) -> float:
        """The price that leaves `regime` at once."""
        return float(self.top.bid if regime is Regime.BASE else self.top.ask)


@dataclass(frozen=True, slots=True)
class Turn:
    """We came into `regime` at `price`, in quote per base. `flushed`: by a finished flush, which shuts the gate."""

    market_ms: int
    regime: Regime
    price: float
    flushed: bool = False


@dataclass(frozen=True, slots=True)
class Course:
    """The anchors, oldest first; the exits since the first of them; of these the one in hand, if any.

    `note_needed`: the last anchor has neither an exit of ours nor a note behind it. `alerts` are sentences.
    """

    turns: tuple[Turn, ...] = ()
    exits: tuple[PastExit, ...] = ()
    in_hand: PastExit | None = None
    newest_number: int = 0
    note_needed: bool = False
    alerts: tuple[str, ...] = ()


def chart(history: History, now: Standing) -> Course:
    """What the history comes to."""
    finished = newest_finished(history.exits, now.rules)
    exits = history.exits if finished is None else history.exits[history.exits.index(finished) :]
    chapters: list[Chapter] = sorted([*exits, *history.notes], key=place_of)
    in_hand = _in_hand(chapters, now)
    course = Course(
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


def place_of(chapter: Chapter) -> int:
    """Which chapter came first, by the exchange's own count."""
    return chapter.last_order_id if isinstance(chapter, PastExit) else chapter.order_id


def _in_hand(chapters: Sequence[Chapter], now: Standing) -> PastExit | None:
    """The exit that goes on."""
    for chapter in reversed(chapters):
        if isinstance(chapter, PastExit) and chapter.open_order is not None:
            return chapter
    newest = chapters[-1] if chapters else None
    if not isinstance(newest, PastExit) or newest.finished(now.rules) or not now.tradable(newest.leaves):
        return None
    return newest if newest.kind is Kind.FLUSH or newest.base else None


def turns_of(chapters: Sequence[Chapter], in_hand: PastExit | None, rules: SymbolRules) -> list[Turn]:
    """The anchors that these chapters, the oldest first, have set."""
    turns = []
    for chapter, later in pairwise([*chapters, None]):
        match chapter:
            case PastNote():
                turns.append(Turn(chapter.time_ms, chapter.regime, float(chapter.price)))
            case PastExit() if chapter is not in_hand and chapter.base:
                # Half-way and not in hand: what is left of it became too little to trade, or the next exit tells.
                to_the_end = chapter.finished(rules) or later is None
                if to_the_end:
                    flushed = chapter.kind is Kind.FLUSH
                    turns.append(Turn(chapter.last_fill_ms, chapter.leaves.other, chapter.average, flushed))
                elif isinstance(later, PastExit) and turned(chapter, later):
                    turns.append(Turn(chapter.ended_ms, chapter.leaves.other, chapter.average))
    return turns


def _agreeing(course: Course, in_hand: PastExit, foreign: Sequence[AccountTrade], now: Standing) -> Course:
    """The side of the exit in hand is the regime, whatever the anchors say."""
    regime = in_hand.leaves
    last = course.turns[-1] if course.turns else None
    if last is not None and last.regime is regime:
        return course
    since_ms = 0 if last is None else last.market_ms
    brought = _newest(foreign, regime, since_ms)
    if brought is not None:
        return replace(course, turns=(*course.turns, _outside(brought, regime)), note_needed=True)
    turn = Turn(now.market_ms, regime, now.price_in(regime))
    told = _with(course, "restart: the exit in hand is known, its anchor is not; taking the market's price")
    return replace(told, turns=(*course.turns, turn), note_needed=True)


def _as_others_left_it(course: Course, foreign: Sequence[AccountTrade], now: Standing) -> Course:
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


def _outside(fill: AccountTrade, regime: Regime) -> Turn:
    return Turn(fill.time_ms, regime, float(fill.price))


def _with(course: Course, sentence: str) -> Course:
    return replace(course, alerts=(*course.alerts, sentence))
