"""Choice of market files: groups the files that a backtest is given into markets."""

from collections.abc import Sequence
from pathlib import Path

from trailingedge.simulator.feeds.inspection import published_symbol


def chosen_files(files: Sequence[Path], symbol: str | None) -> list[list[Path]]:
    """Return the files of each market, in the order in which the symbols first appear.

    Files with names as Binance publishes them are split by symbol. If `symbol` is given, or if the name of any file has
    another form, all files are one market. Opening that market reports files that do not fit.
    """
    symbols = [published_symbol(path) for path in files]
    if symbol is not None or None in symbols:
        return [list(files)]
    found: dict[str | None, list[Path]] = {}
    for path, each in zip(files, symbols, strict=True):
        found.setdefault(each, []).append(path)
    return list(found.values())
