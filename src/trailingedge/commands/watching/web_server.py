"""The live page: one HTML page on 127.0.0.1, and a WebSocket that relays the daemon's lines to it. Read-only.

Theory of operation. Each page that connects gets a subscription of its own on the control socket. The lines go to the
page unchanged, one at a time. If a page reads too slowly, the daemon leaves out lines of that page's subscription.
Nothing that a page sends reaches the daemon; a page that sends anything is disconnected.

Protection: the server listens on the loopback only. The address has a random token, which no other user of the machine
and no other page knows. A request whose `Host` is not the loopback is refused, so that a page of a foreign domain name
that resolves to this address gets nothing (DNS rebinding). A WebSocket whose `Origin` is not this page is refused, too.
The content security policy allows the page to load nothing, and to connect only to its own feed. The terminal shows
what was refused, each kind once.
"""

import asyncio
import contextlib
import hmac
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from html import escape
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Final

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from trailingedge.commands.watching.subscription import Subscription, SubscriptionRefused
from trailingedge.core.printable import printable
from trailingedge.live import feed_format
from trailingedge.live.control_socket import NoRunningDaemon
from trailingedge.live.feed_format import FeedLine
from trailingedge.report.page_assets import chart_script, hash_source, stylesheet

ADDRESS: Final = "127.0.0.1"
MAX_PAGES: Final = 6  # the daemon has eight places for subscribers
_NAMES: Final = ("127.0.0.1", "localhost")  # of the loopback, with any port: ssh may forward another one
_POLICY_VIOLATION: Final = 1008
_TRY_AGAIN_LATER: Final = 1013
_FRAME_BYTES: Final = 1024  # of a page, which has nothing to say
_MAX_SAID: Final = 20  # kinds of refused requests: what strangers send must not fill the terminal
_LONGEST_QUOTED: Final = 80


class WebPage:
    """Answers requests for the page, and relays the lines of the daemon at `places` to each page that is open.

    `show` is called with a text on each kind of refused request.
    """

    def __init__(self, places: Sequence[Path], token: str, show: Callable[[str], None]) -> None:
        self._places = places
        self._show = show
        self._said: set[str] = set()
        self._page_path = f"/{token}/"
        self._feed_path = f"/{token}/feed"
        self._open = 0

    def respond(self, _: ServerConnection, request: Request) -> Response | None:
        """Return the page or a refusal; None for the WebSocket of the page."""
        host = request.headers.get_all("Host")
        if len(host) != 1 or host[0].rpartition(":")[0] not in _NAMES:
            return self._refuse(HTTPStatus.FORBIDDEN, "this page is only served to this machine", "Host", host)
        if getattr(request, "method", "GET") != "GET":  # versions of the library that read GET alone do not name it
            return self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "this page is read-only")
        # Compared in a time that says nothing about how much of the token is right.
        path = request.path.encode(errors="replace")
        if hmac.compare_digest(path, self._feed_path.encode()):
            origin = request.headers.get_all("Origin")
            if origin != [f"http://{host[0]}"]:
                return self._refuse(HTTPStatus.FORBIDDEN, "this feed is only for its own page", "Origin", origin)
            return None
        if hmac.compare_digest(path, self._page_path.encode()):
            return _page(host[0])
        reason = "not found; use the address that trailing-edge watch --web has printed"
        return self._refuse(HTTPStatus.NOT_FOUND, reason)

    def _refuse(self, status: HTTPStatus, reason: str, header: str = "", values: Sequence[str] = ()) -> Response:
        """Return a refusal, and print it together with the request header that caused it."""
        named = f", {header} {printable(', '.join(values), _LONGEST_QUOTED) or 'missing'}" if header else ""
        said = f"request refused{named}: {reason}"
        if said not in self._said and len(self._said) < _MAX_SAID:
            self._said.add(said)
            self._show(said)
        return _refusal(status, reason)

    async def feed(self, connection: ServerConnection) -> None:
        """Relay the daemon's lines to one page until the page disconnects."""
        if self._open >= MAX_PAGES:
            await connection.close(_TRY_AGAIN_LATER, "too many pages are open")
            return
        self._open += 1
        relaying = asyncio.create_task(Subscription(self._places, _Relay(connection)).run())
        speaking = asyncio.create_task(_wait_for_word(connection))
        try:
            await asyncio.wait([relaying, speaking], return_when=asyncio.FIRST_COMPLETED)
            failure = relaying.exception() if relaying.done() else None
            if isinstance(failure, NoRunningDaemon | SubscriptionRefused):
                await connection.close(_TRY_AGAIN_LATER, str(failure)[:100])
            else:
                await connection.close(_POLICY_VIOLATION, "this feed is read-only")
        finally:
            self._open -= 1
            for task in (relaying, speaking):
                task.cancel()
            await asyncio.wait([relaying, speaking])


