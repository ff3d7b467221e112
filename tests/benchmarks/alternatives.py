"""Ways not taken: the daemon with one thing on the way from frame to order done otherwise, each beside the others.

    uv run python -m tests.benchmarks ways --rounds 4 --ticks 150

Run as a program by itself, `ways.py NAME ...` is such a daemon.
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

TITLE: Final = "ways not taken: tick to order with one thing done otherwise"


def _as_it_is() -> None:
    pass


def _by_the_beat() -> None:
    """No reflex: the main loop finds the answer."""
    from trailingedge.live.fast_requote import FastRequoter

    FastRequoter.prepare = lambda *_: None  # type: ignore[method-assign]


def _books_first() -> None:
    """The reflex enters its answer into the books, and then sends it."""
    from trailingedge.execution.trading_core import TradingCore
    from trailingedge.live.fast_requote import FastRequoter
    from trailingedge.model.market import BookTop

    def react(self: FastRequoter, trader: TradingCore, top: BookTop, now_s: float) -> None:
        poise, draft = trader.requote_plan, self._draft
        answer = None if poise is None or draft is None or trader.inbox else poise.requote_for(top, now_s)
        if answer is None or draft is None or not self._ready:
            return
        self._ready = False
        entered = trader.record_requote(answer, top, now_s, self._server_ms())
        trader.verify_requote(entered, top, now_s)
        self._expect(self._orders.send_replace(draft, *answer), entered.command)

    FastRequoter.on_book = react  # type: ignore[method-assign]


def _a_turn_later() -> None:
    """The library's public methods: frames by `recv` in a task, requests by `send` in another."""
    from trailingedge.websocket import transport

    setattr(transport, "is_tested_version", lambda _: False)  # noqa: B010 - a module's own function, done away with


def _parsed_by_the_library() -> None:
    """Frames where the library delivers them, cut out of the bytes by its own parser."""
    from websockets.asyncio.client import ClientConnection

    from trailingedge.websocket.low_latency_transport import LowLatencyConnection

    LowLatencyConnection.data_received = ClientConnection.data_received  # type: ignore[method-assign]


def _read_as_json() -> None:
    """A book is read like any other message."""
    from trailingedge.websocket import market_stream

    setattr(market_stream, "read_top_fast", lambda _: None)  # noqa: B010 - likewise


def _records_in_full() -> None:
    """Log records find out where they come from."""
    from trailingedge import logging_config

    logging_config.UNUSED_FACTS = {}  # type: ignore[misc]


def _core_kept() -> None:
    """After a write the processor is kept for what comes next."""
    from trailingedge.websocket import low_latency_transport

    setattr(low_latency_transport, "_yield_cpu", lambda: None)  # noqa: B010 - likewise


def _lock_kept() -> None:
    """The threads that write log and record let go of the interpreter and ask for it again, without a rest."""
    from trailingedge.core import background

    setattr(background, "REST_S", 0.0)  # noqa: B010 - a constant, for once another


def _without_collections() -> None:
    """No garbage is collected."""
    gc.disable()


ALTERNATIVES: Final[Mapping[str, Callable[[], None]]] = {
    "as it is": _as_it_is,
    "read as JSON": _read_as_json,
    "parsed by the library": _parsed_by_the_library,
    "records in full": _records_in_full,
    "without collections": _without_collections,
    "core kept": _core_kept,
    "lock kept": _lock_kept,
    "books first": _books_first,
    "a turn later": _a_turn_later,
    "by the beat": _by_the_beat,
}


async def run(folder: Path, *, rounds: int, ticks: int, chance: Random) -> str:
    """The table."""
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        contestants = [
            await enter(measured_processes.floor()),
            await enter(measured_processes.floor("floor again (noise)")),
        ]
        for name in ALTERNATIVES:
            program = ("-m", "tests.benchmarks.alternatives", name)
            contestants.append(await enter(measured_processes.daemon(folder, name, program=program)))
        found = await measure(contestants, rounds, ticks, chance)
    return table(TITLE, LATENCY_HEAD, latency_rows([Sample(each.name, found[each.name]) for each in contestants]))


if __name__ == "__main__":
    from trailingedge.main import run as run_daemon

    ALTERNATIVES[sys.argv[1]]()
    raise SystemExit(run_daemon(sys.argv[2:]))
