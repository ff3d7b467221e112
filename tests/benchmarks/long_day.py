"""A long day: 24 simulated hours with faults, and what a beat costs and what is held after them against after one.

The exchange and its records live in the same process, so that its resident size says little. What is counted
is what our own modules have allocated and still hold; on top of what a process weighs that has just loaded
them, it is the memory of a daemon. A process of its own for either, because tracing makes everything slow.
"""

import asyncio
import gc
import json
import logging
import os
import statistics
import sys
import time
import tracemalloc
from asyncio.subprocess import PIPE
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from tests import processes
from tests.benchmarks.measurements import ratio, table
from tests.simulation.simulated_day import simulate

from trailingedge.core.clock import Clock
from trailingedge.live.trading_node import TradingNode
from trailingedge.simulator.faults import Faults, FrameFaults
from trailingedge.simulator.server import LoopbackExchange

TITLE: Final = "a long day: after {hours:g} simulated hours with faults against after one"
HEAD: Final = ("", "after one", "at the end", "ratio")
_HOUR_S: Final = 3600.0
_MIB: Final = 1 << 20
_TIMED_S: Final = 1800.0
FAULTS: Final = Faults(
    requests={"late_reply": 0.05, "lose_reply": 0.01, "cut_after": 0.005, "timeout_done": 0.01, "busy": 0.01},
    market=FrameFaults(duplicate=0.01, delay=0.01, truncated=0.001, disconnect=0.0003),
    account=FrameFaults(duplicate=0.05, delay=0.05, disconnect=0.001),
    partial_fill=0.02,
)


def run_day(hours: float, *, traced: bool) -> dict[str, list[float]]:
    """Seconds a beat after one hour and at the end; `traced`, bytes: resident before, then held by our modules."""
    told: list[float] = []

    async def look(daemon: TradingNode, _: LoopbackExchange, clock: Clock) -> None:
        for until_s in (_HOUR_S, hours * _HOUR_S):
            await clock.sleep(until_s - _TIMED_S - (_HOUR_S if until_s > _HOUR_S else 0.0))
            seconds = _listen(daemon)
            await clock.sleep(_TIMED_S - 1.0)
            told.append(_held() if traced else statistics.median(seconds))

    if traced:
        told.append(_resident_bytes())
        tracemalloc.start()
    simulate(0, hours, faults=FAULTS, script=look)
    return {"told": told}


def _listen(daemon: TradingNode) -> list[float]:
    """From now on, seconds of every beat. The beat itself stays what it is."""
    seconds: list[float] = []
    if daemon.services is None:
        raise LookupError("the daemon has not started")
    trader: Any = daemon.services.core
    beat: Callable[..., Any] = type(trader).beat

    def timed(*args: Any) -> Any:
        began_s = time.perf_counter()
        try:
            return beat(trader, *args)
        finally:
            seconds.append(time.perf_counter() - began_s)

    trader.beat = timed
    return seconds


def _held() -> float:
    gc.collect()
    ours = tracemalloc.take_snapshot().filter_traces(
        [tracemalloc.Filter(True, "*/trailingedge/*"), tracemalloc.Filter(False, "*/trailingedge/simulator/*")]
    )
    return float(sum(each.size for each in ours.statistics("filename")))


async def run(*, hours: float) -> str:
    """The table."""
    beats, (loaded, *held) = await asyncio.gather(_child(hours, "beats"), _child(hours, "held"))
    rows = [
        ("one beat, us", *(f"{each * 1e6:.1f}" for each in beats), ratio(beats[1], beats[0])),
        ("held by our modules, KiB", *(f"{each / 1024:.0f}" for each in held[:2]), ""),
        (
            "on top of what is loaded, MiB",
            *(f"{(loaded + each) / _MIB:.1f}" for each in held[:2]),
            _grown(loaded, held),
        ),
    ]
    return table(TITLE.format(hours=hours), HEAD, rows)


def _grown(loaded: float, held: Sequence[float]) -> str:
    return f"{(loaded + held[1]) / (loaded + held[0]):.3f}"


def _resident_bytes() -> float:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return float(int(pages) * os.sysconf("SC_PAGE_SIZE"))


async def _child(hours: float, what: str) -> list[float]:
    words = ("-m", "tests.benchmarks.long_day", what, str(hours))
    async with processes.started_async([sys.executable, *words], stdout=PIPE) as process:
        said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the day ended with {process.returncode}")
    told: list[float] = json.loads(said)
    return told


if __name__ == "__main__":
    logging.getLogger().addHandler(logging.NullHandler())  # what went wrong was meant to
    print(json.dumps(run_day(float(sys.argv[2]), traced=sys.argv[1] == "held")["told"]))
