"""The threshold with the world behind it: everything that passes is noted, and then let through.

On the way from a frame to its order that is one reading of the clock and one append; lines are written elsewhere.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Final, Protocol

from trailingedge.clock import Clock
from trailingedge.errors import ExitCode, SessionLost
from trailingedge.notifications.alerts import Alerts
from trailingedge.record import failures
from trailingedge.record.lines import Entry
from trailingedge.record.standing import StandingClock
from trailingedge.record.threshold import Do, Line, Threshold, error_of, is_of_our_own
from trailingedge.record.turns import counter_of
from trailingedge.record.watchman import Watchman
from trailingedge.websocket.connection import Dial, Socket, hears_at_once
from trailingedge.wiring import Entry as Entered
from trailingedge.wiring import Surroundings

LATE_S: Final = 0.1  # a reading so long after its moment tells the time as it is by then
_WALL_OFF_MS: Final = 2  # the wall clock is told in milliseconds, so that one more or less means nothing


class Lines(Protocol):
    """Where a record's lines go, in order."""

    def add(self, entry: Entry) -> None:
        """Take it and return at once."""
        ...


class _RecordingClock(StandingClock):
    """Tells the moment's time, and notes it where the moment takes so long that its time is no use any more.

    What would read better in small methods is in one each: some are between a price and its order.
    """

    def __init__(self, clock: Clock, lines: Lines) -> None:
        zero_us = round(clock.now_s() * 1e6)
        super().__init__(zero_us, clock.unix_ms() * 1000)
        self._real_s = clock.now_s
        self._zero_s = zero_us / 1e6
        self._lines = lines
        self._late_s = self._zero_s + LATE_S

    def beginning(self) -> dict[str, int]:
        """What a replay has to know of it."""
        return {"zero_us": self._zero_us, "unix_us": self._unix_us}

    def begin(self) -> int:
        """A new moment: its time."""
        self.readings = 0
        self.at_us = at_us = int((self._real_s() - self._zero_s) * 1e6 + 0.5)
        self._now_s = now_s = (self._zero_us + at_us) / 1e6
        self._late_s = now_s + LATE_S
        return at_us

    def now_s(self) -> float:
        self.readings += 1
        if self._real_s() > self._late_s:
            self._tell_late()
        return self._now_s

    def unix_ms(self) -> int:
        self.readings += 1
        if self._real_s() > self._late_s:
            self._tell_late()
        return (self._unix_us + self.at_us + self.wall_us) // 1000

    def _tell_late(self) -> None:
        readings = self.readings
        self._lines.add(("late", readings, self.begin()))
        self.readings = readings


