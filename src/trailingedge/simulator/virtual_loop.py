"""An event loop in which nobody waits: when nothing is ready, the clock jumps to the next timer.

Hours of daemon and exchange pass in the time their callbacks take, and the same program takes the
same course on every run and every supported Python:

- callbacks run in the order in which they were scheduled; equal deadlines fire in the order in which
  they were set; time stands still while anything is ready;
- a task hashes to its number, so sets of tasks (`TaskGroup`, `asyncio.wait`, `asyncio.all_tasks`)
  iterate by age instead of memory address, and unnamed tasks are numbered per loop;
- nothing here touches the world: sockets, threads, executors, subprocesses and signals are refused.

What this loop cannot mend, avoid in code that runs under it: iterating over sets of plain futures, of
`str` or of objects with the default hash; waiting for the garbage collector to end a generator or to
report a lost exception. `asyncio.gather`, `Queue`, `Event`, `Lock`, `Condition` and `timeout` keep order.
"""

import asyncio
import contextvars
import heapq
import logging
import sys
import threading
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterator
from typing import Any, TypeVar, TypeVarTuple, Unpack

from trailingedge.core.clock import TimerHandle

Result = TypeVar("Result")
Args = TypeVarTuple("Args")

logger = logging.getLogger(__name__)


class Deadlock(RuntimeError):
    """Something waits, nothing is ready and no timer is set: it would wait for ever."""


class NotVirtual(NotImplementedError):
    """The program reached for the world outside: a socket, a thread, a process, a signal."""


class VirtualTask(asyncio.Task[Any]):
    """A task whose hash is its number, so that a set of tasks has an order that repeats."""

    __slots__ = ("_number",)

    def __init__(self, coro: Any, *, number: int, **options: Any) -> None:
        self._number = number  # before the base class puts us into its sets
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self._number


def _refused(what: str) -> Any:
    """A method that says which part of the world was asked for."""

    def refuse(*_: object, **__: object) -> Any:
        raise NotVirtual(f"no {what} under the virtual loop")

    return refuse


