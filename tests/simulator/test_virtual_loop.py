import asyncio
import logging
import random
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from trailingedge.core.clock import Clock
from trailingedge.simulator.virtual_loop import Deadlock, NotVirtual, VirtualClock, VirtualLoop, run_virtual

START_MS = 1_783_000_000_000


def test_hours_pass_in_a_moment() -> None:
    async def main(clock: VirtualClock) -> tuple[float, int]:
        for _ in range(24 * 60):
            await clock.sleep(60.0)
        return clock.now_s(), clock.unix_ms()

    began_s = time.thread_time()
    assert run_virtual(main, start_unix_ms=START_MS) == (86_400.0, START_MS + 86_400_000)
    assert time.thread_time() - began_s < 2.0


def test_the_virtual_clock_is_a_clock() -> None:
    clock: Clock = VirtualClock(VirtualLoop(), START_MS)
    assert (clock.now_s(), clock.unix_ms()) == (0.0, START_MS)


def test_time_stands_still_while_anything_is_ready() -> None:
    async def main(clock: VirtualClock) -> float:
        timer = asyncio.ensure_future(clock.sleep(1.0))
        for _ in range(10_000):
            await asyncio.sleep(0)
        before_s = clock.now_s()
        await timer
        return before_s

    assert run_virtual(main, start_unix_ms=0) == 0.0


def test_equal_deadlines_fire_in_the_order_in_which_they_were_set() -> None:
    async def main(clock: VirtualClock) -> list[int]:
        fired: list[int] = []
        loop = asyncio.get_running_loop()
        for number in range(500):
            loop.call_at(5.0, fired.append, number)
        await clock.sleep(5.0)
        return fired

    assert run_virtual(main, start_unix_ms=0) == list(range(500))


def test_deadlines_fire_by_time_and_cancelled_ones_not_at_all() -> None:
    async def main(clock: VirtualClock) -> list[int]:
        fired: list[int] = []
        loop = asyncio.get_running_loop()
        deadlines = [7, 3, 9, 1, 3, 5]
        timers = [loop.call_later(deadline, fired.append, deadline) for deadline in deadlines]
        timers[2].cancel()
        await clock.sleep(20.0)
        return fired

    assert run_virtual(main, start_unix_ms=0) == [1, 3, 3, 5, 7]


def test_a_deadline_in_the_past_fires_now_and_does_not_turn_time_back() -> None:
    async def main(clock: VirtualClock) -> float:
        await clock.sleep(10.0)
        fired = asyncio.Event()
        asyncio.get_running_loop().call_at(3.0, fired.set)
        await fired.wait()
        return clock.now_s()

    assert run_virtual(main, start_unix_ms=0) == 10.0


def test_cancelled_timeouts_leave_nothing_in_memory() -> None:
    async def main(_: VirtualClock) -> int:
        loop = asyncio.get_running_loop()
        for _turn in range(20_000):
            async with asyncio.timeout(30.0):
                await asyncio.sleep(0)
        assert isinstance(loop, VirtualLoop)
        return len(loop._timers)

    assert run_virtual(main, start_unix_ms=0) < 3_000


def test_a_timeout_fires_at_its_time() -> None:
    async def main(clock: VirtualClock) -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await asyncio.Event().wait()
        return clock.now_s()

    assert run_virtual(main, start_unix_ms=0) == 2.5


async def trace(clock: VirtualClock, seed: int) -> list[str]:
    """Tasks that use a queue, an event and timeouts; one line for each thing that happens."""
    chance = random.Random(seed)
    lines: list[str] = []
    queue: asyncio.Queue[int] = asyncio.Queue(maxsize=3)
    opened = asyncio.Event()

    async def put(number: int) -> None:
        for item in range(20):
            await clock.sleep(chance.choice((0.0, 0.5, 0.5, 1.0)))
            await queue.put(number * 100 + item)

    async def take(number: int) -> None:
        await opened.wait()
        while True:
            try:
                async with asyncio.timeout(0.5):
                    item = await queue.get()
            except TimeoutError:
                lines.append(f"{clock.now_s()} {number} waited")
                if clock.now_s() > 30.0:
                    return
            else:
                lines.append(f"{clock.now_s()} {number} took {item}")

    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(put(number))
            group.create_task(take(number))
        await clock.sleep(3.0)
        opened.set()
    return lines


@pytest.mark.parametrize("seed", range(5))
def test_the_same_program_takes_the_same_course(seed: int) -> None:
    first, again = (run_virtual(lambda clock: trace(clock, seed), start_unix_ms=0) for _ in range(2))
    assert first == again
    assert any("took" in line for line in first)


