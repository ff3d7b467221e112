"""Exchange client: the account's API connection and the market stream, with everything that runs over them.

Theory of operation. The API connection carries logon, account events, queries and orders. After a loss `ApiClient`
dials again and calls `_open`, which logs on and catches up before the connection takes orders: it reads open orders and
balances and looks for fills that no event reported. Only then does it pass on the events that the new stream has
buffered since the logon. So the core sees each execution once and in order. While the connection is open, `_watch`
probes whether account events still arrive. Some seconds after the logon it also reads the account's list of trades once
more, because that list may lag. If the event stream breaks, the connection is replaced as if it were lost.

The market stream reconnects by itself. If it is lost, only the best prices become stale.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final, Protocol

from trailingedge.core.errors import (
    ConfigError,
    OutcomeUnknown,
    ProtocolViolation,
    RequestRefused,
    RetryLater,
    SessionLost,
)
from trailingedge.live.node_dependencies import Runtime
from trailingedge.live.node_params import ExchangeClientParams
from trailingedge.model.market import ExecutionReport, OrderRecord, RateLimit
from trailingedge.model.market_state import MarketState
from trailingedge.websocket.account import AccountSession, ServerClock
from trailingedge.websocket.account_probe import AccountProbe
from trailingedge.websocket.account_stream import AccountStream, EventBuffer, OutsideChange
from trailingedge.websocket.api_client import ApiClient, RequestCaller
from trailingedge.websocket.api_connection import ApiSession
from trailingedge.websocket.fill_recovery import FillRecovery
from trailingedge.websocket.market_stream import MarketStream
from trailingedge.websocket.orders import OrderApi
from trailingedge.websocket.socket_dialer import run_together

logger = logging.getLogger(__name__)

_FIRST_LOOK_S: Final = 1.0  # the first second after a logon belongs to orders
_SECOND_LOOK_S: Final = 4.0  # the list of trades may lag behind the trades


class ExchangeEvents(Protocol):
    """Interface that receives the client's events and answers its queries.

    In the daemon this is `live.event_router.EventRouter`.
    """

    def on_report(self, report: ExecutionReport) -> None:
        """Called once for each execution, also for a fill found only in the list of trades."""
        ...

    def on_limits(self, limits: tuple[RateLimit, ...]) -> None:
        """Called with the rate limits and how much of each is used, as the exchange counts it."""
        ...

    def on_reconnected(self, open_orders: tuple[OrderRecord, ...]) -> None:
        """Called after each logon except the first, with all open orders of the symbol."""
        ...

    def on_account_lost(self, reason: str) -> None:
        """Called when the account's connection is lost."""
        ...

    def on_outside_change(self, change: OutsideChange) -> None:
        """Called on a change from outside this program: a deposit, a withdrawal or a lock."""
        ...

    def exit_is_open(self) -> bool:
        """Return whether an exit is in progress. The account's stream is then probed more often."""
        ...

    async def read_balances(self, account: AccountSession) -> None:
        """Read the balances over the session `account`, which has just been opened after a loss."""
        ...


