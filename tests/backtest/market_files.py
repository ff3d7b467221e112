"""Market files for tests: the seeded market generator writes them in Binance's public CSV layouts."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from itertools import groupby, takewhile
from pathlib import Path
from typing import Final

from trailingedge.core.time_units import MINUTE_MS
from trailingedge.model.market import Side
from trailingedge.simulator.feeds.generated import GeneratedMarket
from trailingedge.simulator.feeds.ticks import Tick

Write = Callable[[Path, int, int], Path]

START_MS: Final = 1_783_000_020_000  # a full minute


def ticks(seed: int, minutes: int, *, scripted: bool = True) -> Iterator[Tick]:
    """The market of that seed, from its start."""
    market = GeneratedMarket(seed, START_MS, scripted=scripted, history_minutes=0)
    return takewhile(lambda tick: tick.time_ms < START_MS + minutes * MINUTE_MS, market)


@cache  # many tests write the same ones
def klines(seed: int, minutes: int, *, scripted: bool) -> str:
    """One-minute klines as the lines of a file."""
    lines = []
    trades = (tick for tick in ticks(seed, minutes, scripted=scripted) if tick.traded)
    for minute, group in groupby(trades, key=lambda tick: tick.time_ms // MINUTE_MS):
        within = list(group)
        prices = [tick.last_price for tick in within]
        volume = sum((tick.traded for tick in within), Decimal(0))
        open_ms = minute * MINUTE_MS
        corners = f"{prices[0]},{max(prices)},{min(prices)},{prices[-1]}"
        lines.append(f"{open_ms},{corners},{volume},{open_ms + MINUTE_MS - 1},0,{len(within)},0,0,0\n")
    return "".join(lines)


def write_klines(folder: Path, seed: int, minutes: int, *, scripted: bool = True) -> Path:
    """A file of one-minute klines."""
    path = folder / "ETHFDUSD-1m-2026-07.csv"
    path.write_text(klines(seed, minutes, scripted=scripted), encoding="utf-8")
    return path


def write_trades(folder: Path, seed: int, minutes: int, *, scripted: bool = True) -> Path:
    """A file with every trade."""
    path = folder / "ETHFDUSD-trades-2026-07.csv"
    with path.open("w", encoding="utf-8") as file:
        trades = (tick for tick in ticks(seed, minutes, scripted=scripted) if tick.traded)
        for number, tick in enumerate(trades, 1):
            quote = tick.last_price * tick.traded
            maker = tick.aggressor is Side.SELL
            file.write(f"{number},{tick.last_price},{tick.traded},{quote},{tick.time_ms},{maker},True\n")
    return path


def write_silence(folder: Path, silent_s: int) -> Path:
    """A file of best prices, one a second: a rally, a small fall, and then nothing for so long."""
    path = folder / "ETHFDUSD-bookTicker-2026-07.csv"
    bids = [250_000] * 60 + [250_000 + 35 * rise for rise in range(60)] + [252_100 - 20 * fall for fall in range(30)]
    times_s = [*range(len(bids)), len(bids) + silent_s]
    with path.open("w", encoding="utf-8") as file:
        for number, (bid, time_s) in enumerate(zip([*bids, bids[-1]], times_s, strict=True), 1):
            time_ms = START_MS + 1000 * time_s
            file.write(f"{number},{Decimal(bid) / 100},3,{Decimal(bid + 1) / 100},3,{time_ms},{time_ms}\n")
    return path


def write_quotes(folder: Path, seed: int, minutes: int, *, scripted: bool = True) -> Path:
    """A file with every change of the best prices."""
    path = folder / "ETHFDUSD-bookTicker-2026-07.csv"
    with path.open("w", encoding="utf-8") as file:
        for number, tick in enumerate(ticks(seed, minutes, scripted=scripted), 1):
            best = f"{tick.bid},{tick.bid_quantity},{tick.ask},{tick.ask_quantity}"
            file.write(f"{number},{best},{tick.time_ms},{tick.time_ms}\n")
    return path
