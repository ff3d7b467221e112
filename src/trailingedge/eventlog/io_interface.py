"""I/O boundary of the daemon: clock, connections and the other operations that it awaits, behind one interface.

Theory of operation. A replay is exact only if the daemon cannot tell it from a live session. Three
things could differ: the values from outside, the times at which they arrive, and the order in which
tasks continue afterwards. The boundary controls all three.

- Every awaitable here is a bare future with a number: an *operation* (dial, close, sign, …) or a *timer*. The daemon
  awaits the future; nothing else connects the daemon to the outside. Numbers are given in the order
  of the calls. So recording and replay give the same numbers to the same calls, and a record can
  refer to them.
- A future is resolved only by an *input*: `complete` for an operation, `fire_timer` for a timer,
  `BoundarySocket.deliver` for frames. The subclass decides when. `recorder.Recorder` performs the operation for real
  and records the input. `session_replay.player.SessionPlayer` performs nothing and takes the input
  from a record.
- Inputs arrive at the end of an event-loop iteration, after all tasks that were ready have run. Earlier in the
  iteration some ready tasks have run and others have not, and asyncio does not guarantee which. A replay could then
  run them in another order than the recording did.
- Time stands still between two inputs (`FrozenClock`), so that code that reads the clock twice gets the recorded
  value twice.

        daemon ──perform, call_later, send──> IoBoundary ──_start_operation, _start_timer──> Recorder | SessionPlayer
        daemon <──future resolved, frames──── IoBoundary <──complete, fire_timer, deliver─── Recorder | SessionPlayer

The names of operations ("dial …", "a signature") stand in records and are compared in a replay: they are part of the
record format and must not be reworded.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from trailingedge.auth.logon_signer import Sign, Signer
from trailingedge.core.clock import TimerHandle, wake_waiter
from trailingedge.core.errors import SessionLost
from trailingedge.eventlog import error_codec
from trailingedge.eventlog.frozen_clock import FrozenClock
from trailingedge.live.node_dependencies import KeyCheck, SaveFrames
from trailingedge.websocket.socket_dialer import FrameHandler, Socket

IoOperation = Callable[[], Awaitable[str | None]]


class IoBoundary(ABC):
    """Gives the daemon a `Clock` and a `Dial`, and wraps its other I/O operations.

    A subclass supplies what comes from outside: live (`Recorder`) or from a record (`SessionPlayer`).
    """

    def __init__(self, clock: FrozenClock) -> None:
        self.frozen_clock = clock
        self.now_s: Callable[[], float] = clock.now_s
        self.unix_ms: Callable[[], int] = clock.unix_ms
        self._timer_count = 0
        self._timers: dict[int, Callable[[], None]] = {}
        self._operation_count = 0
        self._pending: dict[int, asyncio.Future[str | None]] = {}
        self._open_sockets: dict[int, BoundarySocket] = {}

    # Called by the daemon --------------------------------------------------------------------

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, partial(wake_waiter, woken))
        try:
            await woken
        finally:
            timer.cancel()

    def call_later(self, seconds: float, act: Callable[[], None]) -> TimerHandle:
        self._timer_count += 1
        number = self._timer_count
        self._timers[number] = act
        self._start_timer(number, seconds)
        return _BoundaryTimer(self, number)

    async def dial(self, url: str) -> Socket:
        """Open a connection to `url`. Raises the error of the real dial."""
        # `perform` will give this dial the next number. The socket needs it first, because the operation stores the
        # real connection under it.
        socket = BoundarySocket(self, self._operation_count + 1)
        await self.perform(f"dial {url}", partial(self._open_socket, socket, url))
        self._open_sockets[socket.number] = socket
        socket.send = self._make_sender(socket)
        return socket

    def wrap_save_frames(self, save_frames: SaveFrames) -> SaveFrames:
        """Return `save_frames` wrapped so that each call is recorded, or in a replay answered from the record."""

        async def save(lines: list[str]) -> Path:
            async def operation() -> str:
                return str(await save_frames(lines))

            return Path(await self.perform("save the last frames", operation) or "")

        return save

    def wrap_key_check(self, verify_key: KeyCheck) -> KeyCheck:
        """Return `verify_key` wrapped so that each call is recorded, or in a replay answered from the record."""

        async def verify(server_ms: int) -> None:
            await self.perform("check the key", partial(verify_key, server_ms))

        return verify

    def wrap_signer(self, signer: Signer) -> Signer:
        """Return `signer` wrapped so that its start and each signature are recorded or replayed.

        A record says that a signature arrived, and when; it never holds the signature. In a replay
        the signature is empty, and no code of the daemon reads it.
        """

        @asynccontextmanager
        async def through_boundary() -> AsyncIterator[Sign]:
            async with AsyncExitStack() as stack:
                signs: list[Sign] = []

                async def start() -> None:
                    signs.append(await stack.enter_async_context(signer()))

                async def sign(payload: bytes) -> str:
                    signed: list[str] = []

                    async def operation() -> None:
                        signed.append(await signs[0](payload))

                    await self.perform("a signature", operation)
                    return signed[0] if signed else ""  # a replay performs no operation

                await self.perform("the key to be ready", start)
                yield sign

        return through_boundary

    async def perform(self, what: str, operation: IoOperation) -> str | None:
        """Return the result of `operation` or raise its error, live or from the record."""
        self._operation_count += 1
        number = self._operation_count
        result: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        # Registered before the start: a subclass may complete the operation at once.
        self._pending[number] = result
        self._start_operation(number, what, operation)
        try:
            return await result
        finally:
            del self._pending[number]
            self._end_operation(number)

    # Inputs, called by the subclass ----------------------------------------------------------

    def fire_timer(self, number: int) -> bool:
        """Run the callback of timer `number`. Returns False if that timer is not set."""
        act = self._timers.pop(number, None)
        if act is None:
            return False
        act()
        return True

    def complete(self, number: int, result: str | None, error: BaseException | None) -> bool:
        """Resolve operation `number`. Returns False if the daemon does not wait for it."""
        pending = self._pending.get(number)
        if pending is None or pending.done():
            return False
        if error is None:
            pending.set_result(result)
        else:
            pending.set_exception(error)
        return True

    def cancel_timer(self, number: int) -> None:
        """Cancel timer `number` for the daemon. Has no effect if the timer has fired."""
        if self._timers.pop(number, None) is not None:
            self._stop_timer(number)

    # Outputs, implemented by the subclass ----------------------------------------------------

    @abstractmethod
    async def listen_on(self, socket: "BoundarySocket") -> None:
        """Receive frames until the connection ends. Raises the error that ended it."""

    @abstractmethod
    def on_listening_ended(self, socket: "BoundarySocket") -> None:
        """Called when the daemon has stopped listening to `socket`."""

    @abstractmethod
    async def close_socket(self, socket: "BoundarySocket") -> None: ...

    @abstractmethod
    async def _open_socket(self, socket: "BoundarySocket", url: str) -> None: ...

    @abstractmethod
    def _make_sender(self, socket: "BoundarySocket") -> Callable[[str], None]:
        """Return a function that sends text over `socket`. That function may raise SessionLost."""

    @abstractmethod
    def _start_timer(self, number: int, seconds: float) -> None: ...

    @abstractmethod
    def _stop_timer(self, number: int) -> None: ...

    @abstractmethod
    def _start_operation(self, number: int, what: str, operation: IoOperation) -> None: ...

    @abstractmethod
    def _end_operation(self, number: int) -> None:
        """Called when the daemon no longer waits for operation `number`, for any reason."""


class _BoundaryTimer:
    """The timer handle that `IoBoundary.call_later` returns."""

    def __init__(self, boundary: IoBoundary, number: int) -> None:
        self._boundary = boundary
        self._number = number

    def cancel(self) -> None:
        self._boundary.cancel_timer(self._number)


class BoundarySocket:
    """The `Socket` that the daemon uses. `number` is that of the operation that dialed it."""

    def __init__(self, boundary: IoBoundary, number: int) -> None:
        self.number = number
        self.failure: BaseException | None = None  # raised by the daemon's frame handler
        self.listening = False  # and the handler has not failed
        self.send: Callable[[str], None] = _send_while_closed
        self.on_frames: FrameHandler = _ignore_frames
        self._boundary = boundary

    async def receive(self, on_frames: FrameHandler) -> None:
        self.on_frames = on_frames
        self.listening = True
        try:
            await self._boundary.perform(f"the end of {self.number}", partial(self._boundary.listen_on, self))
        except _HandlerError:
            # The record says that the handler raised, not what: the exception is the daemon's own, with its own type
            # and traceback, and the replayed handler raises it again.
            if self.failure is None:
                raise SessionLost("the recorded frame handler failed, the replayed one did not") from None
            raise self.failure from None
        finally:
            self.listening = False
            self._boundary.on_listening_ended(self)

    async def close(self) -> None:
        await self._boundary.perform(f"to close {self.number}", partial(self._boundary.close_socket, self))
        self.send = _send_while_closed

    def deliver(self, frames: Sequence[str | bytes]) -> None:
        """Pass frames that arrived together to the daemon's handler. Raises the handler's error."""
        if self.listening:
            try:
                self.on_frames(frames)
            except BaseException as failure:
                self.mark_failed(failure)
                raise

    def mark_failed(self, failure: BaseException) -> None:
        """Store `failure`, which the frame handler raised. The handler gets no more frames."""
        self.failure = failure
        self.listening = False


def _ignore_frames(_: Sequence[str | bytes]) -> None:
    """Ignore all frames: the handler of a connection until `receive` sets another handler."""


def _send_while_closed(_: str) -> None:
    raise SessionLost("the connection is not open")


class _HandlerError(Exception):
    """A connection ended because the daemon's own frame handler raised."""


def recorded_error(outcome: Sequence[Any]) -> Exception:
    """Return the error that a record line holds as the outcome of an operation."""
    return _HandlerError() if list(outcome) == [error_codec.RAISED_BY_HANDLER] else error_codec.decode_error(outcome)


def raised_by_handler(socket: BoundarySocket, error: BaseException) -> bool:
    """Whether `error` is what the daemon's frame handler raised on that connection."""
    return socket.failure is not None and error is socket.failure
