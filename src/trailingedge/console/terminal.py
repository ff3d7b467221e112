"""Terminal devices on Linux and Windows: size, foreground, escape sequences, and a stream that never raises."""

import contextlib
import os
import sys
from typing import Final, Protocol, TextIO

from trailingedge.core.plain_characters import in_encoding

DEFAULT_SIZE: Final = (80, 24)
VIRTUAL_TERMINAL: Final = 0x0004  # ENABLE_VIRTUAL_TERMINAL_PROCESSING of SetConsoleMode


class Terminal(Protocol):
    """The terminal that the live panel is drawn on."""

    def enable_escapes(self) -> bool:
        """Turn escape sequences on. Returns False if the terminal does not support them."""
        ...

    def size(self) -> tuple[int, int]:
        """Return the present number of columns and rows."""
        ...

    def in_foreground(self) -> bool:
        """Return whether this process is in the foreground.

        In the background it must not draw, because a shell uses the screen.
        """
        ...


class ConsoleMode(Protocol):
    """The mode of a Windows console."""

    def get(self) -> int | None:
        """Return the mode flags; None if there is no console."""
        ...

    def set(self, flags: int) -> bool:
        """Set the mode flags. Returns False if the console refuses them."""
        ...


class PosixTerminal:
    """A POSIX terminal, given by its file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def enable_escapes(self) -> bool:
        return True

    def size(self) -> tuple[int, int]:
        return size_of(self._descriptor)

    def in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:  # not a controlling terminal, so no other process group can be in its foreground
            return True


class WindowsTerminal:
    """A Windows console: escape sequences have to be turned on."""

    def __init__(self, descriptor: int, mode: ConsoleMode) -> None:
        self._descriptor = descriptor
        self._mode = mode

    def enable_escapes(self) -> bool:
        flags = self._mode.get()
        if flags is None:
            return False
        return bool(flags & VIRTUAL_TERMINAL) or self._mode.set(flags | VIRTUAL_TERMINAL)

    def size(self) -> tuple[int, int]:
        return size_of(self._descriptor)

    def in_foreground(self) -> bool:
        return True


def size_of(descriptor: int) -> tuple[int, int]:
    """Return the columns and rows of the terminal; 80 × 24 if the terminal does not report them."""
    try:
        columns, rows = os.get_terminal_size(descriptor)
    except OSError:
        return DEFAULT_SIZE
    return columns or DEFAULT_SIZE[0], rows or DEFAULT_SIZE[1]


def terminal_of(stream: TextIO) -> Terminal:
    """Return the terminal of `stream`. Raises OSError or ValueError if there is none."""
    descriptor = stream.fileno()
    if sys.platform == "win32":
        return WindowsTerminal(descriptor, _KernelMode())
    return PosixTerminal(descriptor)


if sys.platform == "win32":
    import ctypes

    _STANDARD_OUTPUT: Final = -11

    class _KernelMode:
        """Gets and sets the mode of the Windows console that standard output goes to, through kernel32."""

        def __init__(self) -> None:
            self._kernel = ctypes.windll.kernel32
            self._handle = self._kernel.GetStdHandle(_STANDARD_OUTPUT)

        def get(self) -> int | None:
            flags = ctypes.c_uint32()
            return flags.value if self._kernel.GetConsoleMode(self._handle, ctypes.byref(flags)) else None

        def set(self, flags: int) -> bool:
            return bool(self._kernel.SetConsoleMode(self._handle, flags))


_BEYOND_ASCII: Final = "─·…–✓≥≤╭╮╰╯│┄↑↓"


class SafeStream:
    """A text stream whose methods never raise. Only one thread may write to it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._open = True

    @property
    def supports_unicode(self) -> bool:
        """Whether the stream's encoding has all the characters outside of ASCII that we use."""
        try:
            _BEYOND_ASCII.encode(self._stream.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def write(self, text: str) -> None:
        """Write `text` and flush. Does nothing once the reader is gone."""
        if not self._open:
            return
        try:
            self._print(text)
        except (OSError, ValueError):  # the reader is gone, or the stream was closed
            self._open = False
            self._silence()

    def _print(self, text: str) -> None:
        try:
            self._stream.write(text)
        except UnicodeEncodeError as error:  # a terminal without our dashes, dots and signs
            self._stream.write(in_encoding(text, error.encoding))
        self._stream.flush()

    def _silence(self) -> None:
        """Redirect the stream to /dev/null. Otherwise flushing the rest of its buffer at exit would fail again."""
        with contextlib.suppress(OSError, ValueError):
            # The interpreter flushes the stream once more at exit, and a failure there would change the exit code to
            # 120.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
