"""Fake daemon for `watch`: a control socket whose subscribers get the lines that a test sends."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from trailingedge.live.control_socket import ControlSocket
from trailingedge.live.feed_format import encode, encode_state, line
from trailingedge.model.operator_commands import CommandResult, OperatorCommand

AT = "2026-07-02T13:47:00.000+00:00"
PANEL: dict[str, Any] = {
    "titles": ["sim ETHFDUSD · holding ETH, watching", "sim ETHFDUSD"],
    "title_style": "strong",
    "health": "data 0.1 s old",
    "health_style": "plain",
    "reconnects": 0,
    "pairs": [[["price", "bid 2500.00", "plain"], ["holding", "1.0000 ETH", "plain"]]],
    "rows": [["order", "none", "plain"]],
    "line": "sim ETHFDUSD | holding ETH, watching",
    "price_decimals": 2,
    "levels": [["anchor", "2490.0", "plain"]],
}
STATUS: dict[str, Any] = {"time": AT, "bid": "2500.00"}


def log(text: str, level: str = "INFO", time: str = AT) -> dict[str, Any]:
    return line("log", time=time, level=level, text=text)


def state(*lines: dict[str, Any]) -> bytes:
    """A state with these log lines."""
    fields = line("state", program="1", time=AT, starting=None, status=STATUS, panel=PANEL, orders=[], log=[*lines])
    return encode_state(fields, [f'["{AT}","2499.00",null,null,null,null,null,null,null,false]'])


class Daemon:
    """The daemon's end: what it was told, and a way to send a line to everybody who watches."""

    def __init__(self) -> None:
        self.heard: list[OperatorCommand] = []
        self.first = state()
        self.refusal: CommandResult | None = None
        self.watching = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    def submit(self, command: OperatorCommand, _argument: str = "") -> asyncio.Future[CommandResult]:
        self.heard.append(command)
        reply: asyncio.Future[CommandResult] = asyncio.get_running_loop().create_future()
        reply.set_result(CommandResult(f"{command.value} is done"))
        return reply

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> CommandResult | None:
        if self.refusal is not None:
            return self.refusal
        writer.write(self.first)
        self._writers.add(writer)
        self.watching.set()
        try:
            await reader.read(1)
        finally:
            self._writers.discard(writer)
        return None

    def send(self, fields: dict[str, Any]) -> None:
        for writer in self._writers:
            writer.write(encode(fields))

    def kill(self) -> None:
        """Break all connections off in the middle of a line."""
        for writer in self._writers:
            writer.write(b'{"version":1,"type":"lo')
            writer.close()


@contextlib.asynccontextmanager
async def daemon_at(path: Path) -> AsyncIterator[Daemon]:
    """A daemon that listens at `path`."""
    daemon = Daemon()
    control = ControlSocket(path, daemon.submit, subscription=daemon.serve)
    running = asyncio.create_task(control.run())
    await control.open.wait()
    try:
        yield daemon
    finally:
        running.cancel()
        await asyncio.wait([running])
