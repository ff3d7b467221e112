"""The service manager: what it is told, and what it asks for.

sd_notify(3) by hand, for it is one datagram of `NAME=VALUE` lines to the socket that $NOTIFY_SOCKET names.
Where nobody listens nothing is said; nothing here waits and nothing raises, so no beat can notice it.
"""

import asyncio
import contextlib
import logging
import socket
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from trailingedge.config import OPTIONS, Endpoints, Settings
from trailingedge.console.plain_ui import OperatorUi
from trailingedge.core.clock import Clock
from trailingedge.core.errors import ConfigError
from trailingedge.notifications.messages import held_asset
from trailingedge.notifications.status import StatusView, gain_since, pause_reasons

logger = logging.getLogger(__name__)

STATUS_EVERY_S: Final = 5.0
_LEAST_S: Final = 0.1
LOOK_EVERY_S: Final = 15.0  # where the manager keeps no watch of its own
MORE_START_S: Final = 60.0  # granted to a start by each look at it; several looks may come late

_STATUS_LENGTH: Final = 1000  # the manager reads at most 4096 bytes of a message
_MOST_OWED: Final = 16
_UNIX: Final[int | None] = getattr(socket, "AF_UNIX", None)  # not on Windows, which has no such manager either

# What a reload may change while we trade; all else is asked for once, at the start.
RELOADABLE: Final = frozenset(
    {
        "LOG_LEVEL_CONSOLE",
        "LOG_LEVEL_FILE",
        "TELEGRAM_BOT_TOKEN",
        "TELEGRAM_CHAT_ID",
        "TELEGRAM_GROUP_CHAT_ID_1",
        "TELEGRAM_GROUP_CHAT_ID_2",
        "TELEGRAM_API_URL",
    }
)


class ServiceManager:
    """Whoever listens at `address`, as $NOTIFY_SOCKET writes it; nobody where it is empty.

    A message that it has no room for is kept and goes before the next one, in order; signs of life and status
    lines are not, for later ones replace them.
    """

    def __init__(self, address: str = "", family: int | None = _UNIX) -> None:
        self.is_ready = False
        self._stopping = False
        self._next_status_s = 0.0
        self._last_status = ""
        self._owed: deque[bytes] = deque(maxlen=_MOST_OWED)
        # An "@" stands for the zero byte of a name in the abstract space; other kinds of address are not spoken.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if family is not None and address.startswith(("@", "/")):
            with contextlib.suppress(OSError):
                self._socket = socket.socket(family, socket.SOCK_DGRAM)
                self._socket.setblocking(False)

    @property
    def is_listening(self) -> bool:
        """Whether there is anybody to tell."""
        return self._socket is not None

    def ready(self, status: str) -> None:
        """The start is over. Said once."""
        if not self.is_ready:
            self.is_ready = True
            self._last_status = status
            self._say("READY=1", _status(status))

    def status(self, text: str, now_s: float) -> None:
        """One line for `systemctl status`. Dropped while the last one is younger than STATUS_EVERY_S."""
        if self._stopping or now_s < self._next_status_s or text == self._last_status:
            return
        self._next_status_s = now_s + STATUS_EVERY_S
        self._last_status = text
        self._say(_status(text), keep=False)

    def ping_watchdog(self) -> None:
        """Feed the watchdog."""
        self._say("WATCHDOG=1", keep=False)

    def extend_start_timeout(self, more_s: float) -> None:
        """Ask for that much more time from now on, before the start counts as failed."""
        self._say(f"EXTEND_TIMEOUT_USEC={round(more_s * 1e6)}", keep=False)

    def reloading(self, now_s: float) -> None:
        """Settings are read again; `reloaded` ends it. `now_s` is of the monotonic clock."""
        if self._trading:
            self._next_status_s = now_s + STATUS_EVERY_S  # time to read how it came out
            self._say("RELOADING=1", f"MONOTONIC_USEC={round(now_s * 1e6)}")

    def reloaded(self, result: str) -> None:
        """Ready again. A reload before the first `ready`, or after `stopping`, is none of the manager's business."""
        if self._trading:
            self._last_status = result
            self._say("READY=1", _status(result))

    def stopping(self, reason: str) -> None:
        """The end has begun. Said once."""
        if not self._stopping:
            self._stopping = True
            self._say("STOPPING=1", _status(f"ending: {reason}"))

    def close(self) -> None:
        """Say no more. Can be repeated."""
        taken, self._socket = self._socket, None
        if taken is not None:
            taken.close()

    @property
    def _trading(self) -> bool:
        return self.is_ready and not self._stopping

    def _say(self, *lines: str, keep: bool = True) -> None:
        if self._socket is None:
            return
        message = "\n".join(lines).encode(errors="replace")
        try:
            while self._owed:
                self._socket.sendto(self._owed[0], self._address)
                self._owed.popleft()
            self._socket.sendto(message, self._address)
        except OSError:  # no room in its queue, or it is away: it may be back for the next message
            if keep:
                self._owed.append(message)


def service_manager(environ: Mapping[str, str]) -> ServiceManager:
    """The one that started us, if one did and wants to hear of us."""
    return ServiceManager(environ.get("NOTIFY_SOCKET", ""))


