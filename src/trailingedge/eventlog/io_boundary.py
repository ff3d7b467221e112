"""Where the daemon ends and the world begins: clock, connections, and the few other things it waits for.

Whatever the daemon can wait for here is a bare future, which a moment resolves: a frame, an alarm, an answer. What
is behind it, the world or its record, the daemon cannot tell, not even by the order in which its tasks go on.
Moments come at the end of a turn of the loop, after the tasks that were ready, so that a replay can bring them
in the same place.
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
from trailingedge.live.factory import KeyCheck, SaveFrames
from trailingedge.websocket.transport import FrameHandler, Socket

IoOperation = Callable[[], Awaitable[str | None]]


class IoBoundary(ABC):
    """A Clock, a Dial, and what else the daemon waits for. Those who derive from it bring the moments."""

    def __init__(self, clock: FrozenClock) -> None:
        self.frozen_clock = clock
        self.now_s: Callable[[], float] = clock.now_s
        self.unix_ms: Callable[[], int] = clock.unix_ms
        self._timer_count = 0
        self._timers: dict[int, Callable[[], None]] = {}
        self._operation_count = 0
        self._pending: dict[int, asyncio.Future[str | None]] = {}
        self._open_sockets: dict[int, BoundarySocket] = {}

    # What the daemon uses --------------------------------------------------------------------

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        alarm = self.call_later(seconds, partial(wake_waiter, woken))
        try:
            await woken
        finally:
            alarm.cancel()

    def call_later(self, seconds: float, act: Callable[[], None]) -> TimerHandle:
        self._timer_count += 1
        number = self._timer_count
        self._timers[number] = act
        self._start_timer(number, seconds)
        return _BoundaryTimer(self, number)

    async def dial(self, url: str) -> Socket:
        """An open line. Raises what the dial raises."""
        line = BoundarySocket(self, self._operation_count + 1)
        await self.perform(f"dial {url}", partial(self._open_socket, line, url))
        self._open_sockets[line.number] = line
        line.send = self._make_sender(line)
        return line

    def wrap_save_frames(self, save_frames: SaveFrames) -> SaveFrames:
        """The same, through here."""

        async def save(lines: list[str]) -> Path:
            async def do() -> str:
                return str(await save_frames(lines))

            return Path(await self.perform("save the last frames", do) or "")

        return save

    def wrap_key_check(self, verify_key: KeyCheck) -> KeyCheck:
        """The same, through here."""

        async def verify(server_ms: int) -> None:
            await self.perform("check the key", partial(verify_key, server_ms))

        return verify

    def wrap_signer(self, signer: Signer) -> Signer:
        """The same, through here. The record has no signature: only that it came, and when."""

        @asynccontextmanager
        async def through() -> AsyncIterator[Sign]:
            async with AsyncExitStack() as stack:
                signs: list[Sign] = []

                async def start() -> None:
                    signs.append(await stack.enter_async_context(signer()))

                async def sign(payload: bytes) -> str:
                    signed: list[str] = []

                    async def do() -> None:
                        signed.append(await signs[0](payload))

                    await self.perform("a signature", do)
                    return signed[0] if signed else ""  # a replay does not make one

                await self.perform("the key to be ready", start)
                yield sign

        return through

    async def perform(self, what: str, do: IoOperation) -> str | None:
        """What `do` comes to. Raises what it raises."""
        self._operation_count += 1
        number = self._operation_count
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        self._start_operation(number, what, do)
        try:
            return await answer
        finally:
            del self._pending[number]
            self._end_operation(number)

    # The moments -----------------------------------------------------------------------------

    def fire_timer(self, number: int) -> bool:
        """That alarm. False where it is not set."""
        act = self._timers.pop(number, None)
        if act is None:
            return False
        act()
        return True

    def complete(self, number: int, result: str | None, error: BaseException | None) -> bool:
        """What was asked for has come out. False where nobody waits for it."""
        answer = self._pending.get(number)
        if answer is None or answer.done():
            return False
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)
        return True

    def cancel_timer(self, number: int) -> None:
        """Somebody needs that alarm no more."""
        if self._timers.pop(number, None) is not None:
            self._stop_timer(number)

    # What is behind it -----------------------------------------------------------------------

    @abstractmethod
    async def listen_on(self, line: "BoundarySocket") -> None:
        """Until that line has ended; raises why."""

    @abstractmethod
    def on_listening_ended(self, line: "BoundarySocket") -> None:
        """Nobody listens to it any more."""

    @abstractmethod
    async def close_socket(self, line: "BoundarySocket") -> None: ...

    @abstractmethod
    async def _open_socket(self, line: "BoundarySocket", url: str) -> None: ...

    @abstractmethod
    def _make_sender(self, line: "BoundarySocket") -> Callable[[str], None]:
        """What writes to that line, which is open. It raises SessionLost."""

    @abstractmethod
    def _start_timer(self, number: int, seconds: float) -> None: ...

    @abstractmethod
    def _stop_timer(self, number: int) -> None: ...

    @abstractmethod
    def _start_operation(self, number: int, what: str, do: IoOperation) -> None: ...

    @abstractmethod
    def _end_operation(self, number: int) -> None:
        """Whether it has come out or not, nobody waits any more."""


class _BoundaryTimer:
    def __init__(self, threshold: IoBoundary, number: int) -> None:
        self._boundary = threshold
        self._number = number

    def cancel(self) -> None:
        self._boundary.cancel_timer(self._number)


class BoundarySocket:
    """A Socket as the daemon has it. Its number is that of its dial."""

    def __init__(self, threshold: IoBoundary, number: int) -> None:
        self.number = number
        self.failure: BaseException | None = None  # what the daemon made of a frame
        self.listening = False  # and no failure yet
        self.send: Callable[[str], None] = _send_while_closed
        self.on_frames: FrameHandler = _ignore_frames
        self._boundary = threshold

    async def receive(self, hear: FrameHandler) -> None:
        self.on_frames = hear
        self.listening = True
        try:
            await self._boundary.perform(f"the end of {self.number}", partial(self._boundary.listen_on, self))
        except _HandlerError:
            if self.failure is None:
                raise SessionLost("it ended by a failure of ours that did not happen") from None
            raise self.failure from None
        finally:
            self.listening = False
            self._boundary.on_listening_ended(self)

    async def close(self) -> None:
        await self._boundary.perform(f"to close {self.number}", partial(self._boundary.close_socket, self))
        self.send = _send_while_closed

    def deliver(self, frames: Sequence[str | bytes]) -> None:
        """Frames came together. Raises what the daemon does, and hears nothing more after that."""
        if self.listening:
            try:
                self.on_frames(frames)
            except BaseException as failure:
                self.mark_failed(failure)
                raise

    def mark_failed(self, failure: BaseException) -> None:
        """The daemon has raised that; nobody listens any more."""
        self.failure = failure
        self.listening = False


def _ignore_frames(_: Sequence[str | bytes]) -> None:
    """Nobody listens."""


def _send_while_closed(_: str) -> None:
    raise SessionLost("the connection is not open")


class _HandlerError(Exception):
    """A line ended by what the daemon itself raised."""


def recorded_error(told: Sequence[Any]) -> Exception:
    """The error in a record's line."""
    return _HandlerError() if list(told) == [error_codec.RAISED_BY_HANDLER] else error_codec.decode_error(told)


def raised_by_handler(line: BoundarySocket, error: BaseException) -> bool:
    """Whether a line has ended by that."""
    return line.failure is not None and error is line.failure
