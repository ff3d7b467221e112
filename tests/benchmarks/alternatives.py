"""Alternatives to the low-latency path: the daemon with one step from frame to order done in another way.

    uv run python -m tests.benchmarks ways --rounds 4 --ticks 150

Each alternative patches one module of the daemon before it starts: `python -m tests.benchmarks.alternatives NAME ...`
is such a daemon. Imports are inside the functions, so that a daemon loads only the modules that it would load anyway.
"""

import contextlib
import gc
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Final

from tests.benchmarks import measured_processes
from tests.benchmarks.measurements import LATENCY_HEAD, Sample, latency_rows, table
from tests.benchmarks.tick_to_order import measure

TITLE: Final = "alternatives: tick to order with one step done in another way"


def _unchanged() -> None:
    pass


def _no_plan() -> None:
    """No plan: every new price is decided by a tick."""
    from trailingedge.execution.trading_core import TradingCore

    TradingCore.plan_ahead = lambda *_: None  # type: ignore[method-assign]


def _not_prepared() -> None:
    """The request of a requote is encoded when it is sent."""
    from trailingedge.websocket.prepared_request import PreparedReplace

    PreparedReplace.fits = lambda *_: False  # type: ignore[method-assign]


def _recv_and_send_in_tasks() -> None:
    """The library's public methods: frames by `recv` in one task, requests by `send` in another."""
    from trailingedge.websocket import socket_dialer

    setattr(socket_dialer, "is_tested_version", lambda _: False)  # noqa: B010 - a module's own function, done away with


def _parsed_by_the_library() -> None:
    """Frames are delivered where the library delivers them, but parsed from the bytes by its own parser."""
    from websockets.asyncio.client import ClientConnection

    from trailingedge.websocket.low_latency_transport import LowLatencyConnection

    LowLatencyConnection.data_received = ClientConnection.data_received  # type: ignore[method-assign]


def _parsed_as_json() -> None:
    """A bookTicker is parsed as JSON like any other message."""
    from trailingedge.websocket import market_stream

    setattr(market_stream, "read_top_fast", lambda _: None)  # noqa: B010 - likewise


def _full_log_records() -> None:
    """Log records look up the file, line and thread that they come from."""
    from trailingedge import logging_config

    logging_config.UNUSED_FACTS = {}  # type: ignore[misc]


def _no_yield() -> None:
    """After a write the process does not yield its core to the client."""
    from trailingedge.websocket import low_latency_transport

    setattr(low_latency_transport, "_yield_cpu", lambda: None)  # noqa: B010 - likewise


def _no_pause() -> None:
    """The threads that write log and record release the GIL and request it again without a pause."""
    from trailingedge.core import background_threads

    setattr(background_threads, "REST_S", 0.0)  # noqa: B010 - replaces a constant


def _no_collections() -> None:
    """The garbage collector is off."""
    gc.disable()


ALTERNATIVES: Final[Mapping[str, Callable[[], None]]] = {
    "unchanged": _unchanged,
    "parsed as JSON": _parsed_as_json,
    "parsed by the library": _parsed_by_the_library,
    "full log records": _full_log_records,
    "no garbage collection": _no_collections,
    "no yield after a write": _no_yield,
    "no pause of threads": _no_pause,
    "request not prepared": _not_prepared,
    "recv and send in tasks": _recv_and_send_in_tasks,
    "no plan": _no_plan,
}


async def run(folder: Path, *, rounds: int, ticks: int, chance: Random) -> str:
    """Run the measure and return its table."""
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        measured = [
            await enter(measured_processes.floor()),
            await enter(measured_processes.floor("floor again (noise)")),
        ]
        for name in ALTERNATIVES:
            program = ("-m", "tests.benchmarks.alternatives", name)
            measured.append(await enter(measured_processes.daemon(folder, name, program=program)))
        found = await measure(measured, rounds, ticks, chance)
    return table(TITLE, LATENCY_HEAD, latency_rows([Sample(each.name, found.seconds[each.name]) for each in measured]))


if __name__ == "__main__":
    from trailingedge.main import run as run_daemon

    ALTERNATIVES[sys.argv[1]]()
    raise SystemExit(run_daemon(sys.argv[2:]))
