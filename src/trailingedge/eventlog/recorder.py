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
from typing import Final

from trailingedge.core.clock import Clock, RealClock
from trailingedge.core.errors import ExitCode, SessionLost
from trailingedge.eventlog import error_codec
from trailingedge.eventlog.format import MANY, FrameBatch, FrameSink, LineSink, recorded_name
from trailingedge.eventlog.frozen_clock import FrozenClock
from trailingedge.eventlog.io_boundary import BoundarySocket, Do, IoBoundary, error_of, is_of_our_own
from trailingedge.eventlog.loop_counter import count_no_more, counter_of
from trailingedge.execution.trading_core import TradingCore
from trailingedge.live.factory import InputEntry, Runtime
from trailingedge.model.market import ExecutionReport
from trailingedge.model.market_state import StateView
from trailingedge.notifications.alerts import Alerts
from trailingedge.strategy.decide import Decision
from trailingedge.websocket.transport import Dial, FrameHandler, Socket, hears_at_once


class DecisionObserver:
    """Notes events as they come, and the decision when it is about something else than before."""

    def __init__(self, lines: LineSink) -> None:
        self._lines = lines
        self._about: tuple[object, ...] = ()

    def on_tick(self, trader: TradingCore, _: StateView) -> None:
        for news in trader.events:
            self._lines.add(("news", recorded_name(type(news).__name__), news))
        decision = trader.decision
        if decision is not None and (about := _about(decision)) != self._about:
            self._about = about
            self._lines.add(("decision", about[1:], decision))

    def on_report(self, _: ExecutionReport) -> None:
        """It is in the frame."""


def _about(decision: Decision) -> tuple[object, ...]:
    """What is a change of mind when it changes; the first of it, the time of the anchor, only if it does."""
    memory = decision.state
    held = memory.exit
    return (
        memory.anchor_ms,
        decision.acted,
        memory.phase,
        memory.regime,
        None if memory.gate is None else memory.gate.shut_by,
        None if held is None else (held.kind, held.side, held.ending),
        decision.trading_paused,
        decision.halted,
        decision.trail is not None and decision.trail.armed,
    )


LATE_S: Final = 0.25  # a moment that lasts so long is followed by another one, which has nothing but its time
_WALL_OFF_MS: Final = 2  # the wall clock is told in milliseconds, so that one more or less means nothing


