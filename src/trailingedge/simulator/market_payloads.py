"""JSON payloads of the market's trades and price statistics: replies and stream events."""

from decimal import Decimal

from trailingedge.model.market import BookTop, Side
from trailingedge.simulator.exchange_spec import format_amount
from trailingedge.simulator.payloads import Json
from trailingedge.simulator.price_statistics import PriceStatistics
from trailingedge.simulator.trade_tape import AggregateTrade, TapeTrade


def trade_row(trade: TapeTrade) -> Json:
    """A trade as `trades.recent` and `trades.historical` return it."""
    return {
        "id": trade.trade_id,
        "price": format_amount(trade.price),
        "qty": format_amount(trade.quantity),
        "quoteQty": format_amount(trade.quote_volume),
        "time": trade.time_ms,
        "isBuyerMaker": trade.aggressor is Side.SELL,
        "isBestMatch": True,
    }


def trade_event(trade: TapeTrade, symbol: str) -> Json:
    """A trade as the `trade` event of the stream."""
    return {
        "e": "trade",
        "E": trade.time_ms,
        "s": symbol,
        "t": trade.trade_id,
        "p": format_amount(trade.price),
        "q": format_amount(trade.quantity),
        "T": trade.time_ms,
        "m": trade.aggressor is Side.SELL,
        "M": True,
    }


def aggregate_row(aggregate: AggregateTrade) -> Json:
    """An aggregate trade as `trades.aggregate` returns it."""
    first = aggregate.trades[0]
    return {
        "a": aggregate.aggregate_id,
        "p": format_amount(first.price),
        "q": format_amount(aggregate.quantity),
        "f": first.trade_id,
        "l": aggregate.trades[-1].trade_id,
        "T": first.time_ms,
        "m": first.aggressor is Side.SELL,
        "M": True,
    }


def aggregate_event(aggregate: AggregateTrade, symbol: str) -> Json:
    """An aggregate trade as the `aggTrade` event of the stream."""
    return {"e": "aggTrade", "E": aggregate.time_ms, "s": symbol} | aggregate_row(aggregate)


def statistics_row(statistics: PriceStatistics, symbol: str) -> Json:
    """The statistics as `ticker` returns them with type FULL."""
    return {
        "symbol": symbol,
        "priceChange": format_amount(statistics.change),
        "priceChangePercent": f"{statistics.change_percent:f}",
        "weightedAvgPrice": format_amount(statistics.average),
    } | _common_fields(statistics)


def mini_row(statistics: PriceStatistics, symbol: str) -> Json:
    """The statistics as the ticker methods return them with type MINI."""
    return {"symbol": symbol} | _common_fields(statistics)


def day_row(statistics: PriceStatistics, symbol: str, top: BookTop, last_quantity: Decimal) -> Json:
    """The statistics as `ticker.24hr` returns them with type FULL."""
    return statistics_row(statistics, symbol) | {
        "prevClosePrice": format_amount(statistics.previous_close),
        "lastQty": format_amount(last_quantity),
        "bidPrice": format_amount(top.bid),
        "bidQty": format_amount(top.bid_quantity),
        "askPrice": format_amount(top.ask),
        "askQty": format_amount(top.ask_quantity),
    }


def window_event(statistics: PriceStatistics, symbol: str, window: str) -> Json:
    """The statistics as the event of a stream `@ticker_<window>`."""
    return {"e": f"{window}Ticker", "E": statistics.close_ms, "s": symbol} | _event_fields(statistics)


def day_event(statistics: PriceStatistics, symbol: str, top: BookTop, last_quantity: Decimal) -> Json:
    """The statistics as the `24hrTicker` event of the stream `@ticker`."""
    return {
        "e": "24hrTicker",
        "E": statistics.close_ms,
        "s": symbol,
        "x": format_amount(statistics.previous_close),
        "Q": format_amount(last_quantity),
        "b": format_amount(top.bid),
        "B": format_amount(top.bid_quantity),
        "a": format_amount(top.ask),
        "A": format_amount(top.ask_quantity),
    } | _event_fields(statistics)


def mini_event(statistics: PriceStatistics, symbol: str) -> Json:
    """The statistics as the `24hrMiniTicker` event of the stream `@miniTicker`."""
    return {
        "e": "24hrMiniTicker",
        "E": statistics.close_ms,
        "s": symbol,
        "c": format_amount(statistics.last),
        "o": format_amount(statistics.open),
        "h": format_amount(statistics.high),
        "l": format_amount(statistics.low),
        "v": format_amount(statistics.volume),
        "q": format_amount(statistics.quote_volume),
    }


def average_price_event(price: Decimal, minutes: int, symbol: str, last_trade_ms: int, event_ms: int) -> Json:
    """The average price as the event of the stream `@avgPrice`."""
    return {
        "e": "avgPrice",
        "E": event_ms,
        "s": symbol,
        "i": f"{minutes}m",
        "w": format_amount(price),
        "T": last_trade_ms,
    }


def _common_fields(statistics: PriceStatistics) -> Json:
    return {
        "openPrice": format_amount(statistics.open),
        "highPrice": format_amount(statistics.high),
        "lowPrice": format_amount(statistics.low),
        "lastPrice": format_amount(statistics.last),
        "volume": format_amount(statistics.volume),
        "quoteVolume": format_amount(statistics.quote_volume),
        "openTime": statistics.open_ms,
        "closeTime": statistics.close_ms,
        "firstId": statistics.first_id,
        "lastId": statistics.last_id,
        "count": statistics.trade_count,
    }


def _event_fields(statistics: PriceStatistics) -> Json:
    return {
        "p": format_amount(statistics.change),
        "P": f"{statistics.change_percent:f}",
        "w": format_amount(statistics.average),
        "o": format_amount(statistics.open),
        "h": format_amount(statistics.high),
        "l": format_amount(statistics.low),
        "c": format_amount(statistics.last),
        "v": format_amount(statistics.volume),
        "q": format_amount(statistics.quote_volume),
        "O": statistics.open_ms,
        "C": statistics.close_ms,
        "F": statistics.first_id,
        "L": statistics.last_id,
        "n": statistics.trade_count,
    }
