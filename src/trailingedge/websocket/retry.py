"""Asking until one is answered: for the steps of a start, which has nothing to fall back upon."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from trailingedge.core.clock import Clock
from trailingedge.core.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost, StartFailed
from trailingedge.websocket.api_client import ApiClient

logger = logging.getLogger(__name__)

_ATTEMPTS: Final = 5
_PAUSE_S: Final = 1.0

T = TypeVar("T")


class Retry:
    """Over `api`. `whom` is who is asked, in words; `server_ms` is its clock as far as we know."""

    def __init__(self, api: ApiClient, clock: Clock, server_ms: Callable[[], int], whom: str) -> None:
        self._api = api
        self._clock = clock
        self._server_ms = server_ms
        self._whom = whom

    async def run(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` brings, tried again for reasons that may pass. Raises StartFailed when they do not.

        Being told to wait is no failure: that is waited out, however often.
        """
        attempt = 0
        while True:
            await self._api.wait_ready()
            try:
                return await ask()
            except (SessionLost, OutcomeUnknown, RequestRefused, ProtocolViolation) as trouble:
                reason, wait_s = str(trouble), self._requested_wait_s(trouble)
            if wait_s:
                logger.warning("%s: %s; it wants to be left alone for %.0f s", self._whom, reason, wait_s)
                await self._clock.sleep(wait_s + _PAUSE_S)
                continue
            attempt += 1
            if attempt == _ATTEMPTS:
                raise StartFailed(f"{self._whom} did not answer as needed, {_TRIES} times in a row: {reason}")
            logger.warning("%s: %s; trying again", self._whom, reason)
            await self._clock.sleep(_PAUSE_S * 2.0 ** (attempt - 1))

    def _requested_wait_s(self, trouble: Exception) -> float:
        """How long we are asked to leave it alone; 0 where we are not."""
        if isinstance(trouble, RequestRefused):
            return trouble.wait_s(self._server_ms())
        return trouble.wait_s if isinstance(trouble, SessionLost) else 0.0
