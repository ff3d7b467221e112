import asyncio
from random import Random

import pytest

from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import SessionLost
from trailingedge.simulator import transports
from trailingedge.simulator.api.session import CloseConnection
from trailingedge.simulator.transports import Delay, MemorySocket, OutgoingQueue, read_from_memory, write_to_memory


async def test_frames_in_memory_arrive_in_order_and_then_the_end() -> None:
    clock = ManualClock()
    queue, socket = OutgoingQueue(clock), MemorySocket(clock)
    for text in ("one", "two"):
        queue.send(text)
    queue.close(1008, "enough")
    await write_to_memory(queue, socket, Delay(clock, lambda: 0.0))
    assert [await socket.recv(), await socket.recv()] == ["one", "two"]
    for _ in range(2):
        with pytest.raises(SessionLost):
            await socket.recv()
    with pytest.raises(SessionLost):
        socket.send("anybody there?")


async def test_a_client_is_never_called_within_its_own_call() -> None:
    clock = ManualClock()
    socket = MemorySocket(clock)
    received: list[str] = []
    reader = asyncio.create_task(read_from_memory(socket, Delay(clock, lambda: 0.0), received.append))
    socket.send("hello")
    assert received == []
    await socket.close()
    await reader
    assert received == ["hello"]


async def test_closing_wakes_a_waiting_recv_and_may_be_repeated() -> None:
    socket = MemorySocket(ManualClock())
    waiting = asyncio.create_task(socket.recv())
    await asyncio.sleep(0)
    await socket.close()
    await socket.close()
    with pytest.raises(SessionLost):
        await waiting
    with pytest.raises(SessionLost):
        await socket.recv()


async def test_frames_under_way_never_overtake_one_another() -> None:
    clock, chance = ManualClock(), Random(4)
    arrivals: list[tuple[float, str]] = []
    socket = MemorySocket(clock)
    delay = Delay(clock, lambda: chance.uniform(0.0, 1.0))
    reader = asyncio.create_task(read_from_memory(socket, delay, lambda text: arrivals.append((clock.now_s(), text))))
    for number in range(20):
        socket.send(str(number))
        await clock.advance(0.1)
    await socket.close()
    await clock.advance(2.0)
    await reader
    assert [text for _, text in arrivals] == [str(number) for number in range(20)]
    assert all(number * 0.1 <= at_s <= number * 0.1 + 1.0 for number, (at_s, _) in enumerate(arrivals))


async def test_a_frame_too_large_to_read_ends_the_connection() -> None:
    clock = ManualClock()
    queue, socket = OutgoingQueue(clock), MemorySocket(clock)
    for text in ("whole", "x" * (transports.MAX_FRAME_CHARS + 1)):
        queue.send(text)
    queue.close(1000, "")
    await write_to_memory(queue, socket, Delay(clock, lambda: 0.0))
    assert await socket.recv() == "whole"
    with pytest.raises(SessionLost):
        await socket.recv()


async def test_a_queue_counts_what_its_connection_has_not_taken() -> None:
    clock = ManualClock()
    queue, socket = OutgoingQueue(clock), MemorySocket(clock)
    queue.send("frame")
    assert (queue.queued, queue.unsent) == (1, 1)
    writer = asyncio.create_task(write_to_memory(queue, socket, Delay(clock, lambda: 0.0)))
    assert await socket.recv() == "frame"
    assert (queue.queued, queue.unsent) == (1, 0)
    queue.close(1000, "")
    await writer


async def test_a_client_that_reads_too_slowly_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transports, "MAX_QUEUED_FRAMES", 3)  # lowered, so that the test need not send 50,000 frames
    queue = OutgoingQueue(ManualClock())
    for _ in range(9):
        queue.send("frame")
    assert [(await queue.take())[1] for _ in range(4)] == ["frame"] * 3 + [CloseConnection(1008, "too slow")]
