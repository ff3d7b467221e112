"""The account's session: clock, logon, subscription, and the questions asked of the account.

These are the calls that wait for their answer, for start-up and recovery. Orders of the chase go through
`orders`, which waits for nothing.
"""

import logging
from collections.abc import Mapping
from typing import Final

from trailingedge.auth.manager import KeyManager
from trailingedge.core.clock import Clock
from trailingedge.core.errors import LogonRefused, OutcomeUnknown, RequestRefused, SessionLost
from trailingedge.model.market import AccountTrade, OrderRecord
from trailingedge.model.order_requests import (
    ALL_ORDERS,
    CANCEL,
    PLACE,
    STATUS,
    NewOrderRequest,
    RequestParams,
    all_orders_params,
    cancel_params,
    place_params,
    status_params,
)
from trailingedge.websocket.api_client import RequestCaller
from trailingedge.websocket.api_session import REQUEST_TIMEOUT_S, result_of, to_exception
from trailingedge.websocket.event_parser import AccountPosition, Reply
from trailingedge.websocket.request_tracker import RequestOutcome
from trailingedge.websocket.response_parser import (
    Commission,
    read_account,
    read_commission,
    read_order,
    read_orders,
    read_server_time,
    read_trades,
)

logger = logging.getLogger(__name__)

_TIMESTAMP: Final = -1021
_ALREADY_SUBSCRIBED: Final = -2035
_LOGOUT_TIMEOUT_S: Final = 1.0
_CLOCK_SAMPLES: Final = 3

# What a logon can be refused for, and what a person must do about it.
_REMEDIES: Final[Mapping[int, str]] = {
    -1022: "the private key does not belong to this API key: check BINANCE_ED25519_PRIV_PATH",
    -1102: "the API key is empty or malformed: check BINANCE_ED25519_API_KEY",
    -2014: "the API key is malformed: check BINANCE_ED25519_API_KEY",
    -2015: "unknown key, IP address not allowed or permission missing: check the key's settings at the exchange",
    -2028: "this is an HMAC key: create an Ed25519 key at the exchange",
}
_DEFAULT_REMEDY: Final = "check the key's settings at the exchange"


class ServerClock:
    """The exchange's wall clock, as our own plus a measured offset."""

    def __init__(self, clock: Clock) -> None:
        self.offset_ms = 0
        self.round_trip_ms = 0.0
        self._clock = clock

    def now_ms(self) -> int:
        """Milliseconds since 1970 by the exchange's clock: what `timestamp` must say."""
        return self._clock.unix_ms() + self.offset_ms

    async def measure(self, api: RequestCaller, samples: int = _CLOCK_SAMPLES) -> None:
        """Ask for the time; of a few answers the quickest is the most exact."""
        self.round_trip_ms, self.offset_ms = min([await self._sample(api) for _ in range(samples)])
        logger.debug("clock measured offset_ms=%d round_trip_ms=%.1f", self.offset_ms, self.round_trip_ms)

    async def _sample(self, api: RequestCaller) -> tuple[float, int]:
        """Round trip and offset. The exchange is taken to have looked at its clock halfway."""
        asked_ms, asked_s = self._clock.unix_ms(), self._clock.now_s()
        server_ms = read_server_time(await api.call("time"))
        round_trip_ms = (self._clock.now_s() - asked_s) * 1000
        return round_trip_ms, server_ms - asked_ms - round(round_trip_ms / 2)


