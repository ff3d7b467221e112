"""A client of Telegram's Bot API. It sends one request at a time, and no exception shows the token.

The token is part of every URL, so no URL is ever logged and no exception of the HTTP library leaves
this module. After a failure the HTTP client is closed, and the next request opens a new one.
Otherwise a late reply to the failed request could be taken for the reply to the next request.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from trailingedge.core import foreign_json
from trailingedge.core.errors import TrailingEdgeError
from trailingedge.core.foreign_json import UnreadableJson
from trailingedge.core.http_client import UNCOMPRESSED, UnusableReply, read_body, silence_http_library
from trailingedge.core.printable import printable
from trailingedge.core.proxy_environment import HTTPX, find_proxy
from trailingedge.core.redirects import redirect_refusal

if TYPE_CHECKING:
    import ssl

    import httpx

BOT_API: Final = "https://api.telegram.org"
_GRACE_S: Final = 2.0  # the library's time-outs count between bytes, so a slow server could extend them for ever
_CLOSE_TIMEOUT_S: Final = 1.0
_MAX_RETRY_AFTER_S: Final = 3600.0
_MAX_TEXT: Final = 200
_CANNOT_PARSE: Final = "can't parse entities"
_MESSAGE_AT_FAULT: Final = ("message is too long", "text is empty", "text must be", "request entity too large")

Connect = Callable[[], Awaitable["httpx.AsyncClient"]]


class BotRefused(TrailingEdgeError):
    """Telegram refused a request, with `code` and `text`.

    `wait_s` is Telegram's retry_after in seconds, or 0. `moved_to` is the new id of a group that
    became a supergroup.
    """

    def __init__(self, code: int, text: str, *, wait_s: float = 0.0, moved_to: int | None = None) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = printable(text)
        self.wait_s = wait_s
        self.moved_to = moved_to

    @property
    def token_is_wrong(self) -> bool:
        """Whether Telegram rejects the token: 401 if no bot has it, 404 if it is malformed."""
        return self.code in (401, 404)

    @property
    def cannot_parse(self) -> bool:
        return self.code == 400 and _CANNOT_PARSE in self.text.lower()

    @property
    def message_at_fault(self) -> bool:
        """Whether Telegram refused the message because of its content.

        A different message to the chat may then succeed.
        """
        return any(fault in self.text.lower() for fault in (*_MESSAGE_AT_FAULT, _CANNOT_PARSE))


class BotUnreachable(TrailingEdgeError):
    """Telegram sent no reply, an unreadable reply or a server error. Another attempt may succeed."""


class Connector:
    """Opens HTTP clients for one base URL. Raises ConfigError if the environment names a proxy that cannot be used."""

    def __init__(self, base_url: str) -> None:
        self._proxy = find_proxy(base_url, HTTPX)
        self._context: ssl.SSLContext | None = None
        self._opening = asyncio.Lock()

    async def __call__(self) -> "httpx.AsyncClient":
        async with self._opening:
            # In a thread: loading the library and the certificates takes longer than a tick may wait.
            return await asyncio.to_thread(self._open)

    def _open(self) -> "httpx.AsyncClient":
        import httpx

        if self._context is None:
            self._context = httpx.create_ssl_context()
            # The library loads half of its modules with the first connection, which would block the event loop:
            # make one here, in the thread, to a port that cannot answer.
            asyncio.run(_fail_to_connect(httpx.AsyncClient(verify=self._context, trust_env=False)))
        return httpx.AsyncClient(verify=self._context, proxy=self._proxy, trust_env=False, follow_redirects=False)


async def _fail_to_connect(client: "httpx.AsyncClient") -> None:
    """Make the HTTP library load its modules now, by a connection to port 0, which always fails."""
    async with client:
        with contextlib.suppress(Exception):
            await client.get("http://127.0.0.1:0/")


class BotApiClient:
    """Sends one request at a time over an HTTP client that is opened when it is needed."""

    def __init__(self, base_url: str, token: str, connect: Connect) -> None:
        self.server_time_s: float | None = None  # Telegram's time at its last reply, in seconds since 1970
        self._token = token
        self._base_url = base_url
        self._address = f"{base_url.rstrip('/')}/bot{quote(token, safe=':')}/"
        self._connect = connect
        self._client: httpx.AsyncClient | None = None

    async def call(self, method: str, fields: Mapping[str, object], timeout_s: float) -> Any:
        """Call a Bot API method and return its result.

        Raises BotRefused if Telegram refuses the request. Raises BotUnreachable if no usable reply
        comes within `timeout_s` and a small grace.
        """
        try:
            # The library's own time-out ends most requests, with a reason. This one ends those that trickle.
            async with asyncio.timeout(timeout_s + _GRACE_S):
                return await self._post(method, fields, timeout_s)
        except TimeoutError:
            reason = f"no answer within {timeout_s:g} s"
        except BotUnreachable as unreachable:
            reason = str(unreachable)
        await self.close()
        raise BotUnreachable(reason)

    async def close(self) -> None:
        """Close the connection. The next request opens a new one."""
        client, self._client = self._client, None
        if client is not None:
            # The connection is not needed any more, so a failure to close it does not matter.
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await client.aclose()

    async def _post(self, method: str, fields: Mapping[str, object], timeout_s: float) -> Any:
        try:
            if self._client is None:
                silence_http_library()
                self._client = await self._connect()
            async with self._client.stream(
                "POST", self._address + method, json=fields, timeout=timeout_s, headers=UNCOMPRESSED
            ) as response:
                body = await read_body(response)
        except UnusableReply as unusable:
            raise BotUnreachable(str(unusable)) from None
        except Exception as failure:  # noqa: BLE001 - sockets, TLS, proxies, name lookup: all are handled alike
            # `from None` drops the cause, because its request contains the URL with the token.
            raise BotUnreachable(self._reason(failure)) from None
        # The base URL is the reference, since the whole address contains the token.
        redirect = redirect_refusal(response.status_code, self._base_url, response.headers.get("location"))
        if redirect is not None:
            raise BotUnreachable(redirect)
        self.server_time_s = _date(response) or self.server_time_s
        return _result(response.status_code, body)

    def _reason(self, failure: Exception) -> str:
        # Exceptions of the library quote URLs, raw and percent-encoded.
        text = str(failure).replace(self._token, "[token]").replace(quote(self._token), "[token]")
        return f"{type(failure).__name__}: {text[:_MAX_TEXT]}" if text else type(failure).__name__


def _result(status: int, answer: bytes) -> Any:
    """Return the `result` field of a Bot API reply.

    Raises BotRefused if Telegram refused the request. Raises BotUnreachable for a server error, and
    for a body that is no Bot API reply.
    """
    try:
        body = foreign_json.parse(answer)
    except UnreadableJson:  # a proxy's page, not Telegram's reply
        raise BotUnreachable(f"HTTP status {status}") from None
    if not isinstance(body, dict) or not isinstance(body.get("ok"), bool):
        raise BotUnreachable(f"HTTP status {status}, not a reply of the Bot API")
    if body["ok"]:
        return body.get("result")
    code = _whole(body.get("error_code")) or status
    text = printable(str(body.get("description", "no description")), _MAX_TEXT)
    # A server error says nothing about the chat or the message.
    if code >= 500:
        raise BotUnreachable(f"{code} {text}")
    parameters = body.get("parameters")
    details = parameters if isinstance(parameters, dict) else {}
    # A reply may come from a proxy or an attacker: its numbers are bounded, so that no alert waits for a year.
    wait_s = float(min(max(_whole(details.get("retry_after")) or 0, 0), _MAX_RETRY_AFTER_S))
    raise BotRefused(code, text, wait_s=wait_s, moved_to=_whole(details.get("migrate_to_chat_id")))


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _date(response: "httpx.Response") -> float | None:
    try:
        return parsedate_to_datetime(response.headers["date"]).timestamp()
    except (KeyError, ValueError):
        return None
