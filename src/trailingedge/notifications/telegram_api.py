"""One conversation with Telegram's Bot API: ask, and hear the result or why there is none.

The token is part of every address, so no address is ever logged and no exception of the library gets past
this file. A client is thrown away after any trouble: a connection whose request was given up is not to be
trusted with the next one.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from trailingedge.core.errors import TrailingEdgeError
from trailingedge.websocket.transport import is_loopback_url

if TYPE_CHECKING:
    import ssl

    import httpx

BOT_API: Final = "https://api.telegram.org"
_GRACE_S: Final = 2.0  # a server that sends a byte now and then keeps the library's own time-outs content
_HUNG_UP_WITHIN_S: Final = 1.0
_LONGEST_WAIT_S: Final = 3600.0
_MOST_BYTES: Final = 1 << 20
_SHOWN: Final = 200
_CANNOT_PARSE: Final = "can't parse entities"
_MESSAGE_AT_FAULT: Final = ("message is too long", "text is empty", "text must be", "request entity too large")
_ADDRESS_LOGGERS: Final = ("httpx", "httpcore")

Connect = Callable[[], Awaitable["httpx.AsyncClient"]]


class BotRefused(TrailingEdgeError):
    """Telegram said no. `code` and `text` are its own; `wait_s` is how long it asks to be left alone.

    `moved_to` is the id by which the chat goes from now on, where it has a new one.
    """

    def __init__(self, code: int, text: str, *, wait_s: float = 0.0, moved_to: int | None = None) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.wait_s = wait_s
        self.moved_to = moved_to

    @property
    def token_is_wrong(self) -> bool:
        """No bot has that token (any more); an odd one is not even found."""
        return self.code in (401, 404)

    @property
    def cannot_parse(self) -> bool:
        return self.code == 400 and _CANNOT_PARSE in self.text.lower()

    @property
    def message_at_fault(self) -> bool:
        """Another message may be taken; else a refusal is of the chat."""
        return any(fault in self.text.lower() for fault in (*_MESSAGE_AT_FAULT, _CANNOT_PARSE))


class BotUnreachable(TrailingEdgeError):
    """Nobody answered, or somebody who is not well: worth another try."""


class Connector:
    """Opens clients for one base URL."""

    def __init__(self, base_url: str) -> None:
        # A proxy of the environment is for the world outside; it cannot know our loopback.
        self._trust_env = not is_loopback_url(base_url)
        self._context: ssl.SSLContext | None = None
        self._opening = asyncio.Lock()

    async def __call__(self) -> "httpx.AsyncClient":
        async with self._opening:
            # In a thread: to load the library and the certificates takes longer than a beat may wait.
            return await asyncio.to_thread(self._open)

    def _open(self) -> "httpx.AsyncClient":
        import httpx

        if self._context is None:
            self._context = httpx.create_ssl_context(trust_env=self._trust_env)
            # The library loads its half only with a first connection: one to nobody, so that it is not ours.
            asyncio.run(_knock(httpx.AsyncClient(verify=self._context, trust_env=False)))
        return httpx.AsyncClient(verify=self._context, trust_env=self._trust_env)


async def _knock(client: "httpx.AsyncClient") -> None:
    """A connection to a port where there can be nobody."""
    async with client:
        with contextlib.suppress(Exception):
            await client.get("http://127.0.0.1:0/")


class BotApiClient:
    """Asks one question at a time, over a client that is opened when it is needed."""

    def __init__(self, base_url: str, token: str, connect: Connect) -> None:
        self.server_time_s: float | None = None  # Telegram's own time at its last answer, in seconds since 1970
        self._token = token
        self._address = f"{base_url.rstrip('/')}/bot{quote(token, safe=':')}/"
        self._connect = connect
        self._client: httpx.AsyncClient | None = None

    async def call(self, method: str, fields: Mapping[str, object], patience_s: float) -> Any:
        """The result of `method`, within `patience_s` and a little. Raises BotRefused and BotUnreachable."""
        try:
            async with asyncio.timeout(patience_s + _GRACE_S):
                return await self._ask(method, fields, patience_s)
        except TimeoutError:
            trouble = f"no answer within {patience_s:g} s"
        except BotUnreachable as unreachable:
            trouble = str(unreachable)
        await self.close()
        raise BotUnreachable(trouble)

    async def close(self) -> None:
        """Let go of the connection; the next question opens another."""
        client, self._client = self._client, None
        if client is not None:
            # Whatever goes wrong with a connection that nobody needs any more is nobody's concern.
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_HUNG_UP_WITHIN_S):
                    await client.aclose()

    async def _ask(self, method: str, fields: Mapping[str, object], patience_s: float) -> Any:
        try:
            if self._client is None:
                _silence_addresses()
                self._client = await self._connect()
            async with self._client.stream(
                "POST", self._address + method, json=fields, timeout=patience_s, headers={"Accept-Encoding": "identity"}
            ) as response:
                body = await _whole_body(response)
        except Exception as failure:  # noqa: BLE001 - sockets, TLS, proxies, names: there is one remedy for all of it
            # Without its cause, whose request bears the token.
            raise BotUnreachable(self._reason(failure)) from None
        self.server_time_s = _date(response) or self.server_time_s
        return _result(response.status_code, body)

    def _reason(self, failure: Exception) -> str:
        said = str(failure).replace(self._token, "[token]").replace(quote(self._token), "[token]")
        return f"{type(failure).__name__}: {said[:_SHOWN]}" if said else type(failure).__name__


async def _whole_body(response: "httpx.Response") -> bytes:
    """What was answered. Raises BotUnreachable for more than any answer is, packed or not."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise BotUnreachable("an answer packed as nobody asked for")
    body = b""
    async for part in response.aiter_bytes():
        body += part
        if len(body) > _MOST_BYTES:
            raise BotUnreachable(f"an answer of more than {_MOST_BYTES} bytes")
    return body


def _result(status: int, answer: bytes) -> Any:
    """What the Bot API's envelope holds. Raises BotRefused and BotUnreachable."""
    try:
        body = json.loads(answer)
    except (ValueError, RecursionError):  # somebody between us and Telegram
        raise BotUnreachable(f"HTTP status {status}") from None
    if not isinstance(body, dict) or not isinstance(body.get("ok"), bool):
        raise BotUnreachable(f"HTTP status {status}, and not in the words of the Bot API")
    if body["ok"]:
        return body.get("result")
    code = _whole(body.get("error_code")) or status
    text = str(body.get("description", "no description"))[:_SHOWN]
    if code >= 500:
        raise BotUnreachable(f"{code} {text}")
    parameters = body.get("parameters")
    told = parameters if isinstance(parameters, dict) else {}
    wait_s = float(min(max(_whole(told.get("retry_after")) or 0, 0), _LONGEST_WAIT_S))
    raise BotRefused(code, text, wait_s=wait_s, moved_to=_whole(told.get("migrate_to_chat_id")))


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _date(response: "httpx.Response") -> float | None:
    try:
        return parsedate_to_datetime(response.headers["date"]).timestamp()
    except (KeyError, ValueError):
        return None


def _silence_addresses() -> None:
    """The library logs addresses, and so the token, at INFO and DEBUG."""
    for name in _ADDRESS_LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))
