"""Account history for `report --account`: trades, orders, balances and candles, read over one connection.

Only queries are sent. Lists come in pages of up to 1,000 rows. A year of one-minute candles
takes about 500 pages, and the exchange's weight limit allows a few thousand requests a minute.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Final

from trailingedge.commands.checks.check_target import CheckTarget, CheckTools
from trailingedge.commands.checks.short_session import open_session
from trailingedge.core.errors import RequestRefused
from trailingedge.core.time_units import DAY_MS
from trailingedge.live.node_params import AccountReportParams
from trailingedge.model.market import ZERO, AccountTrade, OrderRecord
from trailingedge.reconciliation.backfill import interval_length_ms
from trailingedge.reconciliation.history_loader import HistoryReader
from trailingedge.report.from_account import AccountHistory, exits_between
from trailingedge.websocket import market_fetch
from trailingedge.websocket.account import AccountSession, ServerClock
from trailingedge.websocket.api_connection import ApiSession

_TRADE_PAGES: Final = 500
_ORDER_PAGES: Final = 500
_LOOK_UPS: Final = 100
_EARLIER: Final = 50  # trades read before the reported period, for the anchor at its beginning
_OPENINGS: Final = 1000  # exits whose price at the beginning is looked up, one request each
_REACH_BACK_MS: Final = 2 * DAY_MS  # how far before the period an earlier anchor is looked for
_KEPT_MS: Final = 90 * DAY_MS  # the exchange deletes orders without a fill after 90 days

ProgressText = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The reported period: the last `days` days, or the time from `from_ms` on.

    The period ends at `to_ms`, or now if that is None.
    """

    days: int | None = None
    from_ms: int | None = None
    to_ms: int | None = None


async def read_account(
    params: AccountReportParams,
    target: CheckTarget,
    time_range: TimeRange,
    report_progress: ProgressText,
    tools: CheckTools,
) -> AccountHistory:
    """Read the account's history; `report_progress` gets a line for each step.

    Raises ConfigError or LogonRefused if the user must act, else RequestRefused, OutcomeUnknown,
    ProtocolViolation or SessionLost.
    """
    async with _connected(params, target, tools) as (api, account):
        return await _AccountReport(params, api, account, report_progress, tools).read(time_range)


@contextlib.asynccontextmanager
async def _connected(
    params: AccountReportParams, target: CheckTarget, tools: CheckTools
) -> AsyncIterator[tuple[ApiSession, AccountSession]]:
    """Connect and log on; leaving the `with` block closes the connection."""
    server_clock, start = ServerClock(tools.clock), params.start
    async with open_session(target.endpoints.ws_api_url, tools, server_clock) as api:
        account = AccountSession(api, target.keys, server_clock, start.symbol, start.recv_window_ms)
        await account.open()
        yield api, account


