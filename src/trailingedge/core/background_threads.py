"""Background threads: blocking calls that cannot be cancelled, and batched writing to disk.

`DaemonThreadExecutor` runs blocking calls, mainly name look-ups. asyncio's own executor has few
threads: a few look-ups that hang would delay all others, so that the daemon could not reconnect in
time. And at its end `asyncio.run` would wait for each of them, so that the daemon could not end.

`BatchWriter` is the one way in which this program writes a file while it trades: the event loop appends an entry to a
list, and a thread encodes and writes the entries. `GilYielder` keeps such a thread from delaying the event loop.
"""

import contextlib
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, ParamSpec, Protocol, TypeVar

from trailingedge.core.loop_watch import SleepTest, unknown

P = ParamSpec("P")
T = TypeVar("T")

# A thread that computes keeps the interpreter for 5 ms (sys.getswitchinterval), and a price that arrives in the
# meantime waits as long for its order. Changing the interval would slow down all threads, so this thread sleeps.
# A sleep with its two changes of thread costs 40 µs of CPU time, about as much as the encoding of an entry.
PORTION_S: Final = 150e-6  # the longest that a price waits for its order, plus one entry
LONGEST_S: Final = 1e-3  # while the event loop sleeps; a timer of the loop may wait as long
REST_S: Final = 50e-6  # the shortest sleep that gives the interpreter away; operating systems make it a little longer
CLOSE_TIMEOUT_S: Final = 1.0  # how long a disk may hold up the end of the program


class DaemonThreadExecutor(ThreadPoolExecutor):
    """An executor for asyncio's event loop that gives each job a daemon thread of its own.

    It is a ThreadPoolExecutor only because `loop.set_default_executor` accepts no other type.
    """

    def submit(self, job: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start `job` at once."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = job(*args, **kwargs)
            except BaseException as failure:  # noqa: BLE001 - the task that awaits the future handles it
                future.set_exception(failure)
            else:
                future.set_result(result)

        threading.Thread(target=work, name="unattended", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Return at once: daemon threads end with the process, and no job is waited for."""


class GilYielder:
    """Makes a background thread release the interpreter (the GIL) every 150 µs, unless the event loop sleeps anyway.

    The thread calls `maybe_yield` after each small piece of work.
    """

    def __init__(self, loop_sleeps: SleepTest = unknown) -> None:
        self._loop_sleeps = loop_sleeps
        self._rested_s = self._began_s = 0.0

    def maybe_yield(self) -> None:
        """Sleep briefly if this thread has held the interpreter lock for 150 µs and the event loop may want it."""
        now_s = time.perf_counter()
        if now_s - self._began_s < PORTION_S:
            return
        if now_s - self._rested_s < LONGEST_S and self._loop_sleeps():
            self._began_s = now_s
            return
        time.sleep(REST_S)
        self._began_s = self._rested_s = time.perf_counter()


class Sink(Protocol):
    """An open file that is only appended to.

    `write` returns how many bytes it has written, which may be fewer than given, or raises OSError.
    """

    def write(self, data: bytes, /) -> int | None: ...

    def close(self) -> None: ...


class BatchWriter(ABC):
    """Writes waiting entries to a file on a thread, in batches and in order.

    Data that a full or slow disk does not accept stays in memory and is tried again with the next
    batch. If the disk accepts a part of a write, the next write continues after that part.

    A subclass limits how many entries may wait, and counts those that it drops. It calls `start` at
    the end of its `__init__`. Its methods run on the writer's thread, except `wake`, `close` and
    those that add an entry. A deque needs no lock between `append` on one thread and `popleft` on
    the other.

    The standard library's QueueListener is not suitable: it writes one record at a time, does not
    try again after an error, and its `stop` waits without limit for a disk that hangs.
    """

    def __init__(self, name: str, every_s: float, sink: Sink, loop_sleeps: SleepTest = unknown) -> None:
        self._sink = sink
        self._every_s = every_s
        self._unwritten = b""
        self._in_trouble = False
        self._gil = GilYielder(loop_sleeps)
        self._wake = threading.Event()
        self._closing = False
        # A daemon thread: a disk that does not answer must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @abstractmethod
    def has_batch(self) -> bool:
        """Whether anything waits to be encoded."""

    @abstractmethod
    def next_batch(self) -> bytes:
        """Encode and return the next entries.

        Raises OSError if a new file is needed and cannot be opened.
        """

    @abstractmethod
    def on_trouble(self, trouble: OSError) -> None:
        """Report that a write has failed. Not called again until a write has succeeded."""

    def last_bytes(self) -> bytes:
        """Return the bytes that end the file. They are written after the last batch."""
        return b""

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def wake(self) -> None:
        """Write now, without waiting until the next batch is due. From any thread."""
        self._wake.set()

    def close(self) -> None:
        """Write all waiting entries and close the file; stop waiting for the disk after CLOSE_TIMEOUT_S."""
        self._closing = True
        self._wake.set()
        self._thread.join(CLOSE_TIMEOUT_S)

    def put(self, data: bytes) -> None:
        """Write the data that earlier calls could not write, then `data`.

        Raises OSError if the disk refuses. The unwritten rest is kept for the next call.
        """
        self._unwritten += data
        while self._unwritten:
            taken = self._sink.write(self._unwritten)
            if not taken:
                raise OSError("the disk accepted no bytes")
            self._unwritten = self._unwritten[taken:]

    def yield_to_loop(self) -> None:
        """Sleep briefly after 150 µs of work, so that the event loop can run; never while closing."""
        if not self._closing:
            self._gil.maybe_yield()

    def _run(self) -> None:
        """Write batches until `close` is called, then `last_bytes`. This is the code of the writer's thread."""
        while not self._closing:
            self._wake.wait(self._every_s)
            self._wake.clear()  # before the batch: an entry that comes after it sets the event again
            self._write_batches()
        self._write_batches()
        with contextlib.suppress(OSError):
            self.put(self.last_bytes())
        with contextlib.suppress(OSError):
            self._sink.close()

    def _write_batches(self) -> None:
        """Write everything that waits. Where the disk refuses, the rest waits for the next batch."""
        try:
            while self._unwritten or self.has_batch():
                self.put(b"")
                if self.has_batch():
                    self.put(self.next_batch())
        except OSError as trouble:
            if not self._in_trouble:
                self._in_trouble = True
                self.on_trouble(trouble)
        else:
            self._in_trouble = False
