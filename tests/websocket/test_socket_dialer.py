"""Transport: real sockets on the loopback, backoff, and the limit for unreadable frames."""

import asyncio
import logging
import ssl
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from random import Random
from typing import Any

import pytest
from tests.core.connect_proxy import refusing_proxy
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import InvalidProxy
from websockets.version import version as library_version

from trailingedge.core.errors import ConfigError, ExchangeUnreachable, LogonRefused, ProtocolViolation, SessionLost
from trailingedge.websocket import socket_dialer
from trailingedge.websocket.socket_dialer import Backoff, ViolationCount, dial, is_tested_version, run_together, shown


class Top(Random):
    """Random generator that always draws the longest pause."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


async def test_certificates_are_loaded_once_and_always_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    contexts: list[ssl.SSLContext | None] = []

    class Connect:
        def __init__(self, _: str, **options: Any) -> None:
            contexts.append(options["ssl"])
            raise OSError("nobody is there")

    monkeypatch.setattr(socket_dialer, "_ConnectWithoutRedirects", Connect)
    for url in ("wss://stream.example/ws", "wss://api.example/ws-api/v3", "ws://127.0.0.1:9"):
        with pytest.raises(SessionLost, match="nobody is there"):
            await dial(url)
    first, second, plain = contexts
    assert first is not None
    assert first is second
    assert (first.verify_mode, first.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert plain is None


def test_pauses_double_up_to_the_maximum() -> None:
    backoff = Backoff(1.0, 60.0, 0, Top())
    assert [backoff.next_delay_s(0.0, "") for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_healthy_minute_resets_the_count() -> None:
    backoff = Backoff(1.0, 60.0, 0, Top())
    for _ in range(5):
        backoff.next_delay_s(59.9, "")
    assert backoff.next_delay_s(60.0, "") == 1.0


def test_jitter_covers_everything_from_zero_to_the_full_pause() -> None:
    backoff = Backoff(1.0, 8.0, 0, Random(1))
    for _ in range(4):
        backoff.next_delay_s(0.0, "")
    waits = [backoff.next_delay_s(0.0, "") for _ in range(200)]
    assert min(waits) < 1
    assert max(waits) > 7


def test_retries_can_be_unlimited() -> None:
    backoff = Backoff(1.0, 60.0, 0, Top())
    for _ in range(5000):
        assert backoff.next_delay_s(0.0, "") <= 60.0


def test_retries_are_used_up_with_the_reason() -> None:
    backoff = Backoff(1.0, 60.0, 2, Top())
    backoff.next_delay_s(0.0, "")
    backoff.next_delay_s(0.0, "")
    with pytest.raises(ExchangeUnreachable, match="refused; given up after 2"):
        backoff.next_delay_s(0.0, "refused")


def test_unlimited_retries_do_not_raise() -> None:
    backoff = Backoff(1.0, 60.0, 1, Top())
    assert [backoff.next_delay_s(0.0, "", unlimited=True) for _ in range(3)] == [1, 2, 4]
    with pytest.raises(ExchangeUnreachable):
        backoff.next_delay_s(0.0, "")


@pytest.mark.parametrize(("lived_s", "healthy", "next_s"), [(59.9, False, 4), (60.0, True, 1)])
def test_a_connection_is_healthy_after_a_minute(lived_s: float, healthy: bool, next_s: float) -> None:
    backoff = Backoff(1.0, 60.0, 0, Top())
    backoff.next_delay_s(0.0, "")
    backoff.next_delay_s(0.0, "")
    assert backoff.reset_if_healthy(lived_s) is healthy
    assert backoff.next_delay_s(0.0, "") == next_s


@pytest.mark.parametrize("lived_s", [600.0, 86_400.0])
def test_after_ten_healthy_minutes_the_first_pauses_stay_short_and_are_no_retries(lived_s: float) -> None:
    backoff = Backoff(1.0, 60.0, 3, Top())
    assert backoff.next_delay_s(lived_s, "") == 2.0
    assert [backoff.next_delay_s(0.0, "") for _ in range(29)] == [2.0] * 29
    assert [backoff.next_delay_s(0.0, "") for _ in range(3)] == [1, 2, 4]
    with pytest.raises(ExchangeUnreachable):
        backoff.next_delay_s(0.0, "")


def test_short_pauses_are_at_most_the_longest_pause() -> None:
    assert Backoff(1.0, 1.5, 0, Top()).next_delay_s(600.0, "") == 1.5


def test_a_connection_of_less_than_ten_minutes_earns_no_short_pauses() -> None:
    backoff = Backoff(1.0, 60.0, 0, Top())
    assert [backoff.next_delay_s(599.9, ""), *(backoff.next_delay_s(0.0, "") for _ in range(3))] == [1, 2, 4, 8]


def test_a_short_life_does_not_take_the_short_pauses_away() -> None:
    backoff = Backoff(1.0, 60.0, 0, Top())
    backoff.next_delay_s(600.0, "")
    assert [backoff.next_delay_s(5.0, "") for _ in range(5)] == [2.0] * 5


def test_twenty_unreadable_frames_within_a_minute_lose_the_session() -> None:
    count = ViolationCount()
    for second in range(19):
        count.add(ProtocolViolation("garbage"), float(second))
    with pytest.raises(SessionLost, match="20 unreadable frames"):
        count.add(ProtocolViolation("garbage"), 60.0)


def test_twenty_unreadable_frames_over_a_longer_time_are_tolerated() -> None:
    count = ViolationCount()
    for number in range(100):
        count.add(ProtocolViolation("garbage"), number * 3.2)


@pytest.mark.parametrize("name", ["signature", "apiKey"])
def test_secrets_are_not_shown(name: str) -> None:
    assert shown(f'{{"{name}": "c2VjcmV0", "timestamp": 5}}') == f'{{"{name}":"…", "timestamp": 5}}'


async def fail(error: Exception) -> None:
    raise error


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def test_the_most_severe_error_is_raised_without_its_group() -> None:
    with pytest.raises(LogonRefused):
        await run_together(fail(SessionLost("closed")), fail(LogonRefused("no")), forever())
    with pytest.raises(SessionLost):
        await run_together(fail(SessionLost("closed")), forever())


@asynccontextmanager
async def echo_server() -> AsyncIterator[tuple[Server, str]]:
    """Server that echoes each message and closes on "bye"."""

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            if message == "bye":
                await connection.close(1008, "Too many requests")
            else:
                await connection.send(message)

    async with serve(echo, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield server, f"ws://127.0.0.1:{port}/ws"


@pytest.mark.parametrize("low_latency", [True, False], ids=["low latency", "library"])
async def test_a_real_socket_exchanges_frames_and_reports_why_it_was_closed(low_latency: bool) -> None:
    received: list[str] = []

    def on_frames(frames: Sequence[str | bytes]) -> None:
        for frame in frames:
            received.append(frame if isinstance(frame, str) else frame.decode())
            socket.send("bye")

    async with echo_server() as (_, url):
        socket = await dial(url, low_latency=low_latency)
        socket.send("hello")
        with pytest.raises(SessionLost, match="closed 1008 Too many requests"):
            await socket.receive(on_frames)
        with pytest.raises(SessionLost):
            socket.send("anybody there?")
        await socket.close()
    assert received == ["hello"]


@pytest.mark.parametrize("low_latency", [True, False], ids=["low latency", "library"])
async def test_receive_raises_what_the_handler_raises(low_latency: bool) -> None:
    def on_frames(_: Sequence[str | bytes]) -> None:
        raise SessionLost("revoked")

    async with echo_server() as (_, url):
        socket = await dial(url, low_latency=low_latency)
        socket.send("hello")
        with pytest.raises(SessionLost, match="revoked"):
            await socket.receive(on_frames)
        await socket.close()


@pytest.mark.parametrize("low_latency", [True, False], ids=["low latency", "library"])
async def test_a_cancelled_receive_delivers_nothing_more(low_latency: bool) -> None:
    received: list[str | bytes] = []
    async with echo_server() as (_, url):
        socket = await dial(url, low_latency=low_latency)
        listening = asyncio.create_task(socket.receive(received.extend))
        await asyncio.sleep(0)
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening
        with suppress(SessionLost):
            socket.send("hello")
        await socket.close()
    assert received == []


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("15.0", True),
        ("15.0.1", True),
        ("16.9", True),
        ("17.4", True),
        ("17.4.1", True),
        ("14.2", False),
        ("17.5", False),
        ("18.0", False),
        ("17", False),
        ("17.x", False),
        ("next", False),
        ("", False),
    ],
)
def test_only_tested_versions_of_the_library_are_accepted(version: str, known: bool) -> None:
    assert is_tested_version(version) is known


async def test_a_library_that_is_not_known_is_used_by_its_public_methods_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(socket_dialer, "library_version", "17.5")
    monkeypatch.setitem(sys.modules, "trailingedge.websocket.low_latency_transport", None)  # an import would fail
    caplog.set_level(logging.INFO)
    received: list[str | bytes] = []

    def on_frames(frames: Sequence[str | bytes]) -> None:
        received.extend(frames)
        socket.send("bye")

    async with echo_server() as (_, url):
        for _ in range(2):
            socket = await dial(url)
            socket.send("hello")
            with pytest.raises(SessionLost, match="closed 1008 Too many requests"):
                await socket.receive(on_frames)
            await socket.close()
    assert received == ["hello", "hello"]
    assert [line for line in caplog.messages if "17.5" in line] == [
        "low-latency receiving is off, because this version of the websockets package was not tested version=17.5"
    ]


def test_the_installed_library_is_a_tested_version() -> None:
    assert is_tested_version(library_version)


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1/ws", "ws://[::1]:1", "ws://localhost:1", "nonsense"])
async def test_a_failed_dial_raises_session_lost(url: str) -> None:
    with pytest.raises(SessionLost):
        await dial(url)


@pytest.mark.parametrize(
    ("answer", "wait_s"),
    [
        pytest.param("403 Forbidden\r\n", 0.0, id="forbidden"),
        pytest.param("418 Teapot\r\nRetry-After: 120\r\n", 120.0, id="banned"),
        pytest.param("429 Too Many Requests\r\nRetry-After: 7\r\n", 7.0, id="too many requests"),
        pytest.param("429 Too Many Requests\r\nRetry-After: soon\r\n", 0.0, id="nonsense"),
    ],
)
async def test_a_refused_handshake_raises_session_lost_with_the_wait(answer: str, wait_s: float) -> None:
    async with refusing_server(answer) as url:
        with pytest.raises(SessionLost) as lost:
            await dial(url)
    assert lost.value.wait_s == wait_s


@asynccontextmanager
async def refusing_server(head: str) -> AsyncIterator[str]:
    """Server that answers every handshake with this status line and these headers."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {head}Content-Length: 0\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws-api/v3"


