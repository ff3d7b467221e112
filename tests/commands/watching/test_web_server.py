"""Tests of the live page's server: who is let in, what the page may do, and that it can only look."""

import asyncio
import contextlib
import json
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest
from tests.commands.watching.feeds import Daemon, daemon_at, log
from tests.limits import PATIENCE_S
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from trailingedge.commands.watching.web_server import forward_command, serve_page
from trailingedge.live.control_socket import NoRunningDaemon

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no such sockets")


class Served:
    """A page that is served: its port and its path."""

    def __init__(self, said: Sequence[str], daemon: Daemon) -> None:
        found = re.fullmatch(r"live page: http://127\.0\.0\.1:(\d+)(/[\w-]{32}/)", said[0])
        assert found is not None
        self.port, self.path = int(found[1]), found[2]
        self.host = f"127.0.0.1:{self.port}"
        self.said = said
        self.daemon = daemon

    async def ask(self, path: str, method: str = "GET", host: str | None = None) -> tuple[int, dict[str, str], str]:
        """Status, headers and body of an answer; status 0 if the connection was closed without one."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host or self.host}\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
        writer.close()
        head, _, body = answer.decode().partition("\r\n\r\n")
        first, *rest = head.split("\r\n")
        headers = dict(field.split(": ", 1) for field in rest)
        return int(first.split()[1]) if first else 0, headers, body

    def feed(self, origin: str | None = None, path: str | None = None) -> connect:
        return connect(
            f"ws://{self.host}{self.path if path is None else path}feed",
            origin=f"http://{self.host}" if origin is None else origin,  # type: ignore[arg-type]  # a NewType of str
            proxy=None,
        )


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    said: list[str] = []
    ready = asyncio.Event()

    def show(text: str) -> None:
        said.append(text)
        if "read-only" in text:
            ready.set()

    async with daemon_at(tmp_path / "s") as daemon:
        serving = asyncio.create_task(serve_page([tmp_path / "s"], 0, {}, show, lambda _: None))
        await asyncio.wait_for(ready.wait(), PATIENCE_S)
        yield Served(said, daemon)
        serving.cancel()
        await asyncio.wait([serving])


async def test_the_page_is_whole_and_may_load_and_connect_to_nothing_else(served: Served) -> None:
    status, headers, body = await served.ask(served.path)
    assert status == 200
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == f"ws://{served.host}"
    assert policy["script-src"].startswith("'sha256-")
    assert "unsafe" not in str(policy)
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "{{" not in body
    assert re.findall(r"https?://\S*", body) == [
        "https://github.com/leeoniya/uPlot"
    ]  # where the chart library comes from
    assert re.findall(r"""(?:src|href)=|\bstyle=|\bon\w+=["']""", body) == []


async def test_two_servers_have_two_addresses(served: Served) -> None:
    assert len(served.path) == 34
    assert served.said[1].startswith("the page is read-only")


@pytest.mark.parametrize("path", ["/", "/feed", "/x/", f"/{'A' * 32}/", f"/{'A' * 32}/feed"])
async def test_without_the_token_there_is_nothing(served: Served, path: str) -> None:
    status, _, body = await served.ask(path)
    assert (status, "<html" in body) == (404, False)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example:80", "[::1]:80", "127.0.0.1"]
)
async def test_a_foreign_host_is_refused(served: Served, host: str) -> None:
    assert (await served.ask(served.path, host=host))[0] == 403


async def test_a_forwarded_port_is_fine(served: Served) -> None:
    status, headers, _ = await served.ask(served.path, host="localhost:9999")
    assert status == 200
    assert "connect-src ws://localhost:9999" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
async def test_only_get_is_answered(served: Served, method: str) -> None:
    assert (await served.ask(served.path, method))[0] in (0, 405)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", ""])
async def test_a_feed_for_another_page_is_refused(served: Served, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with served.feed(origin=origin):
            pass
    assert refused.value.response.status_code == 403


async def test_what_is_refused_is_said_once_for_each_kind_and_at_most_twenty_times(served: Served) -> None:
    before = len(served.said)
    for number in range(22):
        await served.ask("/x/")
        await served.ask(served.path, host=f"evil{number}.example")
    said = served.said[before:]
    assert said[0] == "request refused: not found; use the address that trailing-edge watch --web has printed"
    assert said[1] == "request refused, Host evil0.example: this page is only served to this machine"
    assert len(said) == len(set(said)) == 20


async def test_a_page_of_another_origin_is_named(served: Served) -> None:
    with pytest.raises(InvalidStatus):
        async with served.feed(origin="http://evil.example"):
            pass
    assert served.said[-1] == "request refused, Origin http://evil.example: this feed is only for its own page"


async def test_a_feed_without_the_token_is_refused(served: Served) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with served.feed(path="/wrong/"):
            pass
    assert refused.value.response.status_code == 404


async def test_the_daemons_lines_are_relayed_as_they_come_and_its_end_is_said(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trailingedge.commands.watching.subscription.RETRY_S", 0.0)
    async with served.feed() as feed, asyncio.timeout(PATIENCE_S):
        assert json.loads(await feed.recv())["type"] == "state"
        served.daemon.send(log("ready"))
        assert json.loads(await feed.recv())["text"] == "ready"
        served.daemon.kill()
        assert json.loads(await feed.recv())["type"] == "gone"
        assert json.loads(await feed.recv())["type"] == "state"  # it listens still, as one that was started again


async def _read_to_the_end(feed: ClientConnection) -> None:
    while True:
        await feed.recv()


async def test_a_page_that_says_anything_is_closed_and_nothing_reaches_the_daemon(served: Served) -> None:
    async with served.feed() as feed, asyncio.timeout(PATIENCE_S):
        await feed.recv()
        await feed.send('{"command":"flip"}')
        with pytest.raises(ConnectionClosed) as closed:
            await _read_to_the_end(feed)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "this feed is read-only")
    assert served.daemon.heard == []


async def test_without_a_daemon_nothing_is_served(tmp_path: Path) -> None:
    with pytest.raises(NoRunningDaemon):
        await serve_page([tmp_path / "none"], 0, {}, lambda _: None, lambda _: None)


async def test_a_port_that_is_taken_is_an_error(served: Served, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="address already in use"):
        await serve_page([tmp_path / "s"], served.port, {}, lambda _: None, lambda _: None)


@pytest.mark.parametrize(
    ("environ", "command"),
    [
        pytest.param({}, None, id="no ssh"),
        pytest.param({"SSH_CONNECTION": "odd"}, None, id="odd"),
        pytest.param(
            {"SSH_CONNECTION": "10.0.0.9 5555 203.0.113.7 22", "USER": "me"},
            "ssh -N -L 8642:127.0.0.1:8642 me@203.0.113.7",
            id="usual",
        ),
        pytest.param(
            {"SSH_CONNECTION": "fe80::1 5555 2001:db8::7 2222"},
            "ssh -N -L 8642:127.0.0.1:8642 -p 2222 2001:db8::7",
            id="another port",
        ),
    ],
)
def test_over_ssh_the_line_that_forwards_the_port_is_known(environ: Mapping[str, str], command: str | None) -> None:
    assert forward_command(environ, 8642) == command
