"""Whether the account's connection still answers, and still tells everything.

The user data stream speaks only when something happens. Its silence is therefore measured: now and then
the balances are asked for. An answer that agrees with what the stream told proves both; none within a few
seconds, twice, means a dead connection, and one that differs without a word from the stream a deaf one.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from trailingedge.core.clock import Clock
from trailingedge.core.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, RetryLater, SessionLost
from trailingedge.model.market import ZERO, Balance
from trailingedge.model.market_state import MarketState
from trailingedge.websocket.event_parser import AccountPosition

logger = logging.getLogger(__name__)

_REPLY_TIMEOUT_S: Final = 3.0
_EVENT_GRACE_S: Final = 1.0  # an answer may be ahead of an event that is on its way
_MIN_SLEEP_S: Final = 0.001
_NOT_LOGGED_ON: Final = frozenset({-1002, -1099, -1193, -2014, -2015})


class ProbeApi(Protocol):
    """What is asked. Raises RequestRefused, OutcomeUnknown, SessionLost or ProtocolViolation."""

    async def balances(self, patience_s: float) -> AccountPosition: ...


class AccountProbe:
    """Asks every `probe_every_s`, and every `busy_every_s` while `is_busy`: while something is at stake."""

    def __init__(
        self,
        snapshots: MarketState,
        clock: Clock,
        *,
        probe_every_s: float,
        busy_every_s: float,
        is_busy: Callable[[], bool],
        server_ms: Callable[[], int],
    ) -> None:
        self._snapshots = snapshots
        self._clock = clock
        self._probe_every_s = probe_every_s
        self._busy_every_s = busy_every_s
        self._is_busy = is_busy
        self._server_ms = server_ms

    async def watch(self, account: ProbeApi) -> None:
        """For ever. Raises SessionLost once the connection is no use."""
        probed_s = self._clock.now_s()
        while True:
            left_s = probed_s + self._probe_every_s - self._clock.now_s()
            await self._clock.sleep(max(_MIN_SLEEP_S, min(self._busy_every_s, left_s)))
            if self._is_busy() or self._clock.now_s() - probed_s >= self._probe_every_s:
                await self._probe(account)
                probed_s = self._clock.now_s()

    async def _probe(self, account: ProbeApi) -> None:
        pushes = self._snapshots.balance_updates
        if await self._differs(account) is not True:
            return
        await self._clock.sleep(_EVENT_GRACE_S)
        # Asked once more, for the first answer may have been behind the stream instead of ahead of it.
        if (
            self._snapshots.balance_updates == pushes
            and await self._differs(account)
            and self._snapshots.balance_updates == pushes
        ):
            raise SessionLost("the account moved and its stream did not say so")

    async def _differs(self, account: ProbeApi) -> bool | None:
        """Whether the exchange's balances are not ours; None where it would not say."""
        for _ in range(2):
            try:
                asked = await account.balances(_REPLY_TIMEOUT_S)
            except OutcomeUnknown as silence:
                logger.debug("! account probe failed reason=%s", silence)
            except RequestRefused as refused:
                if refused.code in _NOT_LOGGED_ON:
                    raise SessionLost(f"logged on no more: {refused}") from refused
                logger.debug("! account probe refused reason=%s", refused)
                await self._clock.sleep(refused.wait_s(self._server_ms()))
                return None
            except RetryLater as told:
                await self._clock.sleep(told.wait_s)
                return None
            except ProtocolViolation as violation:
                logger.warning("account probe not understood: %s", violation)
                return None
            else:
                return _amounts(asked.balances) != _amounts(self._snapshots.balances.values())
        raise SessionLost("the account does not answer")


def _amounts(balances: Iterable[Balance]) -> dict[str, Balance]:
    """By asset, those that hold nothing left out: the exchange does not always list them."""
    return {balance.asset: balance for balance in balances if balance.total != ZERO}
