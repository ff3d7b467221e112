"""Reading an account's past over one connection: its trades, orders and balances, and the market's candles.

Nothing is sent but questions. Lists come in pages; a year of minutes takes some five hundred of them, and the
exchange's weight limit allows a few thousand a minute.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Final

from trailingedge.accounting.summary_json import shareable_settings
from trailingedge.commands.checks.environment import CheckTarget, CheckTools
from trailingedge.commands.checks.stream_check import background
from trailingedge.config import Settings
from trailingedge.config_validator import effective_rules
from trailingedge.core.errors import RequestRefused, SessionLost
from trailingedge.core.time_units import DAY_MS
from trailingedge.live import factory
from trailingedge.model.market import ZERO, AccountTrade, OrderRecord
from trailingedge.reconciliation.backfill import interval_length_ms
from trailingedge.reconciliation.history_loader import HistoryReader
from trailingedge.report.from_account import AccountHistory, exits_between
from trailingedge.websocket import market_fetch
from trailingedge.websocket.account import AccountSession, ServerClock
from trailingedge.websocket.api_session import ApiSession

_TRADE_PAGES: Final = 500
_ORDER_PAGES: Final = 500
_LOOK_UPS: Final = 100
_EARLIER: Final = 50  # trades before the time that is told, for the anchor it begins with
_OPENINGS: Final = 1000  # exits whose price at the beginning is looked up, one question each
_REACH_BACK_MS: Final = 2 * DAY_MS  # as far an anchor of before is followed
_KEPT_MS: Final = 90 * DAY_MS  # orders that were never filled are forgotten then

ProgressText = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TimeRange:
    """What is to be told: the last `days`, or from one moment to another, the second left out being now."""

    days: int | None = None
    from_ms: int | None = None
    to_ms: int | None = None


async def read_account(
    settings: Settings, venue: CheckTarget, span: TimeRange, tell: ProgressText, means: CheckTools
) -> AccountHistory:
    """The account's past; `tell` hears how far it has come.

    Raises ConfigError or LogonRefused where a person must act, else RequestRefused, OutcomeUnknown,
    ProtocolViolation or SessionLost.
    """
    async with _connected(settings, venue, means) as (api, account):
        return await _AccountReport(settings, api, account, tell, means).read(span)


@contextlib.asynccontextmanager
async def _connected(
    settings: Settings, venue: CheckTarget, means: CheckTools
) -> AsyncIterator[tuple[ApiSession, AccountSession]]:
    """A conversation that is logged on."""
    url = venue.endpoints.ws_api_url
    try:
        socket = await means.dial(url)
    except SessionLost as lost:
        raise SessionLost(f"{url}: {lost}", lost.wait_s) from lost
    server_clock = ServerClock(means.clock)
    api = ApiSession(
        socket,
        means.clock,
        lambda _: None,  # nobody follows: we are gone soon
        on_open=_nothing,
        on_watch=_nothing,
        server_ms=server_clock.now_ms,
    )
    try:
        async with background(_converse(api)):
            account = AccountSession(api, venue.keys, server_clock, settings.symbol, settings.recv_window_ms)
            await account.open()
            yield api, account
    finally:
        await socket.close()


async def _converse(api: ApiSession) -> None:
    try:
        await api.run()
    except SessionLost as lost:  # whoever waits for an answer hears of it
        api.on_lost(lost)


async def _nothing(_: ApiSession) -> None:
    """Nothing is to be done over a connection that we open ourselves."""


class _AccountReport:
    """One pass over the account: its past from a `HistoryReader`, beside the market's candles and prices."""

    def __init__(
        self, settings: Settings, api: ApiSession, account: AccountSession, tell: ProgressText, means: CheckTools
    ) -> None:
        self._settings = settings
        self._api = api
        self._account = account
        self._tell = tell
        self._reader = HistoryReader(account, means.clock, on_wait=tell, on_progress=tell)
        self._gaps: list[str] = []

    async def read(self, span: TimeRange) -> AccountHistory:
        settings, api = self._settings, self._api
        told_rules, _ = await market_fetch.exchange_info(api, settings.symbol)
        rules = effective_rules(settings, told_rules)
        fee = settings.fee if settings.fee is not None else (await self._account.commission()).maker
        now_ms, closed_ms = await self._market_ms()
        to_ms = now_ms if span.to_ms is None else min(span.to_ms, now_ms)
        from_ms = to_ms - (span.days or 0) * DAY_MS if span.from_ms is None else span.from_ms
        earlier, trades = await self._trades(from_ms)
        self._tell(f"trades: {len(trades)}")
        if span.to_ms is None and trades:
            now_ms = to_ms = max(to_ms, trades[-1].time_ms)
        orders = await self._orders(earlier, trades)
        self._tell(f"orders: {len(orders)}")
        klines = await self._reader.request(
            partial(
                market_fetch.klines_between,
                api,
                settings.symbol,
                settings.kline_interval,
                self._first_candle_ms(from_ms, earlier),
                min(to_ms, closed_ms),  # an end that lies ahead is refused
            )
        )
        self._tell(f"candles: {len(klines)}")
        # Last, so that it holds what the trades have led to. One that happens meanwhile is not worth a lock.
        held = {balance.asset: balance.total for balance in (await self._account.balances()).balances}
        at_the_end = klines[-1].close if klines else ZERO
        bid = (await market_fetch.book(api, settings.symbol)).bid if to_ms == now_ms else at_the_end
        began_ms = max(from_ms, klines[0].open_ms) if klines else from_ms
        if now_ms - from_ms > _KEPT_MS:
            self._gaps.append("orders that were never filled are kept for 90 days: replaces before are not counted")
        past = AccountHistory(
            rules=rules,
            params=factory.strategy_params(settings, rules, float(fee)),
            channel=lambda: factory.donchian_channel(settings),
            settings=shareable_settings(settings),
            from_ms=began_ms,
            to_ms=max(to_ms, began_ms),
            orders=orders,
            trades=[*earlier, *trades],
            klines=klines,
            base=held.get(rules.base_asset, ZERO),
            quote=held.get(rules.quote_asset, ZERO),
            bid=bid,
            openings={},
        )
        openings = await self._openings(past)
        return replace(past, openings=openings, gaps=tuple(self._gaps))

    async def _market_ms(self) -> tuple[int, int]:
        """The market's time, and when its newest candle closed.

        It is the exchange's own time, unless that plays a market of another day; then it is as late as is known.
        """
        interval = self._settings.kline_interval
        server_ms = await market_fetch.server_time(self._api)
        newest = await market_fetch.klines(self._api, self._settings.symbol, interval, 1)
        if not newest:
            return server_ms, server_ms
        closed_ms = newest[-1].close_ms
        of_today = closed_ms < server_ms <= closed_ms + 2 * interval_length_ms(interval)
        return server_ms if of_today else closed_ms + 1, closed_ms

    async def _trades(self, from_ms: int) -> tuple[list[AccountTrade], list[AccountTrade]]:
        """Some trades before that moment, and all since."""
        earlier = await self._reader.trades_until(from_ms - 1, limit=_EARLIER)
        found, all_of_them = await self._reader.trades_since(from_ms, pages=_TRADE_PAGES)
        if not all_of_them:
            self._gaps.append(f"more than {len(found)} trades: the newest are left out")
        return list(earlier), found

    async def _orders(self, earlier: Sequence[AccountTrade], trades: Sequence[AccountTrade]) -> list[OrderRecord]:
        """Orders from the first that traded on; from the very first, where no trade is older than the report."""
        found = self._reader.orders
        ids = {trade.order_id for trade in (*earlier, *trades)}
        first = min(ids) if len(earlier) == _EARLIER else 1
        if not await self._reader.list_orders(first, pages=_ORDER_PAGES):
            self._gaps.append(f"more than {len(found)} orders: the newest are left out")
        for order_id in sorted(ids - found.keys())[:_LOOK_UPS]:
            if await self._reader.look_up(order_id) is None:
                self._tell(f"order {order_id} is not shown by the exchange")
        if missing := len(ids - found.keys()):
            self._gaps.append(f"the exchange does not show {missing} orders that traded: they count as foreign")
        return sorted(found.values(), key=lambda order: order.order_id)

    def _first_candle_ms(self, from_ms: int, earlier: Sequence[AccountTrade]) -> int:
        """Early enough for a full channel, and for the high since an anchor that is not too old."""
        settings = self._settings
        warm_up = (settings.donchian_window + settings.donchian_shift + 1) * interval_length_ms(settings.kline_interval)
        anchored_ms = earlier[-1].time_ms if earlier else from_ms
        first_ms = max(anchored_ms, from_ms - _REACH_BACK_MS) - warm_up
        return first_ms - first_ms % interval_length_ms(settings.kline_interval)

    async def _openings(self, past: AccountHistory) -> dict[int, Decimal]:
        """The traded price in the second in which each exit began; the exchange keeps no best prices of the past."""
        found = {}
        filled = [each for each in exits_between(past) if each.base]
        for each in filled[-_OPENINGS:]:
            second_ms = each.began_ms - each.began_ms % 1000
            ask = partial(market_fetch.klines_between, self._api, past.rules.symbol, "1s", second_ms, second_ms + 1000)
            with contextlib.suppress(RequestRefused):
                if seconds := await self._reader.request(ask):
                    found[each.number] = seconds[0].open
        return found
