"""Recorded markets: Binance's public CSV files as a source of ticks.

`open_market` opens them for simulation and backtest. Klines become ticks by `candle_path`. Each trade is a tick with a
spread of one tick size, because the true spread is not recorded. Each bookTicker row is a tick without a trade. If
there are files of trades and of bookTicker, they are merged: each trade then has the recorded best prices. Files are
put in order of time, and rows that overlap are played once.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from trailingedge.core.errors import ConfigError
from trailingedge.core.printable import printable
from trailingedge.model.market import Kline
from trailingedge.model.market_names import is_market_name
from trailingedge.simulator.feeds.candle_path import StraightPath
from trailingedge.simulator.feeds.columns import KlineColumns, PriceGrid, walk_kline
from trailingedge.simulator.feeds.csv_schemas import CsvSchema
from trailingedge.simulator.feeds.inspection import (
    FileInspection,
    files_of_other_symbols,
    find_absurd_numbers,
    find_mismatches,
    grid_of_decimals,
    inspect_files,
    missing_klines,
)
from trailingedge.simulator.feeds.market_loader import load_columns
from trailingedge.simulator.feeds.row_order import NO_FILES, OrderedFiles, put_in_order
from trailingedge.simulator.feeds.ticks import LargestNumbers, Tick

SIMULATED_SYMBOL: Final = "SIMUSDT"  # of the sample in the package; no exchange has it
_ROWS_AT_ONCE: Final = 256  # parsed while the embedded exchange waits: a millisecond
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

    If no symbol is given, the file names decide (`ETHUSDT-1m-…`), and given assets count only if they make up that
    symbol. If no assets are given, the symbol decides (see `split_symbol`). A given symbol overrides the file names.
    Tick size and step size follow from the number of decimals in prices and quantities. All rows are read and checked
    here. The market's `gaps` describe what is wrong in the files: another symbol, and rows that are unreadable, out of
    order, doubled or missing. Raises one ConfigError that lists all files that cannot be used, with line and remedy.
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
    ordered = [
        put_in_order([each for each in inspections if (each.schema is schema) is of_schema])
        for of_schema in (True, False)
    ]
    return RecordedMarket(
        symbol,
        base_asset,
        quote_asset,
        tick_size=grid_of_decimals(max(inspection.prices.decimals for inspection in inspections)),
        step_size=grid_of_decimals(max(inspection.quantities.decimals for inspection in inspections)),
        schema=schema,
        files=ordered[0],
        quote_files=ordered[1],
        gaps=[
            *_relabelled(paths, symbol),
            *_simulated(inspections),
            *(inspection.unreadable_text() for inspection in inspections if inspection.unreadable),
            *(sentence for each in ordered for sentence in each.notes),
            *missing_klines(inspections),
        ],
        interval_ms=max(inspection.interval_ms for inspection in inspections),
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


def _simulated(inspections: Sequence[FileInspection]) -> list[str]:
    if all(inspection.symbol != SIMULATED_SYMBOL for inspection in inspections):
        return []
    return [f"{SIMULATED_SYMBOL} was made by the simulator: its results say nothing about a real market"]


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


class RecordedMarket:
    """A source of ticks from files, made by `open_market`. Its `history` is empty.

    `interval_ms` is the length of its klines, and 0 for trades and quotes. `files` are of `schema`; a market of trades
    may also have `quote_files`, with its book. Only one piece of the files is in memory at a time. Iterating again
    yields the same ticks.
    """

    def __init__(
        self,
        symbol: str,
        base_asset: str,
        quote_asset: str,
        tick_size: Decimal,
        step_size: Decimal,
        schema: CsvSchema,
        files: OrderedFiles,
        gaps: Sequence[str],
        interval_ms: int = 0,
        largest: LargestNumbers | None = None,
        quote_files: OrderedFiles = NO_FILES,
    ) -> None:
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
        self.files = files
        self.quote_files = quote_files
        self.rows_left_out = 0  # counted by a reader of the files

    def __iter__(self) -> Iterator[Tick]:
        """Yield the ticks. They come from the same columns that a backtest reads. Klines follow straight lines."""
        grid, path = PriceGrid(self.tick_size, self.step_size), StraightPath()
        for columns in load_columns(self, rows_at_once=_ROWS_AT_ONCE):
            pieces = (walk_kline(each, path) for each in columns) if isinstance(columns, KlineColumns) else (columns,)
            for piece in pieces:
                for index in range(len(piece)):
                    yield piece.tick(index, grid)
