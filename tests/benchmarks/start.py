"""Start and memory: from the process's birth to the market's subscription and to ready; and what it weighs.

Ready to trade is measured against the embedded exchange, which is running already. The floor is ready as
soon as it has subscribed, for it has nothing to learn.
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

from tests.benchmarks import players
from tests.benchmarks.figures import ratio, table
from tests.benchmarks.ingest import flood
from tests.benchmarks.players import Player
from tests.benchmarks.tick_to_order import Deck

TITLE: Final = "start and memory"
HEAD: Final = ("", "median", "worst", "/ floor")
_SETTLED_S: Final = 1.0
_PORTION: Final = 50_000  # frames
_MIB: Final = 1 << 20


async def run(folder: Path, *, rounds: int, frames: int, chance: Random) -> str:
    """The table."""
    seconds: dict[str, list[float]] = {}
    weights: dict[str, list[float]] = {}
    deck = Deck(chance)
    async with embedded_exchange(folder) as environment:
        for number in range(rounds):
            for name in ("floor", "floor again (noise)"):
                async with players.floor(name) as player:
                    seconds.setdefault(f"subscribed, s: {name}", []).append(_subscribed_s(player))
                    await asyncio.sleep(_SETTLED_S)
                    weights.setdefault(f"resident, MiB: {name}", []).append(player.resident_bytes / _MIB)
            home = folder / str(number)
            async with players.daemon(home, chasing=False) as daemon:
                seconds.setdefault("subscribed, s: trailing-edge", []).append(_subscribed_s(daemon))
                await asyncio.sleep(_SETTLED_S)
                weights.setdefault("resident, MiB: trailing-edge, ready", []).append(daemon.resident_bytes / _MIB)
                if number == 0:
                    await daemon.flip()
                    for _ in range(frames // _PORTION):
                        await flood(daemon, _PORTION, deck)
                    name = f"resident, MiB: trailing-edge, after {frames:,} frames"
                    weights[name] = [daemon.resident_bytes / _MIB]
            async with players.daemon(home, "at the embedded exchange", environment, chasing=False) as daemon:
                name = "ready, s: trailing-edge at the embedded exchange"
                seconds.setdefault(name, []).append(daemon.ready_s - daemon.born_s)
    floors = (statistics.median(seconds["subscribed, s: floor"]), statistics.median(weights["resident, MiB: floor"]))
    rows = [_row(name, values, floors[0], 3) for name, values in sorted(seconds.items())]
    rows += [_row(name, values, floors[1], 1) for name, values in sorted(weights.items())]
    return table(TITLE, HEAD, rows)


def _row(name: str, values: list[float], floor: float, digits: int) -> tuple[str, str, str, str]:
    middle = statistics.median(values)
    return name, f"{middle:.{digits}f}", f"{max(values):.{digits}f}", ratio(middle, floor)


def _subscribed_s(player: Player) -> float:
    return player.venue.subscribed_s - player.born_s


@contextlib.asynccontextmanager
async def embedded_exchange(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    """The project's own exchange as a process; the settings that lead a daemon to it."""
    words = ("-m", "trailingedge.main", "exchange", "--balance", "ETH=1,FDUSD=0")
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=PIPE, stderr=DEVNULL, cwd=folder)
    try:
        if process.stdout is None:
            raise RuntimeError("the exchange has no output")
        told = json.loads(await process.stdout.readline())
        yield {
            "BINANCE_WS_API_URL": told["ws_api_url"],
            "BINANCE_WS_STREAM_URL": told["ws_stream_url"],
            "BINANCE_ED25519_API_KEY": told["api_key"],
            "BINANCE_ED25519_PRIV_PATH": told["private_key_path"],
        }
    finally:
        process.terminate()
        await process.wait()
