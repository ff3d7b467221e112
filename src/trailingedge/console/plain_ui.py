"""The plain UI: prints lines, and the status once a minute, for pipes, files, services and terminals without escape
sequences.

A thread writes the queued lines. The methods never wait and never raise, so that a terminal that is paused or gone does
not delay a tick. The protocols that every UI implements are defined here.
"""

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, TextIO

from trailingedge.console.terminal import SafeStream
from trailingedge.core.printable import printable_lines

if TYPE_CHECKING:
    from trailingedge.notifications.panel_content import PanelContent
    from trailingedge.notifications.status import StatusView

HEARTBEAT_S: Final = 60.0
STEP_WIDTH: Final = 24
MAX_QUEUED_LINES: Final = 10_000  # for a terminal that is paused; later lines are in the log file alone
CLOSE_TIMEOUT_S: Final = 1.0  # how long a paused terminal may delay the shutdown


class OperatorUi(Protocol):
    """The methods of a UI that the trading node calls."""

    def print_line(self, text: str) -> None:
        """Show `text`, which may have several lines. On a live screen it appears above the panel."""
        ...

    def show_step(self, name: str, result: str) -> None:
        """Show the result of one start-up step."""
        ...

    def show_status(self, view: "Callable[[], StatusView]", now_s: float) -> None:
        """Show the newest status, as often as the UI redraws.

        `view` builds the status; it is called only before a redraw.
        """
        ...

    def close(self) -> None:
        """Show the queued lines, then stop."""
        ...


class InteractiveUi(OperatorUi, Protocol):
    """A UI at a terminal on which a person may be typing."""

    def show_panel(self, content: "PanelContent", now_s: float) -> None:
        """Show the status of another process, as often as the UI redraws."""
        ...

    def show_title(self, title: str, state: str) -> None:
        """Show `title` and `state` in place of the status, which is not known at present."""
        ...

    def on_enter(self, typed: int) -> None:
        """Note that Enter has ended a line of `typed` characters and moved the cursor. Any thread may call this."""
        ...

    def redraw(self) -> None:
        """Draw everything again, because another program has written on the screen. Any thread may call this."""
        ...

    def on_end_of_input(self) -> None:
        """Note that nothing can be typed any more: hotkeys are not shown from now on."""
        ...


def step_row(name: str, result: str) -> str:
    """One row of the list of start-up steps."""
    return f"{name} {'.' * max(3, STEP_WIDTH - len(name))} {result}"


class PlainUi:
    """An `InteractiveUi` that prints plain lines. A thread writes them to `stream`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = SafeStream(stream)
        self._waiting: queue.Queue[str | None] = queue.Queue(MAX_QUEUED_LINES)
        self._next_heartbeat_s: float | None = None
        # A daemon thread: a terminal that stopped reading must not keep the process alive.
        self._writer = threading.Thread(target=self._write, name="terminal", daemon=True)
        self._writer.start()

    def print_line(self, text: str) -> None:
        # A full queue drops the line: the log file has it, and waiting would delay the trading.
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(text)

    def show_step(self, name: str, result: str) -> None:
        self.print_line(step_row(name, result))

    def show_status(self, view: "Callable[[], StatusView]", now_s: float) -> None:
        """Print the status line once a minute. The first line is printed one minute after the first call."""
        if self._heartbeat_due(now_s):
            from trailingedge.notifications.status import status  # loaded late: the first lines must not wait for it

            self.print_line(status(view()))

    def show_panel(self, content: "PanelContent", now_s: float) -> None:
        """Print the status line, as often as `show_status` does."""
        if self._heartbeat_due(now_s):
            self.print_line(content.line)

    def _heartbeat_due(self, now_s: float) -> bool:
        due = self._next_heartbeat_s is not None and now_s >= self._next_heartbeat_s
        if due or self._next_heartbeat_s is None:
            self._next_heartbeat_s = now_s + HEARTBEAT_S
        return due

    def show_title(self, title: str, state: str) -> None:
        """Do nothing: printed lines already say that the state has changed."""

    def on_enter(self, typed: int) -> None:
        """Do nothing: lines that are printed one below the other need no redraw."""

    def redraw(self) -> None:
        """Do nothing: printed lines stay on the screen."""

    def on_end_of_input(self) -> None:
        """Do nothing: plain lines have no prompt."""

    def close(self) -> None:
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=CLOSE_TIMEOUT_S)
        self._writer.join(CLOSE_TIMEOUT_S)

    def _write(self) -> None:
        while (text := self._waiting.get()) is not None:
            self._stream.write(f"{printable_lines(text)}\n")
