"""Process signals: SIGINT and SIGTERM request a graceful stop, SIGTSTP is refused.

Under a service manager, SIGHUP requests a reload of the settings.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from trailingedge.core.errors import ExitCode

_SAME_REQUEST_S: Final = 1.0
_SIGHUP: Final[signal.Signals | None] = getattr(signal, "SIGHUP", None)  # not on Windows


@contextlib.contextmanager
def stop_on_signals(stop: Callable[[str], None], reload: Callable[[], object] | None = None) -> Iterator[None]:
    """Call `stop` on SIGINT, SIGTERM or SIGHUP.

    If another of these signals comes more than one second later, the process exits at once. If `reload` is given,
    SIGHUP calls it instead of `stop`. After the `with` block the process ignores these signals: a signal that arrives
    late must not turn a clean exit into a failure.
    """
    loop = asyncio.get_running_loop()
    first_s: float | None = None

    def on_signal(number: int) -> None:
        nonlocal first_s
        now_s = loop.time()
        if number == _SIGHUP and reload is not None:
            if first_s is None:  # no reload during the shutdown
                reload()
        elif first_s is None:
            first_s = now_s
            stop(_stop_reason(number))
        # A terminal's Ctrl-C reaches the whole process group, and `uv run` forwards it once more: the signals of the
        # first second are one request.
        elif now_s - first_s > _SAME_REQUEST_S:
            with contextlib.suppress(OSError, AttributeError):  # stderr may be closed
                sys.stderr.write("the program was ended at once; an order may be left on the exchange\n")
                sys.stderr.flush()
            os._exit(ExitCode.UNEXPECTED)

    handled = list(_handled())
    for number in handled:
        try:
            loop.add_signal_handler(number, on_signal, number)
        except NotImplementedError:  # Windows: the interpreter's handler may run anywhere, so it only wakes the loop
            signal.signal(number, lambda caught, _: loop.call_soon_threadsafe(on_signal, caught))
    try:
        yield
    finally:
        for number in handled:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def keep_running(on_suspend: Callable[[], None], on_continue: Callable[[], None]) -> Iterator[None]:
    """Call `on_suspend` on SIGTSTP (Ctrl-Z), which no longer suspends the process, and `on_continue` on SIGCONT.

    A suspended process could not check the hard stop. Does nothing on platforms without these signals.
    """
    with _handled_by({"SIGTSTP": on_suspend, "SIGCONT": on_continue}):
        yield


def redraw_on_continue(redraw: Callable[[], None]) -> contextlib.AbstractContextManager[None]:
    """Call `redraw` on SIGCONT: while the process was suspended, a shell has used the terminal."""
    return _handled_by({"SIGCONT": redraw})


@contextlib.contextmanager
def _handled_by(handlers: Mapping[str, Callable[[], None]]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    numbers = [getattr(signal, name) for name in handlers if hasattr(signal, name)]
    for number in numbers:
        loop.add_signal_handler(number, handlers[signal.Signals(number).name])
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def has_terminal() -> bool:
    """Return whether the process has a controlling terminal. Such a process gets SIGHUP when the terminal closes."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True


def sighup_reloads(environ: Mapping[str, str], has_terminal: Callable[[], bool] = has_terminal) -> bool:
    """Return whether SIGHUP requests a reload and not a stop.

    It does under a service manager, or if the process has no terminal that could send SIGHUP by
    closing. A redirected stdin does not matter: `trailing-edge </dev/null` still ends when its
    terminal closes.
    """
    return "NOTIFY_SOCKET" in environ or not has_terminal()


def _stop_reason(number: int) -> str:
    """Return the signal's name as the reason of the stop; for SIGINT, also name the key, Ctrl-C."""
    name = signal.Signals(number).name
    return f"Ctrl-C ({name})" if number == signal.SIGINT else name


def _handled() -> Iterator[signal.Signals]:
    """Yield the signals to handle.

    SIGHUP is left out if it is ignored already: nohup(1) ignores it so that a program outlives its
    terminal.
    """
    yield signal.SIGINT
    yield signal.SIGTERM
    if _SIGHUP is not None and signal.getsignal(_SIGHUP) is not signal.SIG_IGN:
        yield _SIGHUP
