"""Account probe: checks at intervals that the account's connection replies and that its event stream is complete.

The user data stream sends an event only when something happens, so a quiet account and a dead stream look the same. The
probe queries the balances. If they equal those that the stream reported, connection and stream are fine. If there is no
reply within three seconds, twice in a row, the connection is dead. Different balances, twice in a row and with no event
in between, mean a dead stream. In both cases SessionLost ends the connection, and a new one reads everything again.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from trailingedge.core.clock import Clock
from trailingedge.core.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, RetryLater, SessionLost
from trailingedge.model.market import ZERO, Balance
from trailingedge.model.market_state import MarketState
from trailingedge.websocket.error_codes import NOT_LOGGED_ON_CODES
from trailingedge.websocket.event_parser import AccountPosition

logger = logging.getLogger(__name__)

_REPLY_TIMEOUT_S: Final = 3.0
_EVENT_GRACE_S: Final = 1.0  # a reply may be ahead of an event that is on its way
_MIN_SLEEP_S: Final = 0.001


class ProbeApi(Protocol):
    """The query that the probe sends. Raises RequestRefused, OutcomeUnknown, SessionLost or ProtocolViolation."""

    async def balances(self, timeout_s: float) -> AccountPosition: ...


class AccountProbe:
    """Probes every `probe_every_s` seconds, or every `busy_every_s` while `is_busy()` is true (an exit is open)."""

    def __init__(
        self,
        market_state: MarketState,
        clock: Clock,
        *,
        probe_every_s: float,
        busy_every_s: float,
        is_busy: Callable[[], bool],
        server_ms: Callable[[], int],
    ) -> None:
        self._market_state = market_state
        self._clock = clock
        self._probe_every_s = probe_every_s
        self._busy_every_s = busy_every_s
        self._is_busy = is_busy
        self._server_ms = server_ms

    async def watch(self, account: ProbeApi) -> None:
        """Probe until cancelled. Raises SessionLost when connection or stream are dead."""
        probed_s = self._clock.now_s()
        while True:
            left_s = probed_s + self._probe_every_s - self._clock.now_s()
            await self._clock.sleep(max(_MIN_SLEEP_S, min(self._busy_every_s, left_s)))
            if self._is_busy() or self._clock.now_s() - probed_s >= self._probe_every_s:
                await self._probe(account)
                probed_s = self._clock.now_s()

    async def _probe(self, account: ProbeApi) -> None:
        pushes = self._market_state.balance_updates
        if await self._differs(account) is not True:
            return
        await self._clock.sleep(_EVENT_GRACE_S)
        # Query again: the first reply may have been older than the last event, not newer, since the query is answered
        # from memory or database while events come from the matching engine (web-socket-api.md, "Data sources").
        if (
            self._market_state.balance_updates == pushes
            and await self._differs(account)
            and self._market_state.balance_updates == pushes
        ):
            raise SessionLost("the balances changed and the stream did not report it")

    async def _differs(self, account: ProbeApi) -> bool | None:
        """Return whether the balances at the exchange differ from ours; None without a usable reply."""
        for _ in range(2):
            try:
                queried = await account.balances(_REPLY_TIMEOUT_S)
            except OutcomeUnknown as no_reply:
                logger.debug("! account probe got no reply reason=%s", no_reply)
            except RequestRefused as refused:
                if refused.code in NOT_LOGGED_ON_CODES:
                    raise SessionLost(f"no longer logged on: {refused}") from refused
                logger.debug("! exchange refused the query of the account probe reason=%s", refused)
                await self._clock.sleep(refused.wait_s(self._server_ms()))
                return None
            except RetryLater as later:
                await self._clock.sleep(later.wait_s)
                return None
            except ProtocolViolation as violation:
                logger.warning("account probe ignored, its reply is unreadable reason=%s", violation)
                return None
            else:
                return _amounts(queried.balances) != _amounts(self._market_state.balances.values())
        raise SessionLost("no reply to the account probe")


def _amounts(balances: Iterable[Balance]) -> dict[str, Balance]:
    """Return the balances by asset, without zeros, because the exchange may leave those out."""
    return {balance.asset: balance for balance in balances if balance.total != ZERO}
