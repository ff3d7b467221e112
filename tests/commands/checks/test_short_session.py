"""Short-lived API session: how it is opened, lost and closed."""

import asyncio

import pytest
from tests.websocket.fake_sockets import MemoryDial, MemorySocket, run_ready_tasks

from trailingedge.commands.checks.check_target import CheckTools
from trailingedge.commands.checks.short_session import open_session
from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import OutcomeUnknown, SessionLost
from trailingedge.websocket.account import ServerClock

URL = "wss://exchange.example/ws-api/v3"


async def test_a_failure_to_connect_names_the_address_and_keeps_the_wait() -> None:
    async def dial(_: str) -> MemorySocket:
        raise SessionLost("HTTP 429", wait_s=7.0)

    clock = ManualClock()
    with pytest.raises(SessionLost) as lost:
        async with open_session(URL, CheckTools(dial, clock), ServerClock(clock)):
            raise AssertionError("opened")
    assert (str(lost.value), lost.value.wait_s) == (f"{URL}: HTTP 429", 7.0)


async def test_a_request_gets_its_reply_and_the_end_of_the_block_closes_the_connection() -> None:
    clock, dial = ManualClock(), MemoryDial()
    async with open_session(URL, CheckTools(dial, clock), ServerClock(clock)) as api:
        call = asyncio.create_task(api.call("time"))
        await run_ready_tasks()
        dial.newest.reply(0, {"serverTime": 5})
        assert await call == {"serverTime": 5}
        assert not dial.newest.closed
    assert dial.urls == [URL]
    assert dial.newest.closed


async def test_a_lost_connection_fails_the_pending_request_and_all_later_ones() -> None:
    clock, dial = ManualClock(), MemoryDial()
    async with open_session(URL, CheckTools(dial, clock), ServerClock(clock)) as api:
        call = asyncio.create_task(api.call("time"))
        await run_ready_tasks()
        dial.newest.drop("closed 1006")
        with pytest.raises((OutcomeUnknown, SessionLost)):
            await call
        with pytest.raises(SessionLost):
            await api.call("time")
    assert dial.newest.closed
    assert len(dial.sockets) == 1
