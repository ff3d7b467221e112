"""The daemon-thread executor: a job that hangs delays neither another job nor the end."""

import asyncio
import threading

import pytest

from trailingedge.core import background_threads
from trailingedge.core.background_threads import LONGEST_S, PORTION_S, REST_S, DaemonThreadExecutor, GilYielder


def in_a_loop(job: object) -> None:
    """Run `job` as the program does, to the end of the loop and of its executor."""

    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(DaemonThreadExecutor())
        await job()  # type: ignore[operator]

    asyncio.run(main())


def test_a_result_and_a_failure_come_back() -> None:
    async def job() -> None:
        assert await asyncio.to_thread(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)

    in_a_loop(job)


def test_what_hangs_holds_up_neither_another_job_nor_the_end() -> None:
    released = threading.Event()

    async def job() -> None:
        hanging = [asyncio.create_task(asyncio.to_thread(released.wait)) for _ in range(100)]
        assert await asyncio.to_thread(lambda: "done") == "done"
        for task in hanging:
            task.cancel()
        await asyncio.wait(hanging)

    in_a_loop(job)
    assert not released.is_set()
    released.set()


class Watch:
    """A clock wound by hand, on which a rest takes no time."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.rests: list[float] = []

    def perf_counter(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.rests.append(seconds)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(background_threads, "time", watch)
    return watch


def test_there_is_a_rest_after_each_portion(watch: Watch) -> None:
    work = GilYielder()
    for _ in range(40):
        work.maybe_yield()
        watch.now_s += PORTION_S * 0.26
    assert watch.rests == [REST_S] * 10


def test_who_has_waited_begins_with_a_rest(watch: Watch) -> None:
    work = GilYielder()
    work.maybe_yield()
    watch.now_s += 10.0
    work.maybe_yield()
    assert watch.rests == [REST_S, REST_S]


def test_while_the_event_loop_sleeps_there_are_fewer_rests(watch: Watch) -> None:
    asleep = True
    work = GilYielder(lambda: asleep)
    for _ in range(40):
        work.maybe_yield()
        watch.now_s += LONGEST_S / 9.9
    assert watch.rests == [REST_S] * 4
    asleep = False
    work.maybe_yield()
    assert watch.rests == [REST_S] * 5
