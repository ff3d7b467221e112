"""Everything that talks to the exchange, made once and put together."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final

from trailingedge.config import Settings
from trailingedge.core.errors import (
    ConfigError,
    OutcomeUnknown,
    ProtocolViolation,
    RequestRefused,
    RetryLater,
    SessionLost,
)
from trailingedge.live import factory
from trailingedge.model.market import ExecutionReport, OrderRecord, RateLimit
from trailingedge.model.market_state import MarketState
from trailingedge.websocket.account import AccountSession, ServerClock
from trailingedge.websocket.account_probe import AccountProbe
from trailingedge.websocket.account_stream import AccountStream, EventBuffer, OutsideChange
from trailingedge.websocket.api_client import ApiClient, RequestCaller
from trailingedge.websocket.api_session import ApiSession
from trailingedge.websocket.fill_recovery import FillRecovery
from trailingedge.websocket.market_stream import MarketStream
from trailingedge.websocket.orders import OrderApi
from trailingedge.websocket.transport import run_together

logger = logging.getLogger(__name__)

_FIRST_LOOK_S: Final = 1.0
_SECOND_LOOK_S: Final = 4.0  # the list of trades may lag behind the trades


class ExchangeClient:
    """The two connections and what runs over them.

    `on_report` hears each execution once, also fills that no event told. In every logon but the first,
    before that connection takes orders, `read_balances` is awaited, which reads them over the account it is
    given. Where the connection before had been lost, `reopened` hears then which orders of the symbol are
    open. `account_down` and `market_down` hear the reason of each loss. `exit_open` says whether an
    exit of ours is under way. `note` is told of all frames: "api" or "market", ">" sent or "<" heard,
    and those that came together.
    """

    def __init__(
        self,
        settings: Settings,
        surroundings: factory.Runtime,
        snapshots: MarketState,
        *,
        on_report: Callable[[ExecutionReport], None],
        on_limits: Callable[[tuple[RateLimit, ...]], None],
        reopened: Callable[[tuple[OrderRecord, ...]], None],
        account_down: Callable[[str], None],
        market_down: Callable[[str], None],
        exit_open: Callable[[], bool],
        read_balances: Callable[[AccountSession], Awaitable[None]],
        on_outside_change: Callable[[OutsideChange], None] = lambda _: None,
        note: Callable[[str, str, Sequence[str | bytes]], None] = lambda _channel, _direction, _frames: None,
    ) -> None:
        clock, dial, random = surroundings.clock, surroundings.dial, surroundings.random
        self.market_state = snapshots
        self.server_clock = ServerClock(clock)
        self._symbol = settings.symbol
        self._recv_window_ms = settings.recv_window_ms
        self._keys = surroundings.keys
        self._clock = clock
        self._reopened = reopened
        self._account_down = account_down
        self._read_balances = read_balances
        self._losses = 0  # how often nobody told us what happened for a while
        self._mended = 0  # how many of those are over
        self._ear: EventBuffer | None = None  # that of the connection in office
        self._stream = AccountStream(
            settings.symbol,
            snapshots,
            clock,
            on_report=on_report,
            on_outside_change=on_outside_change,
        )
        self._missed = FillRecovery(settings.symbol, self._stream, self._clock)
        self._proof = AccountProbe(
            snapshots,
            clock,
            probe_every_s=settings.account_probe_sec,
            busy_every_s=settings.stale_after_sec,
            is_busy=exit_open,
            server_ms=self.server_clock.now_ms,
        )
        self.api = ApiClient(
            surroundings.endpoints.ws_api_url,
            dial=dial,
            clock=clock,
            backoff=factory.backoff(settings, random),
            on_open=self._open,
            on_watch=self._watch,
            on_limits=on_limits,
            on_down=self._down,
            server_ms=self.server_clock.now_ms,
            tap=partial(note, "api"),
        )
        self.account = self._account_over(self.api)
        self.orders = OrderApi(self.api, self.server_clock, settings.symbol, settings.recv_window_ms)
        self.market = MarketStream(
            surroundings.endpoints.ws_stream_url,
            settings.symbol,
            settings.kline_interval,
            market_state=snapshots,
            api=self.api,
            api_ready=self.api.wait_ready,
            dial=dial,
            clock=clock,
            backoff=factory.backoff(settings, random),
            stale_after_s=settings.stale_after_sec,
            on_down=market_down,
            tap=partial(note, "market"),
        )

    @property
    def reconnects(self) -> int:
        return self.api.reconnects + self.market.reconnects

    async def read_balances(self, settled_ms: int, account: AccountSession | None = None) -> None:
        """Ask for the balances; the answer accounts for every change of ours up to `settled_ms`."""
        pushes = self.market_state.balance_updates
        asked = await (account or self.account).balances()
        self.market_state.on_queried_balances(asked.balances, asked.account_ms, pushes, settled_ms)

    async def measure_clock(self) -> None:
        await self.server_clock.measure(self.api)

    def stop_reconnecting(self) -> None:
        """From now on a connection that ends has ended for good."""
        self.market.stop_reconnecting()
        self.api.stop_reconnecting()

    async def log_out(self) -> None:
        """End the session, if there is one."""
        if self.api.is_ready:
            await self.account.logout()

    # The account's connection ----------------------------------------------------------------

    def _account_over(self, api: RequestCaller) -> AccountSession:
        return AccountSession(api, self._keys, self.server_clock, self._symbol, self._recv_window_ms)

    async def _open(self, conversation: ApiSession) -> None:
        """Log on; after the first time, ask for what was missed and tell it before anything newer."""
        ear = self._stream.open_buffer(partial(self._deafened, conversation))
        conversation.on_event = ear.on_event
        account = self._account_over(conversation)
        try:
            await account.open()
        except ConfigError as wrong:
            if self._ear is None:
                raise
            # The key's file was good once: while it is away we go on as if the exchange were.
            raise SessionLost(str(wrong)) from wrong
        if self._ear is None:
            ear.release()
        else:
            await self._catch_up(account, ear)
        self._ear = ear

    async def _catch_up(self, account: AccountSession, ear: EventBuffer) -> None:
        """What the account stands at, what was missed, and only then what its stream has told since."""
        losses = -1
        while losses != self._losses:  # what was asked before the old connection went may be behind what it did
            losses = self._losses
            open_orders = await account.open_orders()
            await self._read_balances(account)
            self._tell_missed(await self._missed.find_missed(account, ear))
        ear.release(self.market_state.balances_ms)
        if losses != self._mended:
            self._mended = losses
            self._reopened(open_orders)
        self.market_state.set_account_proven(proven=True)

    async def _watch(self, conversation: ApiSession) -> None:
        account = self._account_over(conversation)
        await run_together(self._proof.watch(account), self._look_again(account, self._ear))

    async def _look_again(self, account: AccountSession, ear: EventBuffer | None) -> None:
        """Read the list of trades once nobody waits for anything else, and again when it can be complete."""
        try:
            await self._clock.sleep(_FIRST_LOOK_S)
            if not self._missed.is_started:
                await self._once_welcome(lambda: self._missed.start(account))
            await self._clock.sleep(_SECOND_LOOK_S)
            await self._once_welcome(lambda: self._find_missed(account, ear))
            while self._missed.has_unresolved:  # fills of orders that the exchange does not know yet
                await self._clock.sleep(_SECOND_LOOK_S)
                await self._once_welcome(lambda: self._find_missed(account, ear))
        except (RequestRefused, OutcomeUnknown, ProtocolViolation) as trouble:
            logger.warning("missed fills will be looked for at the next logon: %s", trouble)

    async def _find_missed(self, account: AccountSession, ear: EventBuffer | None) -> None:
        self._tell_missed(await self._missed.find_missed(account, ear))

    async def _once_welcome(self, ask: Callable[[], Awaitable[object]]) -> None:
        """Ask, and ask again later where the exchange wants to be left alone: the connection is no worse for it."""
        while True:
            try:
                await ask()
            except RetryLater as told:
                await self._clock.sleep(told.wait_s)
            else:
                return

    def _tell_missed(self, missed: Iterable[ExecutionReport]) -> None:
        for report in missed:
            if self._stream.on_recovered_fill(report):
                logger.warning(
                    "fill was missed client_order_id=%s trade_id=%d quantity=%s price=%s",
                    report.client_order_id,
                    report.trade_id,
                    report.last_quantity,
                    report.last_price,
                )

    def _deafened(self, conversation: ApiSession, reason: str) -> None:
        """It answers still, but tells nothing any more; another has to take its place."""
        if conversation is self.api.active and not self.api.is_stopping:
            self._down(reason)
            conversation.request_rotation(reason)

    def _down(self, reason: str) -> None:
        self._losses += 1
        self.market_state.set_account_proven(proven=False)
        self._account_down(reason)
