"""Fake Bot API of Telegram: answers like the real one, and makes the errors that a test asks for.

In memory, as a transport of httpx: `httpx.AsyncClient(transport=httpx.MockTransport(api.handle))`. Over
loopback: `serve(api)`, or as a process, which prints its URL and token as JSON and runs until it is ended:

    python -m tests.bot_api --port 0 --behaviour flood --seconds 60

Beside the bot's methods the process answers `GET /received` (what each chat was shown) and `POST /say`
(`{"text": "/why", "chat_id": 7}`: a message to the bot).
"""

import argparse
import asyncio
import contextlib
import json
import re
import socket
import sys
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import Enum
from typing import Any, Final

import httpx
from tests.bot_api_html import BadEntities, cleaned, shown

TOKEN: Final = "123456789:AAFakeTokenForTheStandInOfTheBotApi"
OWNER: Final = 4711
_TOKEN_SHAPE: Final = re.compile(r"\d+:[\w-]{30,}")
_LONGEST: Final = 4096
_GROUP_A_MINUTE: Final = 20


class Behaviour(Enum):
    FINE = "fine"
    HANG = "hang"  # takes the request and never answers
    FLOOD = "flood"  # 429, with parameters.retry_after
    ERROR = "error"  # 502, as JSON
    PROXY = "proxy"  # 502 of a proxy in between, as HTML
    DOWN = "down"  # no server listens


class Hangs(Exception):
    """No answer ever comes."""


class IsDown(Exception):
    """There is no server."""


@dataclass(frozen=True)
class Reply:
    """One answer. `body` is JSON, or a page that is none."""

    status: int
    body: dict[str, Any] | str

    @property
    def content(self) -> bytes:
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass(frozen=True)
class Received:
    """A message as the chat shows it, the mode in which it came ("HTML" or ""), and its topic."""

    text: str
    parse_mode: str
    at_ms: int
    topic: int | None = None