class Recorder(IoBoundary):
    """`surroundings` are those of the daemon, from now on: lived in, and recorded to `lines`."""

    def __init__(self, world: Runtime, lines: FrameSink, head: dict[str, object], seed: int) -> None:
        self._now_ns = _nanoseconds(world.clock)
        super().__init__(FrozenClock(self._now_ns(), world.clock.unix_ms() * 1_000_000))
        self._lines = lines
        self._world = world
        self._dial: Dial = world.dial
        self._loop = asyncio.get_running_loop()
        self._counter = counter_of(self._loop, self._between_turns, self._within_a_turn)
        self._waiting: deque[Callable[[], None]] = deque()  # for the end of a turn
        self._handles: dict[int, asyncio.TimerHandle] = {}
        self._sockets: dict[int, Socket] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._ears: dict[int, _DeferredFrames] = {}
        self._over = False
        self.keeps = True  # every line
        self.surroundings = replace(
            world,
            keys=world.keys.through(self.signs),
            dial=self.dial,
            clock=self,
            save_frames=None if world.save_frames is None else self.saves(world.save_frames),
            stopwatch=world.stopwatch or world.clock,
            input_gate=self._enter,
            observer=DecisionObserver(lines),
            random=Random(seed),
        )
        begun = {"zero_ns": self.time.zero_ns, "unix_ns": self.time.zero_ns + self.time.wall[1]}
        lines.add(("session", head | {"seed": seed} | begun))

    def alerts(self, alerts: Alerts) -> Alerts:
        """The same, noted."""
        return RecordedAlerts(alerts, self._lines)

    async def watch(self, run: Callable[[], Awaitable[ExitCode]]) -> ExitCode:
        """Run the daemon, and note how it ended."""
        self._lines.add(("begin", *self._moment()))
        try:
            code = await run()
        except asyncio.CancelledError:
            self._lines.add(("over", ["CancelledError", ""]))
            raise
        except Exception as failure:
            self._lines.add(("over", error_codec.written(failure)))
            raise
        else:
            self._lines.add(("over", int(code)))
            return code
        finally:
            self._over = True
            count_no_more(self._loop)
            await self._let_go()

    # Moments ---------------------------------------------------------------------------------

    def _moment(self) -> tuple[int, int]:
        """A new one: its time, and how often the loop has gone round."""
        now_ns = self._now_ns()
        self.time.stand_at(now_ns)
        return now_ns, self._counter.turns

    def _between_turns(self) -> None:
        """Where the daemon is still at work long after the moment began, its time is no use any more."""
        if self._now_ns() / 1e9 > self.time.now[0] + LATE_S and not self._over:
            self._lines.add(("tick", *self._moment()))

    def _within_a_turn(self) -> None:
        if self._now_ns() / 1e9 > self.time.now[0] + LATE_S:
            self.at_the_end_of_a_turn(self._between_turns)

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

    def _enter(self, entry: InputEntry, act: Callable[[], None]) -> None:
        def enter() -> None:
            if not self._over:
                what, *more = entry
                self._lines.add((what, *self._moment(), *more))
            act()

        self.at_the_end_of_a_turn(enter)

    # Alarms

    def _set_alarm(self, number: int, seconds: float) -> None:
        self._lines.add(("alarm", number, seconds))
        self._handles[number] = self._loop.call_later(max(0.0, seconds), self._ring, number)

    def _unset_alarm(self, number: int) -> None:
        self._handles.pop(number).cancel()

    def _ring(self, number: int) -> None:
        if self._over:
            return
        del self._handles[number]
        moment = self._moment()
        off_ms = self._world.clock.unix_ms() - self.time.wall[0]
        if abs(off_ms) < _WALL_OFF_MS:
            self._lines.add(("ring", *moment, number))
        else:
            self.time.set_wall(off_ms)
            self._lines.add(("ring", *moment, number, off_ms))
        self._mind()
        self.ring(number)

    def _mind(self) -> None:
        """While lines are left out, none may go straight to where they are kept."""
        keeps = self._lines.mind()
        if keeps is not self.keeps:
            self.keeps = keeps
            for ear in self._ears.values():
                ear.look()

    # What is asked for

    def _begin(self, number: int, what: str, do: Do) -> None:
        self._lines.add(("ask", number, what))
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
        self._lines.add(("told", *self._moment(), number, outcome))
        if isinstance(outcome, list):
            error = error_of(outcome) if outcome == [error_codec.OWN] else error
        self.told(number, result, error)

    def _written(self, error: BaseException) -> list[object]:
        ours = any(is_of_our_own(line, error) for line in self._open_lines.values())
        return [error_codec.OWN] if ours else error_codec.written(error)

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
            if number not in self._open_lines:
                self._forsake(number)
        if self._closing:
            await asyncio.wait(self._closing)

    # Lines

    async def _open(self, line: BoundarySocket, url: str) -> None:
        self._sockets[line.number] = await self._dial(url)

    def _sender(self, line: BoundarySocket) -> Callable[[str], None]:
        number, write, lines = line.number, self._sockets[line.number].send, self._lines

        def send(text: str) -> None:
            try:
                write(text)
            except SessionLost as lost:
                lines.add(("!>", number, text, error_codec.written(lost)))
                raise
            lines.add((">", number, text))  # after it is on its way

        return send

    async def listen(self, line: BoundarySocket) -> None:
        socket = self._sockets[line.number]
        ear = self._ears[line.number] = _DeferredFrames(
            self, line, asyncio.current_task(), at_once=hears_at_once(socket)
        )
        self._loop.call_soon(ear.open)
        try:
            await socket.listen(self._listener(line, ear))
        except asyncio.CancelledError:
            ear.raise_failure()
            raise
        finally:
            del self._ears[line.number]

    def _listener(self, line: BoundarySocket, ear: "_DeferredFrames") -> FrameHandler:
        """A moment each, and each in one go: this is the way from a price to its order, and most of it is cold."""
        number, counter, now_ns, listen = line.number, self._counter, self._now_ns, line.hear
        direct, lines, add_many, now, wall = ear.direct, self._lines, self._add_many, self.time.now, self.time.wall

        def hear(frames: Sequence[str | bytes]) -> None:
            if not direct:
                ear.keep(frames)
                return
            at_ns = now_ns()
            now[0] = at_ns / 1e9
            wall[0] = (at_ns + wall[1]) // 1_000_000
            if len(frames) < MANY:
                lines.add(("<", at_ns, counter.turns, number, frames))
            else:
                add_many(at_ns, counter.turns, number, frames)
            try:
                listen(frames)
            except BaseException as failure:
                line.fail(failure)
                direct.clear()
                raise

        return hear

    def _add_many(self, at_ns: int, turns: int, number: int, frames: Sequence[str | bytes]) -> None:
        raw = [frame for frame in frames if isinstance(frame, bytes)]
        if len(raw) < len(frames):  # letters and bytes are told apart, and only the network sends so many at a time
            self._lines.add(("<", at_ns, turns, number, frames))
            return
        self._lines.add_many(("<", at_ns, turns, number, FrameBatch(raw)))

    def deaf(self, line: BoundarySocket) -> None:
        ear = self._ears.get(line.number)
        if ear is not None:
            ear.look()

    def hear(self, line: BoundarySocket, frames: Sequence[str | bytes]) -> None:
        """The same where it need not be quick. Raises what the daemon does."""
        self._lines.add(("<", *self._moment(), line.number, frames))
        line.heard(frames)

    async def close(self, line: BoundarySocket) -> None:
        socket = self._sockets.get(line.number)
        if socket is not None:
            await socket.close()
        self._sockets.pop(line.number, None)
        self._open_lines.pop(line.number, None)


