import asyncio
import io
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TextIO

import pytest
from tests import processes
from tests.limits import PATIENCE_S
from tests.terminals import open_terminal

from trailingedge.console.hotkeys import HELP, HINTS, Hotkey, HotkeyReader, UnknownKey, parse_hotkey, read_hotkeys
from trailingedge.model.operator_commands import OperatorCommand


def typed(chunks: Iterable[bytes]) -> Callable[[], bytes]:
    """A keyboard on which these chunks are typed, and that is then unplugged."""
    waiting = iter(chunks)
    return lambda: next(waiting, b"")


async def keys_of(*chunks: bytes) -> list[Hotkey | UnknownKey]:
    heard: list[Hotkey | UnknownKey] = []
    everything = asyncio.Event()

    def deliver(key: Hotkey | UnknownKey) -> None:
        heard.append(key)
        if key is Hotkey.QUIT:
            everything.set()

    reader = HotkeyReader(typed([*chunks, b"q\n"]), asyncio.get_running_loop(), deliver)
    reader.start()
    await asyncio.wait_for(everything.wait(), PATIENCE_S)
    return heard[:-1]


@pytest.mark.parametrize("key", Hotkey)
def test_every_key_is_one_letter_and_in_the_help(key: Hotkey) -> None:
    assert parse_hotkey(f"{key.value}\r\n") is key
    assert f"{key.value} " in HELP


@pytest.mark.parametrize("word", ["anchor", "channel", "gate", "trail"])
def test_the_help_explains_each_word_in_a_line_that_fits_a_terminal(word: str) -> None:
    (line,) = [line for line in HELP.splitlines() if line.startswith(f"  {word} ")]
    assert 40 < len(line) <= 110


@pytest.mark.parametrize("key", Hotkey)
def test_every_key_is_an_operator_command_and_in_the_hints(key: Hotkey) -> None:
    if key is Hotkey.CONFIRM:  # shown where it is asked for
        assert key.command is OperatorCommand.FLIP
    else:
        assert key.command is OperatorCommand[key.name]
        assert all(key.value in hints.split() for hints in HINTS)
    questions = (Hotkey.STATUS, Hotkey.WHY, Hotkey.TODAY, Hotkey.BALANCE, Hotkey.HELP)
    assert key.is_question == (key in questions)


def test_the_shortest_hints_fit_60_columns() -> None:
    assert len(HINTS[-1]) + 2 <= 60
    assert [len(hints) for hints in HINTS] == sorted((len(hints) for hints in HINTS), reverse=True)


async def test_each_line_end_is_reported_with_or_without_a_key() -> None:
    enters: list[int] = []
    reader = HotkeyReader(typed([b"x\n\nno key\nx"]), asyncio.get_running_loop(), lambda _: None, enters.append)
    reader.start()
    await asyncio.to_thread(reader.join, PATIENCE_S)
    assert enters == [1, 0, len("no key")]


@pytest.mark.parametrize(
    ("line", "key"),
    [
        pytest.param("x", Hotkey.FLIP, id="x"),
        pytest.param(" X ", Hotkey.FLIP, id="capital and blanks"),
        pytest.param("", None, id="Enter alone"),
        pytest.param("xx", UnknownKey("xx"), id="two letters"),
        pytest.param("Flip", UnknownKey("Flip"), id="word"),
        pytest.param("\x1b[A", UnknownKey("\x1b[A"), id="arrow"),
    ],
)
def test_a_line_is_a_key_or_an_unknown_one(line: str, key: Hotkey | UnknownKey | None) -> None:
    assert parse_hotkey(line) == key


def test_an_unknown_key_is_named_and_cannot_control_the_terminal() -> None:
    assert UnknownKey("\x1b[A").text == r"'\x1b[A' is no hotkey; ? and Enter lists them"
    assert len(UnknownKey("x" * 9000).text) < 80


