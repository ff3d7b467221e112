"""Terminal view of a running daemon: its panel, its log lines, and its hotkeys over the control socket."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from trailingedge.commands.watching.subscription import Subscription
from trailingedge.console.hotkeys import HELP, HINTS, Hotkey, UnknownKey
from trailingedge.console.plain_ui import InteractiveUi
from trailingedge.core.printable import printable_lines
from trailingedge.core.time_units import MINUTE_MS
from trailingedge.live.control_socket import COMMANDS, NoRunningDaemon
from trailingedge.live.feed_format import FeedLine, UnreadableFeed, panel_of, samples_of, unix_ms
from trailingedge.notifications.event_messages import counted
from trailingedge.notifications.level_history import KEPT_SAMPLES

WATCH_HINTS: Final = tuple(hints.replace("q quit", "q leave") for hints in HINTS)
WATCH_HELP: Final = HELP.replace("q  quit: cancel the order and end", "q  leave; the daemon keeps running")
SHOWN_AT_FIRST: Final = 20  # log lines of before
_ECHO_S: Final = 0.5  # the log line of a command's effect comes within this time
_SHOWN_LEVELS: Final = ("WARNING", "ERROR", "CRITICAL")  # as the daemon's own terminal shows them
_COMMAND_NAMES: Final = {command: name for name, command in COMMANDS.items()}

Ask = Callable[[Path, str, Mapping[str, object]], Awaitable[Mapping[str, object]]]
"""Sends a command with its fields to the daemon at a socket, and returns its answer. Raises NoRunningDaemon."""


class TerminalWatch:
    """Shows the lines of a subscription on `ui`, and sends hotkeys with `ask`. Calling `leave` ends the command."""

    def __init__(
        self,
        ui: InteractiveUi,
        title: str,
        ask: Ask,
        leave: Callable[[str], None],
        now_s: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.subscription: Subscription | None = None
        self._ui = ui
        self._title = title
        self._ask = ask
        self._leave = leave
        self._now_s = now_s
        self._pause = pause
        self._samples: deque[tuple[int, float]] = deque(maxlen=KEPT_SAMPLES)
        self._newest_log_time = ""
        self._texts: deque[str] = deque(maxlen=50)  # of the newest log lines
        self._away = False
        self._lost = 0
        self._code = ""  # of a flip that waits for its confirmation

    # Lines -----------------------------------------------------------------------------------

    async def on_line(self, fields: FeedLine, text: bytes) -> None:  # noqa: ARG002 - this face shows the fields
        """Show one line."""
        # A field that is missing or odd, as from another version, must not end the watching.
        with contextlib.suppress(KeyError, TypeError, ValueError, UnreadableFeed):
            match fields["type"]:
                case "state":
                    self._on_state(fields)
                case "status":
                    self._show(fields)
                case "log":
                    self._show_log(fields)
                case "lost":
                    self._lost = int(fields["lines"])  # said below the newest lines, which a state brings

    async def on_lost(self, reason: str) -> None:
        """Print that the connection to the daemon is lost."""
        self._away = True
        self._ui.print_line(
            f"WARNING the daemon is gone: {printable_lines(reason)}; waiting until it runs again, q leaves"
        )
        self._ui.show_title(self._title, "no daemon; waiting")

    def _on_state(self, state: FeedLine) -> None:
        if self._away:
            self._away = False
            self._ui.print_line("the daemon is back")
        self._samples.clear()
        self._samples.extend(samples_of(state))
        log = [fields for fields in state["log"] if fields["time"] > self._newest_log_time]
        for fields in log if self._newest_log_time else log[-SHOWN_AT_FIRST:]:
            self._show_log(fields)
        if self._lost:
            lines, self._lost = counted(self._lost, "line"), 0
            self._ui.print_line(f"WARNING this terminal did not take {lines} in time; the daemon's log has them all")
        self._show(state)

    def _show(self, fields: FeedLine) -> None:
        status = fields["status"]
        if status is None:
            self._ui.show_title(self._title, f"starting: {printable_lines(fields['starting'])}")
            return
        if status["bid"] is not None and status["time"] is not None:
            self._add_sample(unix_ms(status["time"]), float(status["bid"]))
        self._ui.show_panel(panel_of(fields["panel"], self._samples), self._now_s())

    def _add_sample(self, market_ms: int, bid: float) -> None:
        """Add a price to the chart. It replaces an earlier price of the same minute."""
        while self._samples and self._samples[-1][0] // MINUTE_MS >= market_ms // MINUTE_MS:
            self._samples.pop()
        self._samples.append((market_ms, bid))

    def _show_log(self, fields: FeedLine) -> None:
        self._newest_log_time = str(fields["time"])
        time = datetime.fromisoformat(self._newest_log_time).strftime("%H:%M:%S")
        level = f"{fields['level']} " if fields["level"] in _SHOWN_LEVELS else ""
        text = printable_lines(fields["text"])
        self._texts.append(text)
        self._ui.print_line(f"{time} {level}{text}")

    # Hotkeys ---------------------------------------------------------------------------------

    async def press(self, key: Hotkey | UnknownKey) -> None:
        """Execute a hotkey, and show the answer."""
        code, self._code = self._code, ""
        if code and key is not Hotkey.CONFIRM:
            code = ""
            self._ui.print_line("flip not made, because it was not confirmed")
        match key:
            case UnknownKey():
                self._ui.print_line(key.text)
            case Hotkey.QUIT:
                self._leave("q")
            case Hotkey.HELP:
                self._ui.print_line(WATCH_HELP)
            case Hotkey.CONFIRM if not code:
                self._ui.print_line("nothing to confirm; press x and Enter for a flip")
            case _:
                await self._command(key, {"confirmation": code} if code else {})

    async def _command(self, key: Hotkey, fields: Mapping[str, object]) -> None:
        place = None if self.subscription is None else self.subscription.place
        if place is None:
            self._ui.print_line(f"'{key.value}' not sent: no daemon is running")
            return
        try:
            answer = await self._ask(place, _COMMAND_NAMES[key.command], fields)
        except NoRunningDaemon as no_daemon:
            self._ui.print_line(f"no answer to '{key.value}': {no_daemon}")
            return
        text, self._code = str(answer["text"]), str(answer.get("confirmation", ""))
        # What a command has changed is a line of the daemon's log, too, in the same words.
        if not key.is_question and not self._code:
            await self._pause(_ECHO_S)
        known = () if key.is_question else self._texts
        for line in text.split("\n"):
            if line not in known:
                self._ui.print_line(line)
        if self._code:
            self._ui.print_line("press y and Enter within a minute to make this flip; any other key discards it")
