"""The daemon-thread executor: a job that hangs delays neither another job nor the end."""

import asyncio
import threading

import pytest

from trailingedge.core.background import DaemonThreadExecutor


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