@dataclass
class BotApi:
    """One bot. `refusals` holds for a chat what every message to it is answered with."""

    unix_ms: Callable[[], int]
    token: str = TOKEN
    behaviour: Behaviour = Behaviour.FINE
    retry_after: int = 5
    strict: bool = False  # refuse more than a message a second to a chat, twenty a minute to a group
    reads_html: bool = True  # False: it finds fault with any mark-up
    holds: bool = True  # False: getUpdates is answered at once
    foreign_poller: bool = False
    webhook: bool = False  # one is set: getUpdates is refused until deleteWebhook
    webhook_returns: bool = False  # another program sets it again at once
    confirms_future: bool = True  # False: an offset above all ids counts as none
    forgets: bool = True  # False: confirmed updates are told again
    refusals: dict[str, Reply] = field(default_factory=dict)
    received: defaultdict[str, list[Received]] = field(default_factory=lambda: defaultdict(list))
    calls: list[str] = field(default_factory=list)
    menu: list[dict[str, str]] = field(default_factory=list)
    _misbehaves_until_ms: float = float("inf")
    _updates: deque[dict[str, Any]] = field(default_factory=deque)
    _update_id: int = 1000
    _said: asyncio.Event = field(default_factory=asyncio.Event)
    _polls: int = 0
    _called: asyncio.Event = field(default_factory=asyncio.Event)

    # What a test does to it

    def misbehave(self, behaviour: Behaviour, seconds: float = float("inf")) -> None:
        self.behaviour = behaviour
        self._misbehaves_until_ms = self.unix_ms() + seconds * 1000

    def say(self, text: str, chat_id: int = OWNER, sender_id: int | None = None, date_s: int | None = None) -> None:
        """A message to the bot, or in a group (whose id is below 0) of which it is a member."""
        self._update_id += 1
        message = {
            "message_id": self._update_id,
            "date": self.unix_ms() // 1000 if date_s is None else date_s,
            "chat": {"id": chat_id, "type": "private" if chat_id > 0 else "supergroup"},
            "from": {"id": chat_id if sender_id is None else sender_id, "is_bot": False, "first_name": "Somebody"},
            "text": text,
        }
        self.update({"message": message})

    def update(self, content: dict[str, Any]) -> None:
        """An update of any kind."""
        self._updates.append({"update_id": self._update_id, **content})
        self._said.set()

    def restart_ids(self, at: int) -> None:
        """After a quiet week the next id is random, and may be lower than all before."""
        self._update_id = at - 1

    async def asked_for(self, method: str) -> None:
        """Wait until the bot has asked for `method`."""
        while method not in self.calls:
            self._called.clear()
            await self._called.wait()

    def texts(self, chat: object = OWNER) -> list[str]:
        """What a chat was shown."""
        return [message.text for message in self.received[str(chat)]]

    # What the bot asks

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """For httpx.MockTransport."""
        try:
            reply = await self.answer(request.url.path, json.loads(request.content or b"{}"))
        except Hangs:
            await asyncio.Event().wait()
            raise
        except IsDown:
            raise httpx.ConnectError("All connection attempts failed", request=request) from None
        headers = {"Date": formatdate(self.unix_ms() / 1000, usegmt=True)}
        return httpx.Response(reply.status, content=reply.content, headers=headers)

    async def answer(self, path: str, fields: dict[str, Any]) -> Reply:
        """Raises Hangs and IsDown."""
        token, _, method = path.removeprefix("/bot").partition("/")
        self.calls.append(method)
        self._called.set()
        if self.unix_ms() >= self._misbehaves_until_ms:
            self.behaviour = Behaviour.FINE
        match self.behaviour:
            case Behaviour.HANG:
                raise Hangs
            case Behaviour.DOWN:
                raise IsDown
            case Behaviour.FLOOD:
                return too_many_requests(self.retry_after)
            case Behaviour.ERROR:
                return refusal(502, "Bad Gateway")
            case Behaviour.PROXY:
                return Reply(502, "<html><h1>502 Bad Gateway</h1></html>")
            case Behaviour.FINE:
                pass
        if token != self.token:
            return refusal(401, "Unauthorized") if _TOKEN_SHAPE.fullmatch(token) else refusal(404, "Not Found")
        match method:
            case "sendMessage":
                return self._send_message(fields)
            case "getUpdates":
                return await self._get_updates(fields)
            case "setMyCommands":
                self.menu = fields["commands"]
                return result(True)
            case "deleteWebhook":
                self.webhook = self.webhook_returns
                return result(True)
            case "getMe":
                return result({"id": int(token.partition(":")[0]), "is_bot": True, "username": "stand_in_bot"})
        return refusal(404, "Not Found")

    def _send_message(self, fields: dict[str, Any]) -> Reply:
        chat, mode = str(fields["chat_id"]), str(fields.get("parse_mode", ""))
        if (refused := self.refusals.get(chat)) is not None:
            return refused
        try:
            text = self._read(str(fields["text"]), mode)
        except BadEntities as bad:
            return refusal(400, f"Bad Request: can't parse entities: {bad}")
        if not text:
            return refusal(400, "Bad Request: message text is empty")
        if len(text.encode("utf-16-le")) > 2 * _LONGEST:
            return refusal(400, "Bad Request: message is too long")
        if self.strict and (wait_s := self._too_fast_by_s(chat)) > 0:
            return too_many_requests(int(wait_s) + 1)
        self.received[chat].append(Received(text, mode, self.unix_ms(), fields.get("message_thread_id")))
        return result({"message_id": len(self.received[chat]), "date": self.unix_ms() // 1000, "text": text})

    def _read(self, text: str, mode: str) -> str:
        if mode != "HTML":
            return cleaned(text)
        if not self.reads_html:
            raise BadEntities("Unsupported start tag at byte offset 0")
        return shown(text)

    def _too_fast_by_s(self, chat: str) -> float:
        times = [message.at_ms for message in self.received[chat]]
        free_ms = [times[-1] + 1000] if times else []
        if chat.startswith("-") and len(times) >= _GROUP_A_MINUTE:
            free_ms.append(times[-_GROUP_A_MINUTE] + 60_000)
        return (max(free_ms, default=0) - self.unix_ms()) / 1000

    async def _get_updates(self, fields: dict[str, Any]) -> Reply:
        """A later question ends an earlier one that is still held."""
        conflict = refusal(409, "Conflict: terminated by other getUpdates request; only one may run")
        if self.foreign_poller:
            return conflict
        if self.webhook:
            return refusal(
                409,
                "Conflict: can't use getUpdates method while webhook is active; "
                "use deleteWebhook to delete the webhook first",
            )
        self._polls += 1
        this = self._polls
        self._said.set()  # requests that are held look again
        offset = int(fields.get("offset", 0))
        if not self.confirms_future and offset > self._update_id + 1:
            offset = 0
        if self.forgets:
            self._forget(offset)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(float(fields.get("timeout", 0)) if self.holds else 0.0):
                while not self._pending(offset) and this == self._polls:
                    self._said.clear()
                    await self._said.wait()
        return result(self._pending(offset)[: int(fields.get("limit", 100))]) if this == self._polls else conflict

    def _pending(self, offset: int) -> list[dict[str, Any]]:
        return [update for update in self._updates if offset < 0 or not self.forgets or update["update_id"] >= offset]

    def _forget(self, offset: int) -> None:
        """What is confirmed by an offset is never told again; a negative one counts from the end."""
        while self._updates and (
            len(self._updates) > -offset if offset < 0 else self._updates[0]["update_id"] < offset
        ):
            self._updates.popleft()


def result(value: object) -> Reply:
    return Reply(200, {"ok": True, "result": value})


def refusal(code: int, description: str, **parameters: int) -> Reply:
    body: dict[str, Any] = {"ok": False, "error_code": code, "description": description}
    return Reply(code, body | ({"parameters": parameters} if parameters else {}))


def too_many_requests(retry_after: int) -> Reply:
    return refusal(429, f"Too Many Requests: retry after {retry_after}", retry_after=retry_after)


# Over loopback


@contextlib.asynccontextmanager
async def serve(api: BotApi, port: int = 0) -> AsyncIterator[str]:
    """The URL at which `api` answers; port 0 picks one. DOWN from the beginning: a port without a server."""
    if api.behaviour is Behaviour.DOWN:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port))
            yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        return
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        this = asyncio.current_task()
        if this is not None:
            talks.add(this)
            this.add_done_callback(talks.discard)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await _one_request(api, reader, writer):
                pass
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", port)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(talks):
            task.cancel()
        if talks:
            await asyncio.wait(talks)


