"""The live face of the terminal: one status block that is redrawn in place while lines scroll above it.

As with plain lines nothing here waits and nothing raises: a thread of its own draws, a few times a second
at most, and a terminal that is paused or gone delays no beat.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Final, TextIO

from trailingedge.console.hotkeys import HINTS
from trailingedge.console.plain_ui import CLOSE_TIMEOUT_S, MAX_QUEUED_LINES, step_row
from trailingedge.console.screen import Screen
from trailingedge.console.status_panel import PanelRow, StyledText, panel_rows, starting_rows
from trailingedge.console.terminal import SafeStream, Terminal
from trailingedge.notifications.status import StatusView

REDRAW_S: Final = 0.25
IDLE_CHECK_S: Final = 1.0  # without news the size of the terminal and the age of what is shown are looked at this often
_ASCII: Final = str.maketrans({"─": "-", "·": "|", "…": ".", "–": "-"})


class LiveUi:
    """A `Console` that draws on `terminal`, to which `stream` leads.

    `title` stands in the block until there is a state to show. `keys`: hotkeys are read, and so hinted at.
    """

    def __init__(
        self,
        stream: TextIO,
        terminal: Terminal,
        title: str,
        *,
        keys: bool,
        redraw_s: float = REDRAW_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = SafeStream(stream)
        self._terminal = terminal
        self._title = title
        self._screen = Screen(HINTS if keys else "Ctrl-C ends it")
        self._redraw_s = redraw_s
        self._now_s = now_s
        self._unicode = self._stream.supports_unicode
        self._lines: queue.Queue[str] = queue.Queue(MAX_QUEUED_LINES)
        self._newest: tuple[StatusView, float] | None = None  # the newest state, and when it was shown
        self._enter_pressed = threading.Event()
        self._wake = threading.Event()
        self._closing = threading.Event()
        # A daemon thread: a terminal that reads no more must not keep the process alive.
        self._drawer = threading.Thread(target=self._run, name="terminal", daemon=True)
        self._drawer.start()

    def print_line(self, text: str) -> None:
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(text)
        self._wake.set()

    def show_step(self, name: str, result: str) -> None:
        self.print_line(step_row(name, result))

    def show_status(self, view: StatusView, now_s: float) -> None:  # noqa: ARG002 - a face paces itself
        self._newest = view, self._now_s()
        self._wake.set()

    def on_enter(self) -> None:
        self._enter_pressed.set()
        self._wake.set()

    def close(self) -> None:
        """The block is wiped away, so that what follows stands right below the lines."""
        self._closing.set()
        self._wake.set()
        self._drawer.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(IDLE_CHECK_S)
            self._wake.clear()
            self._draw()
            self._closing.wait(self._redraw_s)
        self._stream.write(self._screen.clear(self._take_lines()))

    def _draw(self) -> None:
        entered = self._enter_pressed.is_set()
        self._enter_pressed.clear()
        lines = self._take_lines()
        if not self._terminal.in_foreground():  # a shell has the screen: no place for a block
            self._stream.write(self._screen.lines_only(lines))
            return
        size = self._terminal.size()
        written = self._screen.paint(lines, self._rows(size[0]), size, entered=entered)
        if written:
            self._stream.write(written)

    def _take_lines(self) -> list[str]:
        """The lines that have come since the last time."""
        lines = []
        with contextlib.suppress(queue.Empty):
            while True:
                lines.append(self._lines.get_nowait())
        return lines

    def _rows(self, width: int) -> list[PanelRow]:
        if self._newest is None:
            drawn = starting_rows(self._title, width)
        else:
            view, shown_s = self._newest
            drawn = panel_rows(view, width, self._now_s() - shown_s)
        return drawn if self._unicode else [_in_ascii(row) for row in drawn]


def _in_ascii(row: PanelRow) -> PanelRow:
    """The row in the letters that every terminal has."""
    return tuple(StyledText(span.text.translate(_ASCII), span.style) for span in row)