class _AccountReport:
    """Reads the account's history once, with the market's candles and prices for the same period."""

    def __init__(
        self,
        params: AccountReportParams,
        api: ApiSession,
        account: AccountSession,
        report_progress: ProgressText,
        tools: CheckTools,
    ) -> None:
        self._params = params
        self._api = api
        self._account = account
        self._on_progress = report_progress
        self._reader = HistoryReader(account, tools.clock, on_wait=report_progress, on_progress=report_progress)
        self._gaps: list[str] = []

    async def read(self, time_range: TimeRange) -> AccountHistory:
        params, api = self._params.start, self._api
        exchange_rules, _ = await market_fetch.exchange_info(api, params.symbol)
        rules = params.terms.effective_rules(exchange_rules)
        fee = params.terms.fee if params.terms.fee is not None else (await self._account.commission()).maker
        now_ms, closed_ms = await self._market_ms()
        to_ms = now_ms if time_range.to_ms is None else min(time_range.to_ms, now_ms)
        from_ms = to_ms - (time_range.days or 0) * DAY_MS if time_range.from_ms is None else time_range.from_ms
        earlier, trades = await self._trades(from_ms)
        self._on_progress(f"trades: {len(trades)}")
        if time_range.to_ms is None and trades:
            now_ms = to_ms = max(to_ms, trades[-1].time_ms)
        orders = await self._orders(earlier, trades)
        self._on_progress(f"orders: {len(orders)}")
        klines = await self._reader.request(
            partial(
                market_fetch.klines_between,
                api,
                params.symbol,
                params.kline_interval,
                self._first_candle_ms(from_ms, earlier),
                min(to_ms, closed_ms),  # an end that lies ahead is refused
            )
        )
        self._on_progress(f"candles: {len(klines)}")
        # Balances are read last, so that they include all trades read. A trade between the two requests is accepted.
        held = {balance.asset: balance.total for balance in (await self._account.balances()).balances}
        at_the_end = klines[-1].close if klines else ZERO
        bid = (await market_fetch.book(api, params.symbol)).bid if to_ms == now_ms else at_the_end
        began_ms = max(from_ms, klines[0].open_ms) if klines else from_ms
        if now_ms - from_ms > _KEPT_MS:
            self._gaps.append("the exchange keeps unfilled orders for 90 days only: earlier replaces are not counted")
        past = AccountHistory(
            rules=rules,
            params=params.strategy_params(rules, float(fee)),
            channel=self._params.channel,
            settings=self._params.shareable_settings,
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
        """Return the market time and the close time of the newest candle.

        The market time is the exchange's clock. If the exchange plays a recorded market, the market
        time is the end of the newest candle instead.
        """
        interval = self._params.start.kline_interval
        server_ms = await market_fetch.server_time(self._api)
        newest = await market_fetch.klines(self._api, self._params.start.symbol, interval, 1)
        if not newest:
            return server_ms, server_ms
        closed_ms = newest[-1].close_ms
        of_today = closed_ms < server_ms <= closed_ms + 2 * interval_length_ms(interval)
        return server_ms if of_today else closed_ms + 1, closed_ms

    async def _trades(self, from_ms: int) -> tuple[list[AccountTrade], list[AccountTrade]]:
        """Return the last few trades before `from_ms`, and the trades since `from_ms`."""
        earlier = await self._reader.trades_until(from_ms - 1, limit=_EARLIER)
        found, all_of_them = await self._reader.trades_since(from_ms, pages=_TRADE_PAGES)
        if not all_of_them:
            self._gaps.append(f"more than {len(found)} trades: the newest are left out")
        return list(earlier), found

    async def _orders(self, earlier: Sequence[AccountTrade], trades: Sequence[AccountTrade]) -> list[OrderRecord]:
        """Read the account's orders, from the oldest order in these trades up to the newest order.

        `earlier` are the last trades before the period. If they go back to the first trade, all orders are read.
        """
        found = self._reader.orders
        ids = {trade.order_id for trade in (*earlier, *trades)}
        first = min(ids) if len(earlier) == _EARLIER else 1
        if not await self._reader.list_orders(first, pages=_ORDER_PAGES):
            self._gaps.append(f"more than {len(found)} orders: the newest are left out")
        for order_id in sorted(ids - found.keys())[:_LOOK_UPS]:
            if await self._reader.look_up(order_id) is None:
                self._on_progress(f"order {order_id} is not shown by the exchange")
        if missing := len(ids - found.keys()):
            self._gaps.append(
                f"the exchange does not show {missing} orders that traded: they count as not placed by this bot"
            )
        return sorted(found.values(), key=lambda order: order.order_id)

    def _first_candle_ms(self, from_ms: int, earlier: Sequence[AccountTrade]) -> int:
        """Return the open time of the first candle to read.

        With the candles from that time on, the channel is full when the period begins, and the high since the anchor is
        known. If the anchor is more than two days before the period, the high covers only two days.
        """
        interval_ms = interval_length_ms(self._params.start.kline_interval)
        warm_up = (self._params.start.channel_klines + 1) * interval_ms
        anchored_ms = earlier[-1].time_ms if earlier else from_ms
        first_ms = max(anchored_ms, from_ms - _REACH_BACK_MS) - warm_up
        return first_ms - first_ms % interval_ms

    async def _openings(self, past: AccountHistory) -> dict[int, Decimal]:
        """Return the first price traded in the second in which an exit began, by exit number.

        It is used in place of the best prices at that time, which cannot be queried any more.
        """
        found = {}
        filled = [each for each in exits_between(past) if each.base]
        for each in filled[-_OPENINGS:]:
            second_ms = each.began_ms - each.began_ms % 1000
            ask = partial(market_fetch.klines_between, self._api, past.rules.symbol, "1s", second_ms, second_ms + 1000)
            with contextlib.suppress(RequestRefused):
                if seconds := await self._reader.request(ask):
                    found[each.number] = seconds[0].open
        return found
