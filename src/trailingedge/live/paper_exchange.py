"""Paper exchange: the embedded exchange at the real market's prices, with an account that holds no real money.

Theory of operation. Public connections, which need no key, feed the real market into the embedded exchange. The daemon
trades on the embedded exchange over the same protocol as on Binance. Rules and limits are read from the real exchange
at the start; the pair's trading status is read again every minute. While no data arrives from the real market, the
embedded market stands still and answers no request for prices. The daemon then finds its data stale, as it would on the
real exchange.

Paper mode is easier than the real exchange in two ways: our orders rest at once, and no other trader reacts to them.
`simulator.book` decides when they fill. Only trades that we received after our order was accepted can fill it. Each
start opens a new account. The account's fee is the setting FEE, or 0.1 % without it: the fee on the real exchange
cannot be read without a key.
"""

import asyncio
import contextlib
import dataclasses
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Endpoints
from trailingedge.core.clock import Clock
from trailingedge.core.errors import (
    ConfigError,
    ExchangeUnreachable,
    OutcomeUnknown,
    ProtocolViolation,
    RequestRefused,
    SessionLost,
    most_severe,
)
from trailingedge.live.node_params import PaperFeedParams
from trailingedge.live.start_progress import StartProgress
from trailingedge.model.market import BookTop, Kline, RateLimit, SymbolRules
from trailingedge.model.market_state import MarketState
from trailingedge.notifications import event_messages
from trailingedge.simulator.engine import BREAK, TRADING
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.live import LiveMarket, OpeningTick
from trailingedge.simulator.klines import Interval
from trailingedge.simulator.server import LoopbackExchange
from trailingedge.websocket import market_fetch
from trailingedge.websocket.api_client import ApiClient
from trailingedge.websocket.api_connection import ApiSession
from trailingedge.websocket.market_stream import MarketStream
from trailingedge.websocket.result_parser import read_klines
from trailingedge.websocket.retry import Retry
from trailingedge.websocket.socket_dialer import Backoff, Dial
from trailingedge.websocket.trade_stream import PublicTrade, TradeStream

logger = logging.getLogger(__name__)

_TRANSIENT: Final = (RequestRefused, OutcomeUnknown, ProtocolViolation, SessionLost)
_SEEN_FOR_S: Final = 4.0  # how long prices stay visible after they were last reported or confirmed
_RULES_GOOD_FOR_S: Final = 60.0
_GAPS_KEPT: Final = 100
_SPARE_KLINES: Final = 200  # kept in addition to those that the bot keeps, for its requests after a loss
ASSUMED_FEE: Final = Decimal("0.001")  # what most accounts pay on most pairs
_LEAST_ORDERS: Final = 10  # the account must have enough for so many orders of the smallest size


@dataclass(frozen=True, slots=True)
class PaperExchange:
    """An embedded exchange at real prices, and the keys of its only account.

    `gaps` describes each missed part of the real market. `reconnects` returns the number of reconnects to it. `ended`
    is set when the connection to the real market is lost and no further attempt is made.
    """

    loopback: LoopbackExchange
    keys: KeyManager
    gaps: Iterable[str]
    ended: asyncio.Event
    reconnects: Callable[[], int]


