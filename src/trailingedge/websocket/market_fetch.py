"""Market queries: symbol rules, klines, best prices and server time. None of them needs a logon."""

import logging
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from trailingedge.core.errors import ConfigError, RequestRefused
from trailingedge.model.market import BookTop, Kline, RateLimit, SymbolRules
from trailingedge.websocket.api_client import RequestCaller
from trailingedge.websocket.api_connection import REQUEST_TIMEOUT_S
from trailingedge.websocket.error_codes import UNKNOWN_SYMBOL_CODES
from trailingedge.websocket.json_fields import items
from trailingedge.websocket.result_parser import (
    read_book,
    read_exchange_info,
    read_kline_cells,
    read_klines,
    read_server_time,
)

logger = logging.getLogger(__name__)

PAGE_ROWS: Final = 1000  # the largest `limit` (web-socket-api.md, "Klines")


async def exchange_info(api: RequestCaller, symbol: str) -> tuple[SymbolRules, tuple[RateLimit, ...]]:
    """Return the symbol's rules and the exchange's rate limits. Raises ConfigError for a symbol that is not listed."""
    unknown = ConfigError(
        [f"SYMBOL {symbol}: the exchange does not list it; write it as the exchange does, e.g. ETHFDUSD"]
    )
    try:
        result = await api.call("exchangeInfo", {"symbol": symbol})
    except RequestRefused as refused:
        if refused.code in UNKNOWN_SYMBOL_CODES:
            raise unknown from refused
        raise
    rules, limits = read_exchange_info(result, symbol)
    if rules is None:
        raise unknown
    return rules, limits


async def klines(api: RequestCaller, symbol: str, interval: str, count: int) -> list[Kline]:
    """Return the newest `count` closed klines, oldest first, without gap or duplicate.

    Fewer are returned if the exchange has no more, or if there is a gap before them.
    """
    # The newest row is left out, because its kline may still be forming: our clock may differ from the exchange's and
    # cannot tell. If the kline had closed, the stream's next kline shows a gap, which `klines_between` fills.
    found: deque[Kline] = deque()
    until_ms: int | None = None
    page = _page_size(count + 1)
    while len(found) < count:
        wanted = count - len(found)
        limit = min(page, wanted + 1)
        rows = await _page(api, symbol, interval, limit, end_ms=until_ms)
        older = [row for row in rows if until_ms is None or row.close_ms <= until_ms]
        if until_ms is None:
            older = older[:-1]
        # A page that is not full is the oldest one that the exchange has.
        if not _prepend(found, older[-wanted:]) or len(rows) < limit:
            break
        until_ms = found[0].open_ms - 1
    return list(found)


def _page_size(rows: int) -> int:
    """Return the number of rows per page that makes all pages equal and their number as small as possible.

    The pages are equal because the largest one sets the peak of memory: its JSON is many times larger than its klines.
    """
    pages = -(-rows // PAGE_ROWS)
    return -(-rows // pages)


async def klines_between(api: RequestCaller, symbol: str, interval: str, from_ms: int, until_ms: int) -> list[Kline]:
    """Return the exchange's closed klines between `from_ms` and `until_ms`, oldest first."""
    return [kline async for kline, _ in _rows_between(api, symbol, interval, from_ms, until_ms)]


async def kline_cells_between(
    api: RequestCaller, symbol: str, interval: str, from_ms: int, until_ms: int
) -> list[tuple[str, ...]]:
    """Return the klines between two times as text, with the twelve columns of Binance's kline files."""
    return [read_kline_cells(row) async for _, row in _rows_between(api, symbol, interval, from_ms, until_ms)]


async def _rows_between(
    api: RequestCaller, symbol: str, interval: str, from_ms: int, until_ms: int
) -> AsyncIterator[tuple[Kline, object]]:
    """Yield the closed klines between the two times, each with its row as the exchange sent it."""
    while from_ms < until_ms:
        result = await _page_result(api, symbol, interval, PAGE_ROWS, start_ms=from_ms, end_ms=until_ms)
        rows = zip(read_klines(result), items(result, "klines"), strict=True)
        within = [each for each in rows if each[0].open_ms >= from_ms and each[0].close_ms <= until_ms]
        if not within:
            break
        for each in within:
            yield each
        from_ms = within[-1][0].close_ms + 1


async def book(api: RequestCaller, symbol: str, timeout_s: float = REQUEST_TIMEOUT_S) -> BookTop:
    """Return the current best prices."""
    return read_book(await api.call("ticker.book", {"symbol": symbol}, timeout_s))


async def server_time(api: RequestCaller) -> int:
    """Return milliseconds since 1970 by the exchange's clock."""
    return read_server_time(await api.call("time"))


async def _page(
    api: RequestCaller, symbol: str, interval: str, limit: int, end_ms: int | None = None
) -> tuple[Kline, ...]:
    return read_klines(await _page_result(api, symbol, interval, limit, end_ms=end_ms))


async def _page_result(
    api: RequestCaller,
    symbol: str,
    interval: str,
    limit: int,
    start_ms: int | None = None,
    end_ms: int | None = None,
) -> object:
    params: dict[str, str | int] = {"symbol": symbol, "interval": interval, "limit": limit}
    if start_ms is not None:
        params["startTime"] = start_ms
    if end_ms is not None:
        params["endTime"] = end_ms
    return await api.call("klines", params)


def _prepend(found: deque[Kline], older: list[Kline]) -> bool:
    """Put `older` before `found`. Returns False if there is a gap between them, or `older` is empty."""
    for kline in reversed(older):
        if found and kline.close_ms + 1 != found[0].open_ms:
            logger.warning(
                "klines before a gap ignored gap_from_ms=%d gap_until_ms=%d",
                kline.close_ms + 1,
                found[0].open_ms,
            )
            return False
        found.appendleft(kline)
    return bool(older)
