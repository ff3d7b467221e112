"""Virtual event loop: an asyncio loop with its own clock, which jumps to the next timer when nothing is ready.

Theory of operation. The loop has a queue of ready callbacks and a heap of timers, like asyncio's own, but no selector
and no wall clock. One iteration runs the callbacks that are ready when it begins; those that they schedule run in the
next one. Time stands still while anything is ready. When nothing is ready, time jumps to the earliest deadline, and the
timers due at that time become ready together. So `sleep(3600)` takes no real time. Hours of daemon and exchange take
only as long as their callbacks run, and no timeout fires because a machine is slow. If nothing is ready and no timer is
set, the program would wait for ever: `Deadlock` names the waiting tasks.

The same program takes the same course in every run and on every supported Python:

- callbacks run in the order in which they were scheduled, and equal deadlines fire in the order in which they were set
  (a counter breaks ties in the heap);
- a task hashes to its number, so that sets of tasks (`TaskGroup`, `asyncio.wait`, `asyncio.all_tasks`) iterate by age
  instead of by memory address, and unnamed tasks are numbered per loop;
- sockets, threads, executors, subprocesses and signals raise `NotVirtual`, because their timing is not ours.

Code that runs under this loop must avoid what the loop cannot make deterministic: iterating over sets of plain futures,
of `str` or of objects with the default hash; relying on the garbage collector to end a generator or to report a lost
exception. `asyncio.gather`, `Queue`, `Event`, `Lock`, `Condition` and `timeout` keep their order.
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
    """Tasks wait, nothing is ready and no timer is set: they would wait for ever."""


class NotVirtual(NotImplementedError):
    """The program used something outside the loop: a socket, a thread, a process or a signal."""


class VirtualTask(asyncio.Task[Any]):
    """A task whose hash is its number, so that sets of tasks iterate in the same order in every run."""

    __slots__ = ("_number",)

    def __init__(self, coro: Any, *, number: int, **options: Any) -> None:
        self._number = number  # first: the base class adds the task to sets, which needs its hash
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self._number


def _unsupported(what: str) -> Any:
    """Make a loop method that raises `NotVirtual`; the message names `what`."""

    def refuse(*_: object, **__: object) -> Any:
        raise NotVirtual(f"no {what} under the virtual loop")

    return refuse


class VirtualLoop(asyncio.AbstractEventLoop):
    """The event loop. Its time starts at 0.0 seconds."""

    def __init__(self) -> None:
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
        # The handle comes from asyncio, so that `cancel`, `when` and the context work as in its own loop. It tells us
        # of its cancellation through `_timer_handle_cancelled`.
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
        # Allowed from the loop's own thread, because asyncio's internals call it there, too.
        if self._thread_id and threading.get_ident() != self._thread_id:
            raise NotVirtual("no threads under the virtual loop")
        return self.call_soon(callback, *args, context=context)

    def _timer_handle_cancelled(self, _: asyncio.TimerHandle) -> None:
        """Called by asyncio for each cancelled timer. Rebuilds the heap when over half of it is cancelled.

        Most timers are timeouts that never fire. Without this, they would stay in memory until their deadline.
        """
        self._timers_cancelled += 1
        if self._timers_cancelled > 1000 and self._timers_cancelled * 2 > len(self._timers):
            self._timers = [timer for timer in self._timers if not timer[2].cancelled()]
            heapq.heapify(self._timers)
            self._timers_cancelled = 0

    # Running

    def run_forever(self) -> None:
        """Run until `stop` is called."""
        self._check_open()
        if self.is_running() or asyncio._get_running_loop() is not None:
            raise RuntimeError("another event loop is running in this thread")
        # Async generators that are left behind are closed by the loop, in the order in which they were started; the
        # default hook would leave that to the garbage collector.
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
        """Run until `future` is done and return its result. Raises Deadlock if it can never be done."""
        self._check_open()
        done: asyncio.Future[Result] = asyncio.ensure_future(future, loop=self)  # type: ignore[arg-type]
        # As in asyncio: the callback stops the loop at the end of the iteration in which the future is done.
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
        """Run what is ready now; if nothing is, jump to the next timer first."""
        ready = self._ready
        if not ready:
            self._jump_to_next_timer()
        timers = self._timers
        while timers and timers[0][0] <= self._now_s:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):  # not `while ready`: what these callbacks schedule belongs to the next iteration
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    def _jump_to_next_timer(self) -> None:
        """Move time to the next timer, because nothing is ready."""
        timers = self._timers
        # A cancelled timer must not move the clock: time would jump to a deadline that nothing waits for.
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not timers:
            raise Deadlock(self._describe_waiting())
        # `max`, because a timer may be set for a time that has passed already.
        self._now_s = max(self._now_s, timers[0][0])

    def _describe_waiting(self) -> str:
        waiting = ", ".join(f"{task.get_name()} {_location(task)}" for task in self.pending_tasks()) or "no task"
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
        # Numbered per loop: asyncio's default names use a process-wide counter, which differs from run to run.
        label = f"task {number}" if name is None else str(name)
        task = VirtualTask(coro, number=number, loop=self, name=label, **options)
        self._tasks[number] = task
        return task

    def get_task_factory(self) -> None:
        return None

    def pending_tasks(self) -> list[asyncio.Task[Any]]:
        """The unfinished tasks, oldest first."""
        return [task for task in self._tasks.values() if not task.done()]

    def cancel_tasks(self) -> None:
        """Cancel the unfinished tasks, oldest first, and run until they have ended."""
        left = self.pending_tasks()
        for task in left:
            task.cancel()
        # Tasks may need further iterations, and time, to handle their cancellation.
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
        # Weak references: the loop must not keep a generator alive that its user has dropped.
        self._generators[number] = weakref.ref(generator, lambda _: self._generators.pop(number, None))

    def _generator_dropped(self, generator: AsyncGenerator[Any, Any]) -> None:
        if not self._closed:
            self.create_task(generator.aclose())

    async def shutdown_asyncgens(self) -> None:
        """Close the async generators that are still alive, oldest first."""
        for reference in list(self._generators.values()):
            if (generator := reference()) is not None:
                await generator.aclose()

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Do nothing: the loop has no executor."""

    # Errors

    def get_exception_handler(self) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None:
        return self._exception_handler

    def set_exception_handler(
        self, handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None
    ) -> None:
        self._exception_handler = handler

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        logger.error(
            "%s", context.get("message", "unhandled error in the event loop"), exc_info=context.get("exception")
        )

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self._exception_handler is None:
            self.default_exception_handler(context)
        else:
            self._exception_handler(self, context)

    def get_debug(self) -> bool:
        return self._debug

    def set_debug(self, enabled: bool) -> None:
        self._debug = enabled

    # Refused: everything outside the loop

    getaddrinfo = _unsupported("name resolution")
    getnameinfo = _unsupported("name resolution")
    create_connection = _unsupported("sockets")
    create_server = _unsupported("sockets")
    create_unix_connection = _unsupported("sockets")
    create_unix_server = _unsupported("sockets")
    create_datagram_endpoint = _unsupported("sockets")
    connect_accepted_socket = _unsupported("sockets")
    start_tls = _unsupported("sockets")
    sendfile = _unsupported("sockets")
    add_reader = _unsupported("file descriptors")
    remove_reader = _unsupported("file descriptors")
    add_writer = _unsupported("file descriptors")
    remove_writer = _unsupported("file descriptors")
    sock_accept = _unsupported("sockets")
    sock_connect = _unsupported("sockets")
    sock_recv = _unsupported("sockets")
    sock_recv_into = _unsupported("sockets")
    sock_recvfrom = _unsupported("sockets")
    sock_recvfrom_into = _unsupported("sockets")
    sock_sendall = _unsupported("sockets")
    sock_sendfile = _unsupported("sockets")
    sock_sendto = _unsupported("sockets")
    connect_read_pipe = _unsupported("pipes")
    connect_write_pipe = _unsupported("pipes")
    subprocess_exec = _unsupported("subprocesses")
    subprocess_shell = _unsupported("subprocesses")
    run_in_executor = _unsupported("threads")
    set_default_executor = _unsupported("threads")
    add_signal_handler = _unsupported("signals")
    remove_signal_handler = _unsupported("signals")
    set_task_factory = _unsupported("task factories")


def _location(task: asyncio.Task[Any]) -> str:
    """The place where a task is suspended: function, file and line of its innermost coroutine."""
    *_, innermost = _coroutine_chain(task.get_coro())
    frame = getattr(innermost, "cr_frame", None)
    if frame is None:
        return "(not in Python code)"
    return f"in {frame.f_code.co_qualname} ({frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno})"


def _coroutine_chain(coroutine: object) -> Iterator[object]:
    """Yield `coroutine`, the coroutine that it awaits, and so on to the innermost one."""
    while coroutine is not None:
        yield coroutine
        awaited = getattr(coroutine, "cr_await", None)
        coroutine = awaited if hasattr(awaited, "cr_frame") else None


class VirtualClock:
    """The `Clock` of a virtual loop. Its wall clock shows `start_unix_ms` at the loop's time 0."""

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
    """Run `main` on a new virtual loop, with that loop's clock as its argument, and return its result.

    Tasks that are unfinished when `main` returns are cancelled, oldest first. Raises what `main` raises, and Deadlock
    with the names of the waiting tasks if they would wait for ever.
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
