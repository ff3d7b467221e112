"""Calibration of the band: measures how often the band contains the result on the real trades.

    uv run python -m tests.calibration [TRADES.zip ...]

One-minute candles are built from trades, and many settings run on both: on the trades, and on random paths within the
candles. Where the band claims 90 %, the results from the trades should lie in the 5 to 95 % band about as often: 86 %
is what a perfect model scores with 16 paths, because the percentiles of 16 values are themselves uncertain. Besides
the files named, trades are taken from the simulator's own engine, in several kinds of market and from several seeds.
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

from trailingedge.backtest.engine import Backtest
from trailingedge.backtest.inputs import build_inputs, open_market_files
from trailingedge.backtest.paths import figures_of
from trailingedge.core.time_units import MINUTE_MS
from trailingedge.live import factory
from trailingedge.model.market import Side
from trailingedge.report.robustness import Robustness, Walk
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


@dataclass(frozen=True, slots=True)
class Coverage:
    """Results of one market: how many settings acted, how many lie in the band, and errors in points (%)."""

    name: str
    settings: int
    covered: int
    straight: int
    band_points: float
    median_error_points: float

    @property
    def share(self) -> float:
        return self.covered / self.settings if self.settings else float("nan")


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
) -> tuple[float, Robustness, float] | None:
    """Return the result on the trades, those on the paths, and that of one straight walk; None without an exit."""
    inputs = build_inputs(market, settings, {market.base_asset: Decimal(1000)})

    def run(columns: Sequence[Columns], path: RandomPath | StraightPath | None) -> Backtest:
        backtest = Backtest(inputs, curves=False, path=path, latency_ms=LATENCY_MS)
        backtest.run(columns)
        return backtest

    true = run(trades, None).recorder.statistics.results()
    paths = tuple(
        figures_of(seed, run(candles, RandomPath(seed)).recorder.statistics.results()) for seed in range(1, count + 1)
    )
    if not true.exits and not any(path.exits for path in paths):
        return None
    straight = run(candles, StraightPath()).recorder.statistics.results().whole.result_frac
    return true.whole.result_frac, Robustness(Walk.RANDOM, LATENCY_MS, count, 1, paths), straight


def coverage(name: str, path: Path, count: int, paths: int = PATHS) -> Coverage:
    """Run `count` settings on the trades in a file, and on the candles that they make."""
    market = open_market_files([path], factory.pair_params({}), symbol=None)
    trades = list(load_columns(market))
    candles = [candles_of(trades)]
    dice = Random(f"{SEED} settings")
    covered = acted = straight_covered = 0
    widths, errors = [], []
    for _ in range(count):
        compared = compare(market, trades, candles, settings_of(dice), paths)
        if compared is None:
            continue
        true, robustness, straight = compared
        band = robustness.band("result_frac")
        acted += 1
        covered += band.p5 - 1e-9 <= true <= band.p95 + 1e-9
        straight_covered += abs(straight - true) <= (band.p95 - band.p5) / 2
        widths.append(100 * (band.p95 - band.p5))
        errors.append(100 * (true - band.median))
    width, error = (statistics.mean(values) if values else 0.0 for values in (widths, errors))
    return Coverage(name, acted, covered, straight_covered, width, error)


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
    """Return the coverage of each file and each kind of generated market."""
    markets = [(path.name.partition(".")[0], path) for path in files]
    markets += [
        (f"{kind} {seed}", generated(folder, kind, seed, hours))
        for kind in ("lively", "thin")
        for seed in range(1, seeds + 1)
    ]
    rows = []
    with ProcessPoolExecutor(jobs) as pool:
        for row in pool.map(partial(_coverage, count=count), markets):
            print(f"{row.name}: {row.covered} of {row.settings}", file=sys.stderr, flush=True)
            rows.append(row)
    return rows


def _coverage(market: tuple[str, Path], count: int) -> Coverage:
    return coverage(*market, count)


def table(rows: Sequence[Coverage]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| trades of | settings | in the band | band, points | trades less median, points |"
    yield "|---|---|---|---|---|"
    total, covered = sum(row.settings for row in rows), sum(row.covered for row in rows)
    for row in rows:
        share = "-" if not row.settings else f"{row.share:.0%}"
        yield (f"| {row.name} | {row.settings} | {share} | {row.band_points:.2f} | {row.median_error_points:+.2f} |")
    if total:
        yield f"| all | {total} | {covered / total:.0%} | | |"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.calibration", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="TRADES", help="files of trades or aggTrades")
    parser.add_argument("--settings", type=int, default=60, metavar="N", help="settings to try (60)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="generated markets of each kind (3)")
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
