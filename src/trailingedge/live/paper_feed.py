"""Trading on paper: the real market's prices, an account without money.

Public connections, which know no key, feed the embedded exchange; the daemon trades there over the same
protocol as everywhere. Rules and limits are the real exchange's, read at the start; whether the symbol
trades is asked again and again. Where the real market cannot be heard the embedded one stands still and
does not answer for prices that nobody sees: the daemon finds its data stale, as it would out there.

Kinder than out there: our orders are on the book at once, and nobody reacts to them. When they fill is
told in `simulator.book`; a trade that was missed fills nothing. The account is a new one at every start.
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
from trailingedge.config import Endpoints, Settings
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
from trailingedge.model.market import ZERO, BookTop, Kline, RateLimit, SymbolRules
from trailingedge.model.market_state import MarketState
from trailingedge.simulator.engine import BREAK
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.live import LiveMarket, OpeningTick
from trailingedge.simulator.klines import Interval
from trailingedge.simulator.server import LoopbackExchange
from trailingedge.websocket import market_fetch
from trailingedge.websocket.api_client import ApiClient
from trailingedge.websocket.api_session import ApiSession
from trailingedge.websocket.market_stream import MarketStream
from trailingedge.websocket.response_parser import read_klines
from trailingedge.websocket.retry import Retry
from trailingedge.websocket.trade_stream import PublicTrade, TradeStream
from trailingedge.websocket.transport import Backoff, Dial

logger = logging.getLogger(__name__)

_NOT_NOW: Final = (RequestRefused, OutcomeUnknown, ProtocolViolation, SessionLost)
_SEEN_FOR_S: Final = 4.0  # how long prices count as seen that nobody has told or confirmed again
_RULES_GOOD_FOR_S: Final = 60.0
_MOST_GAPS: Final = 100
_SPARE_KLINES: Final = 200  # beyond those that the bot keeps, for what it asks for after a loss
_LEAST_ORDERS: Final = 10  # of the smallest size, that the account must have enough for


@dataclass(frozen=True, slots=True)
class PaperExchange:
    """An exchange at real prices, and a key to its one account.

    `gaps` grows with what was missed, in words. `ended` is set when the real market is given up.
    """

    loopback: LoopbackExchange
    keys: KeyManager
    gaps: Iterable[str]
    ended: asyncio.Event


@contextlib.asynccontextmanager
async def paper_exchange(
    settings: Settings,
    sources: Endpoints,
    dial: Dial,
    clock: Clock,
    random: Random,
    *,
    listen: bool = True,
    step: Callable[[str, str], None] = lambda _name, _result: None,
) -> AsyncIterator[PaperExchange]:
    """The exchange, open and fed from `sources` for as long as one is inside; `step` hears how the opening went.

    `listen` False: it can be reached in memory only. The account holds one of the base asset, or enough to
    trade, and pays FEE, if that is set. Raises ConfigError for a symbol that is not listed, StartFailed, and
    ExchangeUnreachable once the reconnects are used up: at once while it opens, later when one leaves.
    """
    feed = PaperMarketFeed(settings, sources, dial, clock, random)
    try:
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(feed.ask())
            try:
                seen = await feed.look()
                step("real market", f"{len(seen.klines)} candles, prices from {sources.ws_stream_url}")
                exchange = _exchange(settings, seen, clock)
                exchange.engine.prices_known = feed.in_sight
                async with LoopbackExchange(exchange, _opening(seen), clock, listen=listen) as loopback:
                    hearing = tasks.create_task(feed.tell(LiveMarket(loopback.hub, _interval(settings))))
                    try:
                        yield PaperExchange(loopback, _account_key(exchange), feed.gaps, feed.ended)
                    finally:
                        hearing.cancel()  # nothing is played on an exchange that closes
            finally:
                asking.cancel()
    except BaseExceptionGroup as group:
        failure = most_severe(group)
        raise failure from failure.__cause__
    if feed.given_up is not None:
        raise feed.given_up


@dataclass(frozen=True, slots=True)
class MarketSnapshot:
    """The real market at a first look: its rules and limits, klines (oldest first), best prices, its time."""

    rules: SymbolRules
    limits: Sequence[RateLimit]
    klines: Sequence[Kline]  # closed ones
    forming: Sequence[Kline]  # one, or none
    top: BookTop
    market_ms: int


def _interval(settings: Settings) -> Interval:
    return Interval(settings.kline_interval)


def _exchange(settings: Settings, seen: MarketSnapshot, clock: Clock) -> Exchange:
    """The embedded exchange on the real one's terms, with its klines."""
    maker_fee = ZERO if settings.fee is None else settings.fee
    terms = dataclasses.replace(ExchangeSpec().for_rules(seen.rules, seen.limits), maker_fee=maker_fee)
    exchange = Exchange(terms, clock, {terms.base_asset: _opening_balance(seen)})
    exchange.engine.symbol_status = seen.rules.status
    interval, klines = _interval(settings), exchange.engine.klines
    klines.relay_interval(interval, settings.rolling_klines_maxlen + _SPARE_KLINES)
    for kline in (*seen.klines, *seen.forming):
        klines.add_relayed(interval, kline)
    return exchange


