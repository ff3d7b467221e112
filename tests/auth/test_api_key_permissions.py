"""Permissions of the API key: the query, and the problems and warnings that follow."""

import asyncio
import base64
import contextlib
import gzip
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from trailingedge.auth import api_key_permissions
from trailingedge.auth.api_key_permissions import Permissions, assess, base_url, fetch_permissions, read_permissions
from trailingedge.auth.manager import KeyManager
from trailingedge.core.errors import ConfigError, OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost
from trailingedge.simulator.virtual_loop import VirtualClock, run_virtual

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = KeyManager.from_private_key(PRIVATE, "THE-API-KEY")
NOW_MS = 1_783_000_000_000
URL = "https://api.example"
# The exchange's own example, as a trader's key should be.
GOOD = {
    "ipRestrict": True,
    "createTime": 1698645219000,
    "enableInternalTransfer": False,
    "enableFutures": False,
    "enablePortfolioMarginTrading": False,
    "enableVanillaOptions": False,
    "permitsUniversalTransfer": False,
    "enableReading": True,
    "enableSpotAndMarginTrading": True,
    "enableWithdrawals": False,
    "enableMargin": False,
}


def asked(respond: Callable[[httpx.Request], httpx.Response]) -> Permissions:
    """Return the permissions read from an exchange that responds like that."""
    return asyncio.run(fetch_permissions(KEYS, URL, NOW_MS, transport=httpx.MockTransport(respond)))


def permissions_with(**changes: Any) -> Permissions:
    return asked(lambda _: httpx.Response(200, json=GOOD | changes))


def test_the_request_is_signed_as_it_is_sent() -> None:
    requests = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json=GOOD)

    asked(respond)
    (request,) = requests
    assert (request.method, request.url.path) == ("GET", "/sapi/v1/account/apiRestrictions")
    assert request.headers["X-MBX-APIKEY"] == "THE-API-KEY"
    query = request.url.query.decode()
    payload, _, encoded = query.partition("&signature=")
    assert payload == f"recvWindow=5000&timestamp={NOW_MS}"
    assert not set("+/=") & set(encoded)
    signature = dict(parse_qsl(query))["signature"]
    PRIVATE.public_key().verify(base64.b64decode(signature), payload.encode())


def test_a_key_that_reads_and_trades_from_one_address_is_fine() -> None:
    assert permissions_with() == Permissions(trading=True, withdrawals=False, transfers=False, ip_restricted=True)
    assert assess(permissions_with()) == api_key_permissions.PermissionCheck()


@pytest.mark.parametrize(
    ("changes", "problem", "remedy"),
    [
        pytest.param({"enableWithdrawals": True}, "may withdraw", '"Enable Withdrawals" off', id="it may withdraw"),
        pytest.param(
            {"enableSpotAndMarginTrading": False},
            "may not trade",
            '"Enable Spot & Margin Trading" on',
            id="it may not trade",
        ),
    ],
)
def test_dangerous_permissions_are_problems(changes: dict[str, bool], problem: str, remedy: str) -> None:
    (said,) = assess(permissions_with(**changes)).problems
    assert problem in said
    assert remedy in said


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        pytest.param({"ipRestrict": False}, "works from every IP address", id="from everywhere"),
        pytest.param({"permitsUniversalTransfer": True}, "may transfer funds", id="it may transfer"),
        pytest.param({"enableInternalTransfer": True}, "may transfer funds", id="it may transfer to a sub-account"),
    ],
)
def test_needless_permissions_are_warnings(changes: dict[str, bool], warning: str) -> None:
    check = assess(permissions_with(**changes))
    assert check.problems == ()
    assert warning in " ".join(check.warnings)


