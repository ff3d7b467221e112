"""Benchmarks: what the daemon costs beyond the floor, the smallest program that could do its job with the same library.

    uv run python -m tests.benchmarks [tick-to-order storm ingest …] [--rounds 5]

Each measure prints one table. All programs run interleaved in one run, the floor twice, so that the difference between
the two floors is the noise. The exchange runs in this process, every measured program in one of its own.
Ratios to the floor are comparable between machines, times are not. Run a measure three times before trusting it.
"""

import argparse
import asyncio
import gc
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final

from tests.benchmarks import (
    alternatives,
    backtest,
    ingest,
    long_day,
    price_burst,
    recording,
    start,
    targets,
    tick_cost,
    tick_to_order,
    watchers,
)
from tests.processes import guard_this_process

Measure = Callable[[Path, argparse.Namespace, Random], Awaitable[str]]


async def _tick_to_order(folder: Path, args: argparse.Namespace, chance: Random) -> str:
    return await tick_to_order.run(folder, rounds=args.rounds, ticks=args.ticks, chance=chance)


async def _watched(folder: Path, args: argparse.Namespace, chance: Random) -> str:
    return await watchers.run(folder, rounds=args.rounds, ticks=args.ticks, chance=chance)


async def _ways(folder: Path, args: argparse.Namespace, chance: Random) -> str:
    return await alternatives.run(folder, rounds=args.rounds, ticks=args.ticks, chance=chance)


async def _storm(folder: Path, args: argparse.Namespace, chance: Random) -> str:
    return await price_burst.run(folder, rounds=args.rounds, moves=args.moves, chance=chance)


async def _ingest(folder: Path, args: argparse.Namespace, chance: Random) -> str:
    return await ingest.run(
        folder, rounds=args.rounds, frames=args.frames, rate=args.rate, seconds=args.seconds, chance=chance
    )


async def _decide(_: Path, args: argparse.Namespace, chance: Random) -> str:
    return tick_cost.run(rounds=args.rounds, chance=chance)


async def _record(folder: Path, args: argparse.Namespace, chance: Random) -> str:
    return await recording.run(folder, rounds=args.rounds, lines=args.lines, chance=chance)


async def _start(folder: Path, args: argparse.Namespace, chance: Random) -> str:
    return await start.run(folder, rounds=args.rounds, frames=args.later, chance=chance)


async def _long_day(_: Path, args: argparse.Namespace, __: Random) -> str:
    return await long_day.run(hours=args.hours)


async def _replay(folder: Path, args: argparse.Namespace, chance: Random) -> str:
    return backtest.run(folder, rounds=args.rounds, ticks=args.market_ticks, candles=args.candles, chance=chance)


async def _targets(folder: Path, args: argparse.Namespace, chance: Random) -> str:
    return await targets.run(
        folder,
        rounds=args.rounds,
        ticks=args.ticks,
        frames=args.frames,
        later=args.later,
        moves=args.moves,
        market_ticks=args.market_ticks,
        chance=chance,
    )


MEASURES: Final[Mapping[str, Measure]] = {
    "tick-to-order": _tick_to_order,
    "watched": _watched,
    "storm": _storm,
    "ingest": _ingest,
    "decide": _decide,
    "record": _record,
    "start": _start,
    "long-day": _long_day,
    "ways": _ways,
    "targets": _targets,
    "replay": _replay,
}


def main(words: Sequence[str] | None = None) -> None:
    args = parser().parse_args(words)
    guard_this_process()
    # A garbage collection of the exchange must not fall between a frame and its order.
    gc.freeze()
    gc.disable()
    for name in args.names or MEASURES:
        with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
            table = asyncio.run(_measured(MEASURES[name], Path(folder), args))
        print(table, end="\n\n", flush=True)
        gc.collect()


async def _measured(measure: Measure, folder: Path, args: argparse.Namespace) -> str:
    return await measure(folder, args, Random(args.seed))


def _name(text: str) -> str:
    if text not in MEASURES:
        raise argparse.ArgumentTypeError(f"{text} is none of {', '.join(MEASURES)}")
    return text


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("names", nargs="*", type=_name, metavar="NAME", help=f"{', '.join(MEASURES)} (all)")
    found.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds of each measure (5)")
    found.add_argument("--seed", type=int, default=0, metavar="S", help="seed of gaps, prices and turns (0)")
    found.add_argument("--ticks", type=int, default=300, metavar="N", help="tick-to-order: ticks a round (300)")
    found.add_argument("--moves", type=int, default=20_000, metavar="N", help="storm: price moves (20000)")
    found.add_argument("--frames", type=int, default=50_000, metavar="N", help="ingest: frames of the flood (50000)")
    found.add_argument("--rate", type=int, default=4000, metavar="N", help="ingest: steady frames a second (4000)")
    found.add_argument("--seconds", type=float, default=4.0, metavar="S", help="ingest: steady for so long (4)")
    found.add_argument(
        "--later",
        type=int,
        default=1_000_000,
        metavar="N",
        help="start: frames until memory is measured again (1000000)",
    )
    found.add_argument("--lines", type=int, default=300_000, metavar="N", help="record: lines of the session (300000)")
    found.add_argument("--hours", type=float, default=24.0, metavar="H", help="long-day: simulated hours (24)")
    found.add_argument(
        "--market-ticks", type=int, default=1_000_000, metavar="N", help="replay: ticks of the market (1000000)"
    )
    found.add_argument("--candles", type=int, default=525_600, metavar="N", help="replay: candles of it (525600)")
    return found


if __name__ == "__main__":
    main()
