"""Hotkeys of the terminal: a letter and Enter, read by a thread so that the event loop never waits for a person.

A blocking read works alike on Linux and Windows. The thread is a daemon thread and reads the file descriptor
itself: the interpreter cannot end while a thread holds the lock of `sys.stdin`.
"""

import asyncio
import contextlib
import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, TextIO

from trailingedge.core.printable import printable
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.notifications.event_messages import GLOSSARY

BACKGROUND_PAUSE_S: Final = 1.0
MAX_LINE_BYTES: Final = 4096  # a longer line is a paste, not a command
_LONGEST_QUOTED: Final = 24

HELP: Final = "\n".join(
    [
        # The keys come last: of a long answer a small terminal shows the end.
        "words",
        *(f"  {word:<7}  {meaning}" for word, meaning in GLOSSARY.items()),
        "hotkeys, each followed by Enter",
        "  x  flip: sell all, or buy it back, now, by post-only orders",
        "  y  confirm the flip, where x asks for that",
        "  c  cancel the sale or buy-back in progress; trading goes on",
        "  p  pause: no take-profit, no buy; hard stop stays active",
        "  r  resume after a pause, a breaker or a halt",
        "  s  status   w  why   t  today's result   b  balance",
        "  q  quit: cancel the order and end   ?  this help",
    ]
)
HINTS: Final = (
    "x flip · c cancel · s status · w why · t today · b balance · p pause · r resume · q quit · ? help",
    "x flip · c cancel · p pause · r resume · s w t b · q quit · ?",
    "x flip  c cancel  p pause  r resume  s w t b  q quit  ?",
)


class Hotkey(Enum):
    """The hotkeys. Each member has the name of its operator command."""

    FLIP = "x"
    CONFIRM = "y"  # the flip that x has asked for
    CANCEL = "c"
    PAUSE = "p"
    RESUME = "r"
    STATUS = "s"
    WHY = "w"
    TODAY = "t"
    BALANCE = "b"
    QUIT = "q"
    HELP = "?"

    @property
    def command(self) -> OperatorCommand:
        """The operator command of this key."""
        return OperatorCommand.FLIP if self is Hotkey.CONFIRM else OperatorCommand[self.name]

    @property
    def is_question(self) -> bool:
        """Whether the UI must show the command's answer. Other commands send an alert, which is shown anyway."""
        return self.command.is_question


@dataclass(frozen=True, slots=True)
class UnknownKey:
    """A line that is no hotkey."""

    typed: str

    @property
    def text(self) -> str:
        """The answer to this line."""
        return f"'{printable(self.typed, _LONGEST_QUOTED)}' is no hotkey; ? and Enter lists them"


def parse_hotkey(line: str) -> Hotkey | UnknownKey | None:
    """The hotkey on a line; None for an empty line."""
    typed = line.strip()
    if not typed:
        return None
    return Hotkey(typed.lower()) if typed.lower() in {key.value for key in Hotkey} else UnknownKey(typed)


class HotkeyReader:
    """Reads lines with `read` in a thread, and passes each hotkey to `deliver` on the event loop.

    `read` blocks until there is input. At the end of input it returns b""; the thread then ends, and `ended` is called
    on the event loop. The reading thread calls `on_enter` at each line end with the line's length.
    """

    def __init__(
        self,
        read: Callable[[], bytes],
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[Hotkey | UnknownKey], None],
        on_enter: Callable[[int], None] = lambda _: None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self._read = read
        self._loop = loop
        self._deliver = deliver
        self._on_enter = on_enter
        self._ended = ended
        self._thread = threading.Thread(target=self._run, name="hotkeys", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def reading(self) -> bool:
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of input, at most `timeout_s`."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        for line in _lines(self._read):
            self._on_enter(len(line))
            key = parse_hotkey(line)
            if key is None:
                continue
            # No other call from this thread to the loop is safe.
            try:
                self._loop.call_soon_threadsafe(self._deliver, key)
            except RuntimeError:  # the loop is closed, the daemon has ended
                return
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ended)


def read_hotkeys(
    stdin: TextIO | None,
    loop: asyncio.AbstractEventLoop,
    deliver: Callable[[Hotkey | UnknownKey], None],
    on_enter: Callable[[int], None] = lambda _: None,
    ended: Callable[[], None] = lambda: None,
) -> HotkeyReader | None:
    """Start a reader of `stdin`; return None if `stdin` is no terminal. Call this from the main thread."""
    try:
        if stdin is None or not stdin.isatty():
            return None
        descriptor = stdin.fileno()
    except (OSError, ValueError):
        return None
    if hasattr(signal, "SIGTTIN"):
        # In the background a read from the terminal raises SIGTTIN, whose default stops the whole process.
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    reader = HotkeyReader(lambda: _read_terminal(descriptor), loop, deliver, on_enter, ended)
    reader.start()
    return reader


def _read_terminal(descriptor: int) -> bytes:
    """Wait for typed bytes and return them. Returns b"" when the terminal is gone.

    While the process is in the background, it cannot read the terminal and tries again each second.
    """
    never = threading.Event()
    while True:
        try:
            return os.read(descriptor, 1024)
        except OSError as error:
            # With SIGTTIN ignored a read in the background fails with EIO, as it does on a terminal that is gone.
            if error.errno != errno.EIO or not _in_background(descriptor):
                return b""
            never.wait(BACKGROUND_PAUSE_S)


def _in_background(descriptor: int) -> bool:
    try:
        return os.tcgetpgrp(descriptor) != os.getpgrp()
    except (OSError, AttributeError):  # the terminal is gone; Windows has no process groups
        return False


def _lines(read: Callable[[], bytes]) -> Iterator[str]:
    """Yield each typed line. Text after the last line end is dropped, because Enter has not been pressed for it."""
    waiting = b""
    while chunk := read():
        *whole, waiting = (waiting + chunk).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace")
        # Bounded: endless input without a line end must not fill the memory.
        waiting = waiting[-MAX_LINE_BYTES:]