@pytest.mark.parametrize(
    ("chunks", "keys"),
    [
        pytest.param([b"x\n", b"c\n"], [Hotkey.FLIP, Hotkey.CANCEL], id="line by line"),
        pytest.param([b"p\r\nr\r\n"], [Hotkey.PAUSE, Hotkey.RESUME], id="two lines at once, as Windows ends them"),
        pytest.param([b"s", b"\n"], [Hotkey.STATUS], id="a line in pieces"),
        pytest.param([b"\xff\xfe\n"], [UnknownKey("\ufffd\ufffd")], id="no text at all"),
        pytest.param([b"x" * 10_000, b"\n"], [UnknownKey("x" * 4096)], id="a long paste"),
        pytest.param([b"\n\n"], [], id="empty lines"),
    ],
)
async def test_what_is_typed_reaches_the_loop_in_order(chunks: list[bytes], keys: list[Hotkey | UnknownKey]) -> None:
    assert await keys_of(*chunks) == keys


async def test_the_end_of_input_ends_the_reader_alone() -> None:
    heard: list[Hotkey | UnknownKey] = []
    reader = HotkeyReader(typed([b"x"]), asyncio.get_running_loop(), heard.append)  # no Enter
    reader.start()
    await asyncio.to_thread(reader.join, PATIENCE_S)
    await asyncio.sleep(0)
    assert not reader.reading
    assert heard == []


def test_a_closed_loop_ends_the_reader() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    reader = HotkeyReader(lambda: b"x\n", loop, lambda _: None)
    reader.start()
    reader.join(PATIENCE_S)
    assert not reader.reading


@pytest.mark.parametrize("stdin", [None, io.StringIO("x\n")], ids=["none", "no terminal"])
async def test_only_a_terminal_is_read(stdin: io.StringIO | None) -> None:
    assert read_hotkeys(stdin, asyncio.get_running_loop(), lambda _: None) is None


async def test_a_closed_stdin_is_no_terminal() -> None:
    stdin = io.StringIO()
    stdin.close()
    assert read_hotkeys(stdin, asyncio.get_running_loop(), lambda _: None) is None


@dataclass
class Terminal:
    """A terminal of which we hold the other end: file descriptors of both, and a stdin on it."""

    keyboard: int
    stdin: TextIO


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    before = signal.getsignal(signal.SIGTTIN)
    keyboard, descriptor = open_terminal()
    with open(descriptor, encoding="utf-8") as stdin, open(keyboard, "wb", buffering=0) as held:
        yield Terminal(held.fileno(), stdin)
    signal.signal(signal.SIGTTIN, before)


async def test_a_real_terminal_is_read_until_it_is_left(terminal: Terminal) -> None:
    heard: asyncio.Queue[Hotkey | UnknownKey] = asyncio.Queue()
    reader = read_hotkeys(terminal.stdin, asyncio.get_running_loop(), heard.put_nowait)
    assert reader is not None
    os.write(terminal.keyboard, b"x\n")
    assert await asyncio.wait_for(heard.get(), PATIENCE_S) is Hotkey.FLIP
    os.write(terminal.keyboard, b"\x04")  # Ctrl-D
    await asyncio.to_thread(reader.join, PATIENCE_S)
    assert not reader.reading


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_a_thread_that_still_reads_does_not_delay_the_exit(terminal: Terminal) -> None:
    program = """
import asyncio
import sys
from trailingedge.console.hotkeys import read_hotkeys

async def main() -> None:
    assert read_hotkeys(sys.stdin, asyncio.get_running_loop(), print) is not None

asyncio.run(main())
"""
    ended = processes.run([sys.executable, "-c", program], stdin=terminal.stdin)
    assert (ended.returncode, ended.stderr) == (0, b"")


async def test_the_end_of_input_is_reported_once() -> None:
    ended = asyncio.Event()
    reader = HotkeyReader(typed([b""]), asyncio.get_running_loop(), lambda _: None, ended=ended.set)
    reader.start()
    await ended.wait()
    reader.join(PATIENCE_S)
    assert not reader.reading
