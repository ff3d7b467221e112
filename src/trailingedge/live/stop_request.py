"""Stop request: holds whether the node must stop, why, and with which exit code."""

import asyncio
from collections.abc import Awaitable, Callable

from trailingedge.core.errors import ExitCode


class StopRequest:
    """Holds the first request to stop and ignores later ones.

    `on_stop` receives the reason. `request_tick` wakes the main loop, which may be waiting for an event.
    """

    def __init__(self, on_stop: Callable[[str], None], request_tick: Callable[[], None]) -> None:
        self.reason: str | None = None
        self.code = ExitCode.OK
        self._on_stop = on_stop
        self._request_tick = request_tick
        self._timeout: asyncio.Timeout | None = None

    def request(self, reason: str, code: ExitCode = ExitCode.OK) -> None:
        """Request a stop. The node then cancels our order, logs out and ends with `code`."""
        # An operator who presses twice, or a signal after a quit, must not change the exit code.
        if self.reason is not None:
            return
        self.reason, self.code = reason, code
        self._on_stop(reason)
        if self._timeout is not None:
            self._timeout.reschedule(0.0)  # the past: interrupts at once what waits for the exchange
        self._request_tick()

    async def interrupts(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Run `work`, and cancel it if a stop is requested.

        Returns True if `work` was completed, False after a stop request.
        """
        try:
            async with asyncio.timeout(None) as self._timeout:
                if self.reason is None:
                    await work()
        except TimeoutError:
            if self.reason is None:  # a time-out of the work itself
                raise
        self._timeout = None
        return self.reason is None
