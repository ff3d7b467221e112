"""Tests of the choice between the live panel and plain lines."""

import io
from collections.abc import Mapping
from typing import TextIO

import pytest

from trailingedge.console.live_ui import LiveUi
from trailingedge.console.plain_ui import PlainUi
from trailingedge.console.terminal import Terminal
from trailingedge.console.ui_selection import UiStyle, choose_style, open_ui


@pytest.mark.parametrize(
    ("tty", "plain", "term", "platform", "style"),
    [
        pytest.param(True, False, "xterm", "linux", UiStyle.LIVE, id="terminal"),
        pytest.param(False, False, "xterm", "linux", UiStyle.PLAIN, id="pipe"),
        pytest.param(True, True, "xterm", "linux", UiStyle.PLAIN, id="--plain"),
        pytest.param(True, False, "dumb", "linux", UiStyle.PLAIN, id="dumb terminal"),
        pytest.param(True, False, None, "linux", UiStyle.PLAIN, id="unknown terminal"),
        pytest.param(True, False, None, "win32", UiStyle.LIVE, id="Windows sets no TERM"),
        pytest.param(True, False, "dumb", "win32", UiStyle.PLAIN, id="dumb terminal on Windows"),
    ],
)
def test_the_block_is_for_a_terminal_that_wants_it(
    *, tty: bool, plain: bool, term: str | None, platform: str, style: UiStyle
) -> None:
    assert choose_style(stdout_is_tty=tty, plain=plain, term=term, platform=platform) is style


class Screenlike(io.StringIO):
    """Calls itself a terminal."""

    def isatty(self) -> bool:
        return True


class Able:
    """A terminal, or one that is not able to."""

    def __init__(self, *, able: bool = True) -> None:
        self._able = able

    def enable_escapes(self) -> bool:
        return self._able

    def size(self) -> tuple[int, int]:
        return 80, 24

    def in_foreground(self) -> bool:
        return True


def gone(_: TextIO) -> Terminal:
    raise OSError("no such terminal")


def opened(stdout: TextIO, environ: Mapping[str, str], *, able: bool = True) -> type:
    ui = open_ui(stdout, environ, "sim", plain=False, keys=True, platform="linux", terminal=lambda _: Able(able=able))
    ui.close()
    return type(ui)


def test_a_terminal_gets_the_block() -> None:
    assert opened(Screenlike(), {"TERM": "xterm"}) is LiveUi


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {}], ids=["dumb", "bare"])
def test_the_environment_may_ask_for_lines(environ: Mapping[str, str]) -> None:
    assert opened(Screenlike(), environ) is PlainUi


@pytest.mark.parametrize(("no_color", "colours"), [("", True), ("1", False)], ids=["empty", "set"])
def test_no_color_removes_colours_and_not_the_block(no_color: str, *, colours: bool) -> None:
    screen = Screenlike()
    environ = {"TERM": "xterm", "NO_COLOR": no_color}
    ui = open_ui(screen, environ, "sim", plain=False, keys=True, platform="linux", terminal=lambda _: Able())
    ui.print_line("12:00:00 WARNING market data is stale")
    ui.show_title("sim", "starting")  # any drawing after the line
    ui.close()
    assert isinstance(ui, LiveUi)
    assert ("\x1b[33m" in screen.getvalue()) == colours
    assert "market data is stale" in screen.getvalue()


def test_a_console_that_does_not_understand_gets_lines() -> None:
    assert opened(Screenlike(), {"TERM": "xterm"}, able=False) is PlainUi


def test_a_terminal_that_is_gone_gets_lines() -> None:
    ui = open_ui(Screenlike(), {"TERM": "xterm"}, "sim", plain=False, keys=True, platform="linux", terminal=gone)
    ui.close()
    assert isinstance(ui, PlainUi)


def test_a_closed_stream_gets_lines() -> None:
    stream = io.StringIO()
    stream.close()
    assert opened(stream, {"TERM": "xterm"}) is PlainUi
