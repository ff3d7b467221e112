"""How far a long computation is, and the request to end it.

A bar on a terminal, and nothing anywhere else; Ctrl-C as a question that whoever computes asks now and then.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final, TextIO

from trailingedge.notifications.messages import span

_WIDTH: Final = 30
_EVERY_S: Final = 0.1
_SAME_REQUEST_S: Final = 1.0


class ProgressBar:
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
        most = max(20, _columns(self._stream) - 1)
        line = line[:most]
        # In the end more than the line itself is wiped: a terminal writes ^C behind it.
        wiped = self._longest if line else min(most, self._longest + len("^C"))
        self._stream.write(f"\r{line.ljust(wiped)}" + ("" if line else "\r"))
        self._longest = len(line)
        with contextlib.suppress(OSError):
            self._stream.flush()


class StopRequest:
    """Whether somebody has asked for an end: called, it tells."""

    def __init__(self) -> None:
        self._first_s: float | None = None
        self._at_once = False

    def __call__(self) -> bool:
        return self._first_s is not None

    @contextlib.contextmanager
    def heeded_at_once(self) -> Iterator[None]:
        """Meanwhile works somebody who cannot ask: there the first request raises KeyboardInterrupt."""
        if self():
            raise KeyboardInterrupt
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def hear(self, number: int, _: object) -> None:
        """A signal came."""
        now_s = time.monotonic()
        if self._first_s is None:
            self._first_s = now_s
            if self._at_once:
                raise KeyboardInterrupt
        elif now_s - self._first_s > _SAME_REQUEST_S:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)


@contextlib.contextmanager
def ctrl_c_heeded() -> Iterator[StopRequest]:
    """Meanwhile Ctrl-C and SIGTERM only ask for an end, which whoever computes finds out by asking.

    `uv run` delivers the same request twice, so the first second counts as one; another one later ends at once.
    """
    request = StopRequest()
    before = {number: signal.signal(number, request.hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            # What comes after the end must not turn a good one into a bad one.
            signal.signal(number, signal.SIG_IGN if request() else handler)


def seen_on(bar: ProgressBar, asked: Callable[[], bool]) -> Callable[[float, int], bool]:
    """For a session that is replayed: shows how far it is, and goes on until somebody has asked for an end."""

    def glance(share: float, at_ns: int) -> bool:
        bar.show(share, f"{span(at_ns / 1e9)} of the session")
        return not asked()

    return glance


def on_stderr() -> ProgressBar:
    return ProgressBar(sys.stderr)


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 80
