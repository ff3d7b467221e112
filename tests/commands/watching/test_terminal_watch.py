"""Tests of watching in a terminal: the panel and the lines of a daemon elsewhere, and its hotkeys."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from tests.commands.watching.feeds import PANEL, STATUS, log, state
from tests.console.test_live_ui import Window

from trailingedge.commands.watching.subscription import Subscription
from trailingedge.commands.watching.terminal_watch import SHOWN_AT_FIRST, WATCH_HELP, WATCH_HINTS, TerminalWatch
from trailingedge.console.hotkeys import Hotkey, UnknownKey
from trailingedge.console.live_ui import LiveUi
from trailingedge.live.control_socket import NoRunningDaemon
from trailingedge.live.feed_format import line, parse

SOCKET = Path("ETHFDUSD.sock")


class Watched:
    """A watch on a terminal of glass. `answers` are the daemon's, by command."""

    def __init__(self) -> None:
        self.window = Window()
        self.ui = LiveUi(self.window, self.window, "ETHFDUSD", keys=True, hints=WATCH_HINTS, redraw_s=0.0)
        self.asked: list[tuple[Path, str]] = []
        self.fields: list[Mapping[str, object]] = []
        self.extra: dict[str, object] = {}
        self.left: list[str] = []
        self.answer: str | NoRunningDaemon = "all is well"
        self.watch = TerminalWatch(self.ui, "ETHFDUSD", self._ask, self.left.append, lambda: 0.0, self._pause)
        self.watch.subscription = Subscription([], self.watch)
        self.watch.subscription.place = SOCKET

    async def _ask(self, place: Path, command: str, fields: Mapping[str, object]) -> Mapping[str, object]:
        self.asked.append((place, command))
        self.fields.append(fields)
        if isinstance(self.answer, NoRunningDaemon):
            raise self.answer
        return {"ok": True, "text": self.answer, **self.extra}

    async def _pause(self, _seconds: float) -> None:
        pass

    async def line(self, fields: Mapping[str, Any]) -> None:
        await self.watch.on_line(cast("dict[str, Any]", fields), b"")

    def shows(self, text: str) -> bool:
        return self.window.shows(text)

    @property
    def rows(self) -> list[str]:
        """All rows so far, once the terminal has been left in order."""
        self.ui.close()
        return [row for row in (*self.window.glass.history, *self.window.glass.shown) if row]


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.ui.close()


async def test_the_panel_and_the_newest_lines_of_the_daemon_are_shown(watched: Watched) -> None:
    before = [log(f"line {number}", time=f"2026-07-02T13:47:{number:02}.000+00:00") for number in range(40)]
    await watched.line(parse(state(*before)))
    assert watched.shows("── sim ETHFDUSD")
    assert watched.shows("bid 2500.00")
    assert watched.shows("q leave")
    await watched.line(log("data are late", "WARNING", "2026-07-02T13:48:00.000+00:00"))
    assert watched.shows("13:48:00 WARNING data are late")
    rows = watched.rows
    assert rows[0] == f"13:47:{40 - SHOWN_AT_FIRST} line {40 - SHOWN_AT_FIRST}"
    assert len(rows) == SHOWN_AT_FIRST + 1


async def test_a_daemon_that_is_gone_and_back_is_said_and_no_line_comes_twice(watched: Watched) -> None:
    await watched.line(parse(state(log("ready"))))
    await watched.watch.on_lost("it was killed")
    assert watched.shows("daemon is gone: it was killed")
    assert watched.shows("no daemon; waiting")
    await watched.line(parse(state(log("ready"), log("again", time="2026-07-02T13:49:00.000+00:00"))))
    assert watched.shows("the daemon is back")
    assert watched.shows("bid 2500.00")
    assert [row for row in watched.rows if row.startswith("13:")] == ["13:47:00 ready", "13:49:00 again"]


async def test_a_daemon_that_is_starting_names_its_step(watched: Watched) -> None:
    await watched.line(line("status", starting="candles, attempt 2", status=None, panel=None))
    assert watched.shows("starting: candles, attempt 2")


