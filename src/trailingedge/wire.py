"""Everything that talks to the exchange, made once and put together."""

from collections.abc import Awaitable, Callable

from trailingedge import wiring
from trailingedge.config import Settings
from trailingedge.market import ExecutionReport, RateLimit
from trailingedge.snapshots import Snapshots
from trailingedge.websocket.account import AccountSession, ServerClock
from trailingedge.websocket.account_stream import AccountStream
from trailingedge.websocket.api import ApiConnection
from trailingedge.websocket.market_stream import MarketStream
from trailingedge.websocket.orders import Orders


class Wire:
    """The two connections and what runs over them.

    `reopened` is awaited after every logon but the first, before the connection takes orders again;
    `account_down` and `market_down` hear the reason of each loss.
    """

    def __init__(
        self,
        settings: Settings,
        surroundings: wiring.Surroundings,
        snapshots: Snapshots,
        *,
        on_report: Callable[[ExecutionReport], None],
        on_limits: Callable[[tuple[RateLimit, ...]], None],
        reopened: Callable[[], Awaitable[None]],
        account_down: Callable[[str], None],
        market_down: Callable[[str], None],
    ) -> None:
        clock, dial, random = surroundings.clock, surroundings.dial, surroundings.random
        self.snapshots = snapshots
        self.server_clock = ServerClock(clock)
        self._reopened = reopened
        self._opened = False
        stream = AccountStream(settings.symbol, snapshots, clock, on_report=on_report)
        self.api = ApiConnection(
            surroundings.endpoints.ws_api_url,
            dial=dial,
            clock=clock,
            backoff=wiring.backoff(settings, random),
            on_open=self._open,
            on_event=stream.hear,
            on_limits=on_limits,
            on_down=account_down,
        )
        self.account = AccountSession(
            self.api, surroundings.keys, self.server_clock, settings.symbol, settings.recv_window_ms
        )
        self.orders = Orders(self.api, self.server_clock, settings.symbol, settings.recv_window_ms)
        self.market = MarketStream(
            surroundings.endpoints.ws_stream_url,
            settings.symbol,
            settings.kline_interval,
            snapshots=snapshots,
            api=self.api,
            dial=dial,
            clock=clock,
            backoff=wiring.backoff(settings, random),
            stale_after_s=settings.stale_after_sec,
            on_down=market_down,
        )

    @property
    def reconnects(self) -> int:
        return self.api.reconnects + self.market.reconnects

    async def read_balances(self, settled_ms: int) -> None:
        """Ask for the balances; the answer accounts for every change of ours up to `settled_ms`."""
        pushes = self.snapshots.pushes
        asked = await self.account.balances()
        self.snapshots.hear_queried(asked.balances, asked.account_ms, pushes, settled_ms)

    async def measure_clock(self) -> None:
        await self.server_clock.measure(self.api)

    def stay_down(self) -> None:
        """From now on a connection that ends has ended for good."""
        self.market.stay_down()
        self.api.stay_down()

    async def log_out(self) -> None:
        """End the session, if there is one."""
        if self.api.is_ready:
            await self.account.logout()

    async def _open(self, _: ApiConnection) -> None:
        await self.account.open()
        if self._opened:
            await self._reopened()
        self._opened = True
