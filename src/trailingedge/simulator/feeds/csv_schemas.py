"""CSV schemas of Binance's public data: klines, trades, aggTrades and bookTicker, with a parser for each.

A schema is recognised by its columns, because spot files have no header. Times are in milliseconds, or in
microseconds in spot files since 2025; the magnitude tells which.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from operator import le, sub
from typing import Final, NamedTuple

from trailingedge.core.number_text import LATEST_MS, are_amounts, id_number, parse_amount, parse_integer, shown
from trailingedge.model.market import LONGEST_KLINE_MS, ZERO, Kline, Side

CsvRow = Sequence[str]

_BOOLEANS: Final = {"true": True, "false": False}
BOOLEAN_CELLS: Final = {cell: value for name, value in _BOOLEANS.items() for cell in (name, name.title(), name.upper())}
"""The usual texts of a column of booleans."""
# 10^11 ms is in 1973, and 10^14 µs is, too. LATEST_MS is less than 10^14, so no time is ambiguous.
_EARLIEST_MS: Final = 10**11
_MICROSECONDS_FROM: Final = 1000 * _EARLIEST_MS
_MICROSECONDS_UNTIL: Final = 1000 * LATEST_MS
_LONGEST_ID: Final = 19  # digits of a 64-bit integer
# Words that begin like a name and are values: pandas writes the first four for a number that is missing.
_NO_NAMES: Final = frozenset({"nan", "none", "null", "na", "inf", "infinity", *_BOOLEANS})


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
    """Whether the row is a header: each of its cells is a name. A row with a number or a date in it is data."""
    cells = [cell.strip() for cell in row]
    return any(cells) and all(
        not cell or ((cell[0].isalpha() or cell[0] == "_") and cell.lower() not in _NO_NAMES) for cell in cells
    )


def detect_schema(row: CsvRow) -> CsvSchema | None:
    """Return the schema of a row, by its number of cells and the position of its booleans.

    Returns None for an unknown layout. Trades and aggTrades files of USD-M futures lack the last column that those of
    the spot market have.
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
    # A quick check first, because a file may have millions of times.
    if cell.isascii() and cell.isdigit() and len(cell) <= len(str(_MICROSECONDS_UNTIL)):
        time = int(cell)
        if _EARLIEST_MS <= time < LATEST_MS:
            return time
        if _MICROSECONDS_FROM <= time < _MICROSECONDS_UNTIL:
            return time // 1000
    raise ValueError(f"{shown(cell)} is no time in whole milliseconds or microseconds before the year 2100")


def parse_times_ms(cells: Iterable[str]) -> list[int]:
    """Parse a whole column of times. Returns milliseconds.

    The usual column, which is in milliseconds already, is converted in one pass.
    """
    cells = tuple(cells)
    joined = "".join(cells)
    if joined.isascii() and joined.isdigit() and len(set(map(len, cells))) == 1:
        times = list(map(int, cells))
        if min(times) >= _EARLIEST_MS and max(times) < LATEST_MS:
            return times
    return list(map(parse_time_ms, cells))


def parse_id(cell: str) -> int:
    """Parse the id of a trade. Raises ValueError."""
    return id_number(parse_integer(cell))


def parse_kline(row: CsvRow) -> Kline:
    """Parse a row of open_time, open, high, low, close, volume, close_time, …

    Raises ValueError or IndexError.
    """
    opened, high, low, closed, volume = map(_number, row[1:6])
    return Kline(parse_time_ms(row[0]), parse_time_ms(row[6]), opened, high, low, closed, volume)


class RowColumns(NamedTuple):
    """A batch of rows as columns.

    `keys` are the numbers by which rows are sorted: opening time, id of the trade, or time of the quote. `numbers` are
    the columns of `PRICE_COLUMNS` followed by those of `QUANTITY_COLUMNS`, as floats: floats are much faster than
    Decimal, and the inspection needs no exact prices. `ends_ms` are the closing times of klines, else the times of the
    rows.
    """

    keys: list[int]
    times_ms: list[int]
    ends_ms: list[int]
    numbers: list[list[float]]