@pytest.mark.parametrize(
    ("response", "trouble"),
    [
        pytest.param(
            httpx.Response(400, json={"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}),
            RequestRefused,
            id="refused",
        ),
        pytest.param(httpx.Response(404, text="<html>"), ProtocolViolation, id="no such page"),
        pytest.param(httpx.Response(503, text=""), ProtocolViolation, id="down"),
        pytest.param(httpx.Response(302, headers={"Location": URL}), ProtocolViolation, id="sent elsewhere"),
        pytest.param(httpx.Response(200, text="yes"), ProtocolViolation, id="no JSON"),
        pytest.param(httpx.Response(200, json=[]), ProtocolViolation, id="no object"),
        pytest.param(httpx.Response(200, json={}), ProtocolViolation, id="nothing told"),
    ],
)
def test_an_unreadable_reply_is_an_error(response: httpx.Response, trouble: type[Exception]) -> None:
    with pytest.raises(trouble):
        asked(lambda _: response)


async def test_a_redirect_of_the_query_is_refused_and_names_the_host() -> None:
    async with Http(GOOD) as other, Http({}, f"302 Found\r\nLocation: {other.url}/stolen") as exchange:
        with pytest.raises(ProtocolViolation, match=r"HTTP 302: a redirect to host 127\.0\.0\.1 is not followed"):
            await fetch_permissions(KEYS, exchange.url, NOW_MS)
        assert "X-MBX-APIKEY" in exchange.request
        assert other.request == ""


@given(status=st.sampled_from([200, 400, 500]), body=st.binary() | st.text().map(json.dumps).map(str.encode))
def test_any_reply_is_read_or_refused(status: int, body: bytes) -> None:
    with pytest.raises((RequestRefused, ProtocolViolation)):
        api_key_permissions.read_permissions(status, body)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        pytest.param(httpx.ConnectError("unreachable"), "the exchange cannot be reached", id="no connection"),
        pytest.param(httpx.ReadTimeout("slow"), "no reply within 10 s", id="too slow"),
        pytest.param(httpx.LocalProtocolError("Illegal header value b'THE-API-KEY'"), "LocalProtocolError", id="key"),
    ],
)
def test_an_error_text_has_no_key(failure: Exception, words: str) -> None:
    def respond(_: httpx.Request) -> httpx.Response:
        raise failure

    with pytest.raises(OutcomeUnknown) as caught:
        asked(respond)
    assert str(caught.value) == words
    assert caught.value.__context__ is None  # a traceback would quote it


def test_a_key_that_no_header_can_carry_is_not_shown() -> None:
    keys = KeyManager.from_private_key(PRIVATE, "THE-KEY…")
    with pytest.raises(OutcomeUnknown, match="UnicodeEncodeError"):
        asyncio.run(fetch_permissions(keys, URL, NOW_MS, transport=httpx.MockTransport(lambda _: httpx.Response(200))))


async def test_a_request_that_cannot_be_signed_is_not_sent() -> None:
    async def sign(_: bytes) -> str:
        raise SessionLost("the signing process ended with code -9 and gave no signature")

    def respond(_: httpx.Request) -> httpx.Response:
        raise AssertionError("sent")

    keys = KeyManager(lambda: contextlib.nullcontext(sign), "THE-API-KEY")
    with pytest.raises(OutcomeUnknown, match="the signing process ended"):
        await fetch_permissions(keys, URL, NOW_MS, transport=httpx.MockTransport(respond))


async def test_the_query_has_a_timeout() -> None:
    async def hang(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(OutcomeUnknown, match="no reply within"):
        await fetch_permissions(KEYS, URL, NOW_MS, transport=httpx.MockTransport(hang), timeout_s=0.01)


@pytest.mark.parametrize(
    ("parts", "headers", "words"),
    [
        pytest.param([b" " * (1 << 16)] * 32, {}, "the reply is larger than 1 MB", id="2 MiB"),
        pytest.param([b" "] * 10_000, {}, "the reply comes in more than 2000 pieces", id="in tiny pieces"),
        pytest.param(
            [gzip.compress(json.dumps(GOOD).encode())],
            {"Content-Encoding": "gzip"},
            "the reply is compressed, although an uncompressed one was requested",
            id="compressed",
        ),
    ],
)
def test_a_reply_that_could_fill_the_memory_is_not_read(
    parts: list[bytes], headers: dict[str, str], words: str
) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for part in parts:
            read += 1
            yield part

    with pytest.raises(ProtocolViolation) as refused:
        asked(lambda _: httpx.Response(200, content=body(), headers=headers))
    assert str(refused.value) == words
    assert read < len(parts)


def test_an_uncompressed_reply_is_requested() -> None:
    requests = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json=GOOD)

    asked(respond)
    assert requests[0].headers["Accept-Encoding"] == "identity"


