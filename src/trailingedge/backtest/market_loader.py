"""Loader of market files: CSV rows to columns of integers, in pieces, so that a year needs no more memory than a day.

The simulator reads the same files as ticks (`simulator.feeds.historical`); a test keeps the two equal. Here cells
become integers directly, because parsing is most of the cost of a backtest on klines. A row that this fast path cannot
read is parsed as in the simulator: it is then accepted, or refused with the simulator's message.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from operator import gt
from typing import Final

from trailingedge.backtest.columns import Columns, KlineColumns, PriceGrid, TickColumns
from trailingedge.core.number_text import are_amounts, shown
from trailingedge.model.market import Side, floor_to_step, round_to_passive_tick
from trailingedge.simulator.feeds.csv_files import CsvFile
from trailingedge.simulator.feeds.csv_schemas import (
    KLINE_COLUMNS_WITH_COUNT,
    PARSERS,
    CsvRow,
    CsvSchema,
    QuoteRow,
    TradeRow,
    decimal_places,
    parse_id,
    parse_time_ms,
    parse_times_ms,
)
from trailingedge.simulator.feeds.historical import RecordedMarket, in_market_order
from trailingedge.simulator.feeds.inspection import LONGEST_GAP_MS, MOST_UNITS, check_gap, check_units

_ROWS_PER_PIECE: Final = 4096  # almost three days of minutes
_EMPTY_ROW: Final = [""]
_CELLS_KEPT: Final = 50_000
_EXACT_FLOATS: Final = 2.0**50
_DEPTH_TRADES: Final = 20  # the largest of so many recent trades stands for the quantity at a best price

ProgressCallback = Callable[[float], None]


def price_grid(market: RecordedMarket) -> PriceGrid:
    return PriceGrid(market.tick_size, market.step_size)


def load_columns(market: RecordedMarket, progress: ProgressCallback = lambda _: None) -> Iterator[Columns]:
    """Yield the market in columns, from its start.

    `progress` is called with the share of the files that was read, from 0 to 1. Raises ConfigError
    at a row that cannot be read. In kline files, all rows were checked when the market was opened.
    """
    match market.schema:
        case CsvSchema.KLINES:
            yield from _klines(market, progress)
        case CsvSchema.BOOK_TICKER:
            yield from _quotes(market, market.files, progress)
        case CsvSchema.TRADES | CsvSchema.AGG_TRADES if market.quote_files:
            yield from _merged(market, progress)
        case CsvSchema.TRADES | CsvSchema.AGG_TRADES:
            yield from _trades(market, progress)


class _Reader:
    """Reads the rows of all files piece by piece and reports progress."""

    def __init__(self, files: Sequence[CsvFile], progress: ProgressCallback) -> None:
        self._files = files
        self._sizes = [file.size_bytes for file in files]
        self._progress = progress

    def pieces(self) -> Iterator[tuple[CsvFile, list[tuple[int, CsvRow]]]]:
        """Yield pieces of a file: the file, and a list with line number and cells of each row that is not empty."""
        for file, line, rows in self.blocks():
            yield file, [(number, row) for number, row in enumerate(rows, line) if row != _EMPTY_ROW]

    def blocks(self, cells: int = -1) -> Iterator[tuple[CsvFile, int, list[CsvRow]]]:
        """Yield blocks of rows, each with its file and the line number of its first row.

        An empty line is a row of one empty cell. `cells` is the number of cells needed in a row; -1 means all.
        """
        total, done = max(1, sum(self._sizes)), 0
        for file, size in zip(self._files, self._sizes, strict=True):
            read = 0
            for line, rows in file.row_batches(_ROWS_PER_PIECE, cells):
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


def _klines(market: RecordedMarket, progress: ProgressCallback) -> Iterator[KlineColumns]:
    """Yield the klines of the files.

    Every row was checked when the market was opened, so every price is a multiple of the tick size.
    """
    tick, step = _grid_reader(market.tick_size), _grid_reader(market.step_size)
    end_ms = -1  # of the newest kline that was returned
    for file, line, rows in _kline_blocks(market, progress):
        columns = KlineColumns()
        try:
            cells = list(zip(*(row for row in rows if row != _EMPTY_ROW), strict=False))
            if not cells:
                continue
            columns.open_ms.extend(parse_times_ms(cells[0]))
            columns.close_ms.extend(parse_times_ms(cells[6]))
            columns.opens.extend(tick(cells[1]))
            columns.highs.extend(tick(cells[2]))
            columns.lows.extend(tick(cells[3]))
            columns.closes.extend(tick(cells[4]))
            columns.volumes.extend(step(cells[5]))
            columns.trades.extend(map(_trade_count, cells[8]) if len(cells) > 8 else [0] * len(cells[0]))
        except (ValueError, IndexError, ArithmeticError) as exc:
            raise file.error(f"{exc}; the file has changed since it was opened", line) from exc
        count = len(columns)
        columns = columns.starting_after(end_ms)
        market.rows_left_out += count - len(columns)
        if columns:
            if end_ms >= 0 and columns.open_ms[0] - end_ms > LONGEST_GAP_MS:
                check_gap(file, line, end_ms, columns.open_ms[0])
            end_ms = columns.close_ms[-1]
            yield columns


def _kline_blocks(market: RecordedMarket, progress: ProgressCallback) -> Iterator[tuple[CsvFile, int, list[CsvRow]]]:
    """Yield blocks of rows. If a market is not in order of time, all its rows are sorted, and form one block."""
    blocks = _Reader(market.files, progress).blocks(KLINE_COLUMNS_WITH_COUNT)
    if market.is_in_order:
        yield from blocks
        return
    rows: list[tuple[int, CsvRow]] = []
    for _, line, block in blocks:
        rows += [(number, row) for number, row in enumerate(block, line) if row != _EMPTY_ROW]
    yield market.files[0], 1, [row for _, row in _in_order(market, rows, lambda row: parse_time_ms(row[0]))]


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


def _trades(market: RecordedMarket, progress: ProgressCallback) -> Iterator[TickColumns]:
    prices, quantities = _cell_cache(market.tick_size), _cell_cache(market.step_size)
    aggregated = market.schema is CsvSchema.AGG_TRADES
    time_column, maker_column = (5, 6) if aggregated else (4, 5)
    last_id, last_ms = -1, 0
    recent: deque[int] = deque([1], maxlen=_DEPTH_TRADES)
    for file, piece in _Reader(market.files, progress).pieces():
        columns = TickColumns()
        for line, row in _in_order(market, piece, lambda row: int(row[0])):
            try:
                trade_id, time_ms = parse_id(row[0]), parse_time_ms(row[time_column])
                price, traded, maker = prices[row[1]], quantities[row[2]], _BOOLEANS[row[maker_column]]
                if not price:
                    raise ValueError("a trade at a price of zero")
            except (ValueError, IndexError, KeyError):
                trade_id, time_ms, price, traded, maker = _parse_trade(market, file, line, row)
            if trade_id <= last_id:
                market.rows_left_out += 1
                continue
            if last_ms and time_ms - last_ms > LONGEST_GAP_MS:
                check_gap(file, line, last_ms, time_ms)
            last_id, last_ms = trade_id, max(last_ms, time_ms)
            # Trades do not contain the book. The best prices are assumed to be one tick apart, one of them at the price
            # of this trade, on the side that its aggressor hit, with the largest recent trade as their quantity.
            recent.append(traded)
            depth = max(1, *recent)
            bid = price if maker or price == 1 else price - 1
            columns.add(last_ms, bid, depth, bid + 1, depth, price, traded, bought=bid < price)
        yield columns


def _parse_trade(market: RecordedMarket, file: CsvFile, line: int, row: CsvRow) -> tuple[int, int, int, int, bool]:
    trade = _parse_row(market.schema, file, line, row)
    if not isinstance(trade, TradeRow):
        raise file.error("this row is not a trade; repair or remove the line", line)
    check_units(file, line, trade.price, market.tick_size)
    check_units(file, line, trade.quantity, market.step_size)
    whole = (trade.price / market.tick_size).to_integral_value(rounding=ROUND_HALF_EVEN)
    traded = int(floor_to_step(trade.quantity, market.step_size) / market.step_size)
    return trade.trade_id, trade.time_ms, max(1, int(whole)), traded, trade.aggressor is Side.SELL


def _quotes(market: RecordedMarket, files: Sequence[CsvFile], progress: ProgressCallback) -> Iterator[TickColumns]:
    prices, quantities = _cell_cache(market.tick_size), _cell_cache(market.step_size)
    last_ms = 0
    for file, piece in _Reader(files, progress).pieces():
        columns = TickColumns()
        for line, row in _in_order(market, piece, lambda row: int(row[5])):
            try:
                time_ms = parse_time_ms(row[5])
                bid, bid_steps, ask, ask_steps = (
                    prices[row[1]],
                    quantities[row[2]],
                    prices[row[3]],
                    quantities[row[4]],
                )
            except (ValueError, IndexError):
                time_ms, bid, bid_steps, ask, ask_steps = _parse_quote(market, file, line, row)
            if time_ms < last_ms or not 0 < bid < ask:  # a quote that is late, one-sided or crossed
                market.rows_left_out += 1
                continue
            if last_ms and time_ms - last_ms > LONGEST_GAP_MS:
                check_gap(file, line, last_ms, time_ms)
            last_ms = time_ms
            columns.add(last_ms, bid, bid_steps, ask, ask_steps, bid, 0, bought=False)
        yield columns


def _merged(market: RecordedMarket, progress: ProgressCallback) -> Iterator[TickColumns]:
    """Yield the trades with the recorded book at their time, and each change of the book."""
    trades = _single_rows(_trades(market, progress))
    quotes = _single_rows(_quotes(market, market.quote_files, lambda _: None))
    columns, last = TickColumns(), 0
    for trade, quote in in_market_order(trades, quotes, lambda row: row[0].time_ms[row[1]]):
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
        if len(columns) == _ROWS_PER_PIECE:
            yield columns
            columns = TickColumns()
    yield columns


def _single_rows(pieces: Iterable[TickColumns]) -> Iterator[tuple[TickColumns, int]]:
    return ((columns, index) for columns in pieces for index in range(len(columns)))


def _in_order(
    market: RecordedMarket, piece: list[tuple[int, CsvRow]], key: Callable[[CsvRow], int]
) -> list[tuple[int, CsvRow]]:
    """Return the rows of a piece sorted by `key`, and count those that were out of order.

    Unreadable rows stay where they are; the code that parses them reports what is wrong.
    """
    try:
        keys = [key(row) for _, row in piece]
    except (ValueError, IndexError):
        return piece
    late = sum(map(gt, keys, keys[1:]))
    if not late:
        return piece
    market.rows_sorted += late
    return [row for _, row in sorted(zip(keys, piece, strict=True), key=lambda pair: pair[0])]


def _parse_quote(market: RecordedMarket, file: CsvFile, line: int, row: CsvRow) -> tuple[int, int, int, int, int]:
    quote, tick, step = _parse_row(CsvSchema.BOOK_TICKER, file, line, row), market.tick_size, market.step_size
    if not isinstance(quote, QuoteRow):
        raise file.error("this row is not a quote; repair or remove the line", line)
    check_units(file, line, max(quote.bid, quote.ask), tick)
    check_units(file, line, max(quote.bid_quantity, quote.ask_quantity), step)
    if not 0 < quote.bid < quote.ask:
        return quote.time_ms, 0, 0, 0, 0
    bid = max(1, int(round_to_passive_tick(quote.bid, Side.BUY, tick) / tick))
    ask = max(bid + 1, int(round_to_passive_tick(quote.ask, Side.SELL, tick) / tick))
    bid_steps, ask_steps = (int(floor_to_step(held, step) / step) for held in (quote.bid_quantity, quote.ask_quantity))
    return quote.time_ms, bid, bid_steps, ask, ask_steps


def _parse_row(layout: CsvSchema, file: CsvFile, line: int, row: CsvRow) -> object:
    """Parse one row with the simulator's parser. Raises ConfigError with the simulator's message."""
    return file.parse_row(PARSERS[layout], line, row)


_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def _cell_cache(size: Decimal) -> _CellCache:
    return _CellCache(decimal_places(f"{size:f}"))
