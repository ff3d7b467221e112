"""What a terminal is asked beside showing text, on Linux and on Windows."""

import contextlib
import os
import sys
from typing import Final, Protocol, TextIO

DEFAULT_SIZE: Final = (80, 24)
VIRTUAL_TERMINAL: Final = 0x0004  # ENABLE_VIRTUAL_TERMINAL_PROCESSING of SetConsoleMode


class Terminal(Protocol):
    """The screen that a live block is drawn on."""

    def enable_escapes(self) -> bool:
        """Whether escape sequences are understood from now on."""
        ...

    def size(self) -> tuple[int, int]:
        """Columns and rows, as they are now."""
        ...

    def in_foreground(self) -> bool:
        """The screen is ours, not that of a shell that has put us into the background."""
        ...


class ConsoleMode(Protocol):
    """The mode of a Windows console."""

    def get(self) -> int | None:
        """The flags; None where there is no console."""
        ...

    def set(self, flags: int) -> bool:
        """Whether the console took them."""
        ...


class PosixTerminal:
    """A terminal by its file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def enable_escapes(self) -> bool:
        return True

    def size(self) -> tuple[int, int]:
        return size_of(self._descriptor)

    def in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:  # not our controlling terminal: nobody else's either
            return True


class WindowsTerminal:
    """A Windows console, which has to be told to understand escape sequences."""

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
    """Columns and rows; the usual ones where a terminal does not tell."""
    try:
        columns, rows = os.get_terminal_size(descriptor)
    except OSError:
        return DEFAULT_SIZE
    return columns or DEFAULT_SIZE[0], rows or DEFAULT_SIZE[1]


def terminal_of(stream: TextIO) -> Terminal:
    """The terminal behind `stream`. Raises OSError or ValueError where there is none."""
    descriptor = stream.fileno()
    if sys.platform == "win32":
        return WindowsTerminal(descriptor, _KernelMode())
    return PosixTerminal(descriptor)


if sys.platform == "win32":
    import ctypes

    _STANDARD_OUTPUT: Final = -11

    class _KernelMode:
        """The mode of the console that standard output goes to."""

        def __init__(self) -> None:
            self._kernel = ctypes.windll.kernel32
            self._handle = self._kernel.GetStdHandle(_STANDARD_OUTPUT)

        def get(self) -> int | None:
            flags = ctypes.c_uint32()
            return flags.value if self._kernel.GetConsoleMode(self._handle, ctypes.byref(flags)) else None

        def set(self, flags: int) -> bool:
            return bool(self._kernel.SetConsoleMode(self._handle, flags))


_BEYOND_ASCII: Final = "─·…–✓"


class SafeStream:
    """Text goes out through here, from one thread."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._open = True

    @property
    def supports_unicode(self) -> bool:
        """Whether more than ASCII can be shown."""
        try:
            _BEYOND_ASCII.encode(self._stream.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def write(self, text: str) -> None:
        """Write `text` at once. Once nobody reads any more, this does nothing."""
        if not self._open:
            return
        try:
            self._print(text)
        except (OSError, ValueError):  # the reader hung up, or the stream was closed
            self._open = False
            self._silence()

    def _print(self, text: str) -> None:
        try:
            self._stream.write(text)
        except UnicodeEncodeError as poor:  # a terminal without our dashes and dots
            self._stream.write(text.encode(poor.encoding, "replace").decode(poor.encoding))
        self._stream.flush()

    def _silence(self) -> None:
        """Send the stream nowhere: what is left in its buffer would fail again when the process ends."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
