"""Signals as requests for an end in good order."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Final

from trailingedge.errors import ExitCode

_SAME_REQUEST_S: Final = 1.0


@contextlib.contextmanager
def ends_in_good_order(stop: Callable[[str], None]) -> Iterator[None]:
    """SIGINT, SIGTERM and a lost terminal ask for an end in good order; one more than a second later ends at once.

    A group stop and `uv run` deliver the same request twice, so the first second counts as one. What comes
    after the end is ignored, for the rest of the process: it must not turn a good end into a bad one.
    """
    loop = asyncio.get_running_loop()
    first_s: float | None = None

    def hear(number: int) -> None:
        nonlocal first_s
        now_s = loop.time()
        if first_s is None:
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


def _heeded() -> Iterator[signal.Signals]:
    """The signals that ask for an end. A hang-up only where nobody said to survive it, as nohup does."""
    yield signal.SIGINT
    yield signal.SIGTERM
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
        yield hang_up