class Recorder(Threshold):
    """`surroundings` are those of the daemon, from now on: lived in, and recorded to `lines`."""

    def __init__(self, world: Surroundings, lines: Lines, head: dict[str, object], seed: int) -> None:
        self._time = _RecordingClock(world.clock, lines)
        super().__init__(self._time)
        self._world = world
        self._dial: Dial = world.dial
        self._add = lines.add
        self._loop = asyncio.get_running_loop()
        self._counter = counter_of(self._loop)
        self._turn = 0
        self._waiting: deque[Callable[[], None]] = deque()  # for the end of a turn
        self._handles: dict[int, asyncio.TimerHandle] = {}
        self._sockets: dict[int, Socket] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._over = False
        self.surroundings = replace(
            world,
            dial=self.dial,
            clock=self,
            save_frames=None if world.save_frames is None else self.saves(world.save_frames),
            stopwatch=world.stopwatch or world.clock,
            enter=self._enter,
            witness=Watchman(self._add),
            random=Random(seed),
        )
        lines.add(("session", head | {"seed": seed, **self._time.beginning()}))

    def alerts(self, alerts: Alerts) -> Alerts:
        """The same, noted."""
        return NotedAlerts(alerts, self._add)

    async def watch(self, run: Callable[[], Awaitable[ExitCode]]) -> ExitCode:
        """Run the daemon, and note how it ended."""
        self._turn = self._counter.turns
        self._add(("begin", self._time.begin(), 0))
        try:
            code = await run()
        except asyncio.CancelledError:
            self._add(("over", ["CancelledError", ""]))
            raise
        except Exception as failure:
            self._add(("over", failures.written(failure)))
            raise
        else:
            self._add(("over", int(code)))
            return code
        finally:
            self._over = True
            await self._let_go()

    # Moments ---------------------------------------------------------------------------------

    def _moment(self) -> tuple[int, int]:
        """A new one: its time, and the turns since the one before."""
        turn = self._counter.turns
        turns, self._turn = turn - self._turn, turn
        return self._time.begin(), turns

    def hear(self, line: Line, frames: Sequence[str | bytes]) -> None:
        """At the end of a turn: frames that came together. Raises what the daemon does."""
        at_us, turns = self._moment()
        self._add(("<", at_us, turns, line.number, frames))
        line.heard(frames)

    def at_the_end_of_a_turn(self, act: Callable[[], None]) -> None:
        """There the tasks that were ready have had their turn, here some of them have not."""
        if not self._waiting:
            self._loop.call_later(0.0, self._end_turn)
        self._waiting.append(act)

    def _end_turn(self) -> None:
        for _ in range(len(self._waiting)):
            self._waiting.popleft()()
        if self._waiting:
            self._loop.call_later(0.0, self._end_turn)

    def _enter(self, entry: Entered, act: Callable[[], None]) -> None:
        def enter() -> None:
            if not self._over:
                what, *more = entry
                self._add((what, *self._moment(), *more))
            act()

        self.at_the_end_of_a_turn(enter)

    # Alarms

    def _set_alarm(self, number: int, seconds: float) -> None:
        self._add(("alarm", number, seconds))
        self._handles[number] = self._loop.call_later(max(0.0, seconds), self._ring, number)

    def _unset_alarm(self, number: int) -> None:
        self._handles.pop(number).cancel()

    def _ring(self, number: int) -> None:
        if self._over:
            return
        del self._handles[number]
        at_us, turns = self._moment()
        off_ms = self._world.clock.unix_ms() - self._time.moment_ms
        if abs(off_ms) < _WALL_OFF_MS:
            self._add(("ring", at_us, turns, number))
        else:
            self._time.wall_us += off_ms * 1000
            self._add(("ring", at_us, turns, number, self._time.wall_us))
        self.ring(number)

    # What is asked for

    def _begin(self, number: int, what: str, do: Do) -> None:
        self._add(("ask", number, what))
        self._tasks[number] = self._loop.create_task(self._do(number, do))

    async def _do(self, number: int, do: Do) -> None:
        result: str | None = None
        error: BaseException | None = None
        try:
            result = await do()
        except asyncio.CancelledError:
            if number not in self._answers:
                raise
            error = SessionLost("cancelled")  # not by us: whoever cancels a task of the library's ends its connection
        except Exception as failure:  # noqa: BLE001 - it is for the daemon to judge
            error = failure
        self.at_the_end_of_a_turn(lambda: self._tell(number, result, error))

    def _tell(self, number: int, result: str | None, error: BaseException | None) -> None:
        self._tasks.pop(number, None)
        answer = self._answers.get(number)
        if answer is None or answer.done():
            self._forsake(number)
            return
        outcome = result if error is None else self._written(error)
        self._add(("told", *self._moment(), number, outcome))
        if isinstance(outcome, list):
            error = error_of(outcome) if outcome == [failures.OWN] else error
        self.told(number, result, error)

    def _written(self, error: BaseException) -> list[object]:
        ours = any(is_of_our_own(line, error) for line in self._lines.values())
        return [failures.OWN] if ours else failures.written(error)

    def _leave(self, number: int) -> None:
        task = self._tasks.pop(number, None)
        if task is not None and not task.done():
            task.cancel()
            self._keep(task)

    def _forsake(self, number: int) -> None:
        """A connection came, and nobody wants it any more."""
        socket = self._sockets.pop(number, None)
        if socket is not None:
            self._keep(self._loop.create_task(_hang_up(socket)))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _let_go(self) -> None:
        """Whatever is still being tidied up."""
        for handle in self._handles.values():
            handle.cancel()
        for number in list(self._sockets):
            if number not in self._lines:
                self._forsake(number)
        if self._closing:
            await asyncio.wait(self._closing)

    # Lines

    async def _open(self, line: Line, url: str) -> None:
        self._sockets[line.number] = await self._dial(url)

    def send(self, line: Line, text: str) -> None:
        try:
            socket = self._sockets.get(line.number)
            if socket is None:
                raise SessionLost("the connection is closed")
            socket.send(text)
        except SessionLost as lost:
            self._add(("!>", line.number, text, failures.written(lost)))
            raise
        self._add((">", line.number, text))

    async def listen(self, line: Line) -> None:
        socket, task = self._sockets[line.number], asyncio.current_task()
        ear = _Ear(self, line, at_once=hears_at_once(socket), broken=lambda: task is not None and task.cancel())
        self._loop.call_soon(ear.open)
        try:
            await socket.listen(ear.hear)
        except asyncio.CancelledError:
            if line.failure is None or task is None or not line.listening:
                raise
            task.uncancel()
            raise line.failure from None

    async def close(self, line: Line) -> None:
        socket = self._sockets.get(line.number)
        if socket is not None:
            await socket.close()
        self._sockets.pop(line.number, None)
        self._lines.pop(line.number, None)


class _Ear:
    """Hands frames over at the end of a turn.

    A connection that hears where its transport delivers is there already, but for what had come before
    anybody listened.
    """

    def __init__(self, recorder: Recorder, line: Line, *, at_once: bool, broken: Callable[[], object]) -> None:
        self._recorder = recorder
        self._line = line
        self._broken = broken
        self._at_once = False
        self._may_hear_at_once = at_once
        self._kept: list[Sequence[str | bytes]] = []

    def open(self) -> None:
        """What had come before has been handed over."""
        self._at_once = self._may_hear_at_once

    def hear(self, frames: Sequence[str | bytes]) -> None:
        if not self._line.listening or self._line.failure is not None:
            return
        if self._at_once and not self._kept:
            self._recorder.hear(self._line, frames)
            return
        if not self._kept:
            self._recorder.at_the_end_of_a_turn(self._hand_over)
        self._kept.append(frames)

    def _hand_over(self) -> None:
        kept, self._kept = self._kept, []
        for frames in kept:
            if not self._line.listening or self._line.failure is not None:
                return
            try:
                self._recorder.hear(self._line, frames)
            except Exception:  # noqa: BLE001 - it is with the line, and whoever listens to the socket raises it
                self._broken()


class NotedAlerts:
    """Alerts that are lines of a record as well."""

    def __init__(self, alerts: Alerts, add: Callable[[Entry], None]) -> None:
        self._alerts = alerts
        self._add = add

    def send(self, text: str, level: int = logging.INFO) -> None:
        self._add(("alert", level, text))
        self._alerts.send(text, level)


async def _hang_up(socket: Socket) -> None:
    with contextlib.suppress(Exception):  # whoever wanted it is gone
        await socket.close()
