"""Hotkeys: a letter and Enter, read by a thread so that the loop never waits for a person.

A blocking read works alike on Linux and Windows. The thread is a daemon and reads the file descriptor
itself: the interpreter cannot end while a thread holds the lock of `sys.stdin`.
"""

import asyncio
import contextlib
import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Final, TextIO

from trailingedge.model.operator_commands import OperatorCommand

BACKGROUND_PAUSE_S: Final = 1.0
MAX_LINE_BYTES: Final = 4096  # bytes; a paste beyond it is no command

HELP: Final = """\
hotkeys, each followed by Enter
  x  flip now: sell everything, or buy it back, at the best price that rests
  c  withdraw the exit in progress and go on watching
  s  status
  w  why it trades or does not, and at which prices that changes
  p  pause: nothing is bought and no profit taken, the hard stop keeps watching
  r  resume after a pause, a breaker or a halt
  q  quit: withdraw the order and end
  ?  this help"""
HINTS: Final = "x flip · c withdraw · s status · w why · p pause · r resume · q quit · ? help"


class Hotkey(Enum):
    """What a person can ask for in the terminal."""

    FLIP = "x"
    CANCEL = "c"
    PAUSE = "p"
    RESUME = "r"
    STATUS = "s"
    WHY = "w"
    QUIT = "q"
    HELP = "?"

    @property
    def command(self) -> OperatorCommand:
        """What it stands for, whichever face it is asked through."""
        return OperatorCommand[self.name]

    @property
    def is_question(self) -> bool:
        """A question: its answer is to be shown. What acts is told of by an alert anyway."""
        return self in (Hotkey.STATUS, Hotkey.WHY, Hotkey.HELP)


def parse_hotkey(line: str) -> Hotkey | None:
    """The hotkey on a line: HELP for what is none, nothing for an empty line."""
    said = line.strip().lower()
    if not said:
        return None
    return Hotkey(said) if said in {key.value for key in Hotkey} else Hotkey.HELP


class HotkeyReader:
    """Reads lines with `read`, and gives each hotkey to `deliver` on the loop.

    `read` blocks and returns b"" at the end, which ends the reader alone: `ended` hears of it, on the loop.
    `entered` is called at each line end, by the reading thread.
    """

    def __init__(
        self,
        read: Callable[[], bytes],
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[Hotkey], None],
        entered: Callable[[], None] = lambda: None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self._read = read
        self._loop = loop
        self._deliver = deliver
        self._entered = entered
        self._ended = ended
        self._thread = threading.Thread(target=self._run, name="hotkeys", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def reading(self) -> bool:
        return self._thread.is_alive()

    def join(self, patience_s: float) -> None:
        """Wait for the end of input, that long at most."""
        self._thread.join(patience_s)

    def _run(self) -> None:
        for line in _lines(self._read):
            self._entered()
            key = parse_hotkey(line)
            if key is None:
                continue
            try:
                self._loop.call_soon_threadsafe(self._deliver, key)
            except RuntimeError:  # the loop is closed: nobody is there to obey
                return
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ended)


def read_hotkeys(
    stdin: TextIO | None,
    loop: asyncio.AbstractEventLoop,
    deliver: Callable[[Hotkey], None],
    entered: Callable[[], None] = lambda: None,
    ended: Callable[[], None] = lambda: None,
) -> HotkeyReader | None:
    """A started reader of `stdin`, or None where it is no terminal. Call it from the main thread."""
    try:
        if stdin is None or not stdin.isatty():
            return None
        descriptor = stdin.fileno()
    except (OSError, ValueError):
        return None
    if hasattr(signal, "SIGTTIN"):
        # Sent to the background, a read would stop the whole process, and with it the trading.
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    reader = HotkeyReader(lambda: _read_terminal(descriptor), loop, deliver, entered, ended)
    reader.start()
    return reader


def _read_terminal(descriptor: int) -> bytes:
    """What was typed. Waits while the process is in the background; b"" when the terminal is gone."""
    never = threading.Event()
    while True:
        try:
            return os.read(descriptor, 1024)
        except OSError as refused:
            if refused.errno != errno.EIO or not _in_background(descriptor):
                return b""
            never.wait(BACKGROUND_PAUSE_S)


def _in_background(descriptor: int) -> bool:
    try:
        return os.tcgetpgrp(descriptor) != os.getpgrp()
    except (OSError, AttributeError):  # no terminal of ours any more; no such thing on Windows
        return False


def _lines(read: Callable[[], bytes]) -> Iterator[str]:
    """Whole lines; the rest after the last line end is no command, for nobody pressed Enter."""
    waiting = b""
    while chunk := read():
        *whole, waiting = (waiting + chunk).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace")
        waiting = waiting[-MAX_LINE_BYTES:]
