"""Where two lives of a session part ways, and the finding of it where they do not keep step."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from trailingedge.session_replay.comparable import action_key

MATCH_WINDOW_NS: Final = 10_000_000_000  # what the one has done the other may still do
_NOT_COMPARED: Final = (b'["alert"', b'["alarm"')


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the two part ways. `recorded` is None where the record says nothing, `now` where nothing was said now.

    `before` are the last lines of the record that both had in common.
    """

    at_ns: int
    recorded: bytes | None
    replayed: bytes | None
    preceding: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _RecordedAction:
    """Something that was done, when, by its line, and what came before."""

    key: object
    at_ns: int
    line: bytes
    preceding: tuple[bytes, ...]


class UnorderedComparison:
    """Two lives that wait by different clocks do the same things, but not in the same moments, and not in one order."""

    def __init__(self) -> None:
        self._recorded: list[_RecordedAction] = []  # and not done now
        self._replayed: list[_RecordedAction] = []  # and not in the record

    def add_recorded(self, lines: Iterable[bytes], at_ns: int, before: tuple[bytes, ...]) -> None:
        """The record says that."""
        for line in lines:
            _match_or_keep(line, at_ns, before, self._replayed, self._recorded)

    def add_replayed(self, line: bytes, at_ns: int, before: tuple[bytes, ...]) -> None:
        """The daemon does."""
        _match_or_keep(line, at_ns, before, self._recorded, self._replayed)

    def has_unmatched_at(self, at_ns: int) -> bool:
        """Whether something that was done then has not found its like yet."""
        return any(done.at_ns == at_ns for done in (*self._recorded, *self._replayed))

    def overdue(self, at_ns: int) -> Difference | None:
        """What only one of the two has done, and the other not since."""
        return self._first_unmatched(at_ns - MATCH_WINDOW_NS)

    def unmatched(self, at_ns: int, *, finished: bool) -> Difference | None:
        """The same at the end: of a life that has `finished` nothing more can come."""
        return self._first_unmatched(at_ns if finished else at_ns - MATCH_WINDOW_NS)

    def _first_unmatched(self, until_ns: int) -> Difference | None:
        recorded = next((done for done in self._recorded if done.at_ns <= until_ns), None)
        now = next((done for done in self._replayed if done.at_ns <= until_ns), None)
        first = min((done for done in (recorded, now) if done is not None), key=lambda done: done.at_ns, default=None)
        if first is None:
            return None
        line = first.line
        return Difference(
            first.at_ns, line if first is recorded else None, line if first is now else None, first.preceding
        )


def _match_or_keep(
    line: bytes, at_ns: int, before: tuple[bytes, ...], others: list[_RecordedAction], ours: list[_RecordedAction]
) -> None:
    if line.startswith(_NOT_COMPARED):
        return
    what = action_key(line, own_time=True)
    for done in others:
        if done.key == what:
            others.remove(done)
            return
    ours.append(_RecordedAction(what, at_ns, line, before))
