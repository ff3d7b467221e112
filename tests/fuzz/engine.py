"""Fuzzing engine: feeds changed inputs to one reader, and keeps the inputs that reach new code.

New code means lines of the program that ran for the first time, where Python can report them cheaply (`sys.monitoring`,
since 3.12), and otherwise a refusal at a new place or with new words.
"""

import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import CodeType
from typing import Any, Final

from tests.fuzz.mutations import Mutate

_MOST_KEPT: Final = 3000
_LARGEST_KEPT: Final = 200_000  # bytes; larger inputs make every later one slow
_SOURCE: Final = str(Path(__file__).parents[2] / "src")
_VARIABLE: Final = re.compile(r"'[^']*'|\"[^\"]*\"|[0-9]+")


@dataclass(frozen=True, slots=True)
class Reader:
    """One reader of foreign bytes. `read` returns a value or raises one of `refusals`, whatever the bytes."""

    name: str
    seeds: Callable[[], Sequence[bytes]]
    mutate: Mutate
    read: Callable[[bytes, Path], object]  # the path is a file in an empty folder, for readers of files
    refusals: tuple[type[Exception], ...]
    slowest_s: float = 10.0  # of processor time for one input
    in_suite: int = 300  # inputs in a run of the suite


@dataclass(frozen=True, slots=True)
class Finding:
    """An input with another outcome than a value or a refusal."""

    reader: str
    data: bytes
    why: str


@dataclass(slots=True)
class Report:
    """What a run has found."""

    inputs: int = 0
    values: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    kept: int = 0


class Fuzzer:
    """Runs one reader. Equal seeds give equal inputs, on the same Python."""

    def __init__(self, reader: Reader, path: Path, seed: int) -> None:
        self._reader = reader
        self._path = path
        self._chance = Random(f"{reader.name} {seed}")
        self._corpus: list[bytes] = list(reader.seeds())
        self._accepted: list[bytes] = []  # of the corpus, what the reader took: changes of these get furthest
        self._seen: set[object] = set()
        self._causes: set[str] = set()
        self._interrupted = False
        self.report = Report()

    def run(self, keep_on: Callable[[int], bool]) -> Report:
        """Feed inputs while `keep_on`, called with their count, is true, or until `interrupt`.

        The first inputs are the seeds as they are.
        """
        with _coverage() as new_lines:
            for seed in tuple(self._corpus):
                self._feed(seed, new_lines)
            while not self._interrupted and keep_on(self.report.inputs):
                bases = self._accepted if self._accepted and self._chance.random() < 0.7 else self._corpus
                self._feed(self._reader.mutate(self._chance, self._chance.choice(bases), self._corpus), new_lines)
        self.report.kept = len(self._corpus)
        return self.report

    def interrupt(self) -> None:
        """End after the present input: what was found so far is the result."""
        self._interrupted = True

    def _feed(self, data: bytes, new_lines: Callable[[], bool]) -> None:
        self.report.inputs += 1
        began_s = time.process_time()
        try:
            value = self._reader.read(data, self._path)
        except self._reader.refusals as refused:
            self.report.refused[type(refused).__name__] += 1
            accepted = False
            reached: object = (type(refused), _VARIABLE.sub("", str(refused))[:60], _place(refused))
        except Exception as failure:  # noqa: BLE001 - this is what a fuzzer looks for
            self._note(data, _place(failure), "".join(traceback.format_exception(failure)[-12:]))
            return
        else:
            accepted = True
            self.report.values += 1
            reached = (type(value), repr(value)[:100] if isinstance(value, tuple | bool) else "")
        took_s = time.process_time() - began_s
        if took_s > self._reader.slowest_s:
            self._note(data, "slow", f"took {took_s:.1f} s of processor time")
        is_new = new_lines() or reached not in self._seen
        self._seen.add(reached)
        if is_new and len(data) <= _LARGEST_KEPT:
            for kept in (self._corpus, self._accepted) if accepted else (self._corpus,):
                kept.append(data)
                if len(kept) > _MOST_KEPT:
                    del kept[self._chance.randrange(len(kept))]

    def _note(self, data: bytes, cause: str, why: str) -> None:
        """Keep one finding for each cause."""
        if cause not in self._causes:
            self._causes.add(cause)
            self.report.findings.append(Finding(self._reader.name, data, why))


def _place(failure: BaseException) -> str:
    """Where an exception was raised, and where our code called it."""
    frames = [frame for frame in traceback.extract_tb(failure.__traceback__) if frame.filename.startswith(_SOURCE)]
    return f"{type(failure).__name__} " + " ".join(f"{frame.filename}:{frame.lineno}" for frame in frames[-2:])


@contextmanager
def _coverage() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether lines of the program have run for the first time since its last call."""
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is None:
        yield lambda: False
        return
    lines: list[int] = []

    def on_line(code: CodeType, number: int) -> object:
        if code.co_filename.startswith(_SOURCE):
            lines.append(number)
        return monitoring.DISABLE  # each line reports once, and then costs nothing

    def are_new() -> bool:
        found = bool(lines)
        lines.clear()
        return found

    tool = monitoring.PROFILER_ID
    monitoring.use_tool_id(tool, "fuzz")
    monitoring.register_callback(tool, monitoring.events.LINE, on_line)
    monitoring.set_events(tool, monitoring.events.LINE)
    try:
        yield are_new
    finally:
        monitoring.set_events(tool, 0)
        monitoring.free_tool_id(tool)