async def _one_request(api: BotApi, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether another may follow on this connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    _, path, _ = head.split(" ", 2)
    length = re.search(r"(?i)^content-length:\s*(\d+)", head, re.MULTILINE)
    body = await reader.readexactly(int(length[1])) if length else b""
    fields = json.loads(body or b"{}")
    try:
        reply = _beside(api, path, fields) or await api.answer(path, fields)
    except Hangs:
        await reader.read()  # until the other side has had enough
        return False
    except IsDown:
        return False
    content = reply.content
    writer.write(
        f"HTTP/1.1 {reply.status} -\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        f"Date: {formatdate(usegmt=True)}\r\n\r\n".encode()
        + content
    )
    await writer.drain()
    return True


def _beside(api: BotApi, path: str, fields: dict[str, Any]) -> Reply | None:
    if path == "/received":
        return Reply(200, {chat: [message.text for message in messages] for chat, messages in api.received.items()})
    if path == "/say":
        api.say(str(fields["text"]), int(fields.get("chat_id", OWNER)))
        return result(True)
    return None


async def _run(arguments: argparse.Namespace) -> None:
    api = BotApi(lambda: time.time_ns() // 1_000_000, token=arguments.token, retry_after=arguments.retry_after)
    api.misbehave(Behaviour(arguments.behaviour), arguments.seconds)
    async with serve(api, arguments.port) as url:
        sys.stdout.write(json.dumps({"url": url, "token": api.token}) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bot_api", description="A stand-in for Telegram's Bot API.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--behaviour", choices=[behaviour.value for behaviour in Behaviour], default="fine")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="how long it misbehaves")
    parser.add_argument("--retry-after", type=int, default=5, help="what a flood is answered with, in seconds")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
