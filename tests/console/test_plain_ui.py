import io
import os
import sys
import threading
from decimal import Decimal

import pytest
from tests import processes
from tests.limits import PATIENCE_S

from trailingedge.console.plain_ui import CLOSE_TIMEOUT_S, MAX_QUEUED_LINES, OperatorUi, PlainUi
from trailingedge.model.market import SymbolRules
from trailingedge.notifications.status import StatusView, status

RULES = SymbolRules("ETHFDUSD", "ETH", "FDUSD", tick_size=Decimal("0.01"), step_size=Decimal("0.0001"))
VIEW = StatusView("sim", RULES, "WATCHING")


@pytest.fixture(autouse=True)
def _the_end_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the last line, however busy the machine is."""
    monkeypatch.setattr("trailingedge.console.plain_ui.CLOSE_TIMEOUT_S", PATIENCE_S)


def test_lines_come_out_in_order_and_are_all_there_at_the_end() -> None:
    stream = io.StringIO()
    ui: OperatorUi = PlainUi(stream)
    for number in range(100):
        ui.print_line(f"line {number}")
    ui.close()
    assert stream.getvalue().splitlines() == [f"line {number}" for number in range(100)]


def test_a_step_shows_its_name_and_its_result() -> None:
    stream = io.StringIO()
    lines = PlainUi(stream)
    lines.show_step("connect", "ok (12 ms)")
    lines.show_step("a step with quite a long name", "ok")
    lines.close()
    assert stream.getvalue() == "connect ................. ok (12 ms)\na step with quite a long name ... ok\n"


def test_there_is_one_heartbeat_a_minute_and_no_status_is_built_in_between() -> None:
    built = []

    def view() -> StatusView:
        built.append(VIEW)
        return VIEW

    stream = io.StringIO()
    lines = PlainUi(stream)
    for second in range(200):
        lines.show_status(view, 1000.0 + second)
    lines.close()
    assert stream.getvalue().splitlines() == [status(VIEW)] * 3
    assert len(built) == 3


def test_a_reader_that_hung_up_changes_nothing_not_even_the_exit_code() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    program = """
import sys
from trailingedge.console.plain_ui import PlainUi

lines = PlainUi(sys.stdout)
for _ in range(3):
    lines.print_line("nobody reads this")
lines.close()
"""
    try:
        ended = processes.run([sys.executable, "-c", program], stdout=writing)
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_closed_stream_ends_nothing() -> None:
    stream = io.StringIO()
    stream.close()
    lines = PlainUi(stream)
    lines.print_line("nowhere to go")
    lines.print_line("and again")
    lines.close()


def test_a_terminal_without_unicode_gets_ascii() -> None:
    raw = io.BytesIO()
    lines = PlainUi(io.TextIOWrapper(raw, encoding="ascii", newline="\n"))
    lines.print_line("gate – open")
    lines.close()
    assert raw.getvalue() == b"gate - open\n"


class PausedTerminal(io.StringIO):
    """A terminal after Ctrl-S."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.goes_on = threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        self.goes_on.wait()
        return super().write(text)


@pytest.mark.parametrize("lines_waiting", [1, MAX_QUEUED_LINES + 10], ids=["a few", "too many"])
def test_a_paused_terminal_delays_no_caller(lines_waiting: int) -> None:
    terminal = PausedTerminal()
    lines = PlainUi(terminal)
    lines.print_line("first")
    terminal.reached.wait()
    for _ in range(lines_waiting):
        lines.print_line("more")
    terminal.goes_on.set()
    lines.close()
    assert terminal.getvalue().count("more") == min(lines_waiting, MAX_QUEUED_LINES)


def test_the_farewell_is_short() -> None:
    assert CLOSE_TIMEOUT_S <= 1.0
