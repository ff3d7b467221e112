"""Tests of the terminals of Linux and, by an injected console, of Windows."""

import fcntl
import io
import os
import struct
import sys
import termios
from collections.abc import Iterator

import pytest
from tests.terminals import open_terminal

from trailingedge.console.terminal import (
    DEFAULT_SIZE,
    VIRTUAL_TERMINAL,
    PosixTerminal,
    SafeStream,
    WindowsTerminal,
    size_of,
    terminal_of,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")


class Console:
    """A Windows console: its flags, and whether it takes new ones."""

    def __init__(self, flags: int | None, *, obeys: bool = True) -> None:
        self.flags = flags
        self._obeys = obeys

    def get(self) -> int | None:
        return self.flags

    def set(self, flags: int) -> bool:
        if self._obeys:
            self.flags = flags
        return self._obeys


@pytest.fixture
def terminal() -> Iterator[int]:
    keyboard, descriptor = open_terminal()
    yield descriptor
    os.close(descriptor)
    os.close(keyboard)


def test_the_size_is_read_each_time(terminal: int) -> None:
    shown = PosixTerminal(terminal)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
    assert shown.size() == (120, 30)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    assert shown.size() == (80, 24)


def test_a_terminal_that_tells_no_size_has_the_usual_one(terminal: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
    assert size_of(terminal) == DEFAULT_SIZE


def test_what_is_no_terminal_has_the_usual_size() -> None:
    with open(os.devnull, encoding="utf-8") as nothing:
        assert size_of(nothing.fileno()) == DEFAULT_SIZE


def test_a_terminal_that_is_not_our_session_is_in_front(terminal: int) -> None:
    assert PosixTerminal(terminal).in_foreground()


def test_on_linux_nothing_has_to_be_prepared(terminal: int) -> None:
    with open(terminal, "w", encoding="utf-8", closefd=False) as stream:
        assert terminal_of(stream).enable_escapes()


def test_a_stream_without_a_descriptor_has_no_terminal() -> None:
    with pytest.raises(OSError, match="fileno"):
        terminal_of(io.StringIO())


@pytest.mark.parametrize(
    ("console", "able", "flags"),
    [
        pytest.param(Console(0b11), True, 0b11 | VIRTUAL_TERMINAL, id="switched on"),
        pytest.param(Console(VIRTUAL_TERMINAL, obeys=False), True, VIRTUAL_TERMINAL, id="on already"),
        pytest.param(Console(0b11, obeys=False), False, 0b11, id="an old console"),
        pytest.param(Console(None), False, None, id="no console"),
    ],
)
def test_escape_sequences_are_turned_on_in_a_windows_console(
    console: Console, *, able: bool, flags: int | None
) -> None:
    shown = WindowsTerminal(-1, console)
    assert (shown.enable_escapes(), console.flags) == (able, flags)
    assert shown.in_foreground()
    assert shown.size() == DEFAULT_SIZE


@pytest.mark.parametrize(("encoding", "rich"), [("utf-8", True), ("ascii", False), ("cp1252", False)])
def test_few_streams_show_less_than_everything(encoding: str, *, rich: bool) -> None:
    assert SafeStream(io.TextIOWrapper(io.BytesIO(), encoding=encoding)).supports_unicode is rich


def test_a_stream_without_an_encoding_gets_ascii() -> None:
    assert not SafeStream(io.StringIO()).supports_unicode


def test_signs_that_are_missing_become_ascii_and_letters_question_marks() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", newline="\n")
    SafeStream(stream).write("gate – open, bid ≥ 2500 币\n")
    assert raw.getvalue() == b"gate - open, bid >= 2500 ?\n"


def test_once_the_reader_is_gone_nothing_is_written() -> None:
    stream = io.StringIO()
    stream.close()
    outlet = SafeStream(stream)
    outlet.write("one")
    outlet.write("two")
