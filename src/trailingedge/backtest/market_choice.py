"""Choice of market files: which of the files given to a backtest make up a market."""

from collections.abc import Sequence
from pathlib import Path

from trailingedge.simulator.feeds.inspection import published_symbol


def chosen_files(files: Sequence[Path], symbol: str | None) -> list[list[Path]]:
    """Return the files of each market, in the order in which the symbols first appear.

    Files with names as Binance publishes them are split by symbol. If a symbol is set, or some file has another name,
    all files are one market: opening it tells what does not fit.
    """
    symbols = [published_symbol(path) for path in files]
    if symbol is not None or None in symbols:
        return [list(files)]
    found: dict[str | None, list[Path]] = {}
    for path, each in zip(files, symbols, strict=True):
        found.setdefault(each, []).append(path)
    return list(found.values())