def test_a_reply_that_trickles_ends_with_the_timeout() -> None:
    async def trickle() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(1.0)
            yield b" "

    async def play(clock: VirtualClock) -> float:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, content=trickle()))
        with pytest.raises(OutcomeUnknown, match="no reply within 10 s"):
            await fetch_permissions(KEYS, URL, NOW_MS, transport=transport)
        return clock.now_s()

    assert run_virtual(play, start_unix_ms=NOW_MS) == 10.0


async def test_over_the_network_neither_key_nor_signature_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with Http(GOOD | {"ipRestrict": False}) as exchange:
        (warning,) = await api_key_permissions.verify(KEYS, exchange.url, NOW_MS)
    assert "works from every IP address" in warning
    assert "THE-API-KEY" in exchange.request
    assert "THE-API-KEY" not in caplog.text
    assert "signature" not in caplog.text


async def test_a_dangerous_key_ends_the_start() -> None:
    async with Http(GOOD | {"enableWithdrawals": True, "enableSpotAndMarginTrading": False}) as exchange:
        with pytest.raises(ConfigError) as refused:
            await api_key_permissions.verify(KEYS, exchange.url, NOW_MS)
    assert len(refused.value.problems) == 2


async def test_an_unreachable_exchange_does_not_end_the_start() -> None:
    async with Http(GOOD) as exchange:
        pass
    (warning,) = await api_key_permissions.verify(KEYS, exchange.url, NOW_MS)
    assert "permissions of the API key unknown: the exchange cannot be reached" in warning


@pytest.mark.parametrize(
    ("mode", "ws_api_url", "expected"),
    [
        pytest.param("live", None, "https://api.binance.com", id="live"),
        pytest.param("live", "wss://elsewhere/ws-api/v3", None, id="an address of one's own"),
        pytest.param("testnet", None, None, id="testnet"),
        pytest.param("demo", None, None, id="demo"),
        pytest.param("sim", None, None, id="sim"),
    ],
)
def test_only_the_live_exchange_is_queried(mode: str, ws_api_url: str | None, expected: str | None) -> None:
    assert base_url(mode, ws_api_url) == expected


class Http:
    """Loopback HTTP server that sends one response to every request and keeps the request."""

    def __init__(self, answer: object, status: str = "200 OK") -> None:
        self.request = ""
        self.url = ""
        self._status = status
        self._body = json.dumps(answer).encode()

    async def __aenter__(self) -> "Http":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.request = (await reader.readuntil(b"\r\n\r\n")).decode()
        head = f"HTTP/1.1 {self._status}\r\nContent-Length: {len(self._body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + self._body)
        writer.close()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(GOOD | {"enableWithdrawals": True}, id="yes"),
        pytest.param(GOOD | {"enableWithdrawals": "true"}, id="yes in letters"),
        pytest.param(GOOD | {"enableWithdrawals": 1}, id="yes as a number"),
        pytest.param({"enableWithdrawals": True}, id="yes and nothing else"),
    ],
)
def test_any_value_but_false_means_that_the_key_may_withdraw(answer: dict[str, object]) -> None:
    check = assess(read_permissions(200, json.dumps(answer).encode()))
    assert "may withdraw" in check.problems[0]


def test_missing_permissions_are_warnings() -> None:
    check = assess(read_permissions(200, b'{"enableWithdrawals": false}'))
    assert check.problems == ()
    assert any("does not report" in warning for warning in check.warnings)
