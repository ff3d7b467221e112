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
    line, socket = OutgoingQueue(clock), MemorySocket(clock)
    for text in ("one", "two"):
        line.send(text)
    line.close(1008, "enough")
    await write_to_memory(line, socket, Delay(clock, lambda: 0.0))
    assert [await socket.recv(), await socket.recv()] == ["one", "two"]
    for _ in range(2):
        with pytest.raises(SessionLost):
            await socket.recv()
    with pytest.raises(SessionLost):
        socket.send("anybody there?")


async def test_nobody_is_called_back_in_the_middle_of_his_own_sentence() -> None:
    clock = ManualClock()
    socket = MemorySocket(clock)
    heard: list[str] = []
    reader = asyncio.create_task(read_from_memory(socket, Delay(clock, lambda: 0.0), heard.append))
    socket.send("hello")
    assert heard == []
    await socket.close()
    await reader
    assert heard == ["hello"]


async def test_closing_wakes_who_waits_and_may_be_repeated() -> None:
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
    line, socket = OutgoingQueue(clock), MemorySocket(clock)
    for text in ("whole", "x" * (transports.MAX_FRAME_CHARS + 1)):
        line.send(text)
    line.close(1000, "")
    await write_to_memory(line, socket, Delay(clock, lambda: 0.0))
    assert await socket.recv() == "whole"
    with pytest.raises(SessionLost):
        await socket.recv()


async def test_a_mark_is_answered_after_what_was_sent_before_it() -> None:
    clock = ManualClock()
    line, socket = OutgoingQueue(clock), MemorySocket(clock)
    line.send("frame")
    mark = line.flush_marker()
    line.close(1000, "")
    assert not mark.done()
    await write_to_memory(line, socket, Delay(clock, lambda: 0.0))
    assert mark.done()


async def test_who_reads_too_slowly_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transports, "MOST_UNSENT", 3)  # a number, so that the test need not send so many
    line = OutgoingQueue(ManualClock())
    for _ in range(9):
        line.send("frame")
    assert [(await line.take())[1] for _ in range(4)] == ["frame"] * 3 + [CloseConnection(1008, "too slow")]
