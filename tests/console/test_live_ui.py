"""Tests of the live UI: callers never wait for the drawing thread, and the terminal is left in order."""

import io
import threading
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.console.fake_terminal import Glass
from tests.limits import PATIENCE_S

from trailingedge.console.live_ui import LiveUi
from trailingedge.console.plain_ui import InteractiveUi
from trailingedge.model.market import Regime, SymbolRules
from trailingedge.notifications.level_history import LevelSample
from trailingedge.notifications.status import StatusView

RULES = SymbolRules("ETHFDUSD", "ETH", "FDUSD", tick_size=Decimal("0.01"), step_size=Decimal("0.0001"))
VIEW = StatusView("paper", RULES, "watching")


@pytest.fixture(autouse=True)
def _the_end_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the last line, however busy the machine is."""
    monkeypatch.setattr("trailingedge.console.live_ui.CLOSE_TIMEOUT_S", PATIENCE_S)


class Window(io.StringIO):
    """A stream that leads to a glass, and the terminal that it is."""

    def __init__(self, *, encoding: str = "utf-8", front: bool = True) -> None:
        super().__init__()
        self.glass = Glass(60, 20)
        self.front = front
        self.changed = threading.Condition()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a StringIO has none
        return self._encoding

    def write(self, text: str) -> int:
        with self.changed:
            self.glass.feed(text)
            self.changed.notify_all()
        return len(text)

    def enable_escapes(self) -> bool:
        return True

    def size(self) -> tuple[int, int]:
        return self.glass.size

    def in_foreground(self) -> bool:
        return self.front

    def shows(self, text: str) -> bool:
        """Wait until `text` is on the screen."""
        with self.changed:
            return self.changed.wait_for(lambda: any(text in row for row in self.glass.shown), PATIENCE_S)


def live(window: Window, now_s: float = 0.0, *, keys: bool = True) -> LiveUi:
    return LiveUi(window, window, "PAPER ETHFDUSD", keys=keys, redraw_s=0.0, now_s=lambda: now_s)


def test_it_draws_the_start_then_the_state_and_leaves_the_lines_alone_behind() -> None:
    window = Window()
    ui: InteractiveUi = live(window)
    ui.show_step("connect", "ok")
    assert window.shows("connect ................. ok")
    assert window.shows("── PAPER ETHFDUSD ──")
    ui.show_status(lambda: VIEW, 1.0)
    assert window.shows("watching")
    assert window.shows("x flip")
    ui.print_line("summary\n  exits 0")
    ui.close()
    assert [row for row in window.glass.shown if row] == ["connect ................. ok", "summary", "  exits 0"]


def test_enter_gives_a_fresh_row_to_type_on() -> None:
    window = Window()
    ui = live(window)
    ui.show_status(lambda: VIEW, 0.0)
    assert window.shows("watching")
    window.glass.type("w\n")
    ui.on_enter(1)
    ui.print_line("because")
    assert window.shows("because")
    ui.close()


def test_a_line_that_was_longer_than_its_row_is_cleared_away() -> None:
    window = Window()
    ui = live(window)
    ui.show_status(lambda: VIEW, 0.0)
    assert window.shows("x flip")
    window.glass.type("x" * 130 + "\n")  # scrolls a screen of 60 columns
    ui.on_enter(130)
    ui.print_line("'xxx…' is no hotkey")
    assert window.shows("is no hotkey")
    assert sum("── PAPER ETHFDUSD" in row for row in window.glass.shown) == 1
    ui.close()


def test_a_long_line_that_was_erased_before_enter_leaves_no_second_heading() -> None:
    window = Window()
    ui = live(window)
    ui.show_status(lambda: VIEW, 0.0)
    for line in ("one", "two", "three"):
        ui.print_line(line)
    assert window.shows("three")
    window.glass.type("x" * 130 + "\n")
    ui.on_enter(0)  # Ctrl-U took all of it back
    ui.print_line("four")
    assert window.shows("four")
    assert sum("── PAPER ETHFDUSD" in row for row in window.glass.shown) == 1
    heading = next(at for at, row in enumerate(window.glass.shown) if "── PAPER ETHFDUSD" in row)
    assert window.glass.shown[heading - 4 : heading] == ["one", "two", "three", "four"]
    ui.close()


def test_the_chart_stands_where_there_is_room_for_it() -> None:
    window = Window()
    samples = tuple(LevelSample(1_783_000_020_000 + 60_000 * at, Decimal(2500 + at)) for at in range(60))
    view = replace(VIEW, samples=samples, regime=Regime.BASE, anchor=2510.0)
    window.glass.resize(100, 30)
    ui = live(window)
    ui.show_status(lambda: view, 0.0)
    assert window.shows("price 2559.00")
    assert window.shows("anchor 2510.00")
    window.glass.resize(99, 30)
    ui.print_line("narrower")
    assert window.shows("narrower")
    assert not any("price 2559.00" in row for row in window.glass.shown)
    ui.close()


def test_without_hotkeys_none_are_hinted_at() -> None:
    window = Window()
    ui = live(window, keys=False)
    assert window.shows("Ctrl-C ends it")
    assert window.glass.shown[-2] == ""
    ui.close()


def test_once_the_input_has_ended_prompt_and_hotkeys_are_gone() -> None:
    window = Window()
    ui: InteractiveUi = live(window)
    ui.show_status(lambda: VIEW, 0.0)
    assert window.shows("x flip")
    assert window.glass.shown[-2].startswith(">")
    ui.on_end_of_input()
    assert window.shows("Ctrl-C ends it")
    assert window.glass.shown[-2] == ""
    assert not [row for row in window.glass.shown if "x flip" in row]
    ui.close()


def test_a_terminal_without_unicode_gets_ascii() -> None:
    window = Window(encoding="ascii")
    ui = live(window)
    ui.show_status(lambda: VIEW, 0.0)
    assert window.shows("-- PAPER ETHFDUSD | watching -")
    ui.close()


def test_in_the_background_there_are_lines_alone() -> None:
    window = Window(front=False)
    ui = live(window)
    ui.show_status(lambda: VIEW, 0.0)
    ui.print_line("order placed")
    assert window.shows("order placed")
    ui.close()
    assert [row for row in window.glass.shown if row] == ["order placed"]


class Paused(Window):
    """A terminal after Ctrl-S."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()

    def write(self, text: str) -> int:
        self.goes_on.wait()
        return super().write(text)


def test_a_paused_terminal_delays_no_caller() -> None:
    window = Paused()
    ui = live(window)
    for number in range(20_000):
        ui.print_line(f"line {number}")
        ui.show_status(lambda: VIEW, 0.0)
    window.goes_on.set()
    assert window.shows("line ")
    ui.close()


def test_a_terminal_that_is_gone_ends_nothing() -> None:
    window = Window()
    ui = live(window)
    window.close()
    ui.print_line("this goes nowhere")
    ui.close()
