"""Signals as requests: for an end in good order, and where a service manager speaks, for a reload."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from trailingedge.core.errors import ExitCode

_SAME_REQUEST_S: Final = 1.0
_HANG_UP: Final[signal.Signals | None] = getattr(signal, "SIGHUP", None)  # not on Windows


@contextlib.contextmanager
def stop_on_signals(stop: Callable[[str], None], reload: Callable[[], None] | None = None) -> Iterator[None]:
    """SIGINT, SIGTERM and a lost terminal ask for an end in good order; one more than a second later ends at once.

    A group stop and `uv run` deliver the same request twice, so the first second counts as one. What comes
    after the end is ignored, for the rest of the process: it must not turn a good end into a bad one. Where
    `reload` is given, a hang-up asks for that and ends nothing.
    """
    loop = asyncio.get_running_loop()
    first_s: float | None = None

    def hear(number: int) -> None:
        nonlocal first_s
        now_s = loop.time()
        if number == _HANG_UP and reload is not None:
            if first_s is None:  # an end has nothing to reload for
                reload()
        elif first_s is None:
            first_s = now_s
            stop(signal.Signals(number).name)
        elif now_s - first_s > _SAME_REQUEST_S:
            with contextlib.suppress(OSError, AttributeError):  # nowhere to say it
                sys.stderr.write("ended at once; an order may be left on the exchange\n")
                sys.stderr.flush()
            os._exit(ExitCode.UNEXPECTED)

    heeded = list(_heeded())
    for number in heeded:
        try:
            loop.add_signal_handler(number, hear, number)
        except NotImplementedError:  # Windows: a handler of the interpreter's, which may only wake the loop
            signal.signal(number, lambda caught, _: loop.call_soon_threadsafe(hear, caught))
    try:
        yield
    finally:
        for number in heeded:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)


def has_terminal() -> bool:
    """Whether a terminal controls this process, and will hang up when it is closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True


def sighup_reloads(environ: Mapping[str, str], has_terminal: Callable[[], bool] = has_terminal) -> bool:
    """Whether SIGHUP was sent on purpose: by a service manager, or by anybody where no terminal can have hung up.

    What stdin is decides nothing: `trailing-edge </dev/null` ends with its terminal all the same.
    """
    return "NOTIFY_SOCKET" in environ or not has_terminal()


def _heeded() -> Iterator[signal.Signals]:
    """The signals that ask for something. A hang-up only where nobody said to survive it, as nohup does."""
    yield signal.SIGINT
    yield signal.SIGTERM
    if _HANG_UP is not None and signal.getsignal(_HANG_UP) is not signal.SIG_IGN:
        yield _HANG_UP
