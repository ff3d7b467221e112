"""Explanation of a divergence: the actions of recording and replay at that point, and the reasons.

The explanation uses the words of the alerts and of `why`. Both runs are trading cores, so both can explain their
decisions: one has the recorded settings and repeats the record, the other has the changed settings.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from trailingedge.eventlog.line_decoder import decode
from trailingedge.model.market import BookTop, SymbolRules
from trailingedge.notifications.explain import why
from trailingedge.session_replay.formatting import describe_command, describe_line
from trailingedge.session_replay.replayed_core import ReplayedSession

_COMMAND: Final = b'["command",'
_ORDERS: Final = (b'["command","Place"', b'["command","Replace"', b'["command","Cancel"')
_EVENT: Final = b'["event",'
_DECISION: Final = b'["decision",'
_MAX_LATER_ALERTS: Final = 4
_LATER_ALERTS_WINDOW_NS: Final = 3_600_000_000_000  # a later alert has little to do with the divergence
_EXIT_ALERTS: Final = ("take-profit", "manual flip", "breakout armed", "hard stop", "gate", "halted", "second")


@dataclass(frozen=True, slots=True)
class Difference:
    """The first difference between record and replay.

    `recorded` and `replayed` are the lines that differ. One of them is None if record or replay has no line at this
    place. `preceding` are the lines of the record up to the input that led to the difference.
    """

    at_ns: int
    recorded: bytes | None
    replayed: bytes | None
    preceding: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Divergence:
    """The actions of record and replay at the point where they differ, and the reasons.

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


def explain_divergence(
    difference: Difference,
    session: ReplayedSession,
    other: ReplayedSession | None,
    alerts: Iterable[tuple[int, str]],
) -> Divergence:
    """Explain `difference` between `session` and `other`. `alerts` are the alerts of the record after the difference.

    If `other` is None, a replay with the recorded settings differs from the record. The result then describes the two
    lines that differ.
    """
    later = _later_alerts(difference.at_ns, alerts)
    status = session.status()
    if status is None:
        return Divergence(later_alerts=later)
    rules = status.rules
    if other is None:
        lines = difference.recorded, difference.replayed
        then, now = (() if each is None else (describe_line(each, rules),) for each in lines)
        return Divergence(rules, status.top, then, now, later)
    recorded, replayed = _Run(difference.recorded, session), _Run(difference.replayed, other)
    # The decision does not explain the difference if both sides send commands, or if one side sends a query.
    unrelated = (recorded.is_command and replayed.is_command) or recorded.is_query or replayed.is_query
    actions = recorded.action_texts(replayed, rules)
    return Divergence(
        rules=rules,
        top=status.top,
        recorded=(*actions, *([] if unrelated else recorded.reasons())),
        replayed=(*replayed.action_texts(recorded, rules), *([] if unrelated else replayed.reasons())),
        later_alerts=tuple(each for each in later if each[1] not in actions),
    )


def _later_alerts(from_ns: int, alerts: Iterable[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    """Return the next alerts on exits: only a few, and only those soon after `from_ns`."""
    found: list[tuple[int, str]] = []
    for at_ns, text in alerts:
        if at_ns > from_ns + _LATER_ALERTS_WINDOW_NS or len(found) == _MAX_LATER_ALERTS:
            break
        if text.startswith(_EXIT_ALERTS):
            found.append((at_ns, text))
    return tuple(found)


class _Run:
    """One of the two runs at the difference.

    `line` is the line of this run that differs; None if this run has no line there.
    """

    def __init__(self, line: bytes | None, session: ReplayedSession) -> None:
        self._line = line
        self._session = session

    @property
    def is_command(self) -> bool:
        """Whether the line that differs is a command."""
        return self._line is not None and self._line.startswith(_COMMAND)

    @property
    def is_query(self) -> bool:
        """Whether the line that differs is a command that changes nothing, such as a query."""
        return self._line is not None and self.is_command and not self._line.startswith(_ORDERS)

    def reasons(self) -> list[str]:
        """Return what `why` says about this run."""
        status = self._session.status()
        return [] if status is None else [why(status)]

    def action_texts(self, other: "_Run", rules: SymbolRules) -> tuple[str, ...]:
        """Describe what only this run did, in the words of its alert if there was one.

        The result is empty if the line that differs is a decision: a decision is a reason and no
        action.
        """
        line, alerts = self._line, self._session.alerts
        if line is None or line.startswith(_DECISION):
            return ()
        alert = alerts[0] if alerts else None
        if line.startswith(_EVENT) and alert is not None:
            return (alert,)
        if not self.is_command:
            return (describe_line(line, rules),)
        _, name, fields = decode(line)
        command = describe_command(name, fields, rules)
        with_alert = alert is not None and alert.startswith(_EXIT_ALERTS) and not other.is_command
        return (alert, command) if alert is not None and with_alert else (command,)