async def order_of_cancels_in_a_task_group() -> list[int]:
    ended: list[int] = []

    async def wait(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    async def fail() -> None:
        raise ValueError("enough")

    async def fail_among_others() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(wait(number))
            await asyncio.sleep(0)
            group.create_task(fail())

    with pytest.raises(ExceptionGroup):
        await fail_among_others()
    return ended


async def order_of_a_set_of_tasks() -> list[int]:
    async def number_of(number: int) -> int:
        await asyncio.sleep(0)
        return number

    done, _ = await asyncio.wait([asyncio.ensure_future(number_of(number)) for number in range(100)])
    return [task.result() for task in done]


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(order_of_cancels_in_a_task_group, id="TaskGroup"),
        pytest.param(order_of_a_set_of_tasks, id="wait"),
    ],
)
def test_sets_of_tasks_iterate_by_age_not_by_address(order: Callable[[], Awaitable[list[int]]]) -> None:
    async def main(_: VirtualClock) -> list[int]:
        return await order()

    first = run_virtual(main, start_unix_ms=0)
    litter = [object() for _ in range(1000)]  # moves the next allocations to other addresses
    assert run_virtual(main, start_unix_ms=0) == first
    assert sorted(first) == list(range(100))
    del litter


def test_a_deadlock_names_the_tasks_and_where_they_wait() -> None:
    async def forgotten() -> None:
        await asyncio.Event().wait()

    async def main(_: VirtualClock) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(forgotten(), name="the forgotten one")

    with pytest.raises(Deadlock, match=r"nothing is ready .* the forgotten one in Event.wait \(locks.py:\d+\)"):
        run_virtual(main, start_unix_ms=0)


def test_tasks_left_behind_are_ended_oldest_first() -> None:
    ended: list[str] = []

    async def linger(name: str, clock: VirtualClock) -> None:
        try:
            await clock.sleep(3600.0)
        finally:
            await clock.sleep(1.0)
            ended.append(name)

    async def main(clock: VirtualClock) -> list[asyncio.Task[None]]:
        left = [asyncio.ensure_future(linger(name, clock)) for name in "abc"]
        await clock.sleep(1.0)
        return left

    assert all(task.cancelled() for task in run_virtual(main, start_unix_ms=0))
    assert ended == ["a", "b", "c"]


def test_generators_left_behind_are_closed() -> None:
    ended: list[str] = []

    async def numbers() -> AsyncIterator[int]:  # an asynchronous generator with something to clean up
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(1.0)
            ended.append("numbers")

    async def main(_: VirtualClock) -> object:
        left = numbers()
        assert await anext(left) == 1
        return left

    run_virtual(main, start_unix_ms=0)
    assert ended == ["numbers"]


def test_what_main_raises_comes_out() -> None:
    async def main(_: VirtualClock) -> None:
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        run_virtual(main, start_unix_ms=0)


async def open_a_socket() -> None:
    await asyncio.open_connection("127.0.0.1", 1)


async def start_a_thread() -> None:
    await asyncio.to_thread(print)


async def resolve_a_name() -> None:
    await asyncio.get_running_loop().getaddrinfo("localhost", 80)


async def start_a_process() -> None:
    await asyncio.create_subprocess_exec("true")


async def handle_a_signal() -> None:
    asyncio.get_running_loop().add_signal_handler(2, print)


@pytest.mark.parametrize(
    ("reach", "what"),
    [
        pytest.param(open_a_socket, "sockets", id="socket"),
        pytest.param(start_a_thread, "threads", id="thread"),
        pytest.param(resolve_a_name, "name resolution", id="name"),
        pytest.param(start_a_process, "subprocesses", id="process"),
        pytest.param(handle_a_signal, "signals", id="signal"),
    ],
)
def test_sockets_threads_and_signals_are_refused(reach: Callable[[], Awaitable[None]], what: str) -> None:
    async def main(_: VirtualClock) -> None:
        await reach()

    with pytest.raises(NotVirtual, match=f"no {what} under the virtual loop"):
        run_virtual(main, start_unix_ms=0)


def test_another_thread_may_not_call_in() -> None:
    refusals: list[Exception] = []

    async def main(_: VirtualClock) -> None:
        loop = asyncio.get_running_loop()

        def call_in() -> None:
            try:
                loop.call_soon_threadsafe(print)
            except NotVirtual as refusal:
                refusals.append(refusal)

        thread = threading.Thread(target=call_in)
        thread.start()
        thread.join()

    run_virtual(main, start_unix_ms=0)
    assert len(refusals) == 1


async def test_it_does_not_run_inside_another_loop() -> None:
    loop = VirtualLoop()
    with pytest.raises(RuntimeError, match="another event loop is running"):
        loop.run_forever()
    loop.close()


def test_a_callback_that_fails_is_logged_and_the_rest_runs_on(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ValueError("not my day")

    async def main(clock: VirtualClock) -> float:
        asyncio.get_running_loop().call_later(1.0, fail)
        await clock.sleep(2.0)
        return clock.now_s()

    with caplog.at_level(logging.ERROR):
        assert run_virtual(main, start_unix_ms=0) == 2.0
    assert "not my day" in caplog.text


def test_a_closed_loop_takes_no_more_work() -> None:
    loop = VirtualLoop()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon(print)


def test_a_hundred_thousand_iterations_take_about_a_second() -> None:
    async def main(_: VirtualClock) -> None:
        for _turn in range(100_000):
            await asyncio.sleep(0)

    began_s = time.thread_time()  # of the processor's time, so that a busy machine does not count
    run_virtual(main, start_unix_ms=0)
    assert time.thread_time() - began_s < 3.0  # 0.15 s on a plain machine
