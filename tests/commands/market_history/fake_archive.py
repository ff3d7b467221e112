"""Fake archive: a server on the loopback that answers like Binance's public archive, and makes the errors that a test
asks for.

`async with serving(archive) as url:` serves its files. For a path in `plans`, each request takes one entry of the list
as its answer; later requests are answered correctly.
"""

import asyncio
import contextlib
import hashlib
import queue
import threading
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Final

from trailingedge.core.clock import ManualClock

PAGE: Final = b"<html><body>Please log in to this network</body></html>"
_NO_KEY: Final = b"<Error><Code>NoSuchKey</Code></Error>"


@dataclass(frozen=True)
class Answer:
    """What a request gets in place of the file: this status, or the file up to `cut` bytes, then an end or a stall."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    cut: int | None = None
    stalls: bool = False


@dataclass
class FakeArchive:
    """The files by path, each with its checksum beside it."""

    files: dict[str, bytes] = field(default_factory=dict)
    plans: defaultdict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    knows_ranges: bool = True
    asked: Counter[str] = field(default_factory=Counter)
    ranges: list[str] = field(default_factory=list)
    most_at_once: int = 0
    at_work: int = 0
    meet: int = 0  # so many requests are answered only when all of them have come
    met: int = 0
    all_met: asyncio.Event = field(default_factory=asyncio.Event)
    stalled: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, path: str, content: bytes) -> None:
        """Publish a file and its checksum."""
        name = path.rsplit("/", 1)[1]
        self.files[path] = content
        self.files[path + ".CHECKSUM"] = f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and close the connection."""
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ", 2)[1].lstrip("/")
            self.asked[path] += 1
            self.at_work += 1
            self.most_at_once = max(self.most_at_once, self.at_work)
            try:
                if self.met < self.meet:
                    await self._meet()
                await self._answer(path, head, writer)
            finally:
                self.at_work -= 1

    async def _meet(self) -> None:
        self.met += 1
        if self.met == self.meet:
            self.all_met.set()
        async with asyncio.timeout(10.0):  # for a client that asks one thing at a time
            await self.all_met.wait()

    async def _answer(self, path: str, head: str, writer: asyncio.StreamWriter) -> None:
        plan = self.plans[path].pop(0) if self.plans[path] else Answer()
        content = self.files.get(path)
        if plan.status != 200 or plan.body or content is None:
            status = 404 if content is None and plan.status == 200 else plan.status
            await _send(writer, status, plan.body or _NO_KEY, plan.headers)
            return
        begin, status, headers = 0, 200, plan.headers
        for line in head.splitlines():
            if line.lower().startswith("range: bytes=") and self.knows_ranges:
                self.ranges.append(line.partition("=")[2])
                begin, status = int(line.partition("=")[2].rstrip("-")), 206
                headers = (*headers, ("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}"))
        if begin >= len(content) and begin:
            await _send(writer, 416, b"", ())
            return
        rest = content[begin:]
        await _send(writer, status, rest if plan.cut is None else rest[: plan.cut], headers, stated=len(rest))
        if plan.stalls:
            self.stalled.set()
            await asyncio.Event().wait()


async def _send(
    writer: asyncio.StreamWriter,
    status: int,
    body: bytes,
    headers: tuple[tuple[str, str], ...],
    stated: int | None = None,
) -> None:
    lines = [f"HTTP/1.1 {status} -", f"Content-Length: {len(body) if stated is None else stated}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()


@contextlib.asynccontextmanager
async def serving(archive: FakeArchive) -> AsyncIterator[str]:
    """Serve on a free port; returns the URL."""
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(archive.handle(reader, writer))
        tasks.add(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # closed transports end at the next turn of the loop


@contextlib.contextmanager
def served_beside(archive: FakeArchive) -> Iterator[str]:
    """Serve on a loop of its own, in a thread, for a command that makes its own loop; returns the URL."""
    urls: queue.SimpleQueue[str] = queue.SimpleQueue()
    loop, ends = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with serving(archive) as url:
            urls.put(url)
            await ends.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        yield urls.get()
    finally:
        loop.call_soon_threadsafe(ends.set)
        thread.join()
        loop.close()


class ImpatientClock(ManualClock):
    """A clock on which a sleep is over at once, and is noted. Other timers wait for `advance`."""

    def __init__(self, unix_ms: int = 1_783_000_000_000) -> None:
        super().__init__(unix_ms=unix_ms)
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._now_s += seconds
        await asyncio.sleep(0)