@contextlib.asynccontextmanager
async def paper_exchange(
    params: PaperFeedParams,
    sources: Endpoints,
    dial: Dial,
    clock: Clock,
    random: Random,
    *,
    listen: bool = True,
    on_step: Callable[[str, str], None] = lambda _name, _result: None,
    alert: Callable[[str], None] = lambda _text: None,
    progress: StartProgress | None = None,
) -> AsyncIterator[PaperExchange]:
    """Open the exchange and feed it from `sources` during the `with` block.

    `on_step` receives the name and the result of each step of the opening. `alert` receives a text when the pair stops
    or resumes trading on the real market. If `listen` is False, the exchange can be reached in memory only. The account
    starts with one unit of the base asset, or more if one unit is too little to trade. It pays the fee of the setting
    FEE, or `ASSUMED_FEE` if that is not set.

    Raises ConfigError for an unlisted symbol, and StartFailed if a request fails too often. If the real market cannot
    be reached any more, raises ExchangeUnreachable: during the opening at once, after it at the end of the block.
    """
    progress = progress or StartProgress()
    feed = PaperMarketFeed(params, sources, dial, clock, random, alert, progress)
    progress.begin("real market")
    try:
        async with asyncio.TaskGroup() as tasks:
            connection = tasks.create_task(feed.run_connection())
            try:
                market = await feed.fetch_snapshot()
                on_step("real market", f"{len(market.klines)} candles, prices from {sources.ws_stream_url}")
                exchange = _exchange(params, market, clock)
                exchange.prices_known = feed.in_sight
                exchange.engine.market_now = feed.market_ms
                if params.fee is None:
                    logger.warning(
                        "maker fee assumed fee=%s: set FEE to the maker fee of your account, such as FEE=0", ASSUMED_FEE
                    )
                async with LoopbackExchange(exchange, _opening(market), clock, listen=listen) as loopback:
                    feeding = tasks.create_task(feed.run(LiveMarket(loopback.hub, _interval(params))))
                    try:
                        yield PaperExchange(
                            loopback, _account_key(exchange), feed.gaps, feed.ended, lambda: feed.reconnects
                        )
                    finally:
                        feeding.cancel()  # before the exchange closes, which could not take a price any more
            finally:
                connection.cancel()
    except BaseExceptionGroup as group:
        failure = most_severe(group)
        raise failure from failure.__cause__
    if feed.given_up is not None:
        raise feed.given_up


@dataclass(frozen=True, slots=True)
class MarketSnapshot:
    """The real market at the start: rules, limits, klines, best prices and the market's time.

    Klines are sorted oldest first.
    """

    rules: SymbolRules
    limits: Sequence[RateLimit]
    klines: Sequence[Kline]  # closed ones
    forming: Sequence[Kline]  # one, or none
    top: BookTop
    market_ms: int


def _interval(params: PaperFeedParams) -> Interval:
    return Interval(params.kline_interval)


def _exchange(params: PaperFeedParams, market: MarketSnapshot, clock: Clock) -> Exchange:
    """Build the embedded exchange with the rules and klines of the real exchange."""
    maker_fee = ASSUMED_FEE if params.fee is None else params.fee
    spec = dataclasses.replace(ExchangeSpec().for_rules(market.rules, market.limits), maker_fee=maker_fee)
    exchange = Exchange(spec, clock, {spec.base_asset: _opening_balance(market)})
    exchange.engine.symbol_status = market.rules.status
    interval, klines = _interval(params), exchange.market.klines
    klines.relay_interval(interval, params.klines_maxlen + _SPARE_KLINES)
    for kline in (*market.klines, *market.forming):
        klines.add_relayed(interval, kline)
    return exchange


def _opening(market: MarketSnapshot) -> OpeningTick:
    last_price = market.klines[-1].close if market.klines else market.top.bid
    return OpeningTick.of_market(market.rules, market.top, last_price, market.market_ms)


def _opening_balance(market: MarketSnapshot) -> Decimal:
    """Return the account's first balance of the base asset.

    It is 1, or the smallest power of ten that suffices for ten orders of the smallest size.
    """
    balance = Decimal(1)
    while balance * market.top.bid < _LEAST_ORDERS * market.rules.min_notional:
        balance *= 10
    return balance


def _account_key(exchange: Exchange) -> KeyManager:
    """Create the key of the exchange's account and register it there."""
    private_key = Ed25519PrivateKey.generate()
    return KeyManager.from_private_key(private_key, exchange.register_key(private_key.public_key()))