class ExchangeClient:
    """Holds the connections and sessions of one account and symbol.

    `events` receives what the exchange reports. `note` is called with all frames that are sent or received. Its
    arguments are the channel ("api" or "market"), the direction (">" sent, "<" received), and the frames that were read
    or written at once. `on_retry` is called after each failed attempt to open the API connection.
    """

    def __init__(
        self,
        params: ExchangeClientParams,
        runtime: Runtime,
        market_state: MarketState,
        server_clock: ServerClock,
        events: ExchangeEvents,
        note: Callable[[str, str, Sequence[str | bytes]], None] = lambda _channel, _direction, _frames: None,
        on_retry: Callable[[str, float], bool] = lambda _reason, _pause_s: False,
    ) -> None:
        clock, dial, keys = runtime.clock, runtime.dial, runtime.keys

        self.market_state = market_state
        self.server_clock = server_clock
        self._symbol = params.symbol
        self._recv_window_ms = params.recv_window_ms
        self._keys = keys
        self._clock = clock
        self._events = events
        self._losses = 0  # of the account's connection or its event stream
        self._caught_up = 0  # the number of losses that the last catch-up made good
        self._buffer: EventBuffer | None = None  # of the active connection; None before the first logon
        self._stream = AccountStream(
            params.symbol,
            market_state,
            clock,
            on_report=events.on_report,
            on_outside_change=events.on_outside_change,
        )
        self._fill_recovery = FillRecovery(params.symbol, self._stream, clock)
        self._probe = AccountProbe(
            market_state,
            clock,
            probe_every_s=params.account_probe_s,
            busy_every_s=params.stale_after_s,
            is_busy=events.exit_is_open,
            server_ms=server_clock.now_ms,
        )
        self.api = ApiClient(
            runtime.endpoints.ws_api_url,
            dial=dial,
            clock=clock,
            backoff=params.reconnect.backoff(runtime.random),
            on_open=self._open,
            on_watch=self._watch,
            on_limits=events.on_limits,
            on_down=self._on_account_lost,
            on_retry=on_retry,
            server_ms=server_clock.now_ms,
            tap=partial(note, "api"),
        )
        self._feed_reconnects = runtime.feed_reconnects
        self.account = self._account_over(self.api)
        self.orders = OrderApi(self.api, server_clock, params.symbol, params.recv_window_ms)
        self.market = MarketStream(
            runtime.endpoints.ws_stream_url,
            params.symbol,
            params.kline_interval,
            market_state=market_state,
            api=self.api,
            api_ready=self.api.wait_ready,
            dial=dial,
            clock=clock,
            backoff=params.reconnect.backoff(runtime.random),
            stale_after_s=params.stale_after_s,
            on_down=self._on_market_lost,
            tap=partial(note, "market"),
        )

    @property
    def reconnects(self) -> int:
        """Number of reconnects of both connections. In paper mode, the reconnects to the real market count, too."""
        return self.api.reconnects + self.market.reconnects + self._feed_reconnects()

    async def measure_clock(self) -> None:
        """Measure the offset of the exchange's clock again."""
        await self.server_clock.measure(self.api)

    def stop_reconnecting(self) -> None:
        """From now on, do not open a lost connection again."""
        self.market.stop_reconnecting()
        self.api.stop_reconnecting()

    async def log_out(self) -> None:
        """Log out of the account's session, if the API connection is up."""
        if self.api.is_ready:
            await self.account.logout()

    # The account's connection ----------------------------------------------------------------

    def _account_over(self, api: RequestCaller) -> AccountSession:
        return AccountSession(api, self._keys, self.server_clock, self._symbol, self._recv_window_ms)

    async def _open(self, session: ApiSession) -> None:
        """Log on. After every logon except the first, read the account data that was missed.

        Events that arrive over the new connection are buffered until then.
        """
        buffer = self._stream.open_buffer(partial(self._on_stream_broken, session))
        session.on_event = buffer.on_event
        account = self._account_over(session)
        try:
            await account.open()
        except ConfigError as wrong:
            if self._buffer is None:
                raise
            # The key file was valid at the start. While it cannot be read now, keep trying as after a lost connection.
            raise SessionLost(str(wrong)) from wrong
        if self._buffer is None:
            # The first logon: the start reads orders and balances itself, so there is nothing to catch up.
            buffer.release()
        else:
            await self._catch_up(account, buffer)
        self._buffer = buffer

    async def _catch_up(self, account: AccountSession, buffer: EventBuffer) -> None:
        """Read balances, open orders and missed fills, then pass on the buffered events."""
        losses = -1
        # On a planned rotation the old connection is still active. If it is lost during the queries, its last
        # requests may have made the answers outdated: query once more.
        while losses != self._losses:
            losses = self._losses
            open_orders = await account.open_orders()
            await self._events.read_balances(account)
            self._report_missed(await self._fill_recovery.find_missed(account, buffer))
        # Buffered balance events older than the answer just read are dropped; newer ones are applied.
        buffer.release(self.market_state.balances_ms)
        # A planned rotation loses nothing: then the orders need not be reconciled.
        if losses != self._caught_up:
            self._caught_up = losses
            self._events.on_reconnected(open_orders)
        self.market_state.set_account_proven(proven=True)

    async def _watch(self, session: ApiSession) -> None:
        account = self._account_over(session)
        await run_together(self._probe.watch(account), self._look_for_missed_fills(account, self._buffer))

    async def _look_for_missed_fills(self, account: AccountSession, buffer: EventBuffer | None) -> None:
        """Search the list of trades for fills that no event reported, some seconds after a logon.

        The search waits because the list may lag behind the trades. It is repeated as long as a
        fill is found whose order the exchange's queries do not return yet.
        """
        try:
            await self._clock.sleep(_FIRST_LOOK_S)
            if not self._fill_recovery.is_started:
                await self._once_allowed(lambda: self._fill_recovery.start(account))
            await self._clock.sleep(_SECOND_LOOK_S)
            await self._once_allowed(lambda: self._find_missed(account, buffer))
            while self._fill_recovery.has_unresolved:  # fills of orders that the exchange's queries do not show yet
                await self._clock.sleep(_SECOND_LOOK_S)
                await self._once_allowed(lambda: self._find_missed(account, buffer))
        except (RequestRefused, OutcomeUnknown, ProtocolViolation) as error:
            logger.warning("search for missed fills failed, repeated at the next logon reason=%s", error)

    async def _find_missed(self, account: AccountSession, buffer: EventBuffer | None) -> None:
        self._report_missed(await self._fill_recovery.find_missed(account, buffer))

    async def _once_allowed(self, ask: Callable[[], Awaitable[object]]) -> None:
        """Call `ask`. If the exchange asks for a pause, wait that long and call `ask` again.

        The connection stays open in the meantime.
        """
        while True:
            try:
                await ask()
            except RetryLater as later:
                await self._clock.sleep(later.wait_s)
            else:
                return

    def _report_missed(self, missed: Iterable[ExecutionReport]) -> None:
        for report in missed:
            if self._stream.on_recovered_fill(report):
                logger.warning(
                    "fill not reported by an event, found in the list of trades "
                    "client_order_id=%s trade_id=%d quantity=%s price=%s",
                    report.client_order_id,
                    report.trade_id,
                    report.last_quantity,
                    report.last_price,
                )

    def _on_stream_broken(self, session: ApiSession, reason: str) -> None:
        """Replace a connection that still answers requests but has stopped reporting events."""
        # Ignore this for a connection that is being replaced: its successor has a stream already.
        if session is self.api.active and not self.api.is_stopping:
            self._on_account_lost(reason)
            session.request_rotation(reason)

    def _on_account_lost(self, reason: str) -> None:
        self._losses += 1
        self.market_state.set_account_proven(proven=False)
        self._events.on_account_lost(reason)

    # The market stream -----------------------------------------------------------------------

    def _on_market_lost(self, _reason: str) -> None:
        self.market_state.invalidate_top()
