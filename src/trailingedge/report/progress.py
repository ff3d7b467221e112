"""Progress bar of a long computation, and Ctrl-C as a request to stop the computation.

The bar is drawn on a terminal only. Ctrl-C sets a flag that the computation polls, so that it can stop between two
steps and still print the results so far.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final, TextIO

from trailingedge.notifications.event_messages import duration

_WIDTH: Final = 30
_EVERY_S: Final = 0.1
_SAME_REQUEST_S: Final = 1.0


class ProgressBar:
    """A progress bar on one line of `stream`, drawn only on a terminal. `close` removes the bar."""

    def __init__(self, stream: TextIO | None) -> None:
        self._words = stream
        self._stream = stream if stream is not None and stream.isatty() else None
        self._drawn_s = 0.0
        self._longest = 0

    def show(self, share: float, text: str) -> None:
        """Draw the bar at `share`, from 0 to 1, with a text behind it; at most ten times a second."""
        if self._stream is None or time.monotonic() - self._drawn_s < _EVERY_S:
            return
        self._drawn_s = time.monotonic()
        full = int(_WIDTH * min(1.0, share))
        self._write(f"[{'#' * full}{'.' * (_WIDTH - full)}] {share * 100:3.0f} %  {text}")

    def print_line(self, text: str) -> None:
        """Print a line that stays, on any kind of stream; the bar continues below it."""
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
        # The last wipe is wider than the bar: on Ctrl-C the terminal itself writes ^C behind it.
        wiped = self._longest if line else min(most, self._longest + len("^C"))
        self._stream.write(f"\r{line.ljust(wiped)}" + ("" if line else "\r"))
        self._longest = len(line)
        with contextlib.suppress(OSError):
            self._stream.flush()


class InterruptRequest:
    """Stores whether the user wants to stop. Calling the object returns that as a bool."""

    def __init__(self) -> None:
        self._first_s: float | None = None
        self._at_once = False

    def __call__(self) -> bool:
        return self._first_s is not None

    @contextlib.contextmanager
    def interrupt_at_once(self) -> Iterator[None]:
        """Return a context in which a request to stop raises KeyboardInterrupt.

        This is for code that cannot poll the request. A request that was made before the context was entered also
        raises KeyboardInterrupt.
        """
        if self():
            raise KeyboardInterrupt
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def on_signal(self, number: int, _: object) -> None:
        """Handle SIGINT or SIGTERM.

        A signal more than a second after the first one ends the process at once.
        """
        now_s = time.monotonic()
        if self._first_s is None:
            self._first_s = now_s
            if self._at_once:
                raise KeyboardInterrupt
        elif now_s - self._first_s > _SAME_REQUEST_S:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)


@contextlib.contextmanager
def stop_on_ctrl_c() -> Iterator[InterruptRequest]:
    """Return a context in which Ctrl-C and SIGTERM only set the `InterruptRequest`. The computation polls it.

    `uv run` delivers the same signal twice. So all signals within one second of the first count as one. A later signal
    ends the process at once.
    """
    request = InterruptRequest()
    before = {number: signal.signal(number, request.on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            # A late signal must not turn a completed run into a failed one.
            signal.signal(number, signal.SIG_IGN if request() else handler)


def replay_progress(bar: ProgressBar, asked: Callable[[], bool]) -> Callable[[float, int], bool]:
    """Return a callback for a session replay.

    The callback draws the progress and returns whether to continue.
    """

    def glance(share: float, at_ns: int) -> bool:
        bar.show(share, f"{duration(at_ns / 1e9)} of the session")
        return not asked()

    return glance


def on_stderr() -> ProgressBar:
    """Return a progress bar on standard error. Standard output then holds only the results."""
    return ProgressBar(sys.stderr)


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 80
