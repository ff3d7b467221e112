"""Market questions: rules, klines, best prices, time."""

import logging
from collections import deque
from typing import Final

from trailingedge.core.errors import ConfigError, RequestRefused
from trailingedge.model.market import BookTop, Kline, RateLimit, SymbolRules
from trailingedge.websocket.api_client import RequestCaller
from trailingedge.websocket.api_session import REQUEST_TIMEOUT_S
from trailingedge.websocket.response_parser import read_book, read_exchange_info, read_klines, read_server_time

logger = logging.getLogger(__name__)

PAGE_ROWS: Final = 1000  # rows the exchange gives at most
_NO_SUCH_SYMBOL: Final = frozenset({-1100, -1121})


async def exchange_info(api: RequestCaller, symbol: str) -> tuple[SymbolRules, tuple[RateLimit, ...]]:
    """The symbol's rules and the exchange's limits. Raises ConfigError for a symbol that is not listed."""
    unknown = ConfigError(
        [f"SYMBOL {symbol}: the exchange does not list it; write it as the exchange does, e.g. ETHFDUSD"]
    )
    try:
        result = await api.call("exchangeInfo", {"symbol": symbol})
    except RequestRefused as refused:
        if refused.code in _NO_SUCH_SYMBOL:
            raise unknown from refused
        raise
    rules, limits = read_exchange_info(result, symbol)
    if rules is None:
        raise unknown
    return rules, limits


async def klines(api: RequestCaller, symbol: str, interval: str, count: int) -> list[Kline]:
    """The newest `count` closed klines: oldest first, no gap, no duplicate; fewer where there are no more.

    The newest row is taken to be the forming one and left out, for no clock of ours can tell: the
    exchange's market may be ahead of it or behind. If it had closed, the stream's next kline shows a gap,
    and that gap is filled by `klines_between`.
    """
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
        if not _prepend(found, older[-wanted:]) or len(rows) < limit:
            break
        until_ms = found[0].open_ms - 1
    return list(found)


def _page_size(rows: int) -> int:
    """The size of equal pages, no more of them than need be: a page is many times larger than what is kept of it."""
    pages = -(-rows // PAGE_ROWS)
    return -(-rows // pages)


async def klines_between(api: RequestCaller, symbol: str, interval: str, from_ms: int, until_ms: int) -> list[Kline]:
    """The closed klines that lie within both times, oldest first; those the exchange does not have are missing."""
    found: list[Kline] = []
    while from_ms < until_ms:
        rows = await _page(api, symbol, interval, PAGE_ROWS, start_ms=from_ms, end_ms=until_ms)
        news = [row for row in rows if row.open_ms >= from_ms and row.close_ms <= until_ms]
        if not news:
            break
        found += news
        from_ms = news[-1].close_ms + 1
    return found


async def book(api: RequestCaller, symbol: str, patience_s: float = REQUEST_TIMEOUT_S) -> BookTop:
    """The best prices of this moment."""
    return read_book(await api.call("ticker.book", {"symbol": symbol}, patience_s))


async def server_time(api: RequestCaller) -> int:
    """Milliseconds since 1970 by the exchange's clock."""
    return read_server_time(await api.call("time"))


async def _page(
    api: RequestCaller,
    symbol: str,
    interval: str,
    limit: int,
    start_ms: int | None = None,
    end_ms: int | None = None,
) -> tuple[Kline, ...]:
    params: dict[str, str | int] = {"symbol": symbol, "interval": interval, "limit": limit}
    if start_ms is not None:
        params["startTime"] = start_ms
    if end_ms is not None:
        params["endTime"] = end_ms
    return read_klines(await api.call("klines", params))


def _prepend(found: deque[Kline], older: list[Kline]) -> bool:
    """Put `older` before what was found, newest first. False where they do not meet, or there are none."""
    for kline in reversed(older):
        if found and kline.close_ms + 1 != found[0].open_ms:
            logger.warning(
                "klines have a gap from_ms=%d until_ms=%d; older ones left out", kline.close_ms + 1, found[0].open_ms
            )
            return False
        found.appendleft(kline)
    return bool(older)
