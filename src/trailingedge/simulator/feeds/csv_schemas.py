"""CSV schemas of Binance's public data: klines, trades, aggTrades and bookTicker, with a parser for each.

A schema is recognised by its columns, because spot files have no header. Times are in milliseconds, or in
microseconds in spot files since 2025; the magnitude tells which.
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
# 10^11 ms is in 1973 and 10^14 ms in 5138; 10^14 µs is in 1973 and 10^17 µs in 5138. So no time is ambiguous.
_EARLIEST_MS: Final = 10**11
_MICROSECONDS_FROM: Final = 10**14
_MICROSECONDS_UNTIL: Final = 10**17


class CsvSchema(Enum):
    """The layouts of Binance's CSV files, named by what their rows contain."""

    KLINES = "klines"
    TRADES = "trades"
    AGG_TRADES = "aggTrades"
    BOOK_TICKER = "bookTicker"


@dataclass(frozen=True, slots=True)
class TradeRow:
    """A row of a trades or aggTrades file."""

    trade_id: int
    time_ms: int
    price: Decimal
    quantity: Decimal
    aggressor: Side


@dataclass(frozen=True, slots=True)
class QuoteRow:
    """A row of a bookTicker file. The book may be crossed or empty: recorded data has such rows."""

    time_ms: int
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal


def is_header(row: CsvRow) -> bool:
    """Whether the row is a header: its first cell is not a number."""
    return bool(row) and not row[0].strip().lstrip("-").isdigit()


def detect_schema(row: CsvRow) -> CsvSchema | None:
    """Return the schema of a row, by its number of cells and the position of its booleans.

    Returns None for an unknown layout. Files of USD-M futures lack the last column of trades and
    aggTrades.
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
    """Parse a cell that contains a time. Returns milliseconds.

    Raises ValueError if the time is neither in milliseconds nor in microseconds.
    """
    time = int(cell)
    if _EARLIEST_MS <= time < _MICROSECONDS_FROM:
        return time
    if _MICROSECONDS_FROM <= time < _MICROSECONDS_UNTIL:
        return time // 1000
    raise ValueError(f"{cell} is no time in milliseconds or microseconds")


def parse_times_ms(cells: Iterable[str]) -> list[int]:
    """Parse a whole column of times. Returns milliseconds.

    The usual column, which is in milliseconds already, is converted in one pass.
    """
    cells = tuple(cells)
    times = list(map(int, cells))
    if times and min(times) >= _EARLIEST_MS and max(times) < _MICROSECONDS_FROM:
        return times
    return list(map(parse_time_ms, cells))


def parse_kline(row: CsvRow) -> Kline:
    """Parse a row of open_time, open, high, low, close, volume, close_time, …

    Raises ValueError or IndexError.
    """
    opened, high, low, closed, volume = map(_number, row[1:6])
    return Kline(parse_time_ms(row[0]), parse_time_ms(row[6]), opened, high, low, closed, volume)


def parse_kline_times(row: CsvRow) -> tuple[int, int]:
    """Return opening and closing time of a kline row in milliseconds, after a quick check.

    The inspection of a year of klines needs no exact prices, and floats take a fraction of the
    time. A row that looks wrong goes to `parse_kline`, which parses it exactly and raises its
    error.
    """
    try:
        open_ms, close_ms = parse_time_ms(row[0]), parse_time_ms(row[6])
        opened, high, low, closed, volume = map(float, row[1:6])
    except (ValueError, IndexError):
        sensible = False
    else:
        # The same conditions as `Kline` checks; the comparisons are false for NaN as well.
        sensible = 0 < low <= opened <= high < inf and low <= closed <= high and 0 <= volume < inf
    if not (sensible and open_ms <= close_ms):
        kline = parse_kline(row)
        open_ms, close_ms = kline.open_ms, kline.close_ms
    return open_ms, close_ms


def parse_trade(row: CsvRow) -> TradeRow:
    """Parse a row of id, price, qty, quote_qty, time, is_buyer_maker, …

    Raises ValueError or IndexError.
    """
    return TradeRow(int(row[0]), parse_time_ms(row[4]), _price(row[1]), _number(row[2]), _aggressor(row[5]))


def parse_agg_trade(row: CsvRow) -> TradeRow:
    """Parse an aggTrades row. Raises ValueError or IndexError.

    Columns: agg_trade_id, price, quantity, first and last trade id, transact_time, is_buyer_maker,
    …
    """
    return TradeRow(int(row[0]), parse_time_ms(row[5]), _price(row[1]), _number(row[2]), _aggressor(row[6]))


def parse_quote(row: CsvRow) -> QuoteRow:
    """Parse a bookTicker row. Raises ValueError or IndexError.

    Columns: update_id, best_bid_price, best_bid_qty, best_ask_price, best_ask_qty,
    transaction_time, …
    """
    bid, bid_quantity, ask, ask_quantity = (_number(cell) for cell in row[1:5])
    return QuoteRow(parse_time_ms(row[5]), bid, bid_quantity, ask, ask_quantity)


PARSERS: Final[dict[CsvSchema, Callable[[CsvRow], Kline | TradeRow | QuoteRow]]] = {
    CsvSchema.KLINES: parse_kline,
    CsvSchema.TRADES: parse_trade,
    CsvSchema.AGG_TRADES: parse_agg_trade,
    CsvSchema.BOOK_TICKER: parse_quote,
}

KLINE_COLUMNS: Final = 7  # open_time to close_time; the columns after them are not read
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
    """How many decimals a number uses; trailing zeros are padding and do not count."""
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
    """Return the taker's side: SELL if the buyer was the maker, else BUY."""
    try:
        return Side.SELL if _BOOLEANS[is_buyer_maker.strip().lower()] else Side.BUY
    except KeyError as exc:
        raise ValueError(f"{is_buyer_maker!r} is neither True nor False") from exc
