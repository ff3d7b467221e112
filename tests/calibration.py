"""Calibration of the band: measures how often the band contains the result on the real trades.

    uv run python -m tests.calibration [TRADES.zip ...]

One-minute candles are built from trades, and many settings run on both: on the trades, and on random paths within the
candles. Where the band claims 90 %, the results from the trades should lie in the 5 to 95 % band about as often: 86 %
is what a perfect model scores with 16 paths, because the percentiles of 16 values are themselves uncertain.

Trades are taken from the simulator's own engine, in two kinds of market and from several seeds, and from the files
named. A widening of the band is fitted to some of the generated markets, and judged on all the others: generated ones
of other seeds, and the files. A setting under which nothing is traded, neither on the trades nor on any path, counts
nowhere, because any band covers it.
"""

import argparse
import itertools
import statistics
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from trailingedge.accounting.results import RunResults
from trailingedge.backtest.engine import Backtest
from trailingedge.backtest.inputs import build_inputs, open_market_files
from trailingedge.core.time_units import MINUTE_MS
from trailingedge.live import factory
from trailingedge.model.market import Side
from trailingedge.report.robustness import LEAST_FRAC, WIDENING, band_of
from trailingedge.simulator.feeds.candle_path import StraightPath
from trailingedge.simulator.feeds.columns import Columns, KlineColumns, TickColumns
from trailingedge.simulator.feeds.generated import GeneratedMarket
from trailingedge.simulator.feeds.historical import RecordedMarket
from trailingedge.simulator.feeds.market_loader import load_columns
from trailingedge.simulator.feeds.random_path import RandomPath

