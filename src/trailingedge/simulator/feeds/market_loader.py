"""Loader of market files: CSV rows to columns of integers, in pieces, so that a year needs no more memory than a day.

Backtests and the embedded exchange read markets through it. Cells become integers directly, because parsing is most of
the cost of a backtest on klines. All rows were checked when the market was opened (`inspection`), and its files are in
order (`row_order`). A row that this fast path cannot read is parsed as in the inspection. If it is invalid there, too,
it is left out.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import compress
from typing import Final, Protocol

from trailingedge.core.number_text import are_amounts, shown
from trailingedge.model.market import Side
from trailingedge.simulator.feeds.columns import Columns, KlineColumns, PriceGrid, TickColumns
from trailingedge.simulator.feeds.csv_files import EMPTY_ROW, CsvFile
from trailingedge.simulator.feeds.csv_schemas import (
    BOOLEAN_CELLS,
    KLINE_COLUMNS_WITH_COUNT,
    CsvRow,
    CsvSchema,
    QuoteRow,
    TradeRow,
    decimal_places,
    parse_columns,
    parse_id,
    parse_row,
    parse_time_ms,
    parse_times_ms,
)
from trailingedge.simulator.feeds.inspection import MOST_UNITS, long_gap
from trailingedge.simulator.feeds.row_order import OrderedFiles

LONGEST_QUOTE_MS: Final = 60_000  # how long the last quote of the files stands for the book
_ROWS_PER_PIECE: Final = 4096  # almost three days of minutes
_CELLS_KEPT: Final = 50_000
_EXACT_FLOATS: Final = 2.0**50
_DEPTH_TRADES: Final = 20  # the largest of so many recent trades stands for the quantity at a best price
_CHANGED: Final = "the file has changed since it was opened; try again"

ProgressCallback = Callable[[float], None]


class MarketFiles(Protocol):
    """The files of a recorded market to read, and the grid of its numbers."""

    @property
    def schema(self) -> CsvSchema: ...
    @property
    def files(self) -> OrderedFiles: ...
    @property
    def quote_files(self) -> OrderedFiles: ...
    @property
    def tick_size(self) -> Decimal: ...
    @property
    def step_size(self) -> Decimal: ...

    rows_left_out: int


def price_grid(market: MarketFiles) -> PriceGrid:
    return PriceGrid(market.tick_size, market.step_size)


def load_columns(
    market: MarketFiles, progress: ProgressCallback = lambda _: None, rows_at_once: int | None = None
) -> Iterator[Columns]:
    """Yield the market in columns, from its start. Each piece is made from `rows_at_once` rows.

    `progress` is called with the share of the files that was read, from 0 to 1. Raises ConfigError if the market pauses
    for more than a year, or if a file has changed since it was opened.
    """
    market.rows_left_out = 0
    rows_at_once = rows_at_once or _ROWS_PER_PIECE
    reader = _Reader(market.files.files, rows_at_once, progress)
    match market.schema:
        case CsvSchema.KLINES:
            yield from _klines(market, reader)
        case CsvSchema.BOOK_TICKER:
            yield from _quotes(market, reader)
        case CsvSchema.TRADES | CsvSchema.AGG_TRADES if market.quote_files.files:
            quotes = _quotes(market, _Reader(market.quote_files.files, rows_at_once, lambda _: None))
            yield from _merged(_trades(market, reader), quotes, rows_at_once)
        case CsvSchema.TRADES | CsvSchema.AGG_TRADES:
            yield from _trades(market, reader)


class _Reader:
    """Reads the rows of all files piece by piece and reports progress."""

    def __init__(self, files: Sequence[CsvFile], rows_at_once: int, progress: ProgressCallback) -> None:
        self._files = files
        self._rows_at_once = rows_at_once
        self._sizes = [file.size_bytes for file in files]
        self._progress = progress

    def pieces(self) -> Iterator[tuple[CsvFile, list[tuple[int, CsvRow]]]]:
        """Yield pieces of a file: the file, and a list with line number and cells of each row that is not empty."""
        for file, line, rows in self.blocks():
            yield file, [(number, row) for number, row in enumerate(rows, line) if row != EMPTY_ROW]

    def blocks(self, cells: int = -1) -> Iterator[tuple[CsvFile, int, list[CsvRow]]]:
        """Yield blocks of rows, each with its file and the line number of its first row.

        An empty line is a row of one empty cell. `cells` is the number of cells needed in a row; -1 means all.
        """
        total, done = max(1, sum(self._sizes)), 0
        for file, size in zip(self._files, self._sizes, strict=True):
            read = 0
            for line, rows in file.row_batches(self._rows_at_once, cells):
                yield file, line, rows
                read += len(rows) * (sum(map(len, rows[-1])) + len(rows[-1]))
                self._progress((done + min(read, size)) / total)
            done += size
        self._progress(1.0)


class _CellCache(dict[str, int]):
    """Converts the text of CSV cells to integers on a grid with `places` decimals, and caches them.

    The cache pays because the same few texts occur again and again. A look-up raises ValueError for
    text that is not a plain number, is negative, is finer than the grid, or is too large for a column.
    """

    def __init__(self, places: int) -> None:
        super().__init__()
        self._places = places

    def __missing__(self, cell: str) -> int:
        if not are_amounts((cell,)):
            raise ValueError(f"{shown(cell)} is no price or quantity")
        whole, _, fraction = cell.partition(".")
        places = self._places
        if len(fraction) > places and fraction[places:].strip("0"):
            raise ValueError(f"{cell} is finer than {places} decimals")
        number = int(whole + fraction[:places].ljust(places, "0"))
        if number >= MOST_UNITS:
            raise ValueError(f"{cell} is too large for {places} decimals")
        if len(self) >= _CELLS_KEPT:  # simpler than an LRU cache, and as good for prices that wander
            self.clear()
        self[cell] = number
        return number


def _klines(market: MarketFiles, reader: _Reader) -> Iterator[KlineColumns]:
    """Yield the klines of the files. A kline that begins before an earlier one has ended is left out."""
    tick, step = _grid_reader(market.tick_size), _grid_reader(market.step_size)
    end_ms = -1  # of the newest kline that was returned
    for file, line, block in reader.blocks(KLINE_COLUMNS_WITH_COUNT):
        rows: Sequence[CsvRow] = [row for row in block if row != EMPTY_ROW]
        if file in market.files.damaged:
            rows = _readable_klines(rows)
        if not rows:
            continue
        columns = KlineColumns()
        try:
            cells = list(zip(*rows, strict=False))
            columns.open_ms.extend(parse_times_ms(cells[0]))
            columns.close_ms.extend(parse_times_ms(cells[6]))
            columns.opens.extend(tick(cells[1]))
            columns.highs.extend(tick(cells[2]))
            columns.lows.extend(tick(cells[3]))
            columns.closes.extend(tick(cells[4]))
            columns.volumes.extend(step(cells[5]))
            columns.trades.extend(map(_trade_count, cells[8]) if len(cells) > 8 else [0] * len(cells[0]))
        except (ValueError, IndexError, ArithmeticError) as exc:
            raise file.error(f"{exc}; {_CHANGED}", line) from exc
        count = len(columns)
        columns = columns.starting_after(end_ms)
        market.rows_left_out += count - len(columns)
        if columns:
            if end_ms >= 0:
                _require_no_long_gap(file, line, end_ms, columns.open_ms[0])
            end_ms = columns.close_ms[-1]
            yield columns


def _readable_klines(rows: Sequence[CsvRow]) -> Sequence[CsvRow]:
    """Return the rows that can be read; all of them at once, if possible."""
    try:
        parse_columns(CsvSchema.KLINES, list(zip(*rows, strict=True)))
    except (ValueError, IndexError):
        return list(compress(rows, (_parsed(CsvSchema.KLINES, row) for row in rows)))
    return rows


def _require_no_long_gap(file: CsvFile, line: int, before_ms: int, time_ms: int) -> None:
    if gap := long_gap(file, line, before_ms, time_ms):
        raise gap


def _trade_count(cell: str) -> int:
    """Return the number of trades in a kline; 0 if the file does not contain it."""
    return int(cell) if cell.isascii() and cell.isdigit() and len(cell) < 12 else 0


def _grid_reader(size: Decimal) -> Callable[[Iterable[str]], list[int]]:
    """Return a function that converts many cells at once to integer multiples of `size`."""
    scale = int(1 / size)

    def read(cells: Iterable[str]) -> list[int]:
        numbers = [float(cell) * scale for cell in cells]
        if max(numbers) < _EXACT_FLOATS:  # below 2**50 a float is closer to the right integer than to any other
            return [int(number + 0.5) for number in numbers]
        return [int(Decimal(cell) * scale) for cell in cells]

    return read


def _trades(market: MarketFiles, reader: _Reader) -> Iterator[TickColumns]:
    prices, quantities = _cell_cache(market.tick_size), _cell_cache(market.step_size)
    aggregated = market.schema is CsvSchema.AGG_TRADES
    time_column, maker_column = (5, 6) if aggregated else (4, 5)
    last_ms = 0
    recent: deque[int] = deque([1], maxlen=_DEPTH_TRADES)
    for file, piece in reader.pieces():
        columns = TickColumns()
        for line, row in piece:
            try:
                parse_id(row[0])
                time_ms, maker = parse_time_ms(row[time_column]), BOOLEAN_CELLS[row[maker_column]]
                price, traded = prices[row[1]], quantities[row[2]]
                if not price:
                    raise ValueError("a trade at a price of zero")
            except (ValueError, IndexError, KeyError):
                trade = _parsed(market.schema, row)
                if not isinstance(trade, TradeRow):
                    continue
                time_ms, maker = trade.time_ms, trade.aggressor is Side.SELL
                try:
                    price, traded = prices[f"{trade.price:f}"], quantities[f"{trade.quantity:f}"]
                except ValueError as exc:
                    raise file.error(f"{exc}; {_CHANGED}", line) from exc
            if last_ms:
                _require_no_long_gap(file, line, last_ms, time_ms)
            last_ms = max(last_ms, time_ms)
            # Trades do not contain the book. The best prices are assumed to be one tick apart, one of them at the price
            # of this trade, on the side that its aggressor hit, with the largest recent trade as their quantity.
            recent.append(traded)
            depth = max(1, *recent)
            bid = price if maker or price == 1 else price - 1
            columns.add(last_ms, bid, depth, bid + 1, depth, price, traded, bought=bid < price)
        yield columns


def _quotes(market: MarketFiles, reader: _Reader) -> Iterator[TickColumns]:
    prices, quantities = _cell_cache(market.tick_size), _cell_cache(market.step_size)
    last_ms = 0
    for file, piece in reader.pieces():
        columns = TickColumns()
        for line, row in piece:
            try:
                time_ms = parse_time_ms(row[5])
                bid, bid_steps = prices[row[1]], quantities[row[2]]
                ask, ask_steps = prices[row[3]], quantities[row[4]]
            except (ValueError, IndexError):
                quote = _parsed(CsvSchema.BOOK_TICKER, row)
                if not isinstance(quote, QuoteRow):
                    continue
                raise file.error(_CHANGED, line) from None
            if not 0 < bid < ask:  # a quote that is one-sided or crossed
                market.rows_left_out += 1
                continue
            if last_ms:
                _require_no_long_gap(file, line, last_ms, time_ms)
            last_ms = max(last_ms, time_ms)
            columns.add(last_ms, bid, bid_steps, ask, ask_steps, bid, 0, bought=False)
        yield columns


def _merged(
    trade_pieces: Iterable[TickColumns], quote_pieces: Iterable[TickColumns], rows_at_once: int
) -> Iterator[TickColumns]:
    """Yield each trade with the recorded book at its time, and also each change of the book."""
    trades, quotes = _single_rows(trade_pieces), _single_rows(quote_pieces)
    columns, last = TickColumns(), 0
    for trade, quote in _in_market_order(trades, quotes):
        found = quote or trade
        if found is None:
            continue
        book, at = found
        prices = book.bids[at], book.bid_steps[at], book.asks[at], book.ask_steps[at]
        if trade is None:
            columns.add(book.time_ms[at], *prices, last or book.bids[at], 0, bought=False)
        else:
            traded, number = trade
            last = traded.lasts[number]
            bought = bool(traded.buyers[number])
            columns.add(traded.time_ms[number], *prices, last, traded.traded[number], bought=bought)
        if len(columns) >= rows_at_once:
            yield columns
            columns = TickColumns()
    yield columns


_Row = tuple[TickColumns, int]


def _in_market_order(trades: Iterator[_Row], quotes: Iterator[_Row]) -> Iterator[tuple[_Row | None, _Row | None]]:
    """Merge trades and quotes by time.

    A trade comes before the quotes of the same millisecond, because it may have caused them. Yields each trade with the
    quote that is valid at its time, and each quote with None. A trade has no quote if it comes before the first one, or
    more than `LONGEST_QUOTE_MS` after the last one: the book's files do not cover that time.
    """
    trade, quote = next(trades, None), next(quotes, None)
    book: _Row | None = None
    while trade is not None or quote is not None:
        if trade is not None and (quote is None or _time_ms(trade) <= _time_ms(quote)):
            if quote is None and book is not None and _time_ms(trade) - _time_ms(book) > LONGEST_QUOTE_MS:
                book = None
            yield trade, book
            trade = next(trades, None)
        else:
            book = quote
            yield None, quote
            quote = next(quotes, None)


def _time_ms(row: _Row) -> int:
    return row[0].time_ms[row[1]]


def _single_rows(pieces: Iterable[TickColumns]) -> Iterator[tuple[TickColumns, int]]:
    return ((columns, index) for columns in pieces for index in range(len(columns)))


def _parsed(schema: CsvSchema, row: CsvRow) -> object:
    """Return the value of a row; None if it cannot be read."""
    try:
        return parse_row(schema, row)
    except ValueError:
        return None


def _cell_cache(size: Decimal) -> _CellCache:
    return _CellCache(decimal_places(f"{size:f}"))