def watchdog_interval_s(environ: Mapping[str, str], pid: int) -> float | None:
    """Half of the time after which the manager gives us up; None where it does not watch us.

    Source: sd_watchdog_enabled(3); a $WATCHDOG_PID other than ours was left in the environment by a parent.
    """
    patience_us = environ.get("WATCHDOG_USEC", "")
    if not (patience_us.isascii() and patience_us.isdigit()) or int(patience_us) == 0:
        return None
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return int(patience_us) / 2e6


class Watchdog:
    """Tells the manager that we live, as long as we do: not that this task runs, but that beats are made.

    `beats` counts them. Between two looks `wake` asks for one, so that a quiet market is no reason to
    starve, and a main loop that does not answer is. Until we are ready each look asks for more time instead:
    an exchange that is away for hours is waited for, but a start that blocks the loop ends like any other
    failure. `interval_s` is that of `watchdog_interval_s`.
    """

    def __init__(
        self,
        manager: ServiceManager,
        beats: Callable[[], int],
        wake: Callable[[], None],
        clock: Clock,
        interval_s: float | None,
    ) -> None:
        self._manager = manager
        self._beats = beats
        self._wake = wake
        self._clock = clock
        self._interval_s = interval_s

    async def run(self) -> None:
        """Until cancelled. Returns at once where nobody listens."""
        seen = self._beats()
        while self._manager.is_listening:
            await self._clock.sleep(max(_LEAST_S, min(self._interval_s or LOOK_EVERY_S, LOOK_EVERY_S)))
            beats, before = self._beats(), seen
            seen = beats
            if not self._manager.is_ready:
                self._manager.extend_start_timeout(MORE_START_S)
            elif self._interval_s is not None and beats != before:
                self._manager.ping_watchdog()
            self._wake()


class NotifyingUi:
    """A face behind which the manager is told the same in one line: steps of the start, then how things stand."""

    def __init__(self, face: OperatorUi, manager: ServiceManager, clock: Clock, endpoints: Endpoints) -> None:
        self._face = face
        self._manager = manager
        self._clock = clock
        self._endpoints = endpoints

    def print_line(self, text: str) -> None:
        self._face.print_line(text)

    def show_step(self, name: str, result: str) -> None:
        self._face.show_step(name, result)
        self._manager.status(f"starting: {name}: {result}", self._clock.now_s())

    def show_status(self, view: StatusView, now_s: float) -> None:
        self._face.show_status(view, now_s)
        self._manager.status(status_line(view, self._endpoints), now_s)

    def close(self) -> None:
        self._face.close()


def status_line(view: StatusView, endpoints: Endpoints) -> str:
    """Mode, pair, endpoints and position: what one wants to know of a service at a glance."""
    parts = [f"{view.mode} {view.rules.symbol}", f"{view.phase}, holding {held_asset(view.rules, view.regime)}"]
    if view.gain_frac is not None:
        parts.append(f"{gain_since(view)} since the anchor")
    parts += pause_reasons(view)
    parts += [endpoints.ws_api_url, endpoints.ws_stream_url]
    return " | ".join(parts)


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())[:_STATUS_LENGTH]}"


# Reload --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """What a second reading of the settings comes to: names, in the order of their declaration.

    `settings` are in force from now on: what needs a restart is as it was.
    """

    settings: Settings
    applied: tuple[str, ...]
    needs_restart: tuple[str, ...]

    @property
    def text(self) -> str:
        """In words, without a value: some of them are secret."""
        parts = [f"{', '.join(self.applied)} applied"] if self.applied else []
        parts += [f"{', '.join(self.needs_restart)} changed, which needs a restart"] if self.needs_restart else []
        return f"reloaded: {'; '.join(parts) or 'nothing has changed'}"


def change(running: Settings, read: Settings) -> SettingsChange:
    """What of `read` may replace what is `running`, and what must wait."""
    different = [name for name, option in OPTIONS.items() if option.of(running) != option.of(read)]
    applied = tuple(name for name in different if name in RELOADABLE)
    values = {name.lower(): OPTIONS[name].of(read) for name in applied}
    return SettingsChange(
        replace(running, **values), applied, tuple(name for name in different if name not in RELOADABLE)
    )


class Reloader:
    """Reads the settings again when asked to, and puts in force what can be.

    `read` may wait for the disk and raises ConfigError; `apply` is given the settings now in force.
    """

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Settings],
        apply: Callable[[Settings], None],
        manager: ServiceManager,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self._read = read
        self._apply = apply
        self._manager = manager
        self._clock = clock
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """From a signal: several in a row are one."""
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            self._manager.reloading(self._clock.now_s())
            self._manager.reloaded(await self._reload())

    async def _reload(self) -> str:
        try:
            found = change(self.settings, await asyncio.to_thread(self._read))
        except ConfigError as wrong:
            for problem in wrong.problems:
                logger.error("not reloaded: %s", problem)
            return f"not reloaded: {'; '.join(wrong.problems)}"
        self.settings = found.settings
        if found.applied:
            self._apply(found.settings)
        logger.log(logging.WARNING if found.needs_restart else logging.INFO, "%s", found.text)
        return found.text
