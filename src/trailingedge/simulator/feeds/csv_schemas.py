"""Binance's public CSV layouts: klines, trades, aggTrades and bookTicker, and how to tell them apart.

A layout is known by its columns, not by its header, for spot files come without one. Times are
milliseconds, or microseconds in spot files since 2025; their magnitude says which.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from math import inf
from typing import Final

from trailingedge.model.market import ZERO, Kline, Side

CsvRow = Sequence[str]

_BOOLEANS: Final = {"true": True, "false": False}
# 10^11 ms is in 1973 and 10^14 ms in 5138; 10^17 µs is in 5138 again.
_EARLIEST_MS: Final = 10**11
_MICROSECONDS_FROM: Final = 10**14
_MICROSECONDS_UNTIL: Final = 10**17


class CsvSchema(Enum):
    """What a row is."""

    KLINES = "klines"
    TRADES = "trades"
    AGG_TRADES = "aggTrades"
    BOOK_TICKER = "bookTicker"


@dataclass(frozen=True, slots=True)
class TradeRow:
    """A row of trades or aggTrades."""

    trade_id: int
    time_ms: int
    price: Decimal
    quantity: Decimal
    aggressor: Side


@dataclass(frozen=True, slots=True)
class QuoteRow:
    """A row of bookTicker; a crossed or empty book is as possible in a file as on the wire."""

    time_ms: int
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal


def is_header(row: CsvRow) -> bool:
    """The row names columns instead of filling them."""
    return bool(row) and not row[0].strip().lstrip("-").isdigit()


def detect_schema(row: CsvRow) -> CsvSchema | None:
    """The layout of a row of values, None when it is none of Binance's.

    USD-M futures files lack the last column of trades and aggTrades.
    """
    flags = [number for number, cell in enumerate(row) if cell.strip().lower() in _BOOLEANS]
    match len(row), flags:
        case 12, []:
            return CsvSchema.KLINES
        case (7, [5, 6]) | (6, [5]):
            return CsvSchema.TRADES
        case (8, [6, 7]) | (7, [6]):
            return CsvSchema.AGG_TRADES
        case (7 | 8, []):
            return CsvSchema.BOOK_TICKER
    return None


def parse_time_ms(cell: str) -> int:
    """A time of a file in milliseconds. Raises ValueError when it is neither milli- nor microseconds."""
    time = int(cell)
    if _EARLIEST_MS <= time < _MICROSECONDS_FROM:
        return time
    if _MICROSECONDS_FROM <= time < _MICROSECONDS_UNTIL:
        return time // 1000
    raise ValueError(f"{cell} is no time in milliseconds or microseconds")


def parse_times_ms(cells: Iterable[str]) -> list[int]:
    """The same for a whole column, which mostly is of milliseconds throughout."""
    cells = tuple(cells)
    times = list(map(int, cells))
    if times and min(times) >= _EARLIEST_MS and max(times) < _MICROSECONDS_FROM:
        return times
    return list(map(parse_time_ms, cells))


def parse_kline(row: CsvRow) -> Kline:
    """open_time, open, high, low, close, volume, close_time, …"""
    opened, high, low, closed, volume = map(_number, row[1:6])
    return Kline(parse_time_ms(row[0]), parse_time_ms(row[6]), opened, high, low, closed, volume)


def parse_kline_times(row: CsvRow) -> tuple[int, int]:
    """When the kline of a row that `parse_kline` would read opens and closes. Raises what that would raise.

    Whoever only looks through a year of them has no use for exact prices: floats say whether one makes sense,
    and a row of which they say that it does not is read exactly.
    """
    try:
        open_ms, close_ms = parse_time_ms(row[0]), parse_time_ms(row[6])
        opened, high, low, closed, volume = map(float, row[1:6])
    except (ValueError, IndexError):
        sensible = False
    else:
        sensible = 0 < low <= opened <= high < inf and low <= closed <= high and 0 <= volume < inf
    if not (sensible and open_ms <= close_ms):
        kline = parse_kline(row)
        open_ms, close_ms = kline.open_ms, kline.close_ms
    return open_ms, close_ms


def parse_trade(row: CsvRow) -> TradeRow:
    """id, price, qty, quote_qty, time, is_buyer_maker, …"""
    return TradeRow(int(row[0]), parse_time_ms(row[4]), _price(row[1]), _number(row[2]), _aggressor(row[5]))


def parse_agg_trade(row: CsvRow) -> TradeRow:
    """agg_trade_id, price, quantity, first_trade_id, last_trade_id, transact_time, is_buyer_maker, …"""
    return TradeRow(int(row[0]), parse_time_ms(row[5]), _price(row[1]), _number(row[2]), _aggressor(row[6]))


def parse_quote(row: CsvRow) -> QuoteRow:
    """update_id, best_bid_price, best_bid_qty, best_ask_price, best_ask_qty, transaction_time, …"""
    bid, bid_quantity, ask, ask_quantity = (_number(cell) for cell in row[1:5])
    return QuoteRow(parse_time_ms(row[5]), bid, bid_quantity, ask, ask_quantity)


PARSERS: Final[dict[CsvSchema, Callable[[CsvRow], Kline | TradeRow | QuoteRow]]] = {
    CsvSchema.KLINES: parse_kline,
    CsvSchema.TRADES: parse_trade,
    CsvSchema.AGG_TRADES: parse_agg_trade,
    CsvSchema.BOOK_TICKER: parse_quote,
}

KLINE_COLUMNS: Final = 7  # from when it opens to when it closes; nobody reads what follows
PRICE_COLUMNS: Final = {
    CsvSchema.KLINES: (1, 2, 3, 4),
    CsvSchema.TRADES: (1,),
    CsvSchema.AGG_TRADES: (1,),
    CsvSchema.BOOK_TICKER: (1, 3),
}
QUANTITY_COLUMNS: Final = {
    CsvSchema.KLINES: (5,),
    CsvSchema.TRADES: (2,),
    CsvSchema.AGG_TRADES: (2,),
    CsvSchema.BOOK_TICKER: (2, 4),
}


def decimal_places(cell: str) -> int:
    """How many decimals the number uses; trailing zeros are padding."""
    return len(cell.rstrip("0")) - 1 - point if (point := cell.find(".")) >= 0 else 0


def _number(cell: str) -> Decimal:
    try:
        number = Decimal(cell)
    except InvalidOperation as exc:
        raise ValueError(f"{cell!r} is no number") from exc
    if not number.is_finite() or number < ZERO:
        raise ValueError(f"{cell!r} is no price or quantity")
    return number


def _price(cell: str) -> Decimal:
    price = _number(cell)
    if price == ZERO:
        raise ValueError("a trade at a price of zero")
    return price


def _aggressor(is_buyer_maker: str) -> Side:
    """Where the buyer waited, the seller took."""
    try:
        return Side.SELL if _BOOLEANS[is_buyer_maker.strip().lower()] else Side.BUY
    except KeyError as exc:
        raise ValueError(f"{is_buyer_maker!r} is neither True nor False") from exc