class AccountSession:
    """One account on one connection. Queries raise RequestRefused, OutcomeUnknown, SessionLost or ProtocolViolation."""

    def __init__(
        self,
        api: RequestCaller,
        keys: KeyManager,
        server_clock: ServerClock,
        symbol: str,
        recv_window_ms: int = 5000,
    ) -> None:
        self._api = api
        self._keys = keys
        self._server_clock = server_clock
        self._symbol = symbol
        self._recv_window_ms = recv_window_ms

    async def open(self) -> None:
        """Measure the clock, log on and subscribe to the account's events.

        Raises LogonRefused where a person must act, ConfigError where that is the key's file; else as queries do.
        """
        await self._server_clock.measure(self._api)
        await self._logon()
        await self._subscribe()

    async def logout(self) -> None:
        """End the session; the connection stays. Best effort: closing the connection ends it as well."""
        try:
            await self._api.call("session.logout", patience_s=_LOGOUT_TIMEOUT_S)
        except (RequestRefused, OutcomeUnknown, SessionLost) as error:
            logger.debug("! logout failed reason=%s", error)

    async def open_orders(self) -> tuple[OrderRecord, ...]:
        """Every open order of the symbol, whoever placed it."""
        return read_orders(await self._call("openOrders.status", {"symbol": self._symbol}))

    async def order_status(self, order_id: int | None, client_order_id: str = "") -> OrderRecord:
        """One order: by order id where it is known."""
        return read_order(await self._call(STATUS, status_params(self._symbol, order_id, client_order_id)))

    async def all_orders(self, from_order_id: int | None = None) -> tuple[OrderRecord, ...]:
        """At most 1000 orders from that one on, or the newest ones; oldest first either way."""
        return read_orders(await self._call(ALL_ORDERS, all_orders_params(self._symbol, from_order_id)))

    async def my_trades(
        self,
        *,
        order_id: int | None = None,
        from_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 1000,
    ) -> tuple[AccountTrade, ...]:
        """At most `limit` fills of the symbol, oldest first; the newest ones where nothing narrows it down."""
        narrowed = {"orderId": order_id, "fromId": from_id, "startTime": start_ms, "endTime": end_ms}
        params: RequestParams = {"symbol": self._symbol, "limit": limit}
        params.update((name, value) for name, value in narrowed.items() if value is not None)
        return read_trades(await self._call("myTrades", params))

    async def balances(self, patience_s: float = REQUEST_TIMEOUT_S) -> AccountPosition:
        """Everything the account holds."""
        return read_account(await self._call("account.status", {}, patience_s))

    async def commission(self) -> Commission:
        """What fills of the symbol cost this account."""
        return read_commission(await self._call("account.commission", {"symbol": self._symbol}))

    async def place(self, order: NewOrderRequest) -> OrderRecord:
        """Place and wait for the answer."""
        return read_order(await self._call(PLACE, place_params(self._symbol, order)))

    async def cancel_order(self, order_id: int | None, client_order_id: str = "") -> OrderRecord:
        """Cancel exactly this order and wait for the answer."""
        return read_order(await self._call(CANCEL, cancel_params(self._symbol, order_id, client_order_id)))

    async def _logon(self) -> None:
        answer = await self._ask_to_log_on()
        if isinstance(answer, Reply) and answer.code == _TIMESTAMP:
            await self._server_clock.measure(self._api)
            answer = await self._ask_to_log_on()
        if isinstance(answer, Reply) and not answer.ok:
            if answer.code in _REMEDIES or answer.status == 401:
                remedy = _REMEDIES.get(answer.code, _DEFAULT_REMEDY)
                raise LogonRefused(f"logon refused: {answer.code} {answer.text} ({remedy})")
            raise to_exception("session.logon", answer)
        result_of("session.logon", answer)

    async def _ask_to_log_on(self) -> RequestOutcome:
        params = await self._keys.logon_params(self._server_clock.now_ms, self._recv_window_ms)
        return await self._api.request("session.logon", params)

    async def _subscribe(self) -> None:
        try:
            await self._api.call("userDataStream.subscribe")
        except RequestRefused as refused:
            if refused.code != _ALREADY_SUBSCRIBED:
                raise

    async def _call(self, method: str, params: RequestParams, patience_s: float = REQUEST_TIMEOUT_S) -> object:
        """A question about the account. A refused timestamp is not executed: measure the clock, ask once more."""
        try:
            return await self._api.call(method, self._stamped(params), patience_s)
        except RequestRefused as refused:
            if refused.code != _TIMESTAMP:
                raise
        await self._server_clock.measure(self._api)
        return await self._api.call(method, self._stamped(params), patience_s)

    def _stamped(self, params: RequestParams) -> RequestParams:
        return {**params, "timestamp": self._server_clock.now_ms(), "recvWindow": self._recv_window_ms}
