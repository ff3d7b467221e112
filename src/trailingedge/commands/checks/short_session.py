"""Short-lived API session: the connection of a command that sends a few queries to the exchange and ends.

It is not supervised: a lost connection is not opened again. It is not replaced after some hours either, because the
exchange keeps a connection for 24 hours.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from trailingedge.commands.checks.check_target import CheckTools
from trailingedge.core.errors import SessionLost
from trailingedge.websocket.account import ServerClock
from trailingedge.websocket.api_connection import ApiSession


@contextlib.asynccontextmanager
async def open_session(url: str, tools: CheckTools, server_clock: ServerClock) -> AsyncIterator[ApiSession]:
    """Connect to the WebSocket API at `url`, without a logon. The connection is closed when the `with` block ends.

    Raises SessionLost, which names the URL, if it cannot be opened. If it is lost later, pending requests fail.
    """
    try:
        socket = await tools.dial(url)
    except SessionLost as lost:
        # The address is what a person has to compare with the settings.
        raise SessionLost(f"{url}: {lost}", lost.wait_s) from lost
    api = ApiSession(
        socket,
        tools.clock,
        lambda _: None,  # the connection is closed long before a planned rotation
        on_open=_do_nothing,
        on_watch=_do_nothing,
        server_ms=server_clock.now_ms,
    )
    try:
        async with background(_run_session(api)):
            yield api
    finally:
        await socket.close()


@contextlib.asynccontextmanager
async def background(job: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `job` in a task that is cancelled when the `with` block ends. `job` must not raise."""
    task = asyncio.create_task(job)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _run_session(api: ApiSession) -> None:
    try:
        await api.run()
    except SessionLost as lost:
        api.on_lost(lost)  # fails the requests that still wait for an answer


async def _do_nothing(_: ApiSession) -> None:
    """Do nothing. A supervisor calls this hook to log on; the code that opens a short session logs on itself."""