class _Relay:
    """Passes each line of a subscription to a page."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def on_line(self, fields: FeedLine, text: bytes) -> None:  # noqa: ARG002 - relayed as it came
        await self._send(text)

    async def on_lost(self, reason: str) -> None:
        await self._send(feed_format.encode(feed_format.line("gone", reason=reason)))

    async def _send(self, text: bytes) -> None:
        await self._connection.send(text.decode())


async def _wait_for_word(connection: ServerConnection) -> None:
    """Wait until the page sends something or disconnects."""
    with contextlib.suppress(ConnectionClosed):
        await connection.recv()


def _refusal(status: HTTPStatus, reason: str) -> Response:
    body = f"{reason}\n".encode()
    return Response(status, status.phrase, _headers("text/plain", body, "default-src 'none'"), body)


def _page(host: str) -> Response:
    script = f"{chart_script()}\n{_resource('page.js')}"
    style = f"{stylesheet()}\n{_resource('page.css')}"
    body = _resource("page.html").replace("{{style}}", style).replace("{{script}}", script).encode()
    policy = (
        f"default-src 'none'; script-src {hash_source(script)}; style-src {hash_source(style)}; "
        f"connect-src ws://{escape(host)}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Response(HTTPStatus.OK, "OK", _headers("text/html", body, policy), body)


def _headers(kind: str, body: bytes, policy: str) -> Headers:
    return Headers(
        {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",  # the address holds the token
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-store",
            "Connection": "close",
        }
    )


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


async def serve_page(
    places: Sequence[Path],
    port: int,
    environ: Mapping[str, str],
    show: Callable[[str], None],
    _stop: Callable[[str], None],
) -> None:
    """Serve the page until cancelled. `show` gets the lines with its address.

    Raises OSError if the port cannot be opened, NoRunningDaemon if no daemon answers at any of `places`.
    """
    await _check_daemon(places)
    token = secrets.token_urlsafe(24)
    page = WebPage(places, token, show)
    quiet = logging.getLogger(f"{__name__}.handshakes")
    quiet.disabled = True  # the page says itself what it refuses, and a handler of last resort would print more
    async with serve(
        page.feed, ADDRESS, port, process_request=page.respond, max_size=_FRAME_BYTES, compression=None, logger=quiet
    ) as server:
        bound = server.sockets[0].getsockname()[1]
        show(f"live page: http://{ADDRESS}:{bound}/{token}/")
        show(
            "the page is read-only, and anyone with this address can see it: keep the address secret. Ctrl-C ends "
            "the page, not the daemon"
        )
        forward = forward_command(environ, bound)
        if forward is not None:
            show(f"from your own machine, forward the port first: {forward}")
        await asyncio.Event().wait()


async def _check_daemon(places: Sequence[Path]) -> None:
    """Raise NoRunningDaemon or SubscriptionRefused if no daemon can be shown."""
    first = asyncio.Event()

    class First:
        async def on_line(self, fields: FeedLine, text: bytes) -> None:  # noqa: ARG002
            first.set()

        async def on_lost(self, reason: str) -> None:
            raise NoRunningDaemon(reason)

    trying = asyncio.create_task(Subscription(places, First()).run())
    waiting = asyncio.create_task(first.wait())
    await asyncio.wait([trying, waiting], return_when=asyncio.FIRST_COMPLETED)
    for task in (trying, waiting):
        task.cancel()
    await asyncio.wait([trying, waiting])
    if trying.done() and not trying.cancelled():
        trying.result()


def forward_command(environ: Mapping[str, str], port: int) -> str | None:
    """Return the SSH command by which the user's own machine can reach `port`; None without an SSH session.

    Source: ssh(1). SSH_CONNECTION has the client's address and port, followed by the server's.
    """
    parts = environ.get("SSH_CONNECTION", "").split()
    if len(parts) != 4:
        return None
    address, ssh_port = parts[2:]
    user = environ.get("USER") or environ.get("LOGNAME")
    options = "" if ssh_port == "22" else f" -p {ssh_port}"
    target = f"{user}@{address}" if user else address
    return f"ssh -N -L {port}:{ADDRESS}:{port}{options} {target}"
