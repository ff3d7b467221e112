"""Explanation of a divergence: what the recording and the replay each do at that point, and why.

The explanation uses the words of the alerts. Both runs saw the same market up to the divergence, so
the status of the replayed daemon is used for both. The recorded daemon no longer exists, but its
decision is in the record, and `why` explains that decision.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from trailingedge.eventlog.format import decode
from trailingedge.eventlog.reader import RecordHeader
from trailingedge.live.factory import services_params
from trailingedge.model.market import BookTop, Regime, SymbolRules
from trailingedge.notifications.build_status import with_decision
from trailingedge.notifications.explain import why
from trailingedge.notifications.status import ExitView, StatusView
from trailingedge.session_replay.comparable import action_key
from trailingedge.session_replay.formatting import describe_line, describe_request
from trailingedge.session_replay.player import SessionPlayer
from trailingedge.session_replay.record_decoder import decode_decision, settings_from_header
from trailingedge.session_replay.run_alignment import Difference
from trailingedge.strategy.decide import Decision
from trailingedge.strategy.state import ActiveExit
from trailingedge.strategy.unit_value import price_at

_REQUESTS: Final = (b'[">",', b'["!>",')
_EVENT: Final = b'["news",'
_DECISION: Final = b'["decision",'
_ALERT: Final = b'["alert",'
_MAX_LATER_ALERTS: Final = 4
_LATER_ALERTS_WINDOW_NS: Final = 3_600_000_000_000  # a later alert has little to do with the divergence
# How alerts on exits begin, in the records of this version and of earlier ones.
_EXIT_ALERTS: Final = ("take-profit", "manual flip", "breakout armed", "hard stop", "flush", "gate", "halted", "second")


@dataclass(frozen=True, slots=True)
class Divergence:
    """What record and replay each do at the point where they differ, and why.

    `recorded` and `replayed` are the texts on the two runs; empty if there is none on that run.
    `top` is the best bid and ask, `rules` the symbol's rules; both are None until the daemon knows
    them. `later_alerts` are the next alerts on exits in the record, each with its time in
    nanoseconds since the start.
    """

    rules: SymbolRules | None = None
    top: BookTop | None = None
    recorded: tuple[str, ...] = ()
    replayed: tuple[str, ...] = ()
    later_alerts: tuple[tuple[int, str], ...] = ()


def explain_divergence(difference: Difference, player: SessionPlayer, header: RecordHeader) -> Divergence:
    """Explain `difference`, from the status of the replayed daemon and from the rest of the record.

    This reads on in the record, so no further input of it can be played afterwards.
    """
    record = _read_recorded_rest(difference, player)
    recorded = _Side(difference.recorded, record.same_batch)
    replayed = _Side(difference.replayed, player.output_at(difference.at_ns))
    status = player.status_at(difference.at_ns)
    if status is None:
        return Divergence(
            recorded=recorded.action_texts(replayed, None),
            replayed=replayed.action_texts(recorded, None),
            later_alerts=record.later_alerts,
        )
    rules, params = status.view.rules, services_params(settings_from_header(header, {}).settings)
    trading = params.trading
    view = replace(status.view, reserve_base=trading.reserve_base, reserve_quote=trading.reserve_quote)
    # A request explains itself, and the view shows the replayed order, not the recorded one.
    why_recorded = None if recorded.is_request else recorded.reason(view, status.active_exit, params.stop_confirm_s)
    # The decision does not explain the difference if both sides send requests, or if one side sends a query.
    unrelated = (recorded.is_request and replayed.is_request) or recorded.is_query or replayed.is_query
    why_replayed = None if unrelated else status.why
    recorded_actions = recorded.action_texts(replayed, rules)
    return Divergence(
        rules=rules,
        top=status.view.top,
        recorded=_non_empty(*recorded_actions, why_recorded) or recorded.decision_texts(rules),
        replayed=_non_empty(*replayed.action_texts(recorded, rules), why_replayed),
        later_alerts=tuple(each for each in record.later_alerts if each[1] not in recorded_actions),
    )


def explain_recorded(
    decision: Decision, view: StatusView, active_exit: ActiveExit | None, confirm_s: float
) -> str | None:
    """Return what `why` says about a recorded decision.

    `view` and `active_exit` are those of the replayed daemon. Returns None if the recorded daemon
    was paused and the replayed one is not, because the reason of the pause is then unknown.
    """
    if decision.trading_paused and not (view.paused or view.trips):
        return None
    as_recorded = replace(
        view,
        phase=decision.phase.value,
        top=_book_of(decision, view),
        paused=view.paused and decision.trading_paused,
        trips=view.trips if decision.trading_paused else (),
        trading_paused=decision.trading_paused,
        halted=decision.halted,
        active_exit=_exit_view(decision, view, active_exit),
    )
    return why(with_decision(as_recorded, decision, confirm_s))


class _Side:
    """What one of the two runs did at the difference.

    `line` is the line of this run that differs; None if it has no such line. `others` is the run's
    other output at the same input.
    """

    def __init__(self, line: bytes | None, others: Sequence[bytes]) -> None:
        self._line = line
        self._output = [*([] if line is None else [line]), *others]

    @property
    def is_request(self) -> bool:
        """Whether the line that differs is a request."""
        return self._line is not None and self._line.startswith(_REQUESTS)

    @property
    def is_query(self) -> bool:
        """Whether the line that differs is a request that changes nothing, such as a query."""
        return (
            self.is_request and self._line is not None and not describe_request(self._line, None).startswith("order.")
        )

    def has_action(self, key: object) -> bool:
        """Whether any output of the run at this input has the action key `key`."""
        return any(action_key(line) == key for line in self._output)

    def action_texts(self, other: "_Side", rules: SymbolRules | None) -> tuple[str, ...]:
        """Describe what only this run did, in the words of its alert if there was one.

        The result is empty if the line that differs is a decision: a decision is a reason and no
        action.
        """
        line = self._line
        if line is None or line.startswith(_DECISION):
            return ()
        alert = next((decode(each)[2] for each in self._output if each.startswith(_ALERT)), None)
        if line.startswith(_EVENT):
            if other.has_action(action_key(line)):  # both do it; only the order differs
                return ()
            return (describe_line(line, rules) if alert is None else alert,)
        if not self.is_request:
            return (describe_line(line, rules),)
        request = describe_request(line, rules)
        with_alert = alert is not None and alert.startswith(_EXIT_ALERTS) and not other.is_request
        return (alert, request) if alert is not None and with_alert else (request,)

    def decision_texts(self, rules: SymbolRules | None) -> tuple[str, ...]:
        """Describe the decision that differs. Used if `why` cannot explain the recorded decision."""
        return (
            (describe_line(self._line, rules),) if self._line is not None and self._line.startswith(_DECISION) else ()
        )

    def reason(self, view: StatusView, active_exit: ActiveExit | None, confirm_s: float) -> str | None:
        """Return what `why` says about the first decision in the output, or None."""
        decision = next(filter(None, map(decode_decision, self._output)), None)
        return None if decision is None else explain_recorded(decision, view, active_exit, confirm_s)


def _non_empty(*texts: str | None) -> tuple[str, ...]:
    return tuple(text for text in texts if text)


def _book_of(decision: Decision, view: StatusView) -> BookTop | None:
    """Return the best bid and ask on which the decision was made.

    The decision holds only one side: the bid in BASE, the ask in QUOTE. If the book has moved
    since, the other side is assumed to be one tick away. No text of `why` depends on the assumed
    side.
    """
    regime, top, tick = decision.regime, view.top, view.rules.tick_size
    if regime is None or decision.unit_value is None:
        return top
    price = Decimal(repr(price_at(regime, decision.unit_value))).quantize(tick)
    if top is not None and price == (top.bid if regime is Regime.BASE else top.ask):
        return top
    bid = price if regime is Regime.BASE else max(tick / 2, price - tick)
    return BookTop(bid, max(price, bid + tick))


def _exit_view(decision: Decision, view: StatusView, active_exit: ActiveExit | None) -> ExitView | None:
    exit_ = decision.state.exit
    if exit_ is None:
        return None
    if view.active_exit is not None and active_exit is not None and active_exit.number == exit_.number:
        return replace(view.active_exit, kind=exit_.kind, ending=exit_.ending)
    age_s = max(0, view.market_ms - exit_.started_ms) / 1000
    return ExitView(exit_.kind, exit_.side, age_s, ending=exit_.ending)


@dataclass(frozen=True, slots=True)
class _RecordedRest:
    """What the record says after the difference: further output at the same input, and later alerts on exits."""

    same_batch: list[bytes]
    later_alerts: tuple[tuple[int, str], ...]


def _read_recorded_rest(difference: Difference, player: SessionPlayer) -> _RecordedRest:
    same_batch: list[bytes] = []
    alerts: list[tuple[int, str]] = []
    reached = False
    for at_ns, line in player.remaining_lines(difference.at_ns):
        if at_ns > difference.at_ns + _LATER_ALERTS_WINDOW_NS or len(alerts) == _MAX_LATER_ALERTS:
            break
        if reached and at_ns == difference.at_ns:
            same_batch.append(line)
        reached = reached or line == difference.recorded
        if line.startswith(_ALERT):
            _, _, text = decode(line)
            if text.startswith(_EXIT_ALERTS):
                alerts.append((at_ns, text))
    return _RecordedRest(same_batch, tuple(alerts))