PATHS: Final = 16
LATENCY_MS: Final = 500
START_MS: Final = 1_782_950_400_000
SEED: Final = 1
CLAIMED: Final = 0.9  # the share of results between the 5th and the 95th percentile
WIDENINGS: Final = (1.0, 1.1, 1.25, 1.5, 2.0)
LEASTS: Final = (0.0, 0.001, 0.0025, 0.005)
FIRST_HELD_OUT: Final = 101  # seed of the first generated market to which nothing is fitted


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of one setting on the trades, and those on the paths; `straight` is that of one straight walk."""

    true: float
    on_paths: tuple[float, ...]
    straight: float
    traded: bool  # on the trades, not only on a path

    def is_covered(self, widening: float, least: float) -> bool:
        band = band_of(self.on_paths, least, widening)
        return band.p5 - 1e-9 <= self.true <= band.p95 + 1e-9


@dataclass(frozen=True, slots=True)
class Coverage:
    """The comparisons of one market. `tried` is the number of settings, most of which may have traded nothing."""

    name: str
    tried: int
    found: tuple[Comparison, ...]
    fitted: bool = False  # whether the widening may be fitted to this market


def share(found: Sequence[Comparison], widening: float = WIDENING, least: float = LEAST_FRAC) -> float:
    """Return the share of results from trades that lie in the band."""
    return sum(each.is_covered(widening, least) for each in found) / len(found) if found else float("nan")


def fit(found: Sequence[Comparison]) -> tuple[float, float]:
    """Return the widening and the least width each way whose bands are the narrowest that cover CLAIMED of these."""

    def mean_width(chosen: tuple[float, float]) -> float:
        bands = (band_of(each.on_paths, chosen[1], chosen[0]) for each in found)
        return statistics.mean(band.p95 - band.p5 for band in bands)

    enough = [chosen for chosen in itertools.product(WIDENINGS, LEASTS) if share(found, *chosen) >= CLAIMED]
    return min(enough or [(WIDENINGS[-1], LEASTS[-1])], key=mean_width)


def settings_of(dice: Random) -> dict[str, str]:
    """Settings drawn from a wide range; every draw is one of a trader who tries things out."""
    trigger = dice.choice(("0.002", "0.004", "0.006", "0.01"))
    stop = dice.choice(("0.003", "0.005", "0.01", "0.02"))
    return {
        "KLINE_INTERVAL": dice.choice(("1m", "1m", "5m")),
        "DONCHIAN_WINDOW": dice.choice(("10", "20", "40")),
        "DONCHIAN_GAIN_MULTIPLIER": dice.choice(("0.1", "0.5")),
        "BUFFER": dice.choice(("0", "0.002")),
        "START_FACTOR": dice.choice(("0.3", "0.5", "0.7")),
        "MIN_FACTOR": dice.choice(("0.1", "0.3")),
        "GAIN_SCALE_FRAC_BASE": "0.005",
        "GAIN_SCALE_FRAC_QUOTE": "0.005",
        "MIN_GAIN_TRIGGER_FRAC_BASE": trigger,
        "MIN_GAIN_TRIGGER_FRAC_QUOTE": trigger,
        "HARD_STOP_THRESHOLD_FRAC": stop,
        "HARD_STOP_MAX_FRAC": "0.03",
        "HARD_STOP_CONFIRM_SEC": dice.choice(("1", "30", "120")),
        "FEE": dice.choice(("0", "0.001")),
    }


def candles_of(market: Iterable[Columns]) -> KlineColumns:
    """One-minute candles of the trades, with their number; a minute without a trade repeats the last close."""
    candles = KlineColumns()
    forming: list[int] = []
    for columns in market:
        if not isinstance(columns, TickColumns):
            raise TypeError("calibration needs trades")
        for time_ms, price, traded in zip(columns.time_ms, columns.lasts, columns.traded, strict=True):
            if not traded:
                continue
            open_ms = time_ms - time_ms % MINUTE_MS
            while forming and forming[0] < open_ms:
                candles.add(forming[0], forming[0] + MINUTE_MS - 1, *forming[1:])
                close = forming[4]
                forming = [forming[0] + MINUTE_MS, close, close, close, close, 0, 0]
            if not forming or not forming[6]:
                forming = [open_ms, price, price, price, price, 0, 0]
            forming[2], forming[3], forming[4] = max(forming[2], price), min(forming[3], price), price
            forming[5] += traded
            forming[6] += 1
    if forming:
        candles.add(forming[0], forming[0] + MINUTE_MS - 1, *forming[1:])
    return candles


def compare(
    market: RecordedMarket,
    trades: Sequence[Columns],
    candles: Sequence[Columns],
    settings: Mapping[str, str],
    count: int = PATHS,
) -> Comparison | None:
    """Run a setting on the trades, on the paths, and on one straight walk; None if nothing is traded."""
    inputs = build_inputs(market, settings, {market.base_asset: Decimal(1000)})

    def run(columns: Sequence[Columns], path: RandomPath | StraightPath | None) -> RunResults:
        backtest = Backtest(inputs, curves=False, path=path, latency_ms=LATENCY_MS)
        backtest.run(columns)
        return backtest.recorder.statistics.results()

    true = run(trades, None)
    paths = [run(candles, RandomPath(seed)) for seed in range(1, count + 1)]
    if not true.exits and not any(path.exits for path in paths):
        return None
    straight = run(candles, StraightPath()).whole.result_frac
    on_paths = tuple(path.whole.result_frac for path in paths)
    return Comparison(true.whole.result_frac, on_paths, straight, bool(true.exits))


def coverage(name: str, path: Path, count: int, paths: int = PATHS, *, fitted: bool = False) -> Coverage:
    """Run `count` settings on the trades in a file, and on the candles that they make."""
    market = open_market_files([path], factory.pair_params({}), symbol=None)
    trades = list(load_columns(market))
    candles = [candles_of(trades)]
    dice = Random(f"{SEED} settings")
    compared = (compare(market, trades, candles, settings_of(dice), paths) for _ in range(count))
    return Coverage(name, count, tuple(each for each in compared if each is not None), fitted)


def generated(folder: Path, kind: str, seed: int, hours: int) -> Path:
    """Write the trades of a generated market as a file."""
    market = GeneratedMarket(seed, START_MS, scripted=False, history_minutes=0)
    until_ms = START_MS + hours * 3_600_000
    path = folder / f"ETHFDUSD-trades-2026-07-{kind}-{seed}.csv"
    with path.open("w", encoding="utf-8") as file:
        ticks = (tick for tick in itertools.takewhile(lambda tick: tick.time_ms < until_ms, market) if tick.traded)
        dice = Random(f"{kind} {seed}")
        number = 0
        for tick in ticks:
            if kind == "thin" and dice.random() < 0.8:
                continue
            number += 1
            maker = tick.aggressor is Side.SELL
            file.write(f"{number},{tick.last_price},{tick.traded},0,{tick.time_ms},{maker},True\n")
    return path


def run_all(files: Sequence[Path], folder: Path, *, count: int, seeds: int, hours: int, jobs: int) -> list[Coverage]:
    """Return the coverage of each kind of generated market, and of each file."""
    markets = [
        (f"{kind} {seed}", generated(folder, kind, seed, hours), is_fitted)
        for is_fitted, first in ((True, 1), (False, FIRST_HELD_OUT))
        for kind in ("lively", "thin")
        for seed in range(first, first + seeds)
    ]
    markets += [(path.name.partition(".")[0], path, False) for path in files]
    rows = []
    with ProcessPoolExecutor(jobs) as pool:
        for row in pool.map(partial(_coverage, count=count), markets):
            print(f"{row.name}: {len(row.found)} of {row.tried} settings traded", file=sys.stderr, flush=True)
            rows.append(row)
    return rows


def _coverage(market: tuple[str, Path, bool], count: int) -> Coverage:
    name, path, fitted = market
    return coverage(name, path, count, fitted=fitted)


def table(rows: Sequence[Coverage]) -> Iterator[str]:
    """Yield the lines of the table, and what the fit is worth."""
    yield "| trades of | | settings that traded | percentiles | widened | its width, points | error, points |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        yield _line(row.name, "fitted" if row.fitted else "held out", row.found, row.tried)
    fitted, held_out = ([each for row in rows if row.fitted is kind for each in row.found] for kind in (True, False))
    yield _line("all", "fitted", fitted, sum(row.tried for row in rows if row.fitted))
    yield _line("all", "held out", held_out, sum(row.tried for row in rows if not row.fitted))
    if fitted and held_out:
        widening, least = fit(fitted)
        yield ""
        yield (
            f"Narrowest band that covers {CLAIMED:.0%} of the {len(fitted)} fitted: widened by {widening:g}, "
            f"{100 * least:g} points each way at least. Of the {len(held_out)} held out it covers "
            f"{share(held_out, widening, least):.0%}; a report's band ({WIDENING:g}, {100 * LEAST_FRAC:g} points) "
            f"{share(held_out):.0%}."
        )


def _line(name: str, kind: str, found: Sequence[Comparison], tried: int) -> str:
    traded = sum(each.traded for each in found)
    cells = [name, kind, f"{len(found)} of {tried}, {traded} on the trades"]
    if found:
        bands = [band_of(each.on_paths, LEAST_FRAC) for each in found]
        width = statistics.mean(band.p95 - band.p5 for band in bands)
        error = statistics.mean(each.true - band.median for each, band in zip(found, bands, strict=True))
        cells += [f"{share(found, 1.0, 0.0):.0%}", f"{share(found):.0%}", f"{100 * width:.2f}", f"{100 * error:+.2f}"]
    else:
        cells += ["-"] * 4
    return f"| {' | '.join(cells)} |"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.calibration", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="TRADES", help="files of trades or aggTrades")
    parser.add_argument("--settings", type=int, default=60, metavar="N", help="settings to try (60)")
    parser.add_argument(
        "--seeds", type=int, default=3, metavar="N", help="generated markets of each kind to fit, and to hold out (3)"
    )
    parser.add_argument("--hours", type=int, default=24, metavar="N", help="length of a generated market (24)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (2)")
    args = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="calibration-") as folder:
        rows = run_all(
            args.files, Path(folder), count=args.settings, seeds=args.seeds, hours=args.hours, jobs=args.jobs
        )
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main(sys.argv[1:])
