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
from trailingedge.notifications.build_status import with_decision
from trailingedge.notifications.explain import why
from trailingedge.notifications.status import ExitView, StatusView
from trailingedge.session_replay.comparable import action_key
from trailingedge.session_replay.comparison import Difference
from trailingedge.session_replay.deserialize import decode_decision, settings_from_header
from trailingedge.session_replay.formatting import describe_line, describe_request
from trailingedge.session_replay.player import SessionPlayer
from trailingedge.strategy.decide import Decision
from trailingedge.strategy.regime import price_at
from trailingedge.strategy.state import ActiveExit

_REQUESTS: Final = (b'[">",', b'["!>",')
_EVENT: Final = b'["news",'
_DECISION: Final = b'["decision",'
_ALERT: Final = b'["alert",'
_MAX_LATER_ALERTS: Final = 4
_LATER_ALERTS_WINDOW_NS: Final = 3_600_000_000_000  # an alert that came later has little to do with it
_EXIT_ALERTS: Final = ("take-profit", "manual flip", "breakout armed", "hard stop", "flush", "gate", "halted", "second")


@dataclass(frozen=True, slots=True)
class Divergence:
    """`then` and `now` say what the one and the other do and why, as far as it has words; empty for nothing new.

    `top` is the book, None while there is none. `rules` are known once it is ready.
    `sequel` are alerts on exits that came next in the record, each with its time in nanoseconds since the beginning.
    """

    rules: SymbolRules | None = None
    top: BookTop | None = None
    recorded: tuple[str, ...] = ()
    replayed: tuple[str, ...] = ()
    later_alerts: tuple[tuple[int, str], ...] = ()


def explain_divergence(difference: Difference, player: SessionPlayer, head: RecordHeader) -> Divergence:
    """As things stand; the record cannot be played any further after that."""
    record = _read_recorded_rest(difference, player)
    then = _Side(difference.recorded, record.same_batch)
    now = _Side(difference.replayed, player.output_at(difference.at_ns))
    sight = player.status_at(difference.at_ns)
    if sight is None:
        return Divergence(None, None, then.action_texts(now, None), now.action_texts(then, None), record.later_alerts)
    rules, before = sight.view.rules, settings_from_header(head, {}).settings
    seen = replace(sight.view, reserve_base=before.reserve_base, reserve_quote=before.reserve_quote)
    # What is asked for says enough, and the view knows of no order but that of now.
    why_then = None if then.is_request else then.reason(seen, sight.active_exit, before.hard_stop_confirm_sec)
    # Two orders, or a question that only one of them has asked, have nothing to do with what it is about.
    why_now = None if (then.is_request and now.is_request) or then.is_query or now.is_query else sight.why
    return Divergence(
        rules=rules,
        top=sight.view.top,
        recorded=_non_empty(*then.action_texts(now, rules), why_then) or then.decision_texts(rules),
        replayed=_non_empty(*now.action_texts(then, rules), why_now),
        later_alerts=tuple(each for each in record.later_alerts if each[1] not in then.action_texts(now, rules)),
    )


def explain_recorded(decision: Decision, view: StatusView, held: ActiveExit | None, confirm_s: float) -> str | None:
    """What `why` has to say of it. `view` is of another life at the same market, in which `held` is the exit.

    None where that life does not know enough of this one.
    """
    if decision.trading_paused and not (view.paused or view.trips):
        return None
    seen = replace(
        view,
        phase=decision.phase.value,
        top=_book_of(decision, view),
        paused=view.paused and decision.trading_paused,
        trips=view.trips if decision.trading_paused else (),
        trading_paused=decision.trading_paused,
        halted=decision.halted,
        active_exit=_exit_view(decision, view, held),
    )
    return why(with_decision(seen, decision, confirm_s), decision)