def parse_columns(schema: CsvSchema, cells: Sequence[Sequence[str]]) -> RowColumns:
    """Parse rows column by column.

    Raises ValueError or IndexError if any row looks wrong; `parse_row` then finds out which row it is. Whole columns at
    a time by C functions: a Python loop over the rows would take several times as long.
    """
    columns = [cells[number] for number in (*PRICE_COLUMNS[schema], *QUANTITY_COLUMNS[schema])]
    if not all(map(are_amounts, columns)):
        raise ValueError("a cell is no number")
    numbers = [list(map(float, column)) for column in columns]
    times = parse_times_ms(cells[TIME_COLUMNS[schema]])
    if schema is CsvSchema.KLINES:
        ends = parse_times_ms(cells[6])
        _check_klines(times, ends, numbers)
        return RowColumns(times, times, ends, numbers)
    if schema is CsvSchema.BOOK_TICKER:
        return RowColumns(times, times, times, numbers)
    if min(numbers[0]) <= 0 or not BOOLEAN_CELLS.keys() >= set(cells[TIME_COLUMNS[schema] + 1]):
        raise ValueError("a trade without a price or a side")
    return RowColumns(_parse_ids(cells[0]), times, times, numbers)


def _parse_ids(cells: Sequence[str]) -> list[int]:
    """Parse a column of ids; the usual one in one pass. Raises ValueError."""
    joined = "".join(cells)
    if joined.isascii() and joined.isdigit() and max(map(len, cells)) < _LONGEST_ID:
        return list(map(int, cells))
    return list(map(parse_id, cells))


def _check_klines(open_ms: Sequence[int], close_ms: Sequence[int], numbers: Sequence[Sequence[float]]) -> None:
    """Raise ValueError if a kline contradicts itself: the same conditions as `Kline` checks."""
    opened, high, low, closed, volume = numbers
    sensible = all(map(le, low, opened)) and all(map(le, opened, high)) and all(map(le, low, closed))
    sensible = sensible and all(map(le, closed, high)) and min(low) > 0 and min(volume) >= 0
    lengths = list(map(sub, close_ms, open_ms))
    if not (sensible and min(lengths) >= 0 and max(lengths) < LONGEST_KLINE_MS):
        raise ValueError("a kline contradicts itself")


def parse_trade(row: CsvRow) -> TradeRow:
    """Parse a row of id, price, qty, quote_qty, time, is_buyer_maker, …

    Raises ValueError or IndexError.
    """
    return TradeRow(parse_id(row[0]), parse_time_ms(row[4]), _price(row[1]), _number(row[2]), _aggressor(row[5]))


def parse_agg_trade(row: CsvRow) -> TradeRow:
    """Parse an aggTrades row. Raises ValueError or IndexError.

    Columns: agg_trade_id, price, quantity, first and last trade id, transact_time, is_buyer_maker,
    …
    """
    return TradeRow(parse_id(row[0]), parse_time_ms(row[5]), _price(row[1]), _number(row[2]), _aggressor(row[6]))


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


def parse_row(schema: CsvSchema, row: CsvRow) -> Kline | TradeRow | QuoteRow:
    """Parse a row. Raises ValueError that says what is wrong with it."""
    if len(row) < READ_COLUMNS[schema]:
        raise ValueError(f"only {len(row)} column{'s' * (len(row) > 1)} ({shown(','.join(row))})")
    return PARSERS[schema](row)


READ_COLUMNS: Final = {
    CsvSchema.KLINES: 7,  # open_time to close_time
    CsvSchema.TRADES: 6,
    CsvSchema.AGG_TRADES: 7,
    CsvSchema.BOOK_TICKER: 6,
}
"""How many of the first columns are read; the rest is not looked at."""
KLINE_COLUMNS_WITH_COUNT: Final = 9  # and quote volume and number of trades; the columns after them are not read
TIME_COLUMNS: Final = {CsvSchema.KLINES: 0, CsvSchema.TRADES: 4, CsvSchema.AGG_TRADES: 5, CsvSchema.BOOK_TICKER: 5}
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
    number = parse_amount(cell)
    if number < ZERO:
        raise ValueError(f"{shown(cell)} is no price or quantity: it is negative")
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
        raise ValueError(f"{shown(is_buyer_maker)} is neither True nor False") from exc
