"""Tick-to-order with and without watchers: what it costs the daemon that it is watched.

Two daemons are alike, so that the difference between them is the noise. A third is watched by three: `watch` in a
terminal, `watch --web` with a page that reads its feed, and a subscriber that never reads. All take turns.
"""

import contextlib
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from random import Random
from typing import Final

from tests import processes
from tests.benchmarks import measured_processes
from tests.benchmarks.measurements import LATENCY_HEAD, Sample, latency_rows, ratio, table
from tests.benchmarks.tick_to_order import CPU_HEAD, CPU_TITLE, TITLE, cpu_rows, measure

_UNREAD_BYTES: Final = 4096  # what the socket of the one that never reads holds, at most
# What a page does, without a window: it takes each line of the feed. It prints a line once it has the first.
_PAGE_CLIENT: Final = """
import sys
from websockets.sync.client import connect

address = sys.argv[1]
origin = "/".join(address.split("/")[:3])
with connect(address.replace("http", "ws") + "feed", origin=origin, proxy=None, compression=None) as feed:
    feed.recv()
    print("connected", flush=True)
    for line in feed:
        pass
"""


@contextlib.asynccontextmanager
async def three_watchers(place: Path) -> AsyncIterator[Sequence[Process]]:
    """Watch the daemon whose control socket is at `place` within the block. Yields the processes that watch."""
    command = [sys.executable, "-m", "trailingedge.main", "watch", "--socket", str(place)]
    environment = processes.environment({"TERM": "xterm"})
    our_end, their_end = os.openpty()
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(os.close, our_end)
        enter = stack.enter_async_context
        terminal = await enter(
            processes.started_async(command, stdin=their_end, stdout=their_end, stderr=their_end, env=environment)
        )
        os.close(their_end)
        await enter(processes.started_async(["cat"], stdin=our_end, stdout=DEVNULL, stderr=DEVNULL))
        page = await enter(processes.started_async([*command, "--web", "0"], stdout=PIPE, env=environment))
        address = (await _line_of(page)).split()[2]
        client = await enter(processes.started_async([sys.executable, "-c", _PAGE_CLIENT, address], stdout=PIPE))
        await _line_of(client)
        idle = stack.enter_context(socket.socket(socket.AF_UNIX))
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UNREAD_BYTES)
        idle.connect(str(place))
        idle.sendall(b'{"command":"subscribe"}\n')
        yield terminal, page, client


async def _line_of(process: Process) -> str:
    """Return the next line of its output. Raises RuntimeError if it has ended."""
    line = b"" if process.stdout is None else await process.stdout.readline()
    if not line:
        raise RuntimeError("a watcher has ended")
    return line.decode()


async def run(folder: Path, *, rounds: int, ticks: int, chance: Random) -> str:
    """Run the measure and return its tables."""
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        floors = [await enter(measured_processes.floor()), await enter(measured_processes.floor("floor again (noise)"))]
        alone = [
            await enter(measured_processes.daemon(folder / str(number), name, _own_socket(folder / str(number))))
            for number, name in enumerate(("trailing-edge", "trailing-edge again (noise)", "trailing-edge, watched"))
        ]
        place = next(iter((folder / "2").glob("trailing-edge/*.sock")))
        watching = await enter(three_watchers(place))
        measured = [*floors, *alone]
        found = await measure(measured, rounds, ticks, chance)
        if any(process.returncode is not None for process in watching):
            raise RuntimeError("a watcher has ended before the measure")
    samples = [Sample(process.name, found.seconds[process.name]) for process in measured]
    one, again, watched = samples[2:]
    notes = [
        f"{what}: p50 {ratio(of.median, one.median)}, p99 {ratio(of.p99, one.p99)}"
        for what, of in (("watched / not watched", watched), ("not watched again / not watched (noise)", again))
    ]
    cpu = cpu_rows([Sample(each.name, [found.cpu_s[each.name]]) for each in measured])
    return "\n\n".join(
        [table(TITLE, LATENCY_HEAD, latency_rows(samples), ["", *notes]), table(CPU_TITLE, CPU_HEAD, cpu)]
    )


def _own_socket(folder: Path) -> dict[str, str]:
    """Settings that put the control socket into `folder`: daemons of one symbol cannot share one."""
    return {"XDG_RUNTIME_DIR": str(folder)}