class _Side:
    """One of the two lives: the line by which it differs, and what else it said in that moment, in order."""

    def __init__(self, line: bytes | None, others: Sequence[bytes]) -> None:
        self._line = line
        self._output = [*([] if line is None else [line]), *others]

    @property
    def is_request(self) -> bool:
        """It differs by a request."""
        return self._line is not None and self._line.startswith(_REQUESTS)

    @property
    def is_query(self) -> bool:
        """It differs by a request that moves nothing."""
        return (
            self.is_request and self._line is not None and not describe_request(self._line, None).startswith("order.")
        )

    def has_action(self, what: object) -> bool:
        """Somewhere in that moment."""
        return any(action_key(line) == what for line in self._output)

    def action_texts(self, other: "_Side", rules: SymbolRules | None) -> tuple[str, ...]:
        """What it did that the other did not, in the words of its alert where it had one. Decisions are reasons."""
        line = self._line
        if line is None or line.startswith(_DECISION):
            return ()
        alert = next((decode(each)[2] for each in self._output if each.startswith(_ALERT)), None)
        if line.startswith(_EVENT):
            if other.has_action(action_key(line)):  # they only did something else before
                return ()
            return (describe_line(line, rules) if alert is None else alert,)
        if not self.is_request:
            return (describe_line(line, rules),)
        asked = describe_request(line, rules)
        return (asked,) if other.is_request or alert is None or not alert.startswith(_EXIT_ALERTS) else (alert, asked)

    def decision_texts(self, rules: SymbolRules | None) -> tuple[str, ...]:
        """The decision by which it differs, for want of reasons."""
        return (
            (describe_line(self._line, rules),) if self._line is not None and self._line.startswith(_DECISION) else ()
        )

    def reason(self, view: StatusView, held: ActiveExit | None, confirm_s: float) -> str | None:
        """By its decision, where it made one."""
        decision = next(filter(None, map(decode_decision, self._output)), None)
        return None if decision is None else explain_recorded(decision, view, held, confirm_s)


def _non_empty(*texts: str | None) -> tuple[str, ...]:
    return tuple(text for text in texts if text)


def _book_of(decision: Decision, view: StatusView) -> BookTop | None:
    """The book that it was judged by. Where that is another one by now, the side that counts is known."""
    regime, top, tick = decision.regime, view.top, view.rules.tick_size
    if regime is None or decision.unit_value is None:
        return top
    price = Decimal(repr(price_at(regime, decision.unit_value))).quantize(tick)
    if top is not None and price == (top.bid if regime is Regime.BASE else top.ask):
        return top
    bid = price if regime is Regime.BASE else max(tick / 2, price - tick)
    return BookTop(bid, max(price, bid + tick))


def _exit_view(decision: Decision, view: StatusView, held: ActiveExit | None) -> ExitView | None:
    exit_ = decision.state.exit
    if exit_ is None:
        return None
    if view.active_exit is not None and held is not None and held.number == exit_.number:
        return replace(view.active_exit, kind=exit_.kind, ending=exit_.ending)
    age_s = max(0, view.market_ms - exit_.started_ms) / 1000
    return ExitView(exit_.kind, exit_.side, age_s, ending=exit_.ending)


@dataclass(frozen=True, slots=True)
class _RecordedRest:
    """What else the record says: in the moment of the difference, after it; and alerts on exits from then on."""

    same_batch: list[bytes]
    later_alerts: tuple[tuple[int, str], ...]


def _read_recorded_rest(difference: Difference, player: SessionPlayer) -> _RecordedRest:
    of_the_moment: list[bytes] = []
    alerts: list[tuple[int, str]] = []
    begun = False
    for at_ns, line in player.remaining_lines(difference.at_ns):
        if at_ns > difference.at_ns + _LATER_ALERTS_WINDOW_NS or len(alerts) == _MAX_LATER_ALERTS:
            break
        if begun and at_ns == difference.at_ns:
            of_the_moment.append(line)
        begun = begun or line == difference.recorded
        if line.startswith(_ALERT):
            _, _, text = decode(line)
            if text.startswith(_EXIT_ALERTS):
                alerts.append((at_ns, text))
    return _RecordedRest(of_the_moment, tuple(alerts))
