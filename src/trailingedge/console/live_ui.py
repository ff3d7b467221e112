"""The live UI of the terminal: a status panel that is redrawn in place while lines scroll above it.

A thread draws, a few times a second at most. The methods only queue lines and the status: they never wait and never
raise, so that a terminal that is paused or gone does not delay a tick.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TextIO

from trailingedge.console.hotkeys import HINTS
from trailingedge.console.plain_ui import CLOSE_TIMEOUT_S, MAX_QUEUED_LINES, step_row
from trailingedge.console.price_chart import CHART_ROWS, chart_rows
from trailingedge.console.screen import FOOTER_ROWS, PROMPT, Screen
from trailingedge.console.status_panel import PanelRow, StyledText, panel_rows, starting_rows
from trailingedge.console.terminal import SafeStream, Terminal
from trailingedge.core.plain_characters import TO_ASCII
from trailingedge.notifications.panel_content import PanelContent, panel_content
from trailingedge.notifications.status import StatusView

REDRAW_S: Final = 0.25
LOG_ROWS_BESIDE_CHART: Final = 8  # rows that the log keeps where the chart is shown
_NO_KEYS: Final = "Ctrl-C ends it"  # shown in place of the hotkeys
IDLE_CHECK_S: Final = 1.0  # without new lines the terminal's size and the status's age are checked this often


class LiveUi:
    """An `InteractiveUi` that draws on `terminal`, to which `stream` writes.

    The panel shows `title` until the first status. If `keys` is True, it also shows a list of the hotkeys: the longest
    of `hints` that fits, or of the daemon's own lists if no `hints` are given. If `colours` is False, text is only bold
    or faint.
    """

    def __init__(
        self,
        stream: TextIO,
        terminal: Terminal,
        title: str,
        *,
        keys: bool,
        hints: Sequence[str] = (),
        colours: bool = True,
        redraw_s: float = REDRAW_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = SafeStream(stream)
        self._terminal = terminal
        self._title, self._state = title, "starting"
        self._screen = Screen(*((hints or HINTS) if keys else (_NO_KEYS,)), typing=keys, colours=colours)
        self._redraw_s = redraw_s
        self._now_s = now_s
        self._unicode = self._stream.supports_unicode
        self._lines: queue.Queue[str] = queue.Queue(MAX_QUEUED_LINES)
        self._newest: tuple[Callable[[], PanelContent], float] | None = None  # the newest status, and when it came
        self._overwritten = threading.Event()  # something other than us has written on the screen
        self._enter_pressed = threading.Event()
        self._input_ended = threading.Event()
        self._wake = threading.Event()
        self._closing = threading.Event()
        # A daemon thread: a terminal that stopped reading must not keep the process alive.
        self._drawer = threading.Thread(target=self._run, name="terminal", daemon=True)
        self._drawer.start()

    def print_line(self, text: str) -> None:
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(text)
        self._wake.set()

    def show_step(self, name: str, result: str) -> None:
        self.print_line(step_row(name, result))

    def show_status(self, view: Callable[[], StatusView], now_s: float) -> None:  # noqa: ARG002 - this UI paces itself
        # The status is of this moment; its words are found by the thread that draws.
        self._show(partial(panel_content, view()))

    def show_panel(self, content: PanelContent, now_s: float) -> None:  # noqa: ARG002 - this UI paces itself
        self._show(lambda: content)

    def show_title(self, title: str, state: str) -> None:
        self._title, self._state = title, state
        self._newest = None
        self._wake.set()

    def _show(self, content: Callable[[], PanelContent]) -> None:
        self._newest = content, self._now_s()
        self._wake.set()

    def on_enter(self, typed: int) -> None:
        # A line that was longer than its row has run over the hints, and may have scrolled the screen.
        if typed + len(PROMPT) >= self._terminal.size()[0]:
            self._overwritten.set()
        self._enter_pressed.set()
        self._wake.set()

    def redraw(self) -> None:
        self._overwritten.set()
        self._enter_pressed.set()
        self._wake.set()

    def on_end_of_input(self) -> None:
        self._input_ended.set()
        self._wake.set()

    def close(self) -> None:
        """Draw the last lines and remove the panel, so that later output follows the lines."""
        self._closing.set()
        self._wake.set()
        self._drawer.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(IDLE_CHECK_S)
            # Clear before drawing: what arrives while it draws wakes the thread again.
            self._wake.clear()
            self._draw()
            # The pause limits the redraws. It ends at once at a shutdown.
            self._closing.wait(self._redraw_s)
        self._stream.write(self._screen.clear(self._take_lines()))

    def _draw(self) -> None:
        entered = self._enter_pressed.is_set()
        self._enter_pressed.clear()
        if self._input_ended.is_set():
            self._input_ended.clear()
            self._screen.end_typing(_NO_KEYS)
            entered = True
        lines = self._take_lines()
        if not self._terminal.in_foreground():  # a shell has the screen: there is no place for a panel
            self._stream.write(self._screen.lines_only(lines))
            return
        if self._overwritten.is_set():
            self._overwritten.clear()
            self._screen.redraw_all()
        size = self._terminal.size()
        written = self._screen.paint(lines, self._rows(*size), size, entered=entered)
        if written:
            self._stream.write(written)

    def _take_lines(self) -> list[str]:
        """Take the queued lines."""
        lines = []
        with contextlib.suppress(queue.Empty):
            while True:
                lines.append(self._lines.get_nowait())
        return lines

    def _rows(self, width: int, height: int) -> list[PanelRow]:
        newest = self._newest
        if newest is None:
            drawn = starting_rows(self._title, width, self._state)
        else:
            content, shown_s = newest[0](), newest[1]
            drawn = panel_rows(content, width, self._now_s() - shown_s)
            if height >= len(drawn) + CHART_ROWS + FOOTER_ROWS + LOG_ROWS_BESIDE_CHART:
                drawn += chart_rows(content, width)
        return drawn if self._unicode else [_in_ascii(row) for row in drawn]


def _in_ascii(row: PanelRow) -> PanelRow:
    """Return the row in ASCII, for terminals without other characters."""
    return tuple(StyledText(span.text.translate(TO_ASCII), span.style) for span in row)
