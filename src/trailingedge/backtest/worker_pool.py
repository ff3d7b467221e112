"""Worker pool: runs many independent computations, in this process or in several.

Results do not depend on the number of processes.
"""

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing.synchronize import Event
from typing import Any, Final, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

StopCheck = Callable[[], bool]

_POLL_S: Final = 0.2  # how often the stop request is checked
_QUEUED_PER_WORKER: Final = 2  # items submitted per worker: one that runs and one that waits

_stop: Event | None = None  # of this process, if it is a worker


def stop_requested() -> bool:
    """Whether the main process has asked this worker to stop. A computation that can end early polls this."""
    return _stop is not None and _stop.is_set()


def run_in_processes(
    compute: Callable[[Item], Result | None],
    items: Sequence[Item],
    jobs: int,
    done: Callable[[Item, Result], None],
    stopped: StopCheck,
) -> None:
    """Compute each item in one of `jobs` processes, and report each result through `done`, in any order.

    After a stop request no further item is begun. `compute` must be a function at module level, or a
    `functools.partial` of one; it returns None if it ended early.
    """
    # "spawn" is the only start method that every platform has, and the only safe one beside threads.
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker, initargs=(stop,)) as pool:

        def submit(item: Item) -> Any:
            with sigint_ignored():  # it may start a worker, and Ctrl-C must not hit that before its initializer has run
                return pool.submit(compute, item)

        def finished(waiting: Iterable[Any]) -> Iterable[Any]:
            if stopped():
                stop.set()
            return wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED).done

        run_queued(
            items,
            jobs,
            submit=submit,
            finished=finished,
            result=lambda future: future.result(),
            done=done,
            stopped=stopped,
        )


def run_queued(
    items: Sequence[Item],
    jobs: int,
    *,
    submit: Callable[[Item], Any],
    finished: Callable[[Iterable[Any]], Iterable[Any]],
    result: Callable[[Any], Result | None],
    done: Callable[[Item, Result], None],
    stopped: StopCheck,
) -> None:
    """Submit the items to some workers, and report each result through `done`.

    At most one item per worker waits to be begun, so that a stop request takes effect soon.
    """
    # Submitting all items at once would be simpler, but a stop request would have to wait for all of them.
    ahead: Iterator[Item] = iter(items)
    waiting: dict[Any, Item] = {}
    while True:
        room = 0 if stopped() else jobs * _QUEUED_PER_WORKER - len(waiting)
        for item in islice(ahead, room):
            waiting[submit(item)] = item
        if not waiting:
            return
        for future in finished(tuple(waiting)):
            item, outcome = waiting.pop(future), result(future)
            if outcome is not None:
                done(item, outcome)


@contextlib.contextmanager
def sigint_ignored() -> Iterator[None]:
    """Ignore SIGINT inside the block. A process started inside also ignores it, until it sets its own handler."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _start_worker(stop: Event) -> None:
    """Ignore SIGINT in a worker: Ctrl-C reaches all processes of a terminal; only the main process acts on it."""
    global _stop  # noqa: PLW0603  # a worker is a process of its own, and gets the event only here
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
