"""Retry: repeats one request of a start until it succeeds, because the start cannot go on without the result."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from trailingedge.core.clock import Clock
from trailingedge.core.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost, StartFailed
from trailingedge.websocket.api_client import ApiClient

_ATTEMPTS: Final = 5
_PAUSE_S: Final = 1.0

T = TypeVar("T")


class Retry:
    """Repeats failed requests over `api`.

    `peer` is the name of the exchange in messages; `server_ms` returns the exchange's time. `on_failed` reports each
    failed attempt: it gets the reason and the pause before the next attempt.
    """

    def __init__(
        self,
        api: ApiClient,
        clock: Clock,
        server_ms: Callable[[], int],
        peer: str,
        on_failed: Callable[[str, float], object],
    ) -> None:
        self._on_failed = on_failed
        self._api = api
        self._clock = clock
        self._server_ms = server_ms
        self._peer = peer

    async def run(self, request: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `request`, repeated after transient errors. Raises StartFailed after five attempts.

        An attempt does not count if the reply (a ban, a rate limit) says how long to wait: `run` then waits that long.
        """
        attempt = 0
        while True:
            # Reconnecting does not count as an attempt: the supervisor has its own limit and raises when it is reached.
            await self._api.wait_ready()
            try:
                return await request()
            except (SessionLost, OutcomeUnknown, RequestRefused, ProtocolViolation) as error:
                reason, wait_s = str(error), self._requested_wait_s(error)
            if wait_s:
                self._on_failed(reason, wait_s + _PAUSE_S)
                await self._clock.sleep(wait_s + _PAUSE_S)
                continue
            attempt += 1
            if attempt == _ATTEMPTS:
                raise StartFailed(f"no usable answer from {self._peer}, {_ATTEMPTS} times in a row: {reason}")
            pause_s = _PAUSE_S * 2.0 ** (attempt - 1)  # 1, 2, 4 and 8 s
            self._on_failed(reason, pause_s)
            await self._clock.sleep(pause_s)

    def _requested_wait_s(self, error: Exception) -> float:
        """Return the pause in seconds that the exchange demands; 0 if it demands none."""
        if isinstance(error, RequestRefused):
            return error.wait_s(self._server_ms())
        return error.wait_s if isinstance(error, SessionLost) else 0.0
