"""Ticker methods of the WebSocket API, which need no key: price statistics of 24 hours, a trading day or any window."""

import re
from collections.abc import Mapping
from enum import Enum
from typing import Final

from trailingedge.core.time_units import DAY_MS, HOUR_MS, MINUTE_MS
from trailingedge.simulator.api.market import check_prices_known, is_listed, named_symbols, zone_ms
from trailingedge.simulator.api.method_types import MarketMethod, MethodCall, Result
from trailingedge.simulator.errors import invalid_parameter, missing_parameter
from trailingedge.simulator.market_payloads import day_row, mini_row, statistics_row
from trailingedge.simulator.payloads import Json
from trailingedge.simulator.request_params import RequestParameters

# `windowSize`: 1m to 59m, 1h to 23h, 1d to 7d.
WINDOW_SIZE: Final = re.compile(r"(?:[1-9]|[1-5][0-9])m|(?:[1-9]|1[0-9]|2[0-3])h|[1-7]d")
WINDOW_UNITS_MS: Final = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}


class TickerType(Enum):
    """Parameter `type` of the ticker methods: all fields (FULL) or fewer (MINI)."""

    FULL = "FULL"
    MINI = "MINI"


class DayWeight:
    """The weight of `ticker.24hr`, which grows with the number of symbols requested."""

    def for_parameters(self, parameters: RequestParameters) -> int:
        """The weight of a request with these parameters."""
        count = parameters.symbol_count()
        if count is None or count > 100:
            return 80
        return 2 if count <= 20 else 40


class WindowWeight:
    """The weight of the tickers that are computed on demand: 4 for each symbol, at most 200."""

    def for_parameters(self, parameters: RequestParameters) -> int:
        """The weight of a request with these parameters."""
        return min(200, 4 * (parameters.symbol_count() or 1))


def day_ticker(call: MethodCall) -> Result:
    """Handle `ticker.24hr`: return the statistics of the last 24 hours."""
    symbols, kind = named_symbols(call), _type(call)
    listed = is_listed(call, symbols == "one")
    call.parameters.check_all_read()
    check_prices_known(call)
    exchange, symbol = call.exchange, call.exchange.spec.symbol
    statistics = exchange.market.day_statistics(exchange.engine.market_ms)
    if kind is TickerType.MINI:
        row = mini_row(statistics, symbol)
    else:
        row = day_row(statistics, symbol, exchange.top(), exchange.market.last_quantity)
    return _reply(row, symbols, listed)


def window_ticker(call: MethodCall) -> Result:
    """Handle `ticker`: return the statistics of a window of the request's own size."""
    symbols, kind = _mandatory_symbols(call), _type(call)
    listed = is_listed(call, symbols == "one")
    size = call.parameters.text("windowSize") or "1d"
    call.parameters.check_all_read()
    check_prices_known(call)
    if WINDOW_SIZE.fullmatch(size) is None:
        raise invalid_parameter("windowSize")
    window_ms = int(size[:-1]) * WINDOW_UNITS_MS[size[-1]]
    statistics = call.exchange.market.rolling_statistics(window_ms, call.exchange.engine.market_ms)
    build = mini_row if kind is TickerType.MINI else statistics_row
    return _reply(build(statistics, call.exchange.spec.symbol), symbols, listed)


def trading_day_ticker(call: MethodCall) -> Result:
    """Handle `ticker.tradingDay`: return the statistics of the present day of a time zone."""
    symbols, kind = _mandatory_symbols(call), _type(call)
    listed = is_listed(call, symbols == "one")
    offset_ms = zone_ms(call.parameters.text("timeZone") or "0")
    call.parameters.check_all_read()
    check_prices_known(call)
    market_ms = call.exchange.engine.market_ms
    local_ms = market_ms + offset_ms
    open_ms = local_ms - local_ms % DAY_MS - offset_ms
    statistics = call.exchange.market.statistics(open_ms, market_ms)
    build = mini_row if kind is TickerType.MINI else statistics_row
    # The close is the end of the day, which is still to come.
    row = build(statistics, call.exchange.spec.symbol) | {"closeTime": open_ms + DAY_MS - 1}
    return _reply(row, symbols, listed)


def _mandatory_symbols(call: MethodCall) -> str:
    symbols = named_symbols(call)
    if symbols is None:
        raise missing_parameter("symbol")
    return symbols


def _type(call: MethodCall) -> TickerType:
    return call.parameters.choice("type", TickerType) or TickerType.FULL


def _reply(row: Json, symbols: str | None, listed: bool) -> Result:
    return row if symbols == "one" else [row] if listed else []


TICKER_METHODS: Final[Mapping[str, MarketMethod]] = {
    "ticker.24hr": MarketMethod(day_ticker, DayWeight()),
    "ticker": MarketMethod(window_ticker, WindowWeight()),
    "ticker.tradingDay": MarketMethod(trading_day_ticker, WindowWeight()),
}
