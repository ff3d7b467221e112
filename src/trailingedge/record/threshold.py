"""Where the daemon ends and the world begins: clock, connections, and the few other things it waits for.

Whatever the daemon can wait for here is a bare future, which a moment resolves: a frame, an alarm, an answer. What
is behind it, the world or its record, the daemon cannot tell, not even by the order in which its tasks go on.
Moments come at the end of a turn of the loop, after the tasks that were ready, so that a replay can bring them
in the same place.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from trailingedge.clock import Alarm, wake
from trailingedge.errors import SessionLost
from trailingedge.record import failures
from trailingedge.record.standing import StandingClock
from trailingedge.websocket.connection import Hear, Socket
from trailingedge.wiring import KeyCheck, SaveFrames

Do = Callable[[], Awaitable[str | None]]


class Threshold(ABC):
    """A Clock, a Dial, and what else the daemon waits for. Those who derive from it bring the moments."""

    def __init__(self, clock: StandingClock) -> None:
        self.now_s: Callable[[], float] = clock.now_s
        self.unix_ms: Callable[[], int] = clock.unix_ms
        self._alarms_set = 0
        self._alarms: dict[int, Callable[[], None]] = {}
        self._asked = 0
        self._answers: dict[int, asyncio.Future[str | None]] = {}
        self._lines: dict[int, Line] = {}

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
        line = Line(self, self._asked + 1)
        await self.ask(f"dial {url}", partial(self._open, line, url))
        self._lines[line.number] = line
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
    def send(self, line: "Line", text: str) -> None:
        """Raises SessionLost."""

    @abstractmethod
    async def listen(self, line: "Line") -> None:
        """Until that line has ended; raises why."""

    @abstractmethod
    async def close(self, line: "Line") -> None: ...

    @abstractmethod
    async def _open(self, line: "Line", url: str) -> None: ...

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
    def __init__(self, threshold: Threshold, number: int) -> None:
        self._threshold = threshold
        self._number = number

    def cancel(self) -> None:
        self._threshold.unset(self._number)


class Line:
    """A Socket as the daemon has it. Its number is that of its dial."""

    def __init__(self, threshold: Threshold, number: int) -> None:
        self.number = number
        self.failure: BaseException | None = None  # what the daemon made of a frame
        self.listening = False
        self._hear: Hear | None = None
        self._threshold = threshold

    def send(self, text: str) -> None:
        self._threshold.send(self, text)

    async def listen(self, hear: Hear) -> None:
        self._hear = hear
        self.listening = True
        try:
            await self._threshold.ask(f"the end of {self.number}", partial(self._threshold.listen, self))
        except _OfOurOwn:
            if self.failure is None:
                raise SessionLost("it ended by a failure of ours that did not happen") from None
            raise self.failure from None
        finally:
            self.listening = False

    async def close(self) -> None:
        await self._threshold.ask(f"to close {self.number}", partial(self._threshold.close, self))

    def heard(self, frames: Sequence[str | bytes]) -> None:
        """Frames came together. Raises what the daemon does, and hears nothing more after that."""
        if self._hear is None or not self.listening or self.failure is not None:
            return
        try:
            self._hear(frames)
        except BaseException as failure:
            self.failure = failure
            raise


class _OfOurOwn(Exception):
    """A line ended by what the daemon itself raised."""


def error_of(told: Sequence[Any]) -> Exception:
    """The error in a record's line."""
    return _OfOurOwn() if list(told) == [failures.OWN] else failures.read(told)


def is_of_our_own(line: Line, error: BaseException) -> bool:
    """Whether a line has ended by that."""
    return line.failure is not None and error is line.failure
