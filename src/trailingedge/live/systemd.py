"""Service manager interface: readiness, status, watchdog and reload messages to systemd, by sd_notify(3).

sd_notify is one datagram of `NAME=VALUE` lines to the socket that $NOTIFY_SOCKET names, so no library is needed.
Without that variable nothing is sent. Nothing here waits or raises, so a tick cannot be delayed by it.
"""

import contextlib
import socket
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from trailingedge.config import Endpoints
from trailingedge.console.plain_ui import OperatorUi
from trailingedge.core.clock import Clock
from trailingedge.notifications.status import StatusView, gain_since, pause_reasons, position

STATUS_EVERY_S: Final = 5.0
LOOK_EVERY_S: Final = 15.0  # where the manager has no watchdog for us
MORE_START_S: Final = 60.0  # requested by each look during the start; several looks may come late

_LEAST_S: Final = 0.1
_STATUS_LENGTH: Final = 1000  # the manager reads at most 4096 bytes of a message
_UNSENT_LIMIT: Final = 16
_UNIX: Final[int | None] = getattr(socket, "AF_UNIX", None)  # not on Windows, which has no such manager either


class ServiceManager:
    """Sends messages to the service manager at `address`, written as in $NOTIFY_SOCKET.

    An empty address means that there is no manager. If the manager's queue is full, a message is
    kept and sent before the next one, in order. Watchdog and status messages are not kept, because
    later ones replace them.
    """

    def __init__(self, address: str = "", family: int | None = _UNIX) -> None:
        self.is_ready = False
        self._stopping = False
        self._next_status_s = 0.0
        self._last_status = ""
        self._unsent: deque[bytes] = deque(maxlen=_UNSENT_LIMIT)
        # A leading "@" stands for the zero byte of a name in the abstract namespace, as sd_notify(3) defines it.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if family is not None and address.startswith(("@", "/")):
            with contextlib.suppress(OSError):
                self._socket = socket.socket(family, socket.SOCK_DGRAM)
                self._socket.setblocking(False)

    @property
    def is_listening(self) -> bool:
        """Whether there is a manager to notify."""
        return self._socket is not None

    def ready(self, status: str) -> None:
        """Report that the start is over. Only the first call sends this."""
        if not self.is_ready:
            self.is_ready = True
            self._last_status = status
            self._send("READY=1", _status(status))

    def starting(self, progress: str) -> None:
        """Set the status line during the start. Unlike `status`, this sends each line at once."""
        if not (self.is_ready or self._stopping):
            self._send(_status(f"starting: {progress}"), keep=False)

    def status_due(self, now_s: float) -> bool:
        """Return whether a call of `status` now would send a line that has changed."""
        return not self._stopping and now_s >= self._next_status_s

    def status(self, text: str, now_s: float) -> None:
        """Set the line that `systemctl status` shows.

        Nothing is sent if the line is unchanged or the last one was set less than STATUS_EVERY_S
        ago.
        """
        if not self.status_due(now_s) or text == self._last_status:
            return
        self._next_status_s = now_s + STATUS_EVERY_S
        self._last_status = text
        self._send(_status(text), keep=False)

    def ping_watchdog(self) -> None:
        """Report that the daemon is alive. The service manager then restarts its watchdog time-out."""
        self._send("WATCHDOG=1", keep=False)

    def extend_start_timeout(self, more_s: float) -> None:
        """Ask the service manager to allow at least `more_s` more seconds, from now, for the start."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(more_s * 1e6)}", keep=False)

    def reloading(self, now_s: float) -> None:
        """Report that a reload of the settings has begun. `now_s` is a reading of the monotonic clock."""
        if self._trading:
            self._next_status_s = now_s + STATUS_EVERY_S  # time to read the result
            self._send("RELOADING=1", f"MONOTONIC_USEC={round(now_s * 1e6)}")

    def reloaded(self, result: str) -> None:
        """Report that a reload is over, with its result.

        Nothing is sent before the first `ready` or after `stopping`, because the manager would not
        accept it.
        """
        if self._trading:
            self._last_status = result
            self._send("READY=1", _status(result))

    def stopping(self, reason: str) -> None:
        """Report that the shutdown has begun. Only the first call sends this."""
        if not self._stopping:
            self._stopping = True
            self._send("STOPPING=1", _status(f"ending: {reason}"))

    def close(self) -> None:
        """Close the socket; nothing is sent any more. May be called again."""
        open_socket, self._socket = self._socket, None
        if open_socket is not None:
            open_socket.close()

    @property
    def _trading(self) -> bool:
        return self.is_ready and not self._stopping

    def _send(self, *lines: str, keep: bool = True) -> None:
        if self._socket is None:
            return
        message = "\n".join(lines).encode(errors="replace")  # one datagram, so the manager applies its lines together
        try:
            while self._unsent:
                self._socket.sendto(self._unsent[0], self._address)
                self._unsent.popleft()
            self._socket.sendto(message, self._address)
        except OSError:  # its queue is full, or it restarts: the next message may get through
            if keep:
                self._unsent.append(message)


def service_manager(environ: Mapping[str, str]) -> ServiceManager:
    """Return the service manager that $NOTIFY_SOCKET names.

    Without that variable, the object returned sends nothing.
    """
    return ServiceManager(environ.get("NOTIFY_SOCKET", ""))


def watchdog_interval_s(environ: Mapping[str, str], pid: int) -> float | None:
    """Return half of the watchdog's time-out; None if no watchdog watches this process.

    Source: sd_watchdog_enabled(3). If $WATCHDOG_PID is not `pid`, the watchdog watches another
    process, and we have inherited the variable.
    """
    timeout_us = environ.get("WATCHDOG_USEC", "")
    if not (timeout_us.isascii() and timeout_us.isdigit()) or int(timeout_us) == 0:
        return None
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return int(timeout_us) / 2e6


class Watchdog:
    """Pings the manager's watchdog as long as the main loop makes ticks. The ticks prove that the loop is running.

    `ticks` returns the number of ticks so far. At intervals, `run` sends a ping if that number has grown. Then it calls
    `wake` to request a tick, so that pings continue in a quiet market. During the start `run` extends the start's
    time-out instead, because a start may wait for the exchange for hours. If the event loop hangs, the time-out is not
    extended. `interval_s` is the result of `watchdog_interval_s`.
    """

    def __init__(
        self,
        manager: ServiceManager,
        ticks: Callable[[], int],
        wake: Callable[[], None],
        clock: Clock,
        interval_s: float | None,
    ) -> None:
        self._manager = manager
        self._ticks = ticks
        self._wake = wake
        self._clock = clock
        self._interval_s = interval_s

    async def run(self) -> None:
        """Check at intervals whether the main loop still makes ticks. Returns at once if there is no manager."""
        seen = self._ticks()
        while self._manager.is_listening:
            await self._clock.sleep(max(_LEAST_S, min(self._interval_s or LOOK_EVERY_S, LOOK_EVERY_S)))
            ticks, before = self._ticks(), seen
            seen = ticks
            if not self._manager.is_ready:
                self._manager.extend_start_timeout(MORE_START_S)
            elif self._interval_s is not None and ticks != before:
                self._manager.ping_watchdog()
            self._wake()


class NotifyingUi:
    """An operator UI that also sends the status to the service manager, in one line."""

    def __init__(self, ui: OperatorUi, manager: ServiceManager, endpoints: Endpoints) -> None:
        self._ui = ui
        self._manager = manager
        self._endpoints = endpoints

    def print_line(self, text: str) -> None:
        """Show a line."""
        self._ui.print_line(text)

    def show_step(self, name: str, result: str) -> None:
        """Show a step of the start."""
        self._ui.show_step(name, result)

    def show_status(self, view: Callable[[], StatusView], now_s: float) -> None:
        """Show the status, and send a short form of it to the service manager."""
        self._ui.show_status(view, now_s)
        if self._manager.status_due(now_s):
            self._manager.status(status_line(view(), self._endpoints), now_s)

    def close(self) -> None:
        """Close the UI."""
        self._ui.close()


def status_line(view: StatusView, endpoints: Endpoints) -> str:
    """Return mode, pair, the asset held and the endpoints as one line for `systemctl status`."""
    parts = [f"{view.mode} {view.rules.symbol}", position(view)]
    if view.gain_frac is not None:
        parts.append(f"{gain_since(view)} since the anchor")
    parts += pause_reasons(view)
    parts += [endpoints.ws_api_url, endpoints.ws_stream_url]
    return " | ".join(parts)


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())[:_STATUS_LENGTH]}"
