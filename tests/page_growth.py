"""Whether the live page, and the process that serves it, grow over eight hours.

    python -m tests.page_growth [--hours 8] [--speed 240]

It needs Chromium. First a daemon trades a simulated market at that speed, with its page open. Then the same page
program shows a feed that sends as many lines as a daemon does in so many hours, as fast as the page takes them: four
times a second the prices, each second the status, each minute an order, its fill and a log line. Of each it prints the
page's JavaScript heap and DOM nodes after a garbage collection, and the resident memory of the processes, eight times
and at the end. A page fills the lists and the chart of its kept hours first; what grows after that is a leak.
"""

import argparse
import asyncio
import copy
import json
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, TypeVar

from tests.chromium import Page, chromium_page
from tests.processes import guard_this_process
from tests.watched_daemon import daemon_in, page_of, resident_bytes, socket_in

from trailingedge.live.control_socket import subscribe
from trailingedge.live.feed_format import encode, line

HOUR_S: Final = 3600
_PARTS: Final = 8
_PRICES_A_SECOND: Final = 4
_LAST: Final = "these are all lines of this part"
_ROW: Final = "{:>9} {:>8} {:>13} {:>10} {:>14} {:>16}"


T = TypeVar("T")


class Table:
    """Prints a row of sizes; `pids` are the page's process and, if there is one, the daemon."""

    def __init__(self, title: str, page: Page, *pids: int) -> None:
        self._page, self._pids = page, pids
        page.errors.clear()  # of the page before, whose server has ended
        print(f"\n{title}\n" + _ROW.format("hours", "lines", "JS heap kB", "DOM nodes", "page server kB", "daemon kB"))

    def row(self, hours: float, lines: int | None = None) -> None:
        heap, nodes = self._page.sizes()
        memory = [f"{resident_bytes(pid) // 1024}" for pid in self._pids]
        count = "" if lines is None else str(lines)
        print(_ROW.format(f"{hours:.1f}", count, heap // 1024, nodes, *memory, *[""] * (2 - len(memory))), flush=True)

    def end(self) -> None:
        """Print what the page has shown on its console."""
        print("errors of the page:", "; ".join(self._page.errors) or "none")


def simulated(folder: Path, page: Page, hours: float, speed: float) -> dict[str, Any]:
    """Watch a simulated market on a page. Returns the last `state` of its daemon."""
    with daemon_in(folder, "--speed", f"{speed:g}") as daemon, page_of(folder, socket_in(folder)) as (server, url):
        page.open(url, 1440, 1000)
        page.wait_until("page.connection === 'good' && chart.charts !== null")
        table = Table(f"simulated market, {speed:g} times real time", page, server.pid, daemon.pid)
        for part in range(_PARTS + 1):
            table.row(hours * part / _PARTS)
            if part < _PARTS:
                time.sleep(hours * HOUR_S / speed / _PARTS)
        table.end()
        return asyncio.run(_state_at(socket_in(folder)))


async def _state_at(socket: Path) -> dict[str, Any]:
    reader, writer = await subscribe(socket)
    state: dict[str, Any] = json.loads(await reader.readline())
    writer.close()
    return state


def lines_of(state: Mapping[str, Any], seconds: int) -> Iterator[bytes]:
    """Yield the lines of so many seconds, with the words and levels of `state`, its times and a moving price."""
    status = copy.deepcopy(state["status"])
    start = datetime.fromisoformat(status["time"])
    bid = float(status["bid"])
    for second in range(1, seconds + 1):
        for part in range(1, _PRICES_A_SECOND + 1):
            time = _iso(start + timedelta(seconds=second + part / _PRICES_A_SECOND - 1))
            shown = f"{bid * (1 + 0.01 * ((second * 7 + part) % 600 - 300) / 300):.2f}"
            prices = {"bid": shown, "ask": shown, "value": status["value"], "gain_frac": status["gain_frac"]}
            levels = {"high": status["high"], "take_profit": None, "stop": status["hard_stop"]["price"]}
            yield encode(line("prices", time=time, **prices, **levels))
        status |= {"time": time, "bid": shown, "ask": shown}
        yield encode(line("status", starting=None, status=status, panel=state["panel"]))
        if second % 60 == 0:
            order = {"client_order_id": f"TE-t-{second}", "side": "SELL", "price": shown, "quantity": "1"}
            yield encode(line("order", time=time, change="placed", **order))
            yield encode(line("fill", time=time, **order, quote=shown, remaining="0"))
            yield encode(line("log", time=time, level="INFO", text=f"order filled: SELL 1 ETH at {shown}, complete"))


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")


class Feed:
    """A control socket at `path` that serves `state`, and sends lines to the client that came last."""

    def __init__(self, path: Path, state: Mapping[str, Any]) -> None:
        self._path, self._state = path, state
        self._writer: asyncio.StreamWriter | None = None
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._wait_for(asyncio.start_unix_server(self._greet, path))

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        self._writer = writer
        writer.write(encode(dict(self._state)))
        await reader.read()

    def send(self, lines: Iterable[bytes]) -> int:
        """Send these lines and a last one, as fast as the client takes them. Returns their number."""
        last = encode(line("log", time=self._state["time"], level="INFO", text=_LAST))
        return self._wait_for(self._send(chain(lines, [last])))

    async def _send(self, lines: Iterable[bytes]) -> int:
        if self._writer is None:
            raise RuntimeError("no page has connected")
        sent = 0
        for sent, text in enumerate(lines, start=1):  # noqa: B007 - the last number is the result
            self._writer.write(text)
            await self._writer.drain()
        return sent

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def relayed(folder: Path, page: Page, state: Mapping[str, Any], hours: float) -> None:
    """Show as many lines on a page as a daemon sends in so many hours."""
    feed = Feed(folder / "feed.sock", state)
    with page_of(folder, folder / "feed.sock") as (server, url):
        page.open(url, 1440, 1000)
        page.wait_until("page.connection === 'good' && chart.charts !== null")
        seconds = round(hours * HOUR_S)
        table = Table("as many lines as in these hours, as fast as the page takes them", page, server.pid)
        table.row(0.0, 0)
        sent, lines = 0, lines_of(state, seconds)
        for part in range(1, _PARTS + 1):
            sent += feed.send(islice(lines, seconds * (_PRICES_A_SECOND + 1) // _PARTS))
            page.wait_until(f"page.log.at(-1).text === {json.dumps(_LAST)}")
            table.row(hours * part / _PARTS, sent)
        table.end()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.page_growth", description=__doc__)
    parser.add_argument("--hours", type=float, default=8.0, help="hours of the market, and of lines (8)")
    parser.add_argument("--speed", type=float, default=240.0, help="of the simulated market (240)")
    args = parser.parse_args()
    guard_this_process()
    with tempfile.TemporaryDirectory() as name, chromium_page() as page:
        folder = Path(name)
        state = simulated(folder, page, args.hours, args.speed)
        relayed(folder, page, state, args.hours)


if __name__ == "__main__":
    main()
