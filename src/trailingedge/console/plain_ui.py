"""The plain face of the terminal: lines, and one heartbeat a minute.

Nothing here waits and nothing raises: lines go into a queue, and a thread of their own writes them. A
terminal that is paused or gone delays no beat. A live block is another `OperatorUi`.
"""

import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Final, Protocol, TextIO

from trailingedge.console.terminal import SafeStream

if TYPE_CHECKING:
    from trailingedge.notifications.status import StatusView

HEARTBEAT_S: Final = 60.0
STEP_WIDTH: Final = 24
MAX_QUEUED_LINES: Final = 10_000  # lines kept for a terminal that is paused; later ones are in the log alone
CLOSE_TIMEOUT_S: Final = 1.0  # how long a paused terminal may hold up the end


class OperatorUi(Protocol):
    """What the daemon shows itself through."""

    def print_line(self, text: str) -> None:
        """Show `text`, which may be several lines, for good."""
        ...

    def show_step(self, name: str, result: str) -> None:
        """Show how one step of the start came out."""
        ...

    def show_status(self, view: "StatusView", now_s: float) -> None:
        """The state has been looked at: show it as often as this face cares to."""
        ...

    def close(self) -> None:
        """Show what is still to be shown, and no more."""
        ...


class InteractiveUi(OperatorUi, Protocol):
    """A face at a terminal on which a person may be typing."""

    def on_enter(self) -> None:
        """Enter was pressed, and so the cursor moved. May be called from any thread."""
        ...


def step_row(name: str, result: str) -> str:
    """One row of the list of steps."""
    return f"{name} {'.' * max(3, STEP_WIDTH - len(name))} {result}"


class PlainUi:
    """A `InteractiveUi` of plain lines, written to `stream` by a thread."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = SafeStream(stream)
        self._waiting: queue.Queue[str | None] = queue.Queue(MAX_QUEUED_LINES)
        self._next_heartbeat_s: float | None = None
        # A daemon thread: a terminal that reads no more must not keep the process alive.
        self._writer = threading.Thread(target=self._write, name="terminal", daemon=True)
        self._writer.start()

    def print_line(self, text: str) -> None:
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(text)

    def show_step(self, name: str, result: str) -> None:
        self.print_line(step_row(name, result))

    def show_status(self, view: "StatusView", now_s: float) -> None:
        """The first heartbeat comes a minute after the first look."""
        if self._next_heartbeat_s is None:
            self._next_heartbeat_s = now_s + HEARTBEAT_S
        elif now_s >= self._next_heartbeat_s:
            self._next_heartbeat_s = now_s + HEARTBEAT_S
            from trailingedge.notifications.status import status  # the first line comes long before the first heartbeat

            self.print_line(status(view))

    def on_enter(self) -> None:
        """Enter was pressed: a line that scrolls has moved on already."""

    def close(self) -> None:
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=CLOSE_TIMEOUT_S)
        self._writer.join(CLOSE_TIMEOUT_S)

    def _write(self) -> None:
        while (text := self._waiting.get()) is not None:
            self._stream.write(f"{text}\n")