async def test_lost_lines_are_said_below_the_newest_ones(watched: Watched) -> None:
    await watched.line(parse(state(log("ready"))))
    await watched.line(line("lost", lines=7))
    await watched.line(parse(state(log("newest", time="2026-07-02T13:49:00.000+00:00"))))
    assert watched.shows("bid 2500.00")
    said = [row for row in watched.rows if "newest" in row or "WARNING" in row]
    assert said[0] == "13:49:00 newest"
    assert said[1].startswith("WARNING this terminal did not take 7 lines in time")


@pytest.mark.parametrize(
    "fields",
    [
        line("status", status={}, panel=PANEL),
        line("status", status=STATUS, panel=None),
        line("state", log=7),
        line("log", time="noon", level="INFO", text="x"),
        line("news"),
    ],
)
async def test_an_odd_line_ends_nothing(watched: Watched, fields: dict[str, Any]) -> None:
    await watched.line(fields)
    await watched.line(log("goes on"))
    assert watched.shows("goes on")


async def test_a_question_is_answered_and_a_command_is_sent_to_the_daemon(watched: Watched) -> None:
    await watched.watch.press(Hotkey.TODAY)
    assert watched.shows("all is well")
    watched.answer = "paused: no take-profit"
    await watched.line(log("paused: no take-profit"))
    await watched.watch.press(Hotkey.PAUSE)
    assert watched.asked == [(SOCKET, "today"), (SOCKET, "pause")]
    # The daemon's log has said it already.
    assert sum("paused" in row for row in watched.rows) == 1


async def test_an_answer_that_no_log_line_gave_is_shown(watched: Watched) -> None:
    watched.answer = "too many commands are waiting; try again"
    await watched.watch.press(Hotkey.RESUME)
    assert watched.shows("too many commands are waiting; try again")


async def test_of_an_answer_only_what_no_log_line_said_is_shown(watched: Watched) -> None:
    await watched.line(log("manual flip: selling all ETH"))
    watched.answer = "flip: sell 1.0000 ETH near 2500.00\nmanual flip: selling all ETH"
    await watched.watch.press(Hotkey.FLIP)
    assert watched.shows("flip: sell 1.0000 ETH")
    assert [row[-4:] for row in watched.rows if "manual flip" in row] == [" ETH"]


async def test_leaving_and_help_concern_no_daemon(watched: Watched) -> None:
    await watched.watch.press(Hotkey.HELP)
    assert watched.shows("q  leave; the daemon keeps running")
    assert "quit" not in WATCH_HELP
    await watched.watch.press(UnknownKey("zz"))
    assert watched.shows("'zz' is no hotkey")
    await watched.watch.press(Hotkey.QUIT)
    assert (watched.left, watched.asked) == (["q"], [])


async def test_without_a_daemon_a_command_is_not_sent_and_that_is_said(watched: Watched) -> None:
    watched.answer = NoRunningDaemon("no answer within 70 s")
    await watched.watch.press(Hotkey.FLIP)
    assert watched.shows("no answer to 'x': no answer within 70 s")
    watched.watch.subscription = None
    await watched.watch.press(Hotkey.FLIP)
    assert watched.shows("'x' not sent: no daemon is running")
    assert len(watched.asked) == 1


async def test_a_flip_that_wants_a_confirmation_is_made_by_y(watched: Watched) -> None:
    watched.answer, watched.extra = "flip: sell 1 ETH near 2500 FDUSD", {"confirmation": "123456"}
    await watched.watch.press(Hotkey.FLIP)
    assert watched.shows("flip: sell 1 ETH near 2500 FDUSD")
    assert watched.shows("press y and Enter within a minute to make this flip")
    watched.answer, watched.extra = "flip started", {}
    await watched.watch.press(Hotkey.CONFIRM)
    assert watched.fields == [{}, {"confirmation": "123456"}]
    await watched.watch.press(Hotkey.CONFIRM)
    assert watched.shows("nothing to confirm")
    assert len(watched.asked) == 2


async def test_another_key_drops_a_flip_that_waits_for_its_confirmation(watched: Watched) -> None:
    watched.extra = {"confirmation": "123456"}
    await watched.watch.press(Hotkey.FLIP)
    watched.extra = {}
    await watched.watch.press(Hotkey.TODAY)
    assert watched.shows("flip not made")
    await watched.watch.press(Hotkey.CONFIRM)
    assert watched.fields == [{}, {}]
