"""Stop request: the first one counts, and it interrupts work that waits."""

import asyncio

import pytest

from trailingedge.core.errors import ExitCode
from trailingedge.live.stop_request import StopRequest


class Node:
    """What a stop request tells its node."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.ticks = 0
        self.stop = StopRequest(self.reasons.append, self._tick)

    def _tick(self) -> None:
        self.ticks += 1

    async def wait_for_ever(self) -> None:
        await asyncio.Event().wait()


def test_only_the_first_request_counts() -> None:
    node = Node()
    node.stop.request("quit")
    node.stop.request("SIGTERM", ExitCode.HALTED)
    assert (node.stop.reason, node.stop.code) == ("quit", ExitCode.OK)
    assert (node.reasons, node.ticks) == (["quit"], 1)


async def test_a_request_interrupts_work_that_waits() -> None:
    node = Node()
    asyncio.get_running_loop().call_soon(node.stop.request, "quit")
    assert not await node.stop.interrupts(node.wait_for_ever)


async def test_after_a_request_no_work_begins() -> None:
    node = Node()
    node.stop.request("quit")
    begun: list[str] = []

    async def work() -> None:
        begun.append("work")

    assert not await node.stop.interrupts(work)
    assert begun == []


async def test_work_that_ends_by_itself_is_not_interrupted() -> None:
    node = Node()

    async def work() -> None:
        await asyncio.sleep(0)

    assert await node.stop.interrupts(work)
    assert node.reasons == []


async def test_a_timeout_of_the_work_itself_is_raised() -> None:
    node = Node()

    async def work() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await node.stop.interrupts(work)
