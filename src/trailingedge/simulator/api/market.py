"""Market methods of the WebSocket API, which need no key: time, exchange info, klines and prices."""

from collections.abc import Mapping
from typing import Final

from trailingedge.core.time_units import MINUTE_MS
from trailingedge.simulator.api.method_types import MarketMethod, MethodCall, RequestWeight, Result
from trailingedge.simulator.engine import BREAK, HALT, TRADING
from trailingedge.simulator.errors import ExchangeError, bad_combination, invalid_parameter, invalid_symbol
from trailingedge.simulator.exchange_spec import format_amount
from trailingedge.simulator.klines import INTERVALS, Interval, kline_row_json
from trailingedge.simulator.payloads import Json


def ping(call: MethodCall) -> Result:
    call.parameters.check_all_read()
    return {}


def server_time(call: MethodCall) -> Result:
    """Handle `time`: return the wall clock, because request timestamps are checked against it.

    Market time, which comes from the ticks, may differ.
    """
    call.parameters.check_all_read()
    return {"serverTime": call.now_ms}


def exchange_info(call: MethodCall) -> Result:
    symbols = named_symbols(call)
    permissions = call.parameters.one_or_more("permissions")
    show_permissions = call.parameters.flag("showPermissionSets")
    status = symbol_status(call)
    call.parameters.check_all_read()
    spec, engine = call.exchange.spec, call.exchange.engine
    if symbols is not None and (status is not None or permissions is not None):
        raise bad_combination()
    # A symbol that has another status or none of the permissions is left out; an empty list is no error.
    shown = status in {None, engine.symbol_status} and (
        permissions is None or bool(spec.permissions.intersection(permissions))
    )
    described = spec.symbol_json(engine.symbol_status)
    if show_permissions is False:
        described["permissionSets"] = []
    return {
        "timezone": "UTC",
        "serverTime": call.now_ms,
        "rateLimits": spec.limits_json(),
        "exchangeFilters": [],
        "symbols": [described] if shown else [],
    }


def klines(call: MethodCall) -> Result:
    parameters = call.parameters
    call.symbol()
    interval = Interval(parameters.required_text("interval"), zone_ms(parameters.text("timeZone") or "0"))
    start_ms = parameters.market_time_ms("startTime", call.latest_ms)
    end_ms = parameters.market_time_ms("endTime", call.latest_ms)
    limit = parameters.limit(500)
    parameters.check_all_read()
    if interval.name not in INTERVALS:
        raise ExchangeError(-1120, "Invalid interval.")
    bars = call.exchange.market.klines.rows(interval, start_ms, end_ms, limit)
    return [kline_row_json(bar, interval) for bar in bars]


def book_ticker(call: MethodCall) -> Result:
    symbols = named_symbols(call)
    listed = is_listed(call, symbols == "one")
    call.parameters.check_all_read()
    check_prices_known(call)
    top = call.exchange.top()
    row: Json = {
        "symbol": call.exchange.spec.symbol,
        "bidPrice": format_amount(top.bid),
        "bidQty": format_amount(top.bid_quantity),
        "askPrice": format_amount(top.ask),
        "askQty": format_amount(top.ask_quantity),
    }
    return row if symbols == "one" else [row] if listed else []


def price_ticker(call: MethodCall) -> Result:
    symbols = named_symbols(call)
    listed = is_listed(call, symbols == "one")
    call.parameters.check_all_read()
    check_prices_known(call)
    row: Json = {
        "symbol": call.exchange.spec.symbol,
        "price": format_amount(call.exchange.engine.book.tick.last_price),
    }
    return row if symbols == "one" else [row] if listed else []


def average_price(call: MethodCall) -> Result:
    call.symbol()
    call.parameters.check_all_read()
    market = call.exchange.market
    return {
        "mins": call.exchange.spec.average_minutes,
        "price": format_amount(market.average_price()),
        "closeTime": market.last_trade_ms(call.exchange.engine.market_ms),
    }


def symbol_status(call: MethodCall) -> str | None:
    """Read `symbolStatus`. Raises ExchangeError (−1122) for an unknown status."""
    status = call.parameters.text("symbolStatus")
    if status not in {None, TRADING, HALT, BREAK}:
        raise ExchangeError(-1122, "Invalid symbolStatus.")
    return status


def is_listed(call: MethodCall, one: bool) -> bool:
    """Return whether our symbol has the status that the request asks for; True if it asks for none.

    If the request names a single symbol (`one`), raises ExchangeError (−1220) instead of returning
    False.
    """
    if symbol_status(call) in {None, call.exchange.engine.symbol_status}:
        return True
    if one:
        raise ExchangeError(-1220, "The symbol's status does not match the requested symbolStatus.")
    return False


def check_prices_known(call: MethodCall) -> None:
    """Raise ExchangeError (−1001) while a live market's prices are not known."""
    if not call.exchange.prices_known():
        raise ExchangeError(-1001, "Internal error; unable to process your request. Please try again.", status=500)


def named_symbols(call: MethodCall) -> str | None:
    """Return how the request names our symbol: "one" (by `symbol`), "several" (by `symbols`) or None (not at all).

    The reply is an object for "one" and a list otherwise. Raises ExchangeError for any other symbol.
    """
    one, several = call.parameters.text("symbol"), call.parameters.text_list("symbols")
    if one is not None and several is not None:
        raise bad_combination()
    named = several if one is None else [one]
    if named is not None and len(named) != len(set(named)):
        raise ExchangeError(-1151, "Symbol is present multiple times in the list.")
    if named is not None and named != [call.exchange.spec.symbol]:
        raise invalid_symbol()
    return None if named is None else "several" if one is None else "one"


def zone_ms(zone: str) -> int:
    """Convert a `timeZone` parameter such as "0", "-1:00", "05:45" or "+8" to milliseconds."""
    # Documented range: −12:00 to +14:00; hours alone, or hours and minutes.
    sign = -1 if zone.startswith("-") else 1
    hours, _, minutes = zone.removeprefix("-").removeprefix("+").partition(":")
    if not hours.isdecimal() or not (minutes or "0").isdecimal() or int(minutes or 0) >= 60:
        raise invalid_parameter("timeZone")
    offset_minutes = sign * (int(hours) * 60 + int(minutes or 0))
    if not -12 * 60 <= offset_minutes <= 14 * 60:
        raise invalid_parameter("timeZone")
    return offset_minutes * MINUTE_MS


MARKET_METHODS: Final[Mapping[str, MarketMethod]] = {
    "ping": MarketMethod(ping, RequestWeight(1)),
    "time": MarketMethod(server_time, RequestWeight(1)),
    "exchangeInfo": MarketMethod(exchange_info, RequestWeight(20)),
    "klines": MarketMethod(klines, RequestWeight(2)),
    "uiKlines": MarketMethod(klines, RequestWeight(2)),
    "ticker.book": MarketMethod(book_ticker, RequestWeight(4, ("symbol",), 2)),
    "ticker.price": MarketMethod(price_ticker, RequestWeight(4, ("symbol",), 2)),
    "avgPrice": MarketMethod(average_price, RequestWeight(2)),
}