class PaperMarketFeed:
    """Feeds the real market into the embedded one, over public connections that reconnect.

    Call `fetch_snapshot` first, then `run`.
    """

    def __init__(
        self,
        params: PaperFeedParams,
        sources: Endpoints,
        dial: Dial,
        clock: Clock,
        random: Random,
        alert: Callable[[str], None],
        progress: StartProgress,
    ) -> None:
        self.ended = asyncio.Event()
        self.given_up: ExchangeUnreachable | None = None
        self._params = params
        self._clock = clock
        self._alert = alert
        self._rules: SymbolRules | None = None
        self._prices = PaperPrices(params.klines_maxlen, min(_SEEN_FOR_S, params.stale_after_s))

        def backoff() -> Backoff:
            return params.reconnect.backoff(random)

        self._api = ApiClient(
            sources.ws_api_url,
            dial=dial,
            clock=clock,
            backoff=backoff(),
            on_open=_without_logon,
            on_retry=lambda reason, pause_s: not self._prices.feeding and progress.on_attempt_failed(reason, pause_s),
        )
        self._retry = Retry(self._api, clock, clock.unix_ms, "the real market", progress.on_attempt_failed)
        self._market = MarketStream(
            sources.ws_stream_url,
            params.symbol,
            params.kline_interval,
            market_state=self._prices,
            api=self._api,
            dial=dial,
            clock=clock,
            backoff=backoff(),
            stale_after_s=self._prices.visible_for_s,
            on_down=self._on_market_lost,
        )
        self._trades = TradeStream(
            sources.ws_stream_url, params.symbol, self._on_trade, dial=dial, clock=clock, backoff=backoff()
        )

    @property
    def gaps(self) -> Iterable[str]:
        """Descriptions of missed parts of the market, oldest first. Only the last 100 are kept."""
        return self._prices.gaps

    @property
    def reconnects(self) -> int:
        """How many lost connections to the real market were replaced."""
        return self._api.reconnects + self._market.reconnects + self._trades.reconnects

    def in_sight(self) -> bool:
        """Whether the best prices are current."""
        return self._prices.in_sight(self._clock.now_s())

    def market_ms(self) -> int:
        """The real market's time now."""
        return self._prices.market_ms(self._clock.now_s())

    async def run_connection(self) -> None:
        """Keep the connection for requests open until cancelled.

        If no reconnect succeeds, raises ExchangeUnreachable. Once `run` has started, it sets `ended` instead of
        raising.
        """
        await self._until_given_up(self._api.run())

    async def fetch_snapshot(self) -> MarketSnapshot:
        """Request the present state of the real market.

        Raises ConfigError for a symbol that is not listed, and StartFailed if a request fails too
        often.
        """
        api, params = self._api, self._params
        symbol, interval, count = params.symbol, params.kline_interval, params.klines_maxlen
        rules, limits = await self._retry.run(lambda: market_fetch.exchange_info(api, symbol))
        klines = await self._retry.run(lambda: market_fetch.klines(api, symbol, interval, count))
        forming = [kline for kline in await self._retry.run(self._newest_kline) if _follows(kline, klines)]
        seconds = await self._retry.run(lambda: market_fetch.klines(api, symbol, "1s", 1))
        top = await self._retry.run(lambda: market_fetch.book(api, symbol))
        # The one-second kline gives the market's time to a second; the others only to a candle.
        now_s, newest = self._clock.now_s(), [*klines[-1:], *seconds]
        market_ms = max((kline.close_ms + 1 for kline in newest), default=self._clock.unix_ms())
        self._rules = rules
        self._prices.load_klines(klines)
        self._prices.on_event_time(market_ms, now_s)
        self._prices.on_top(top, now_s)
        return MarketSnapshot(rules, limits, klines, forming, top, market_ms)

    async def run(self, market: LiveMarket) -> None:
        """Pass the real market's prices, klines and trades on to `market`, until cancelled."""
        self._prices.feed_into(market)
        async with asyncio.TaskGroup() as tasks:
            for job in (self._market.run(), self._trades.run(), self._refresh_status(market)):
                tasks.create_task(self._until_given_up(job))

    async def _newest_kline(self) -> Sequence[Kline]:
        """Return the newest kline, as a sequence of one.

        It is probably still forming, though the parser marks it as closed.
        """
        symbol, interval = self._params.symbol, self._params.kline_interval
        return read_klines(await self._api.call("klines", {"symbol": symbol, "interval": interval, "limit": 1}))

    async def _until_given_up(self, job: Coroutine[Any, Any, None]) -> None:
        """Run `job`.

        If the real market cannot be reached, raise ExchangeUnreachable during the start, and set `ended` after it.
        After the start an exception would close the exchange while the daemon still uses it. `ended` lets the daemon
        shut down first.
        """
        try:
            await job
        except ExchangeUnreachable as error:
            if not self._prices.feeding:
                raise
            self.given_up = error
            self.ended.set()

    def _on_market_lost(self, reason: str) -> None:
        logger.warning("stream of the real market lost, paper prices stop reason=%r", reason)
        self._prices.invalidate_top()

    def _on_trade(self, trade: PublicTrade) -> None:
        self._prices.hear_trade(trade, self._clock.now_s())

    async def _refresh_status(self, market: LiveMarket) -> None:
        """Read the symbol's status every minute. Its tick size, lot and filters stay those of the start."""
        while True:
            await self._clock.sleep(_RULES_GOOD_FOR_S)
            try:
                rules, _ = await market_fetch.exchange_info(self._api, self._params.symbol)
            except ConfigError:  # the symbol was listed when we started
                self._follow_status(market, BREAK)
                continue
            except _TRANSIENT as error:
                logger.debug("! trading status not read, trying again in a minute reason=%s", error)
                continue
            self._follow_status(market, rules.status)
            if self._rules is not None and rules != dataclasses.replace(self._rules, status=rules.status):
                logger.warning("the exchange has changed its rules; paper keeps the old ones until it is restarted")
                self._rules = rules

    def _follow_status(self, market: LiveMarket, status: str) -> None:
        """Set the embedded market's trading status to `status`. Alerts if trading stops or resumes."""
        before = market.on_symbol_status(status)
        if status == before:
            return
        symbol = self._params.symbol
        if status == TRADING:
            self._alert(event_messages.real_market_trades(symbol))
        else:
            self._alert(event_messages.real_market_stopped(symbol, status))


