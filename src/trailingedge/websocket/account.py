"""Account session: measures the exchange's clock, logs on, subscribes to account events and queries the account.

Each call waits for its reply: start-up, recovery, probes and commands use it. The order path uses `orders`, which does
not wait.
"""

import logging
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
from trailingedge.websocket.api_connection import REQUEST_TIMEOUT_S, result_of, to_exception
from trailingedge.websocket.error_codes import ALREADY_SUBSCRIBED, TIMESTAMP_OUTSIDE_WINDOW, logon_remedy
from trailingedge.websocket.event_parser import AccountPosition, Reply
from trailingedge.websocket.request_tracker import RequestOutcome
from trailingedge.websocket.result_parser import (
    Commission,
    read_account,
    read_commission,
    read_order,
    read_orders,
    read_server_time,
    read_trades,
)

logger = logging.getLogger(__name__)

_LOGOUT_TIMEOUT_S: Final = 1.0
_CLOCK_SAMPLES: Final = 3


class ServerClock:
    """Estimates the exchange's wall clock: our own clock plus a measured offset."""

    def __init__(self, clock: Clock) -> None:
        self.offset_ms = 0
        self.round_trip_ms = 0.0
        self._clock = clock

    def now_ms(self) -> int:
        """Return milliseconds since 1970 by the exchange's clock, for the parameter `timestamp`."""
        # A request is executed only if `timestamp < serverTime + 1000 && serverTime - timestamp <= recvWindow`
        # (web-socket-api.md, "Timing security"): a clock that is a second ahead is as bad as a slow network.
        return self._clock.unix_ms() + self.offset_ms

    async def measure(self, api: RequestCaller, samples: int = _CLOCK_SAMPLES) -> None:
        """Measure the offset: take a few samples and keep the most exact, which has the shortest round trip."""
        self.round_trip_ms, self.offset_ms = min([await self._sample(api) for _ in range(samples)])
        logger.debug("clock measured offset_ms=%d round_trip_ms=%.1f", self.offset_ms, self.round_trip_ms)

    async def _sample(self, api: RequestCaller) -> tuple[float, int]:
        """Return round trip and offset of the clock, in ms.

        We assume that the exchange read its clock halfway through the round trip (as in SNTP, RFC
        4330).
        """
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

        Raises LogonRefused if a person must act, ConfigError if the key file is unusable, and the errors of a query.
        """
        await self._server_clock.measure(self._api)
        await self._logon()
        await self._subscribe()

    async def logout(self) -> None:
        """Try to log out. A failure is only logged, because closing the connection ends the session as well."""
        try:
            await self._api.call("session.logout", timeout_s=_LOGOUT_TIMEOUT_S)
        except (RequestRefused, OutcomeUnknown, SessionLost) as error:
            logger.debug("! logout failed reason=%s", error)

    async def open_orders(self) -> tuple[OrderRecord, ...]:
        """Return every open order of the symbol, those of other programs included."""
        return read_orders(await self._call("openOrders.status", {"symbol": self._symbol}))

    async def order_status(self, order_id: int | None, client_order_id: str = "") -> OrderRecord:
        """Return one order, by its order id if that is known, else by its client order id."""
        return read_order(await self._call(STATUS, status_params(self._symbol, order_id, client_order_id)))

    async def all_orders(self, from_order_id: int | None = None) -> tuple[OrderRecord, ...]:
        """Return at most 1000 orders, oldest first: from `from_order_id` on, or the newest orders."""
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
        """Return at most `limit` fills of the symbol, oldest first. Without a filter, these are the newest fills."""
        filters = {"orderId": order_id, "fromId": from_id, "startTime": start_ms, "endTime": end_ms}
        params: RequestParams = {"symbol": self._symbol, "limit": limit}
        params.update((name, value) for name, value in filters.items() if value is not None)
        return read_trades(await self._call("myTrades", params))

    async def balances(self, timeout_s: float = REQUEST_TIMEOUT_S) -> AccountPosition:
        """Return all balances of the account."""
        return read_account(await self._call("account.status", {}, timeout_s))

    async def commission(self) -> Commission:
        """Return the commission rates of this account for the symbol."""
        return read_commission(await self._call("account.commission", {"symbol": self._symbol}))

    async def place(self, order: NewOrderRequest) -> OrderRecord:
        """Place an order and wait for the reply."""
        return read_order(await self._call(PLACE, place_params(self._symbol, order)))

    async def cancel_order(self, order_id: int | None, client_order_id: str = "") -> OrderRecord:
        """Cancel exactly this order and wait for the reply."""
        return read_order(await self._call(CANCEL, cancel_params(self._symbol, order_id, client_order_id)))

    async def _logon(self) -> None:
        outcome = await self._request_logon()
        # The clock was measured just now, but preparing the signature may have taken longer than `recvWindow`.
        if isinstance(outcome, Reply) and outcome.code == TIMESTAMP_OUTSIDE_WINDOW:
            await self._server_clock.measure(self._api)
            outcome = await self._request_logon()
        if isinstance(outcome, Reply) and not outcome.ok:
            remedy = logon_remedy(outcome)
            if remedy is not None:
                raise LogonRefused(f"logon refused: {outcome.code} {outcome.text} ({remedy})")
            raise to_exception("session.logon", outcome)
        result_of("session.logon", outcome)

    async def _request_logon(self) -> RequestOutcome:
        params = await self._keys.logon_params(self._server_clock.now_ms, self._recv_window_ms)
        return await self._api.request("session.logon", params)

    async def _subscribe(self) -> None:
        try:
            await self._api.call("userDataStream.subscribe")
        except RequestRefused as refused:
            if refused.code != ALREADY_SUBSCRIBED:
                raise

    async def _call(self, method: str, params: RequestParams, timeout_s: float = REQUEST_TIMEOUT_S) -> object:
        """Send a request and return its raw result.

        If the timestamp is refused, measure the clock and send the request once more. That is safe,
        also for an order: the exchange checks the timestamp before it executes anything.
        """
        try:
            return await self._api.call(method, self._stamped(params), timeout_s)
        except RequestRefused as refused:
            if refused.code != TIMESTAMP_OUTSIDE_WINDOW:
                raise
        await self._server_clock.measure(self._api)
        return await self._api.call(method, self._stamped(params), timeout_s)

    def _stamped(self, params: RequestParams) -> RequestParams:
        return {**params, "timestamp": self._server_clock.now_ms(), "recvWindow": self._recv_window_ms}
