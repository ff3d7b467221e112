"""Recorded markets: Binance's public CSV files as a source of ticks.

`open_market` opens them for simulation and backtest. Klines become ticks by `candle_path`.
Each trade is a tick with a spread of one tick size, because the true spread is not recorded. Each
bookTicker row is a tick without a trade. Files of both are merged: the trades meet the recorded book.
Files are put in order of time, and rows that overlap are played once.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Final, TypeVar

from trailingedge.core.errors import ConfigError
from trailingedge.core.printable import printable
from trailingedge.model.market import ZERO, Kline, Side, floor_to_step, round_to_passive_tick
from trailingedge.model.market_names import is_market_name
from trailingedge.simulator.feeds.candle_path import CandlePath
from trailingedge.simulator.feeds.csv_files import CsvFile
from trailingedge.simulator.feeds.csv_schemas import CsvSchema, QuoteRow, TradeRow
from trailingedge.simulator.feeds.inspection import (
    FileInspection,
    check_gap,
    check_units,
    files_of_other_symbols,
    find_absurd_numbers,
    find_mismatches,
    grid_of_decimals,
    in_order,
    inspect_files,
    missing_klines,
)
from trailingedge.simulator.feeds.ticks import LargestNumbers, Tick

Event = TypeVar("Event")

LONGEST_QUOTE_MS: Final = 60_000  # how long the last quote of the files stands for the book
# Longest first: ETHFDUSD is quoted in FDUSD, not in USD. The order within one length does not matter.
QUOTE_ASSETS: Final = tuple(
    sorted(
        (
            *("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USDP", "USDS", "USD1", "DAI", "PAX", "VAI", "UST", "USD"),
            *("BTC", "ETH", "BNB", "XRP", "TRX", "DOGE", "DOT", "SOL"),
            *("EUR", "GBP", "TRY", "BRL", "JPY", "AUD", "RUB", "UAH", "ZAR", "PLN", "RON", "ARS", "MXN", "NGN", "CZK"),
            *("COP", "IDRT", "BIDR", "BVND", "BKRW"),
        ),
        key=len,
        reverse=True,
    )
)


def open_market(
    paths: Sequence[str | Path],
    symbol: str | None = None,
    base_asset: str | None = None,
    quote_asset: str | None = None,
) -> "RecordedMarket":
    """Open the market recorded in these files.

    If no symbol is given, the file names decide (`ETHUSDT-1m-…`), and given assets count only if
    they make up that symbol. If no assets are given, the symbol decides (see `split_symbol`). A
    given symbol overrides the file names, and the difference is listed in the market's `gaps`. Tick
    size and step size follow from the number of decimals in prices and quantities. All klines are
    read and checked here; trades and quotes are checked at the beginning of each file only. Raises
    one ConfigError that lists everything wrong with the files, with line and remedy.
    """
    inspections, problems = inspect_files(Path(path) for path in paths)
    if not inspections and not problems:
        problems.append("no market file was named; name CSV or ZIP files of Binance's public data")
    problems += [*find_mismatches(inspections), *find_absurd_numbers(inspections)]
    if problems:
        raise ConfigError(problems)
    if symbol is None:
        symbol = _named_symbol(inspections[0])
        if not _make_up(symbol, base_asset, quote_asset):  # they are set for another pair
            base_asset = quote_asset = None
    base_asset, quote_asset = split_symbol(symbol, base_asset, quote_asset)
    # Trades and quotes of the same hours are merged into one market, whose schema is that of the trades.
    schemas = [inspection.schema for inspection in inspections]
    schema = next((each for each in schemas if each is not CsvSchema.BOOK_TICKER), CsvSchema.BOOK_TICKER)
    return RecordedMarket(
        symbol,
        base_asset,
        quote_asset,
        tick_size=grid_of_decimals(max(inspection.prices.decimals for inspection in inspections)),
        step_size=grid_of_decimals(max(inspection.quantities.decimals for inspection in inspections)),
        schema=schema,
        files=[inspection.file for inspection in inspections if inspection.schema is schema],
        quote_files=[inspection.file for inspection in inspections if inspection.schema is not schema],
        gaps=[*_relabelled(paths, symbol), *missing_klines(inspections)],
        interval_ms=max(inspection.interval_ms for inspection in inspections),
        is_in_order=in_order(inspections),
        largest=_largest(inspections),
    )


def _largest(inspections: Sequence[FileInspection]) -> LargestNumbers:
    """Return the largest numbers of the inspected rows, as floats: 15 digits are exact enough here."""
    price, quantity = (
        Decimal(repr(max(each.largest for each in ranges)))
        for ranges in (
            [inspection.prices for inspection in inspections],
            [inspection.quantities for inspection in inspections],
        )
    )
    return LargestNumbers(price, quantity)


def _named_symbol(inspection: FileInspection) -> str:
    if inspection.symbol is None:
        what = "no symbol in the file name; rename the file to ETHUSDT-1m-….csv, or name it with --symbol ETHUSDT"
        raise inspection.file.error(what)
    return inspection.symbol


def _relabelled(paths: Sequence[str | Path], symbol: str) -> list[str]:
    return [
        f"the market of {symbol}: the name of {path.name} says {other}; its prices are used as those of {symbol}"
        for other, path in files_of_other_symbols(paths, symbol).items()
    ]


def split_symbol(symbol: str, base_asset: str | None = None, quote_asset: str | None = None) -> tuple[str, str]:
    """Split `symbol` into its base and quote asset.

    If one asset is given, the other is the rest of the symbol. If none is given, the symbol is split before a known
    quote asset at its end. Where several splits are possible, the one with a known base asset is taken: ETHFDUSD is
    ETH and FDUSD, not ETHFD and USD. Raises ConfigError if the given assets do not fit, or no single split is left.
    """
    if base_asset or quote_asset:
        if not _make_up(symbol, base_asset, quote_asset):
            given = {"BASE_ASSET": base_asset, "QUOTE_ASSET": quote_asset}
            stated = " and ".join(f"{name} is {asset}" for name, asset in given.items() if asset)
            raise ConfigError([f"{stated}, but the symbol is {symbol}; correct the setting or leave it empty"])
        base = base_asset or symbol.removesuffix(quote_asset or "")
        return base, symbol.removeprefix(base)
    readings = [(symbol.removesuffix(known), known) for known in QUOTE_ASSETS if symbol.endswith(known)]
    readings = [reading for reading in readings if is_market_name(reading[0])]
    sure = [reading for reading in readings if reading[0] in QUOTE_ASSETS]
    if len(readings) == 1 or len(sure) == 1:
        return (sure or readings)[0]
    what = "cannot be derived from its name"
    if readings:
        what = f"can be {', or '.join(f'{base} and {quote}' for base, quote in readings)}"
    raise ConfigError([f"the assets of {symbol} {what}; set BASE_ASSET and QUOTE_ASSET"])


def _make_up(symbol: str, base_asset: str | None, quote_asset: str | None) -> bool:
    """Return whether `symbol` is the base asset followed by the quote asset; None stands for any asset."""
    if base_asset and quote_asset:
        return symbol == base_asset + quote_asset
    known = base_asset or quote_asset or ""
    fits = symbol.startswith(known) if base_asset else symbol.endswith(known)
    return fits and len(known) < len(symbol)


def in_market_order(
    trades: Iterator[Event], quotes: Iterator[Event], time_ms: Callable[[Event], int]
) -> Iterator[tuple[Event | None, Event | None]]:
    """Merge trades and quotes by time.

    A trade comes before the quotes of the same millisecond, which it may have caused.

    Yields each trade with the quote in force, and each quote with None. A trade before the first quote, or more than
    `LONGEST_QUOTE_MS` after the last one, has no quote: the files of the book do not cover its hours.
    """
    trade, quote = next(trades, None), next(quotes, None)
    book: Event | None = None
    while trade is not None or quote is not None:
        if trade is not None and (quote is None or time_ms(trade) <= time_ms(quote)):
            if quote is None and book is not None and time_ms(trade) - time_ms(book) > LONGEST_QUOTE_MS:
                book = None
            yield trade, book
            trade = next(trades, None)
        else:
            book = quote
            yield None, quote
            quote = next(quotes, None)


class RecordedMarket:
    """A source of ticks from files, made by `open_market`. Its `history` is empty.

    `interval_ms` is the length of its klines, and 0 for trades and quotes. `files` are of `schema`;
    a market of trades may also have `quote_files`, with its book. Only the ticks of one
    kline at a time are in memory. Iterating again yields the same ticks. The iteration raises
    ConfigError at a row that cannot be parsed. This can happen only with trades and quotes, beyond
    the part that `open_market` checked.
    """

    def __init__(
        self,
        symbol: str,
        base_asset: str,
        quote_asset: str,
        tick_size: Decimal,
        step_size: Decimal,
        schema: CsvSchema,
        files: Sequence[CsvFile],
        gaps: Sequence[str],
        interval_ms: int = 0,
        largest: LargestNumbers | None = None,
        quote_files: Sequence[CsvFile] = (),
        *,
        is_in_order: bool = True,
    ) -> None:
        self.is_in_order = is_in_order
        self.interval_ms = interval_ms
        self.largest = largest
        self.symbol = symbol
        self.base_asset = base_asset
        self.quote_asset = quote_asset
        self.tick_size = tick_size
        self.step_size = step_size
        self.history: Sequence[Kline] = ()
        self.gaps: Sequence[str] = tuple(map(printable, gaps))
        self.schema = schema
        self.files = tuple(files)
        self.quote_files = tuple(quote_files)
        self.rows_left_out = self.rows_sorted = 0  # counted by a reader of the files

    def __iter__(self) -> Iterator[Tick]:
        if self.schema is CsvSchema.KLINES:
            return self._from_klines()
        if self.schema is CsvSchema.BOOK_TICKER:
            return self._from_quotes(self.files)
        if self.quote_files:
            return self._merged()
        return self._from_trades()

    def _values(self, files: Sequence[CsvFile], schema: CsvSchema) -> Iterator[Kline | TradeRow | QuoteRow]:
        last_ms = 0
        for file in files:
            for line, _, value in file.values(schema):
                time_ms = value.open_ms if isinstance(value, Kline) else value.time_ms
                if last_ms:
                    check_gap(file, line, last_ms, time_ms)
                last_ms = max(last_ms, time_ms)
                self._check_units(file, line, value)
                yield value

    def _check_units(self, file: CsvFile, line: int, value: Kline | TradeRow | QuoteRow) -> None:
        """Raise ConfigError if a number is too large. Only rows that `open_market` did not check can have one."""
        match value:
            case Kline():
                return  # all klines were inspected
            case TradeRow():
                price, quantity = value.price, value.quantity
            case QuoteRow():
                price, quantity = max(value.bid, value.ask), max(value.bid_quantity, value.ask_quantity)
        check_units(file, line, price, self.tick_size)
        check_units(file, line, quantity, self.step_size)

    def _from_klines(self) -> Iterator[Tick]:
        path = CandlePath(self.tick_size, self.step_size)
        last_ms = -1
        for kline in self._values(self.files, self.schema):
            if isinstance(kline, Kline) and kline.open_ms > last_ms:
                yield from path.ticks_of(kline)
                last_ms = kline.close_ms

    def _from_trades(self) -> Iterator[Tick]:
        """Yield one tick per trade.

        The files do not contain the quantity at the best prices, so the largest recent trade's
        quantity is used for it.
        """
        last_id, last_ms = -1, 0
        recent: deque[Decimal] = deque([self.step_size], maxlen=20)
        for trade in self._values(self.files, self.schema):
            if not isinstance(trade, TradeRow) or trade.trade_id <= last_id:
                continue
            last_id, last_ms = trade.trade_id, max(last_ms, trade.time_ms)
            traded = floor_to_step(trade.quantity, self.step_size)
            recent.append(traded)
            depth = max(self.step_size, *recent)
            price = self._on_grid(trade.price)
            # A buyer took at the ask, so the bid is one tick below the trade; a seller took at the bid.
            bought = trade.aggressor is Side.BUY and price > self.tick_size  # no bid at zero
            bid = price - self.tick_size if bought else price
            aggressor = None if traded == ZERO else Side.BUY if bought else Side.SELL
            yield Tick(last_ms, bid, depth, bid + self.tick_size, depth, price, traded, aggressor)

    def _merged(self) -> Iterator[Tick]:
        """Yield the trades with the recorded book at their time, and each change of the book."""
        last_price: Decimal | None = None
        quotes = self._from_quotes(self.quote_files)
        for trade, quote in in_market_order(self._from_trades(), quotes, lambda tick: tick.time_ms):
            if trade is None:
                if quote is not None:
                    yield quote if last_price is None else quote._replace(last_price=last_price)
                continue
            last_price = trade.last_price
            book = trade if quote is None else quote
            yield trade._replace(
                bid=book.bid, bid_quantity=book.bid_quantity, ask=book.ask, ask_quantity=book.ask_quantity
            )

    def _from_quotes(self, files: Sequence[CsvFile]) -> Iterator[Tick]:
        """Yield one tick per row of a bookTicker file. Rows with a crossed or empty book are skipped."""
        last_ms = 0
        for quote in self._values(files, CsvSchema.BOOK_TICKER):
            # A row older than the last is skipped, too: files of neighbouring days may overlap.
            if not isinstance(quote, QuoteRow) or quote.time_ms < last_ms or not ZERO < quote.bid < quote.ask:
                continue
            last_ms = quote.time_ms
            bid = max(self.tick_size, round_to_passive_tick(quote.bid, Side.BUY, self.tick_size))
            ask = max(bid + self.tick_size, round_to_passive_tick(quote.ask, Side.SELL, self.tick_size))
            bid_quantity = floor_to_step(quote.bid_quantity, self.step_size)
            ask_quantity = floor_to_step(quote.ask_quantity, self.step_size)
            yield Tick(last_ms, bid, bid_quantity, ask, ask_quantity, bid, ZERO, None)

    def _on_grid(self, price: Decimal) -> Decimal:
        """Round `price` to the tick size.

        A trade beyond the rows that were inspected may have more decimals than the tick size.
        """
        whole = (price / self.tick_size).to_integral_value(rounding=ROUND_HALF_EVEN)
        return max(whole, Decimal(1)) * self.tick_size
