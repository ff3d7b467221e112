"""Threads for what blocks and cannot be told to stop: name look-ups above all.

asyncio's own pool is small, so that look-ups which hang hold up others, and its end waits for all of them.
Here each job has a thread of its own, and nobody waits for it: a bot that cannot end because a name server is
silent would be killed, and one that cannot reconnect because another name hangs would lose money.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonThreadExecutor(ThreadPoolExecutor):
    """An executor for asyncio's loop, which takes no other kind."""

    def submit(self, job: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begin `job` at once."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = job(*args, **kwargs)
            except BaseException as failure:  # noqa: BLE001 - whoever waits for it shall judge
                future.set_exception(failure)
            else:
                future.set_result(result)

        threading.Thread(target=work, name="unattended", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing to wait for."""


PORTION_S: Final = 50e-6  # so long, and one line more, may a price wait for its order
REST_S: Final = 50e-6  # the shortest sleep that is one; systems make some more of it


class GilYielder:
    """`breathe` is called after every little piece of work, and rests where a portion is over."""

    def __init__(self) -> None:
        self._began_s = 0.0

    def maybe_yield(self) -> None:
        """Let the loop have its turn, if it has waited for a portion."""
        if time.perf_counter() - self._began_s >= PORTION_S:
            time.sleep(REST_S)
            self._began_s = time.perf_counter()
