"""Fakes of the network: a socket in memory, a dial function that returns such sockets, and a scripted exchange."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trailingedge.core.errors import RequestRefused, SessionLost
from trailingedge.websocket.event_parser import Reply
from trailingedge.websocket.request_tracker import NoResponse, NotSent, Params, RequestOutcome


class MemorySocket:
    """Socket whose peer is the test: `deliver` sends a frame to us, `sent` has what we sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.closed = False
        self._inbox: asyncio.Queue[str | bytes | Sequence[str | bytes] | SessionLost] = asyncio.Queue()

    def send(self, text: str) -> None:
        if self.closed:
            raise SessionLost("closed")
        self.sent.append(json.loads(text))

    async def receive(self, hear: Callable[[Sequence[str | bytes]], None]) -> None:
        while True:
            heard = await self._inbox.get()
            if isinstance(heard, SessionLost):
                raise heard
            hear((heard,) if isinstance(heard, str | bytes) else heard)

    async def close(self) -> None:
        self.closed = True

    def deliver(self, message: object) -> None:
        """Deliver one frame: text and bytes unchanged, anything else as JSON."""
        self._inbox.put_nowait(message if isinstance(message, str | bytes) else json.dumps(message))

    def deliver_together(self, *frames: str | bytes) -> None:
        """Deliver several frames in one read."""
        self._inbox.put_nowait(frames)

    def reply(self, number: int, result: object) -> None:
        """Deliver success for the `number`-th frame that was sent."""
        self.deliver({"id": self.sent[number]["id"], "status": 200, "result": result})

    @property
    def methods(self) -> list[str]:
        """Return the methods of the requests, in order."""
        return [frame["method"] for frame in self.sent]

    def drop(self, reason: str = "closed 1006") -> None:
        self._inbox.put_nowait(SessionLost(reason))


class MemoryDial:
    """Dial function that returns a new MemorySocket each time, after a number of refusals."""

    def __init__(self, refusals: int = 0) -> None:
        self.sockets: list[MemorySocket] = []
        self.urls: list[str] = []
        self._refusals = refusals

    async def __call__(self, url: str) -> MemorySocket:
        self.urls.append(url)
        if self._refusals:
            self._refusals -= 1
            raise SessionLost("connection refused")
        self.sockets.append(MemorySocket())
        return self.sockets[-1]

    @property
    def newest(self) -> MemorySocket:
        return self.sockets[-1]


class PaperExchange:
    """RequestCaller whose results come from a function per method; a result that is an exception is raised."""

    def __init__(self, **answers: Callable[[Mapping[str, str | int]], object]) -> None:
        self.answers = {name.replace("_", "."): answer for name, answer in answers.items()}
        self.requests: list[tuple[str, dict[str, str | int]]] = []

    async def request(self, method: str, params: Params | None = None, timeout_s: float = 10.0) -> RequestOutcome:
        answer = self._respond(method, params, timeout_s)
        if isinstance(answer, Reply | NoResponse | NotSent):
            return answer
        return Reply(200, answer)

    async def call(self, method: str, params: Params | None = None, timeout_s: float = 10.0) -> object:
        answer = self._respond(method, params, timeout_s)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Reply):
            raise RequestRefused(answer.code, answer.text)
        return answer

    def methods(self) -> list[str]:
        return [method for method, _ in self.requests]

    def _respond(self, method: str, params: Params | None, timeout_s: float) -> object:
        assert timeout_s > 0
        self.requests.append((method, dict(params or {})))
        return self.answers[method](params or {})


async def run_ready_tasks() -> None:
    """Run the event loop until all tasks that are ready have run."""
    for _ in range(20):
        await asyncio.sleep(0)
