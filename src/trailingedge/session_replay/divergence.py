"""Where two lives of a session part: what each of them is about there, in the words that the operator knows.

The market is the same for both up to there, so that one view of it serves both. Of the life that was recorded the
decision is in the record, and `why` has the same to say of it as it would have had then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from trailingedge.eventlog.format import decode
from trailingedge.eventlog.reader import RecordHeader
from trailingedge.model.market import BookTop, Regime, SymbolRules
from trailingedge.notifications.build_status import judged
from trailingedge.notifications.explain import why
from trailingedge.notifications.status import ExitView, StatusView
from trailingedge.session_replay.comparable import act
from trailingedge.session_replay.comparison import Difference
from trailingedge.session_replay.deserialize import decision_of, reading_of
from trailingedge.session_replay.formatting import told, words_of_request
from trailingedge.session_replay.player import SessionPlayer
from trailingedge.strategy.decide import Decision
from trailingedge.strategy.regime import price_at
from trailingedge.strategy.state import ActiveExit

_REQUESTS: Final = (b'[">",', b'["!>",')
_NEWS: Final = b'["news",'
_DECISION: Final = b'["decision",'
_ALERT: Final = b'["alert",'
_SHOWN: Final = 4
_WITHIN_NS: Final = 3_600_000_000_000  # an alert that came later has little to do with it
_OF_EXITS: Final = ("take-profit", "manual flip", "breakout armed", "hard stop", "flush", "gate", "halted", "second")


@dataclass(frozen=True, slots=True)
class Divergence:
    """`then` and `now` say what the one and the other do and why, as far as it has words; empty for nothing new.

    `top` is the book, None while there is none. `rules` are known once it is ready.
    `sequel` are alerts on exits that came next in the record, each with its time in nanoseconds since the beginning.
    """

    rules: SymbolRules | None = None
    top: BookTop | None = None
    then: tuple[str, ...] = ()
    now: tuple[str, ...] = ()
    sequel: tuple[tuple[int, str], ...] = ()


def fork_of(difference: Difference, player: SessionPlayer, head: RecordHeader) -> Divergence:
    """As things stand; the record cannot be played any further after that."""
    record = _read_on(difference, player)
    then = _Side(difference.recorded, record.of_the_moment)
    now = _Side(difference.now, player.said_at(difference.at_ns))
    sight = player.sight_at(difference.at_ns)
    if sight is None:
        return Divergence(None, None, then.done(now, None), now.done(then, None), record.sequel)
    rules, before = sight.view.rules, reading_of(head, {}).settings
    seen = replace(sight.view, reserve_base=before.reserve_base, reserve_quote=before.reserve_quote)
    # What is asked for says enough, and the view knows of no order but that of now.
    why_then = None if then.asks else then.why(seen, sight.held, before.hard_stop_confirm_sec)
    # Two orders, or a question that only one of them has asked, have nothing to do with what it is about.
    why_now = None if (then.asks and now.asks) or then.inquires or now.inquires else sight.why
    return Divergence(
        rules=rules,
        top=sight.view.top,
        then=_without_nothing(*then.done(now, rules), why_then) or then.decided(rules),
        now=_without_nothing(*now.done(then, rules), why_now),
        sequel=tuple(each for each in record.sequel if each[1] not in then.done(now, rules)),
    )


def reasons(decision: Decision, view: StatusView, held: ActiveExit | None, confirm_s: float) -> str | None:
    """What `why` has to say of it. `view` is of another life at the same market, in which `held` is the exit.

    None where that life does not know enough of this one.
    """
    if decision.trading_paused and not (view.paused or view.trips):
        return None
    seen = replace(
        view,
        phase=decision.phase.value,
        top=_top(decision, view),
        paused=view.paused and decision.trading_paused,
        trips=view.trips if decision.trading_paused else (),
        held=decision.trading_paused,
        halted=decision.halted,
        chase=_chase(decision, view, held),
    )
    return why(judged(seen, decision, confirm_s), decision)


class _Side:
    """One of the two lives: the line by which it differs, and what else it said in that moment, in order."""

    def __init__(self, line: bytes | None, others: Sequence[bytes]) -> None:
        self._line = line
        self._said = [*([] if line is None else [line]), *others]

    @property
    def asks(self) -> bool:
        """It differs by a request."""
        return self._line is not None and self._line.startswith(_REQUESTS)

    @property
    def inquires(self) -> bool:
        """It differs by a request that moves nothing."""
        return self.asks and self._line is not None and not words_of_request(self._line, None).startswith("order.")

    def does(self, what: object) -> bool:
        """Somewhere in that moment."""
        return any(act(line) == what for line in self._said)

    def done(self, other: "_Side", rules: SymbolRules | None) -> tuple[str, ...]:
        """What it did that the other did not, in the words of its alert where it had one. Decisions are reasons."""
        line = self._line
        if line is None or line.startswith(_DECISION):
            return ()
        alert = next((decode(each)[2] for each in self._said if each.startswith(_ALERT)), None)
        if line.startswith(_NEWS):
            if other.does(act(line)):  # they only did something else before
                return ()
            return (told(line, rules) if alert is None else alert,)
        if not self.asks:
            return (told(line, rules),)
        asked = words_of_request(line, rules)
        return (asked,) if other.asks or alert is None or not alert.startswith(_OF_EXITS) else (alert, asked)

    def decided(self, rules: SymbolRules | None) -> tuple[str, ...]:
        """The decision by which it differs, for want of reasons."""
        return (told(self._line, rules),) if self._line is not None and self._line.startswith(_DECISION) else ()

    def why(self, view: StatusView, held: ActiveExit | None, confirm_s: float) -> str | None:
        """By its decision, where it made one."""
        decision = next(filter(None, map(decision_of, self._said)), None)
        return None if decision is None else reasons(decision, view, held, confirm_s)


def _without_nothing(*texts: str | None) -> tuple[str, ...]:
    return tuple(text for text in texts if text)


def _top(decision: Decision, view: StatusView) -> BookTop | None:
    """The book that it was judged by. Where that is another one by now, the side that counts is known."""
    regime, top, tick = decision.regime, view.top, view.rules.tick_size
    if regime is None or decision.unit_value is None:
        return top
    price = Decimal(repr(price_at(regime, decision.unit_value))).quantize(tick)
    if top is not None and price == (top.bid if regime is Regime.BASE else top.ask):
        return top
    bid = price if regime is Regime.BASE else max(tick / 2, price - tick)
    return BookTop(bid, max(price, bid + tick))


def _chase(decision: Decision, view: StatusView, held: ActiveExit | None) -> ExitView | None:
    exit_ = decision.state.exit
    if exit_ is None:
        return None
    if view.chase is not None and held is not None and held.number == exit_.number:
        return replace(view.chase, kind=exit_.kind, ending=exit_.ending)
    age_s = max(0, view.market_ms - exit_.started_ms) / 1000
    return ExitView(exit_.kind, exit_.side, age_s, ending=exit_.ending)


@dataclass(frozen=True, slots=True)
class _Rest:
    """What else the record says: in the moment of the difference, after it; and alerts on exits from then on."""

    of_the_moment: list[bytes]
    sequel: tuple[tuple[int, str], ...]


def _read_on(difference: Difference, player: SessionPlayer) -> _Rest:
    of_the_moment: list[bytes] = []
    alerts: list[tuple[int, str]] = []
    begun = False
    for at_ns, line in player.sequel(difference.at_ns):
        if at_ns > difference.at_ns + _WITHIN_NS or len(alerts) == _SHOWN:
            break
        if begun and at_ns == difference.at_ns:
            of_the_moment.append(line)
        begun = begun or line == difference.recorded
        if line.startswith(_ALERT):
            _, _, text = decode(line)
            if text.startswith(_OF_EXITS):
                alerts.append((at_ns, text))
    return _Rest(of_the_moment, tuple(alerts))
