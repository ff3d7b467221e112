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
from trailingedge.core.clock import Alarm, wake
from trailingedge.core.errors import SessionLost
from trailingedge.eventlog import error_codec
from trailingedge.eventlog.frozen_clock import FrozenClock
from trailingedge.live.factory import KeyCheck, SaveFrames
from trailingedge.websocket.transport import FrameHandler, Socket

Do = Callable[[], Awaitable[str | None]]


class IoBoundary(ABC):
    """A Clock, a Dial, and what else the daemon waits for. Those who derive from it bring the moments."""

    def __init__(self, clock: FrozenClock) -> None:
        self.time = clock
        self.now_s: Callable[[], float] = clock.now_s
        self.unix_ms: Callable[[], int] = clock.unix_ms
        self._alarms_set = 0
        self._alarms: dict[int, Callable[[], None]] = {}
        self._asked = 0
        self._answers: dict[int, asyncio.Future[str | None]] = {}
        self._open_lines: dict[int, BoundarySocket] = {}

    # What the daemon uses --------------------------------------------------------------------

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        alarm = self.call_later(seconds, partial(wake, woken))
        try:
            await woken
        finally:
            alarm.cancel()

    def call_later(self, seconds: float, act: Callable[[], None]) -> Alarm:
        self._alarms_set += 1
        number = self._alarms_set
        self._alarms[number] = act
        self._set_alarm(number, seconds)
        return _Alarm(self, number)

    async def dial(self, url: str) -> Socket:
        """An open line. Raises what the dial raises."""
        line = BoundarySocket(self, self._asked + 1)
        await self.ask(f"dial {url}", partial(self._open, line, url))
        self._open_lines[line.number] = line
        line.send = self._sender(line)
        return line

    def saves(self, save_frames: SaveFrames) -> SaveFrames:
        """The same, through here."""

        async def save(lines: list[str]) -> Path:
            async def do() -> str:
                return str(await save_frames(lines))

            return Path(await self.ask("save the last frames", do) or "")

        return save

    def checks(self, verify_key: KeyCheck) -> KeyCheck:
        """The same, through here."""

        async def verify(server_ms: int) -> None:
            await self.ask("check the key", partial(verify_key, server_ms))

        return verify

    def signs(self, signer: Signer) -> Signer:
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

                    await self.ask("a signature", do)
                    return signed[0] if signed else ""  # a replay does not make one

                await self.ask("the key to be ready", start)
                yield sign

        return through

    async def ask(self, what: str, do: Do) -> str | None:
        """What `do` comes to. Raises what it raises."""
        self._asked += 1
        number = self._asked
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self._begin(number, what, do)
        try:
            return await answer
        finally:
            del self._answers[number]
            self._leave(number)

    # The moments -----------------------------------------------------------------------------

    def ring(self, number: int) -> bool:
        """That alarm. False where it is not set."""
        act = self._alarms.pop(number, None)
        if act is None:
            return False
        act()
        return True

    def told(self, number: int, result: str | None, error: BaseException | None) -> bool:
        """What was asked for has come out. False where nobody waits for it."""
        answer = self._answers.get(number)
        if answer is None or answer.done():
            return False
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)
        return True

    def unset(self, number: int) -> None:
        """Somebody needs that alarm no more."""
        if self._alarms.pop(number, None) is not None:
            self._unset_alarm(number)

    # What is behind it -----------------------------------------------------------------------

    @abstractmethod
    async def listen(self, line: "BoundarySocket") -> None:
        """Until that line has ended; raises why."""

    @abstractmethod
    def deaf(self, line: "BoundarySocket") -> None:
        """Nobody listens to it any more."""

    @abstractmethod
    async def close(self, line: "BoundarySocket") -> None: ...

    @abstractmethod
    async def _open(self, line: "BoundarySocket", url: str) -> None: ...

    @abstractmethod
    def _sender(self, line: "BoundarySocket") -> Callable[[str], None]:
        """What writes to that line, which is open. It raises SessionLost."""

    @abstractmethod
    def _set_alarm(self, number: int, seconds: float) -> None: ...

    @abstractmethod
    def _unset_alarm(self, number: int) -> None: ...

    @abstractmethod
    def _begin(self, number: int, what: str, do: Do) -> None: ...

    @abstractmethod
    def _leave(self, number: int) -> None:
        """Whether it has come out or not, nobody waits any more."""


class _Alarm:
    def __init__(self, threshold: IoBoundary, number: int) -> None:
        self._threshold = threshold
        self._number = number

    def cancel(self) -> None:
        self._threshold.unset(self._number)


class BoundarySocket:
    """A Socket as the daemon has it. Its number is that of its dial."""

    def __init__(self, threshold: IoBoundary, number: int) -> None:
        self.number = number
        self.failure: BaseException | None = None  # what the daemon made of a frame
        self.listening = False  # and no failure yet
        self.send: Callable[[str], None] = _not_open
        self.hear: FrameHandler = _unheard
        self._threshold = threshold

    async def listen(self, hear: FrameHandler) -> None:
        self.hear = hear
        self.listening = True
        try:
            await self._threshold.ask(f"the end of {self.number}", partial(self._threshold.listen, self))
        except _OwnError:
            if self.failure is None:
                raise SessionLost("it ended by a failure of ours that did not happen") from None
            raise self.failure from None
        finally:
            self.listening = False
            self._threshold.deaf(self)

    async def close(self) -> None:
        await self._threshold.ask(f"to close {self.number}", partial(self._threshold.close, self))
        self.send = _not_open

    def heard(self, frames: Sequence[str | bytes]) -> None:
        """Frames came together. Raises what the daemon does, and hears nothing more after that."""
        if self.listening:
            try:
                self.hear(frames)
            except BaseException as failure:
                self.fail(failure)
                raise

    def fail(self, failure: BaseException) -> None:
        """The daemon has raised that; nobody listens any more."""
        self.failure = failure
        self.listening = False


def _unheard(_: Sequence[str | bytes]) -> None:
    """Nobody listens."""


def _not_open(_: str) -> None:
    raise SessionLost("the connection is not open")


class _OwnError(Exception):
    """A line ended by what the daemon itself raised."""


def error_of(told: Sequence[Any]) -> Exception:
    """The error in a record's line."""
    return _OwnError() if list(told) == [error_codec.OWN] else error_codec.read(told)


def is_of_our_own(line: BoundarySocket, error: BaseException) -> bool:
    """Whether a line has ended by that."""
    return line.failure is not None and error is line.failure
