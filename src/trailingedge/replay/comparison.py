"""Where two lives of a session part ways, and the finding of it where they do not keep step."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from trailingedge.replay.acts import act

_PATIENCE_US: Final = 10_000_000  # what the one has done the other may still do
_NOT_COMPARED: Final = (b'["alert"', b'["alarm"')


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the two part ways. `recorded` is None where the record says nothing, `now` where nothing was said now.

    `before` are the last lines of the record that both had in common.
    """

    at_us: int
    recorded: bytes | None
    now: bytes | None
    before: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Done:
    """Something that was done, when, by its line, and what came before."""

    what: object
    at_us: int
    line: bytes
    before: tuple[bytes, ...]


class Loosely:
    """Two lives that wait by different clocks do the same things, but not in the same moments, and not in one order."""

    def __init__(self) -> None:
        self._recorded: list[_Done] = []  # and not done now
        self._now: list[_Done] = []  # and not in the record

    def expect(self, lines: Iterable[bytes], at_us: int, before: tuple[bytes, ...]) -> None:
        """The record says that."""
        for line in lines:
            _pair(line, at_us, before, self._now, self._recorded)

    def say(self, line: bytes, at_us: int, before: tuple[bytes, ...]) -> None:
        """The daemon does."""
        _pair(line, at_us, before, self._recorded, self._now)

    def overdue(self, at_us: int) -> Difference | None:
        """What only one of the two has done, and the other not since."""
        return self._first(at_us - _PATIENCE_US)

    def left(self, at_us: int, *, finished: bool) -> Difference | None:
        """The same at the end: of a life that has `finished` nothing more can come."""
        return self._first(at_us if finished else at_us - _PATIENCE_US)

    def _first(self, until_us: int) -> Difference | None:
        recorded = next((done for done in self._recorded if done.at_us <= until_us), None)
        now = next((done for done in self._now if done.at_us <= until_us), None)
        first = min((done for done in (recorded, now) if done is not None), key=lambda done: done.at_us, default=None)
        if first is None:
            return None
        line = first.line
        return Difference(
            first.at_us, line if first is recorded else None, line if first is now else None, first.before
        )


def _pair(line: bytes, at_us: int, before: tuple[bytes, ...], others: list[_Done], ours: list[_Done]) -> None:
    if line.startswith(_NOT_COMPARED):
        return
    what = act(line, own_time=True)
    for done in others:
        if done.what == what:
            others.remove(done)
            return
    ours.append(_Done(what, at_us, line, before))