def _follows(kline: Kline, klines: Sequence[Kline]) -> bool:
    """Return whether `kline` directly follows the last of `klines`.

    If it does not, a kline closed between the request for the closed klines and the request for the forming one. No
    kline is lost: the next kline of the stream shows the gap, and the missing klines are then queried.
    """
    return not klines or kline.open_ms == klines[-1].close_ms + 1


async def _without_logon(_: ApiSession) -> None:
    """Do nothing when a connection opens: public requests need no logon."""


class PaperPrices(MarketState):
    """Stores the real market's state and passes each change on to the embedded market.

    Prices are visible for `visible_for_s` after they were last reported or confirmed. A longer silence is a gap.
    """

    def __init__(self, klines_maxlen: int, visible_for_s: float) -> None:
        super().__init__(klines_maxlen)
        self.visible_for_s = visible_for_s
        self.gaps: deque[str] = deque(maxlen=_GAPS_KEPT)
        self._market: LiveMarket | None = None
        self._seen_s: float | None = None

    @property
    def feeding(self) -> bool:
        """Whether changes are passed on to an embedded market, which `feed_into` has set."""
        return self._market is not None

    def feed_into(self, market: LiveMarket) -> None:
        """Pass all new prices, klines and trades on to `market` from now on."""
        self._market = market

    def in_sight(self, now_s: float) -> bool:
        """Whether the best prices are current."""
        return now_s - self.top_confirmed_s < self.visible_for_s

    def on_top(self, top: BookTop, now_s: float, *, late: bool = False) -> None:
        """Store new best prices and pass them on."""
        super().on_top(top, now_s, late=late)
        self._note_visible(now_s)
        if self._market is not None:
            self._market.on_top(top, self.market_ms(now_s))

    def confirm_top(self, now_s: float) -> None:
        """Note that the best prices were confirmed without a change."""
        super().confirm_top(now_s)
        self._note_visible(now_s)

    def on_kline(self, kline: Kline, event_ms: int, now_s: float) -> None:
        """Store a kline and pass it on. A closed kline is passed on only once, even if it arrives twice."""
        super().on_kline(kline, event_ms, now_s)
        # `view` returns each closed kline only once.
        changed = [*self.view(now_s).closed_klines, *([] if kline.closed else [kline])]
        if self._market is not None:
            for each in changed:
                self._market.on_kline(each, event_ms)

    def hear_trade(self, trade: PublicTrade, now_s: float) -> None:
        """Pass a trade on. While prices are stale, drop it.

        After a gap, a trade would fill orders at prices from before the gap.
        """
        self.on_event_time(trade.time_ms, now_s)
        if self._market is not None and self.in_sight(now_s):
            self._market.on_trade(trade.price, trade.quantity, trade.aggressor, self.market_ms(now_s), trade.time_ms)

    def _note_visible(self, now_s: float) -> None:
        missed_s = 0.0 if self._seen_s is None else now_s - self._seen_s
        self._seen_s = now_s
        if missed_s >= self.visible_for_s:
            until = datetime.fromtimestamp(self.market_ms(now_s) / 1000, UTC)
            self.gaps.append(f"{missed_s:.0f} s of the real market before {until:%Y-%m-%d %H:%M:%S} UTC")
            logger.warning("prices of the real market are back after a gap missed_s=%.1f", missed_s)