class VirtualLoop(asyncio.AbstractEventLoop):
    """The loop itself. Seconds count from 0.0, when it was made; `turns` is how often it has gone round."""

    def __init__(self) -> None:
        self.iterations = 0
        self._now_s = 0.0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timers_set = 0  # breaks ties between equal deadlines
        self._timers_cancelled = 0
        self._tasks: weakref.WeakValueDictionary[int, asyncio.Task[Any]] = weakref.WeakValueDictionary()
        self._tasks_made = 0
        self._generators: dict[int, weakref.ref[AsyncGenerator[Any, Any]]] = {}
        self._generators_made = 0
        self._thread_id = 0
        self._stopping = False
        self._closed = False
        self._debug = False
        self._exception_handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None = None

    # Time

    def time(self) -> float:
        return self._now_s

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Args]], object],
        *args: *Args,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        self._check_open()
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timers_set += 1
        heapq.heappush(self._timers, (when, self._timers_set, timer))
        return timer

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Args]], object],
        *args: *Args,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_soon(
        self,
        callback: Callable[[Unpack[Args]], object],
        *args: *Args,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        self._check_open()
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[Args]], object],
        *args: *Args,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        if self._thread_id and threading.get_ident() != self._thread_id:
            raise NotVirtual("no threads under the virtual loop")
        return self.call_soon(callback, *args, context=context)

    def _timer_handle_cancelled(self, _: asyncio.TimerHandle) -> None:
        """Called by a timer that is cancelled; time-outs that never fire must not fill the memory."""
        self._timers_cancelled += 1
        if self._timers_cancelled > 1000 and self._timers_cancelled * 2 > len(self._timers):
            self._timers = [timer for timer in self._timers if not timer[2].cancelled()]
            heapq.heapify(self._timers)
            self._timers_cancelled = 0

    # Running

    def run_forever(self) -> None:
        self._check_open()
        if self.is_running() or asyncio._get_running_loop() is not None:
            raise RuntimeError("another event loop is running in this thread")
        hooks = sys.get_asyncgen_hooks()
        self._thread_id = threading.get_ident()
        try:
            sys.set_asyncgen_hooks(firstiter=self._generator_started, finalizer=self._generator_dropped)
            asyncio._set_running_loop(self)
            while not self._stopping:
                self._run_iteration()
        finally:
            self._stopping = False
            self._thread_id = 0
            asyncio._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)

    def run_until_complete(self, future: Awaitable[Result] | Generator[Any, None, Result]) -> Result:
        """The result of `future`. Raises Deadlock when it can never have one."""
        self._check_open()
        done: asyncio.Future[Result] = asyncio.ensure_future(future, loop=self)  # type: ignore[arg-type]
        done.add_done_callback(self._stop_with)
        try:
            self.run_forever()
        finally:
            done.remove_done_callback(self._stop_with)
        if not done.done():
            raise RuntimeError("the loop was stopped before the future was done")
        return done.result()

    def _stop_with(self, _: object) -> None:
        self.stop()

    def _run_iteration(self) -> None:
        """Run what is ready now, after a jump to the next timer when nothing is."""
        ready = self._ready
        if not ready:
            self.on_idle()
        timers = self._timers
        while timers and timers[0][0] <= self._now_s:
            ready.append(heapq.heappop(timers)[2])
        self.iterations += 1
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    def on_idle(self) -> None:
        """Nothing is ready: jump to the next timer, or do whatever a loop that derives from this one has to do."""
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not timers:
            raise Deadlock(self._describe_waiting())
        self._now_s = max(self._now_s, timers[0][0])

    def _describe_waiting(self) -> str:
        waiting = ", ".join(f"{task.get_name()} {_place(task)}" for task in self.pending_tasks()) or "no task"
        return f"nothing is ready and no timer is set at {self._now_s:.3f} s; waiting: {waiting}"

    def stop(self) -> None:
        self._stopping = True

    def is_running(self) -> bool:
        return bool(self._thread_id)

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        if self.is_running():
            raise RuntimeError("a running loop cannot be closed")
        self._closed = True
        self._ready.clear()
        self._timers.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the loop is closed")

    # Tasks, futures, generators

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: object = None, **options: Any) -> asyncio.Task[Any]:
        self._check_open()
        self._tasks_made += 1
        number = self._tasks_made
        # Numbered per loop: the process-wide counter behind the default names would differ from run to run.
        label = f"task {number}" if name is None else str(name)
        task = VirtualTask(coro, number=number, loop=self, name=label, **options)
        self._tasks[number] = task
        return task

    def get_task_factory(self) -> None:
        return None

    def pending_tasks(self) -> list[asyncio.Task[Any]]:
        """The tasks that are not done, oldest first."""
        return [task for task in self._tasks.values() if not task.done()]

    def cancel_tasks(self) -> None:
        """Cancel what still runs, oldest first, and see it end."""
        left = self.pending_tasks()
        for task in left:
            task.cancel()
        if left:
            self.run_until_complete(asyncio.wait(left))
        for task in left:
            if not task.cancelled() and (error := task.exception()) is not None:
                self.call_exception_handler(
                    {"message": "a task failed while it was being ended", "exception": error, "task": task}
                )

    def _generator_started(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._generators_made += 1
        number = self._generators_made
        self._generators[number] = weakref.ref(generator, lambda _: self._generators.pop(number, None))

    def _generator_dropped(self, generator: AsyncGenerator[Any, Any]) -> None:
        if not self._closed:
            self.create_task(generator.aclose())

    async def shutdown_asyncgens(self) -> None:
        for reference in list(self._generators.values()):
            if (generator := reference()) is not None:
                await generator.aclose()

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There is none."""

    # Errors

    def get_exception_handler(self) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None:
        return self._exception_handler

    def set_exception_handler(
        self, handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None
    ) -> None:
        self._exception_handler = handler

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        logger.error("%s", context.get("message", "an error without words"), exc_info=context.get("exception"))

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self._exception_handler is None:
            self.default_exception_handler(context)
        else:
            self._exception_handler(self, context)

    def get_debug(self) -> bool:
        return self._debug

    def set_debug(self, enabled: bool) -> None:
        self._debug = enabled

    # The world outside

    getaddrinfo = _refused("name resolution")
    getnameinfo = _refused("name resolution")
    create_connection = _refused("sockets")
    create_server = _refused("sockets")
    create_unix_connection = _refused("sockets")
    create_unix_server = _refused("sockets")
    create_datagram_endpoint = _refused("sockets")
    connect_accepted_socket = _refused("sockets")
    start_tls = _refused("sockets")
    sendfile = _refused("sockets")
    add_reader = _refused("file descriptors")
    remove_reader = _refused("file descriptors")
    add_writer = _refused("file descriptors")
    remove_writer = _refused("file descriptors")
    sock_accept = _refused("sockets")
    sock_connect = _refused("sockets")
    sock_recv = _refused("sockets")
    sock_recv_into = _refused("sockets")
    sock_recvfrom = _refused("sockets")
    sock_recvfrom_into = _refused("sockets")
    sock_sendall = _refused("sockets")
    sock_sendfile = _refused("sockets")
    sock_sendto = _refused("sockets")
    connect_read_pipe = _refused("pipes")
    connect_write_pipe = _refused("pipes")
    subprocess_exec = _refused("subprocesses")
    subprocess_shell = _refused("subprocesses")
    run_in_executor = _refused("threads")
    set_default_executor = _refused("threads")
    add_signal_handler = _refused("signals")
    remove_signal_handler = _refused("signals")
    set_task_factory = _refused("task factories")


def _place(task: asyncio.Task[Any]) -> str:
    """Where the task is suspended: function, file and line of the innermost coroutine."""
    *_, innermost = _chain(task.get_coro())
    frame = getattr(innermost, "cr_frame", None)
    if frame is None:
        return "(not in Python code)"
    return f"in {frame.f_code.co_qualname} ({frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno})"


def _chain(coroutine: object) -> Iterator[object]:
    """`coroutine`, the one it awaits, and so on down."""
    while coroutine is not None:
        yield coroutine
        awaited = getattr(coroutine, "cr_await", None)
        coroutine = awaited if hasattr(awaited, "cr_frame") else None


class VirtualClock:
    """The clock of a virtual loop, which started at `start_unix_ms`."""

    def __init__(self, loop: VirtualLoop, start_unix_ms: int) -> None:
        self._loop = loop
        self._start_unix_ms = start_unix_ms

    def now_s(self) -> float:
        return self._loop.time()

    def unix_ms(self) -> int:
        return self._start_unix_ms + round(self._loop.time() * 1000)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, act: Callable[[], None]) -> TimerHandle:
        return self._loop.call_later(seconds, act)


def run_virtual(
    main: Callable[[VirtualClock], Coroutine[Any, Any, Result]],
    *,
    start_unix_ms: int,
) -> Result:
    """What `main` returns, run on a fresh virtual loop with that loop's clock as its argument.

    Tasks that `main` leaves behind are cancelled, oldest first. Raises what `main` raises, and
    Deadlock, naming the tasks that wait, when they wait for ever.
    """
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main(VirtualClock(loop, start_unix_ms)))
    finally:
        try:
            loop.cancel_tasks()
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()