class _DeferredFrames:
    """Hands frames over at the end of a turn, unless they come there: while there is something in `direct`.

    A connection that hears where its transport delivers is at the end of a turn already, but for what had come
    before anybody listened.
    """

    def __init__(
        self, recorder: Recorder, line: BoundarySocket, listening: "asyncio.Task[None] | None", *, at_once: bool
    ) -> None:
        self.direct: list[bool] = []
        self._recorder = recorder
        self._line = line
        self._listening = listening
        self._at_once = at_once
        self._open = False
        self._broken = False
        self._kept: list[Sequence[str | bytes]] = []

    def open(self) -> None:
        """What had come before has been handed to us."""
        self._open = True
        self.look()

    def look(self) -> None:
        """Whether frames may go straight on."""
        if self._at_once and self._open and self._line.listening and self._recorder.keeps and not self._kept:
            self.direct[:] = [True]
        else:
            self.direct.clear()

    def keep(self, frames: Sequence[str | bytes]) -> None:
        """Until this turn is over."""
        if not self._kept:
            self._recorder.at_the_end_of_a_turn(self._hand_over)
        self._kept.append(frames)

    def raise_failure(self) -> None:
        """Listening was ended because the daemon had raised something: raise that."""
        if self._broken and self._line.failure is not None and self._listening is not None:
            self._listening.uncancel()
            raise self._line.failure

    def _hand_over(self) -> None:
        kept, self._kept = self._kept, []
        self.look()
        for frames in kept:
            if not self._line.listening:
                return
            try:
                self._recorder.hear(self._line, frames)
            except Exception:  # noqa: BLE001 - it is with the line, and `listen` raises it
                self._broken = True
                if self._listening is not None:
                    self._listening.cancel()


class RecordedAlerts:
    """Alerts that are lines of a record as well."""

    def __init__(self, alerts: Alerts, lines: LineSink) -> None:
        self._alerts = alerts
        self._lines = lines

    def send(self, text: str, level: int = logging.INFO) -> None:
        self._lines.add(("alert", level, text))
        self._alerts.send(text, level)


def _nanoseconds(clock: Clock) -> Callable[[], int]:
    """The monotonic time of `clock` in whole nanoseconds."""
    return clock.now_ns if isinstance(clock, RealClock) else lambda: round(clock.now_s() * 1e9)


async def _hang_up(socket: Socket) -> None:
    with contextlib.suppress(Exception):  # whoever wanted it is gone
        await socket.close()