def _opening(seen: MarketSnapshot) -> OpeningTick:
    last_price = seen.klines[-1].close if seen.klines else seen.top.bid
    return OpeningTick.of_market(seen.rules, seen.top, last_price, seen.market_ms)


def _opening_balance(seen: MarketSnapshot) -> Decimal:
    """One of the base asset; where that is too little to trade with, the least power of ten that is not."""
    balance = Decimal(1)
    while balance * seen.top.bid < _LEAST_ORDERS * seen.rules.min_notional:
        balance *= 10
    return balance


def _account_key(exchange: Exchange) -> KeyManager:
    """A key made for the occasion."""
    private_key = Ed25519PrivateKey.generate()
    return KeyManager.from_private_key(private_key, exchange.register_key(private_key.public_key()))


class PaperMarketFeed:
    """The real market over public connections that come back by themselves. First `look`, then `tell`."""

    def __init__(self, settings: Settings, sources: Endpoints, dial: Dial, clock: Clock, random: Random) -> None:
        self.ended = asyncio.Event()
        self.given_up: ExchangeUnreachable | None = None
        self._settings = settings
        self._clock = clock
        self._rules: SymbolRules | None = None
        self._heard = PaperPrices(settings.rolling_klines_maxlen, min(_SEEN_FOR_S, settings.stale_after_sec))

        def backoff() -> Backoff:
            base_s, most_s = settings.reconnect_base_sec, settings.reconnect_max_sec
            return Backoff(base_s, most_s, settings.reconnect_max_retries, random)

        self._api = ApiClient(sources.ws_api_url, dial=dial, clock=clock, backoff=backoff(), on_open=_as_anybody)
        self._asked = Retry(self._api, clock, clock.unix_ms, "the real market")
        self._market = MarketStream(
            sources.ws_stream_url,
            settings.symbol,
            settings.kline_interval,
            market_state=self._heard,
            api=self._api,
            dial=dial,
            clock=clock,
            backoff=backoff(),
            stale_after_s=self._heard.seen_for_s,
            on_down=self._lose_sight,
        )
        self._trades = TradeStream(
            sources.ws_stream_url, settings.symbol, self._hear_trade, dial=dial, clock=clock, backoff=backoff()
        )

    @property
    def gaps(self) -> Iterable[str]:
        """What was missed, in words, oldest first; the newest of them."""
        return self._heard.gaps

    def in_sight(self) -> bool:
        """The best prices are known to be those of this moment, or nearly."""
        return self._heard.in_sight(self._clock.now_s())

    async def ask(self) -> None:
        """Keep the connection for questions, until cancelled. Raises ExchangeUnreachable while nobody has looked."""
        await self._keep(self._api.run())

    async def look(self) -> MarketSnapshot:
        """The market as it stands. Raises ConfigError for a symbol that is not listed, and StartFailed."""
        api, settings = self._api, self._settings
        symbol, interval, count = settings.symbol, settings.kline_interval, settings.rolling_klines_maxlen
        rules, limits = await self._asked.run(lambda: market_fetch.exchange_info(api, symbol))
        klines = await self._asked.run(lambda: market_fetch.klines(api, symbol, interval, count))
        forming = [kline for kline in await self._asked.run(self._newest_kline) if _follows(kline, klines)]
        seconds = await self._asked.run(lambda: market_fetch.klines(api, symbol, "1s", 1))
        top = await self._asked.run(lambda: market_fetch.book(api, symbol))
        now_s, newest = self._clock.now_s(), [*klines[-1:], *seconds]
        market_ms = max((kline.close_ms + 1 for kline in newest), default=self._clock.unix_ms())
        self._rules = rules
        self._heard.load_klines(klines)
        self._heard.on_event_time(market_ms, now_s)
        self._heard.on_top(top, now_s)
        return MarketSnapshot(rules, limits, klines, forming, top, market_ms)

    async def tell(self, stage: LiveMarket) -> None:
        """Tell `stage` everything that is heard, until cancelled."""
        self._heard.stage = stage
        async with asyncio.TaskGroup() as tasks:
            for job in (self._market.run(), self._trades.run(), self._watch_rules(stage)):
                tasks.create_task(self._keep(job))

    async def _newest_kline(self) -> Sequence[Kline]:
        """It forms still, in all likelihood, though its reader marks it closed."""
        symbol, interval = self._settings.symbol, self._settings.kline_interval
        return read_klines(await self._api.call("klines", {"symbol": symbol, "interval": interval, "limit": 1}))

    async def _keep(self, job: Coroutine[Any, Any, None]) -> None:
        """Once somebody trades here, the end of the real market must not cut him off, but be told to him."""
        try:
            await job
        except ExchangeUnreachable as gone:
            if self._heard.stage is None:
                raise
            self.given_up = gone
            self.ended.set()

    def _lose_sight(self, reason: str) -> None:
        logger.warning("real market out of sight reason=%r", reason)
        self._heard.invalidate_top()

    def _hear_trade(self, trade: PublicTrade) -> None:
        self._heard.hear_trade(trade, self._clock.now_s())

    async def _watch_rules(self, stage: LiveMarket) -> None:
        """Whether the symbol trades may change while we do; its grid and filters stay those of the start."""
        while True:
            await self._clock.sleep(_RULES_GOOD_FOR_S)
            try:
                rules, _ = await market_fetch.exchange_info(self._api, self._settings.symbol)
            except ConfigError:  # listed when we started
                stage.on_symbol_status(BREAK)
                continue
            except _NOT_NOW as trouble:
                logger.debug("! rules not read again reason=%s", trouble)
                continue
            stage.on_symbol_status(rules.status)
            if self._rules is not None and rules != dataclasses.replace(self._rules, status=rules.status):
                logger.warning("the exchange has changed its rules; paper keeps the old ones until it is restarted")
                self._rules = rules


