"""Tasks that run beside a test."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def running_task(job: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Run `job` in a task, which is cancelled and awaited when the block ends. An error of the job is raised there."""
    task = asyncio.create_task(job)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