def redirecting_server(status: int, location: str) -> AbstractAsyncContextManager[str]:
    """Server that answers every handshake with a redirect."""
    return refusing_server(f"{status} Moved\r\nLocation: {location}\r\n")


@pytest.mark.parametrize("low_latency", [True, False], ids=["low latency", "library"])
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_a_redirected_handshake_is_refused_and_its_target_is_never_dialled(
    status: int, low_latency: bool
) -> None:
    dialled: list[str] = []

    async def note(connection: ServerConnection) -> None:
        dialled.append(connection.request.path if connection.request else "")

    async with serve(note, "127.0.0.1", 0) as other:
        port = next(iter(other.sockets)).getsockname()[1]
        async with redirecting_server(status, f"ws://localhost:{port}/stolen") as url:
            with pytest.raises(SessionLost, match=rf"HTTP {status}.* host localhost is not followed"):
                await dial(url, low_latency=low_latency)
    assert dialled == []


async def test_a_redirect_from_an_encrypted_to_a_plain_address_names_the_host_too() -> None:
    async with redirecting_server(302, "http://evil.example/ws") as url:
        with pytest.raises(SessionLost, match=r"HTTP 302: .* host evil\.example is not followed"):
            await dial(url)


@pytest.mark.parametrize("low_latency", [True, False])
async def test_a_connection_goes_through_the_proxy_of_the_environment(
    low_latency: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with refusing_proxy() as (proxy, requests):
        monkeypatch.setenv("ALL_PROXY", proxy)
        with pytest.raises(SessionLost, match="403"):
            await dial("wss://exchange.example/ws", low_latency=low_latency)
    assert requests == ["CONNECT exchange.example:443 HTTP/1.1"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("https_proxy", "me:pa55word@10.1.1.1:3128", "https_proxy is ***@10.1.1.1:3128: it has no scheme"),
        ("ALL_PROXY", "socks5://10.1.1.1:1080", "ALL_PROXY is socks5://10.1.1.1:1080: a SOCKS proxy needs the package"),
        ("NO_PROXY", "[::1]", "NO_PROXY has the entry [::1]"),
    ],
)
async def test_a_wrong_proxy_is_no_lost_connection(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as wrong:
        await dial("wss://exchange.example/ws")
    assert said in str(wrong.value)
    assert "pa55word" not in str(wrong.value)


@pytest.mark.parametrize("error", [ImportError("no such module"), InvalidProxy("http://me:pa55word@x", "odd")])
async def test_a_proxy_that_the_library_refuses_is_a_problem_without_its_password(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect(_: str, **__: Any) -> None:
        raise error

    monkeypatch.setattr(socket_dialer, "_ConnectWithoutRedirects", connect)
    with pytest.raises(ConfigError, match=r"the proxy for wss://exchange\.example cannot be used") as wrong:
        await dial("wss://exchange.example")
    assert "pa55word" not in str(wrong.value)
