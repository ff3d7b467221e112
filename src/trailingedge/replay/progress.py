"""How far a long computation is: a bar on a terminal, and nothing anywhere else."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final, TextIO

_WIDTH: Final = 30
_EVERY_S: Final = 0.1
_SAME_REQUEST_S: Final = 1.0


class Bar:
    """Redraws one line of `stream`, a terminal; elsewhere it is not drawn. `close` takes the line away."""

    def __init__(self, stream: TextIO | None) -> None:
        self._words = stream
        self._stream = stream if stream is not None and stream.isatty() else None
        self._drawn_s = 0.0
        self._longest = 0

    def show(self, share: float, text: str) -> None:
        """`share` of it, from 0 to 1, is done."""
        if self._stream is None or time.monotonic() - self._drawn_s < _EVERY_S:
            return
        self._drawn_s = time.monotonic()
        full = int(_WIDTH * min(1.0, share))
        self._write(f"[{'#' * full}{'.' * (_WIDTH - full)}] {share * 100:3.0f} %  {text}")

    def say(self, text: str) -> None:
        """A line that stays, wherever `stream` leads; the bar goes on below it."""
        self.close()
        if self._words is not None:
            print(text, file=self._words, flush=True)

    def close(self) -> None:
        if self._stream is not None and self._longest:
            self._write("")
            self._longest = 0

    def _write(self, line: str) -> None:
        if self._stream is None:
            return
        line = line[: max(20, _columns(self._stream) - 1)]
        self._stream.write(f"\r{line.ljust(self._longest)}" + ("" if line else "\r"))
        self._longest = len(line)
        with contextlib.suppress(OSError):
            self._stream.flush()


@contextlib.contextmanager
def ctrl_c_heeded() -> Iterator[Callable[[], bool]]:
    """Meanwhile Ctrl-C and SIGTERM only ask for an end, which whoever computes finds out by asking.

    `uv run` delivers the same request twice, so the first second counts as one; another one later ends at once.
    """
    asked_s: list[float] = []

    def hear(number: int, _: object) -> None:
        now_s = time.monotonic()
        if asked_s and now_s - asked_s[0] > _SAME_REQUEST_S:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        elif not asked_s:
            asked_s.append(now_s)

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked_s)
    finally:
        for number, handler in before.items():
            # What comes after the end must not turn a good one into a bad one.
            signal.signal(number, signal.SIG_IGN if asked_s else handler)


def on_stderr() -> Bar:
    return Bar(sys.stderr)


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 80
