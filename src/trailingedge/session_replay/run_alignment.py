"""Comparison of two runs of a session that do the same things at slightly different times and in another order."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from trailingedge.session_replay.comparable import action_key

MATCH_WINDOW_NS: Final = 10_000_000_000  # how much later the other run may do the same
_NOT_COMPARED: Final = (b'["alert"', b'["alarm"')


@dataclass(frozen=True, slots=True)
class Difference:
    """The first difference between record and replay.

    `recorded` is None if the record has no such line, `replayed` if the replay has none.
    `preceding` are the last lines that both have in common.
    """

    at_ns: int
    recorded: bytes | None
    replayed: bytes | None
    preceding: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _UnmatchedAction:
    """An action of one run that has no counterpart in the other yet."""

    key: object
    at_ns: int
    line: bytes
    preceding: tuple[bytes, ...]


class UnorderedComparison:
    """Pairs the actions of record and replay by their keys, in any order, and finds those without a partner."""

    def __init__(self) -> None:
        self._recorded: list[_UnmatchedAction] = []
        self._replayed: list[_UnmatchedAction] = []

    def add_recorded(self, lines: Iterable[bytes], at_ns: int, preceding: tuple[bytes, ...]) -> None:
        """Add output lines of the record, and match them with the replay's lines."""
        for line in lines:
            _match_or_keep(line, at_ns, preceding, self._replayed, self._recorded)

    def add_replayed(self, line: bytes, at_ns: int, preceding: tuple[bytes, ...]) -> None:
        """Add an output line of the replayed daemon, and match it with the record's lines."""
        _match_or_keep(line, at_ns, preceding, self._recorded, self._replayed)

    def has_unmatched_at(self, at_ns: int) -> bool:
        """Whether an action at that time is still unmatched."""
        return any(action.at_ns == at_ns for action in (*self._recorded, *self._replayed))

    def overdue(self, at_ns: int) -> Difference | None:
        """Return the first action that has had no counterpart for longer than MATCH_WINDOW_NS, or None."""
        return self._first_unmatched(at_ns - MATCH_WINDOW_NS)

    def unmatched(self, at_ns: int, *, finished: bool) -> Difference | None:
        """Return the first unmatched action, or None.

        Until the replay has `finished`, an action counts as unmatched only after MATCH_WINDOW_NS.
        """
        return self._first_unmatched(at_ns if finished else at_ns - MATCH_WINDOW_NS)

    def _first_unmatched(self, until_ns: int) -> Difference | None:
        recorded = next((action for action in self._recorded if action.at_ns <= until_ns), None)
        replayed = next((action for action in self._replayed if action.at_ns <= until_ns), None)
        first = min(
            (action for action in (recorded, replayed) if action is not None),
            key=lambda action: action.at_ns,
            default=None,
        )
        if first is None:
            return None
        line = first.line
        return Difference(
            first.at_ns, line if first is recorded else None, line if first is replayed else None, first.preceding
        )


def _match_or_keep(
    line: bytes, at_ns: int, preceding: tuple[bytes, ...], others: list[_UnmatchedAction], ours: list[_UnmatchedAction]
) -> None:
    """Remove the other run's counterpart of `line` from `others`; if there is none yet, add `line` to `ours`."""
    if line.startswith(_NOT_COMPARED):
        return
    key = action_key(line, own_timing=True)
    # The oldest counterpart matches. Both lists are short: most actions meet theirs within a second.
    for action in others:
        if action.key == key:
            others.remove(action)
            return
    ours.append(_UnmatchedAction(key, at_ns, line, preceding))