def _follows(kline: Kline, klines: Sequence[Kline]) -> bool:
    """Right after the last of them: else another has closed meanwhile, and the stream's next will show the gap."""
    return not klines or kline.open_ms == klines[-1].close_ms + 1


async def _as_anybody(_: ApiSession) -> None:
    """Public questions need no logon."""


class PaperPrices(MarketState):
    """What the real market said last, told on to `stage` as it comes.

    Prices are in sight for `seen_for_s` after they were told or confirmed. What is longer is a gap.
    """

    def __init__(self, klines_maxlen: int, seen_for_s: float) -> None:
        super().__init__(klines_maxlen)
        self.stage: LiveMarket | None = None
        self.seen_for_s = seen_for_s
        self.gaps: deque[str] = deque(maxlen=_MOST_GAPS)
        self._seen_s: float | None = None

    def in_sight(self, now_s: float) -> bool:
        return now_s - self.top_confirmed_s < self.seen_for_s

    def on_top(self, top: BookTop, now_s: float, *, late: bool = False) -> None:
        super().on_top(top, now_s, late=late)
        self._see(now_s)
        if self.stage is not None:
            self.stage.on_top(top, self.market_ms(now_s))

    def confirm_top(self, now_s: float) -> None:
        super().confirm_top(now_s)
        self._see(now_s)

    def on_kline(self, kline: Kline, event_ms: int, now_s: float) -> None:
        super().on_kline(kline, event_ms, now_s)
        news = [*self.view(now_s).closed_klines, *([] if kline.closed else [kline])]  # what closed is not told twice
        if self.stage is not None:
            for each in news:
                self.stage.on_kline(each, event_ms)

    def hear_trade(self, trade: PublicTrade, now_s: float) -> None:
        """Nothing trades in a market that nobody sees: it would move at the prices of before."""
        self.on_event_time(trade.time_ms, now_s)
        if self.stage is not None and self.in_sight(now_s):
            self.stage.on_trade(trade.price, trade.quantity, trade.aggressor, self.market_ms(now_s))

    def _see(self, now_s: float) -> None:
        missed_s = 0.0 if self._seen_s is None else now_s - self._seen_s
        self._seen_s = now_s
        if missed_s >= self.seen_for_s:
            until = datetime.fromtimestamp(self.market_ms(now_s) / 1000, UTC)
            self.gaps.append(f"{missed_s:.0f} s of the real market before {until:%Y-%m-%d %H:%M:%S} UTC")
            logger.warning("real market in sight again missed_s=%.1f", missed_s)
