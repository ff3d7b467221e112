"""Start benchmark: time from process start to the market's subscription and to ready, and resident memory.

Ready to trade is measured against the embedded exchange, which is already running. The floor is ready as soon as
it has subscribed, since it reads nothing else. An installed program has its bytecode compiled; if
PYTHONDONTWRITEBYTECODE is set, every process compiles its imports each time, and the title says so.

Ideas that were tried, kept and dropped, measured by

    uv run python -m tests.benchmarks start --rounds 3 --later 100000

with bytecode, and in brackets without, on two cores that others used too; before and after took turns. Times are
held against the floor of the same run, which was 0.11 s to 0.13 s (0.15 s to 0.18 s); memory, of which the floor
had 25.5 MiB (27.4 MiB), differs by 0.1 MiB from run to run.

| idea | before | after | verdict |
|---|---|---|---|
| all of it: subscribed, in floors | 3.2, 3.4 (4.8, 4.1) | 1.7, 1.3 (1.5, 1.7) | kept |
| all of it: ready at a running exchange, s | 0.45, 0.47 (0.76, 0.79) | 0.36, 0.40 (0.56, 0.58) | kept |
| all of it: resident when ready, MiB | 46.1 (46.7) | 41.2 (41.8) | kept |
| the embedded exchange is imported where it is opened | 43.5 MiB | 41.1 MiB | kept |
| a process per signature holds the key and the library | 44.7 MiB | 35.2 MiB | kept; 43.6 MiB without the PEM loader |
| that process started ahead of the logon: ready, s | 0.47, 0.45, 0.57 | 0.43, 0.40, 0.50 | dropped |
| the usual key file is read without the library's loader | 41.7 MiB | 41.1 MiB | kept |
| Telegram is imported where there is a token | 41.7 MiB | 41.1 MiB | kept |
| equal amounts of a page of klines are one object | 41.9 MiB | 41.1 MiB | kept |
| 1440 klines in two equal pages, not 1000 and then the rest | 41.3 MiB | 41.1 MiB | kept |
| imports after the dial in portions on the loop, not in a thread | 41.4 (43.0) MiB | 41.1 (41.6) MiB | kept |
| settings without the nouns of the market: that import | 20 ms | 0 ms | kept |
| collect and freeze when ready: a full collection later on | 20 ms to 30 ms | 0.0 ms | kept; 0.0 MiB |
| one TLS context: a second encrypted connection | 32 ms, 1.3 MiB | 8 ms, 0.5 MiB | kept; not in this table |
| klines in pages of 300 | 41.1 MiB | 40.7 MiB | dropped: three more answers to wait for |
| only the newest kline kept once the channel is built | 41.1 MiB | 41.1 MiB | dropped |
| rows of a page let go one by one as they are read | 41.1 MiB | 41.0 MiB | dropped |
| malloc_trim when ready, by way of ctypes | 41.1 MiB | 40.9 MiB | dropped: platform |
| MALLOC_ARENA_MAX=1 | 41.1 MiB | 41.1 MiB | dropped |
| collection off while importing | 41.1 MiB | 41.2 MiB | dropped |
| python -OO: the imports alone | 38.6 MiB | 37.6 MiB | dropped: not ours to say |

Beyond the floor, 5.2 MB are our code, and a quarter of that is what dataclasses generate.
"""

import asyncio
import contextlib
import json
import statistics
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from random import Random
from typing import Final

from tests import processes
from tests.benchmarks import measured_processes
from tests.benchmarks.ingest import flood
from tests.benchmarks.measured_processes import MeasuredProcess
from tests.benchmarks.measurements import ratio, table
from tests.benchmarks.tick_to_order import PriceDeck

TITLE: Final = f"start and memory, {'compiled each time' if sys.dont_write_bytecode else 'bytecode at hand'}"
HEAD: Final = ("", "median", "worst", "/ floor")
_SETTLED_S: Final = 1.0
_PORTION: Final = 50_000  # frames
_MIB: Final = 1 << 20


async def run(folder: Path, *, rounds: int, frames: int, chance: Random) -> str:
    """Run the measure and return its table."""
    seconds: dict[str, list[float]] = {}
    weights: dict[str, list[float]] = {}
    prices = PriceDeck(chance)
    async with embedded_exchange(folder) as environment:
        for number in range(rounds):
            for name in ("floor", "floor again (noise)"):
                async with measured_processes.floor(name) as process:
                    seconds.setdefault(f"subscribed, s: {name}", []).append(_subscribed_s(process))
                    await asyncio.sleep(_SETTLED_S)
                    weights.setdefault(f"resident, MiB: {name}", []).append(process.resident_bytes / _MIB)
            home = folder / str(number)
            async with measured_processes.daemon(home, chasing=False) as daemon:
                seconds.setdefault("subscribed, s: trailing-edge", []).append(_subscribed_s(daemon))
                await asyncio.sleep(_SETTLED_S)
                weights.setdefault("resident, MiB: trailing-edge, ready", []).append(daemon.resident_bytes / _MIB)
                if number == 0:
                    await daemon.flip()
                    for _ in range(frames // _PORTION):
                        await flood(daemon, _PORTION, prices)
                    name = f"resident, MiB: trailing-edge, after {frames:,} frames"
                    weights[name] = [daemon.resident_bytes / _MIB]
            async with measured_processes.daemon(
                home, "at the embedded exchange", environment, chasing=False
            ) as daemon:
                name = "ready, s: trailing-edge at the embedded exchange"
                seconds.setdefault(name, []).append(daemon.ready_s - daemon.started_s)
    floors = (statistics.median(seconds["subscribed, s: floor"]), statistics.median(weights["resident, MiB: floor"]))
    rows = [_row(name, values, floors[0], 3) for name, values in sorted(seconds.items())]
    rows += [_row(name, values, floors[1], 1) for name, values in sorted(weights.items())]
    return table(TITLE, HEAD, rows)


def _row(name: str, values: list[float], floor: float, digits: int) -> tuple[str, str, str, str]:
    middle = statistics.median(values)
    return name, f"{middle:.{digits}f}", f"{max(values):.{digits}f}", ratio(middle, floor)


def _subscribed_s(process: MeasuredProcess) -> float:
    return process.exchange.subscribed_s - process.started_s


@contextlib.asynccontextmanager
async def embedded_exchange(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    """Run the embedded exchange as a process within the block. Yields the settings that point a daemon to it."""
    words = ("-m", "trailingedge.main", "exchange", "--balance", "ETH=1,FDUSD=0")
    async with processes.started_async([sys.executable, *words], stdout=PIPE, stderr=DEVNULL, cwd=folder) as process:
        if process.stdout is None:
            raise RuntimeError("the exchange has no output")
        line = json.loads(await process.stdout.readline())
        yield {
            "BINANCE_WS_API_URL": line["ws_api_url"],
            "BINANCE_WS_STREAM_URL": line["ws_stream_url"],
            "BINANCE_ED25519_API_KEY": line["api_key"],
            "BINANCE_ED25519_PRIV_PATH": line["private_key_path"],
        }
        process.terminate()  # so that it takes the key that it made with it
        await process.wait()
