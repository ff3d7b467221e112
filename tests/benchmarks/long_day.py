"""Long-day benchmark: the time of a tick and the memory after 24 simulated hours with faults, compared with one hour.

The exchange and its records are in the same process, so its resident size says little. Counted are the bytes that the
daemon's own modules have allocated and still hold; added to the size of a process that has just loaded them, they are
the memory of a daemon. Time and memory are measured in separate processes, because tracing slows everything down.
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
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests import processes
from tests.benchmarks.measurements import ratio, table
from tests.simulation.simulated_day import simulate

from trailingedge.core.clock import Clock
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.market_state import StateView
from trailingedge.model.order_commands import ExecutionCommand
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
    """Median seconds per tick after one hour and at the end.

    With `traced`, bytes instead: resident at the start, then allocated by our modules after one hour and at the end.
    """
    measured: list[float] = []

    async def measure(daemon: TradingNode, _: LoopbackExchange, clock: Clock) -> None:
        for until_s in (_HOUR_S, hours * _HOUR_S):
            await clock.sleep(until_s - _TIMED_S - (_HOUR_S if until_s > _HOUR_S else 0.0))
            seconds = _time_ticks(daemon)
            await clock.sleep(_TIMED_S - 1.0)
            measured.append(_allocated_bytes() if traced else statistics.median(seconds))

    if traced:
        measured.append(_resident_bytes())
        tracemalloc.start()
    simulate(0, hours, faults=FAULTS, script=measure)
    return {"told": measured}


def _time_ticks(daemon: TradingNode) -> list[float]:
    """Time every tick from now on. Returns the list that the seconds are appended to."""
    seconds: list[float] = []
    if daemon.services is None:
        raise LookupError("the daemon has not started")
    trader = daemon.services.core
    tick = trader.tick  # bound, so that the instance's attribute below can call it

    def timed(view: StateView, server_ms: int) -> list[ExecutionCommand]:
        started_s = time.perf_counter()
        try:
            return tick(view, server_ms)
        finally:
            seconds.append(time.perf_counter() - started_s)

    trader.tick = timed  # type: ignore[method-assign]
    return seconds


def _allocated_bytes() -> float:
    gc.collect()
    ours = tracemalloc.take_snapshot().filter_traces(
        [tracemalloc.Filter(True, "*/trailingedge/*"), tracemalloc.Filter(False, "*/trailingedge/simulator/*")]
    )
    return float(sum(each.size for each in ours.statistics("filename")))


async def run(*, hours: float) -> str:
    """Run the measure and return its table."""
    ticks, (loaded, *allocated) = await asyncio.gather(_child(hours, "ticks"), _child(hours, "allocated"))
    rows = [
        ("one tick, us", *(f"{each * 1e6:.1f}" for each in ticks), ratio(ticks[1], ticks[0])),
        ("allocated by our modules, KiB", *(f"{each / 1024:.0f}" for each in allocated[:2]), ""),
        (
            "with what is loaded, MiB",
            *(f"{(loaded + each) / _MIB:.1f}" for each in allocated[:2]),
            _growth(loaded, allocated),
        ),
    ]
    return table(TITLE.format(hours=hours), HEAD, rows)


def _growth(loaded: float, allocated: Sequence[float]) -> str:
    return f"{(loaded + allocated[1]) / (loaded + allocated[0]):.3f}"


def _resident_bytes() -> float:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return float(int(pages) * os.sysconf("SC_PAGE_SIZE"))


async def _child(hours: float, what: str) -> list[float]:
    words = ("-m", "tests.benchmarks.long_day", what, str(hours))
    async with processes.started_async([sys.executable, *words], stdout=PIPE) as process:
        output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the day ended with {process.returncode}")
    measured: list[float] = json.loads(output)
    return measured


if __name__ == "__main__":
    logging.getLogger().addHandler(logging.NullHandler())  # the faults' warnings are expected
    print(json.dumps(run_day(float(sys.argv[2]), traced=sys.argv[1] == "allocated")["told"]))
