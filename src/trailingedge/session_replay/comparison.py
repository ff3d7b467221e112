"""Where two lives of a session part ways, and the finding of it where they do not keep step."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from trailingedge.session_replay.comparable import act

PATIENCE_NS: Final = 10_000_000_000  # what the one has done the other may still do
_NOT_COMPARED: Final = (b'["alert"', b'["alarm"')


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the two part ways. `recorded` is None where the record says nothing, `now` where nothing was said now.

    `before` are the last lines of the record that both had in common.
    """

    at_ns: int
    recorded: bytes | None
    now: bytes | None
    before: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Done:
    """Something that was done, when, by its line, and what came before."""

    what: object
    at_ns: int
    line: bytes
    before: tuple[bytes, ...]


class UnorderedComparison:
    """Two lives that wait by different clocks do the same things, but not in the same moments, and not in one order."""

    def __init__(self) -> None:
        self._recorded: list[_Done] = []  # and not done now
        self._now: list[_Done] = []  # and not in the record

    def expect(self, lines: Iterable[bytes], at_ns: int, before: tuple[bytes, ...]) -> None:
        """The record says that."""
        for line in lines:
            _pair(line, at_ns, before, self._now, self._recorded)

    def say(self, line: bytes, at_ns: int, before: tuple[bytes, ...]) -> None:
        """The daemon does."""
        _pair(line, at_ns, before, self._recorded, self._now)

    def open_at(self, at_ns: int) -> bool:
        """Whether something that was done then has not found its like yet."""
        return any(done.at_ns == at_ns for done in (*self._recorded, *self._now))

    def overdue(self, at_ns: int) -> Difference | None:
        """What only one of the two has done, and the other not since."""
        return self._first(at_ns - PATIENCE_NS)

    def left(self, at_ns: int, *, finished: bool) -> Difference | None:
        """The same at the end: of a life that has `finished` nothing more can come."""
        return self._first(at_ns if finished else at_ns - PATIENCE_NS)

    def _first(self, until_ns: int) -> Difference | None:
        recorded = next((done for done in self._recorded if done.at_ns <= until_ns), None)
        now = next((done for done in self._now if done.at_ns <= until_ns), None)
        first = min((done for done in (recorded, now) if done is not None), key=lambda done: done.at_ns, default=None)
        if first is None:
            return None
        line = first.line
        return Difference(
            first.at_ns, line if first is recorded else None, line if first is now else None, first.before
        )


def _pair(line: bytes, at_ns: int, before: tuple[bytes, ...], others: list[_Done], ours: list[_Done]) -> None:
    if line.startswith(_NOT_COMPARED):
        return
    what = act(line, own_time=True)
    for done in others:
        if done.what == what:
            others.remove(done)
            return
    ours.append(_Done(what, at_ns, line, before))
