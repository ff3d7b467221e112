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
from trailingedge.eventlog.format import BATCH_FROM, FrameBatch, FrameSink, LineSink, recorded_name
from trailingedge.eventlog.frozen_clock import FrozenClock
from trailingedge.eventlog.io_boundary import BoundarySocket, IoBoundary, IoOperation, raised_by_handler, recorded_error
from trailingedge.eventlog.loop_counter import attach_counter, detach_counter
from trailingedge.execution.trading_core import TradingCore
from trailingedge.live.factory import InputEntry, Runtime
from trailingedge.model.market import ExecutionReport
from trailingedge.model.market_state import StateView
from trailingedge.notifications.alerts import Alerts
from trailingedge.strategy.decide import Decision
from trailingedge.websocket.transport import Dial, FrameHandler, Socket, delivers_synchronously


class DecisionObserver:
    """Notes events as they come, and the decision when it is about something else than before."""

    def __init__(self, lines: LineSink) -> None:
        self._sink = lines
        self._last_key: tuple[object, ...] = ()

    def on_tick(self, trader: TradingCore, _: StateView) -> None:
        for news in trader.events:
            self._sink.add(("news", recorded_name(type(news).__name__), news))
        decision = trader.decision
        if decision is not None and (about := _decision_key(decision)) != self._last_key:
            self._last_key = about
            self._sink.add(("decision", about[1:], decision))

    def on_report(self, _: ExecutionReport) -> None:
        """It is in the frame."""


def _decision_key(decision: Decision) -> tuple[object, ...]:
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


REFRESH_AFTER_S: Final = 0.25  # a moment that lasts so long is followed by another one, which has nothing but its time
_WALL_TOLERANCE_MS: Final = 2  # the wall clock is told in milliseconds, so that one more or less means nothing


class Recorder(IoBoundary):
    """`surroundings` are those of the daemon, from now on: lived in, and recorded to `lines`."""

    def __init__(self, world: Runtime, lines: FrameSink, head: dict[str, object], seed: int) -> None:
        self._now_ns = _monotonic_ns(world.clock)
        super().__init__(FrozenClock(self._now_ns(), world.clock.unix_ms() * 1_000_000))
        self._sink = lines
        self._real = world
        self._dial: Dial = world.dial
        self._loop = asyncio.get_running_loop()
        self._counter = attach_counter(self._loop, self._on_iteration, self._inside_iteration)
        self._deferred: deque[Callable[[], None]] = deque()  # for the end of a turn
        self._timer_handles: dict[int, asyncio.TimerHandle] = {}
        self._real_sockets: dict[int, Socket] = {}
        self._operation_tasks: dict[int, asyncio.Task[None]] = {}
        self._cleanup_tasks: set[asyncio.Task[None]] = set()
        self._deliveries: dict[int, _DeferredFrames] = {}
        self._finished = False
        self.sink_has_room = True  # every line
        self.runtime = replace(
            world,
            keys=world.keys.with_wrapped_signer(self.wrap_signer),
            dial=self.dial,
            clock=self,
            save_frames=None if world.save_frames is None else self.wrap_save_frames(world.save_frames),
            stopwatch=world.stopwatch or world.clock,
            input_gate=self._gate_input,
            observer=DecisionObserver(lines),
            random=Random(seed),
        )
        begun = {
            "zero_ns": self.frozen_clock.zero_ns,
            "unix_ns": self.frozen_clock.zero_ns + self.frozen_clock.wall_cell[1],
        }
        lines.add(("session", head | {"seed": seed} | begun))

    def wrap_alerts(self, alerts: Alerts) -> Alerts:
        """The same, noted."""
        return RecordedAlerts(alerts, self._sink)

    async def run_session(self, run: Callable[[], Awaitable[ExitCode]]) -> ExitCode:
        """Run the daemon, and note how it ended."""
        self._sink.add(("begin", *self._stamp_input()))
        try:
            code = await run()
        except asyncio.CancelledError:
            self._sink.add(("over", ["CancelledError", ""]))
            raise
        except Exception as failure:
            self._sink.add(("over", error_codec.encode_error(failure)))
            raise
        else:
            self._sink.add(("over", int(code)))
            return code
        finally:
            self._finished = True
            detach_counter(self._loop)
            await self._clean_up()

    # Moments ---------------------------------------------------------------------------------

    def _stamp_input(self) -> tuple[int, int]:
        """A new one: its time, and how often the loop has gone round."""
        now_ns = self._now_ns()
        self.frozen_clock.set_time_ns(now_ns)
        return now_ns, self._counter.iterations

    def _on_iteration(self) -> None:
        """Where the daemon is still at work long after the moment began, its time is no use any more."""
        if self._now_ns() / 1e9 > self.frozen_clock.now_cell[0] + REFRESH_AFTER_S and not self._finished:
            self._sink.add(("tick", *self._stamp_input()))

    def _inside_iteration(self) -> None:
        if self._now_ns() / 1e9 > self.frozen_clock.now_cell[0] + REFRESH_AFTER_S:
            self.defer_to_iteration_end(self._on_iteration)

    def defer_to_iteration_end(self, act: Callable[[], None]) -> None:
        """There the tasks that were ready have had their turn, here some of them have not."""
        if not self._deferred:
            self._loop.call_later(0.0, self._run_deferred)
        self._deferred.append(act)

    def _run_deferred(self) -> None:
        for _ in range(len(self._deferred)):
            self._deferred.popleft()()
        if self._deferred:
            self._loop.call_later(0.0, self._run_deferred)

    def _gate_input(self, entry: InputEntry, act: Callable[[], None]) -> None:
        def enter() -> None:
            if not self._finished:
                what, *more = entry
                self._sink.add((what, *self._stamp_input(), *more))
            act()

        self.defer_to_iteration_end(enter)

    # Alarms

    def _start_timer(self, number: int, seconds: float) -> None:
        self._sink.add(("alarm", number, seconds))
        self._timer_handles[number] = self._loop.call_later(max(0.0, seconds), self._on_timer, number)

    def _stop_timer(self, number: int) -> None:
        self._timer_handles.pop(number).cancel()

    def _on_timer(self, number: int) -> None:
        if self._finished:
            return
        del self._timer_handles[number]
        moment = self._stamp_input()
        off_ms = self._real.clock.unix_ms() - self.frozen_clock.wall_cell[0]
        if abs(off_ms) < _WALL_TOLERANCE_MS:
            self._sink.add(("ring", *moment, number))
        else:
            self.frozen_clock.adjust_wall_ms(off_ms)
            self._sink.add(("ring", *moment, number, off_ms))
        self._check_backlog()
        self.fire_timer(number)

    def _check_backlog(self) -> None:
        """While lines are left out, none may go straight to where they are kept."""
        keeps = self._sink.check_backlog()
        if keeps is not self.sink_has_room:
            self.sink_has_room = keeps
            for ear in self._deliveries.values():
                ear.update_direct()

    # What is asked for

    def _start_operation(self, number: int, what: str, do: IoOperation) -> None:
        self._sink.add(("ask", number, what))
        self._operation_tasks[number] = self._loop.create_task(self._run_operation(number, do))

    async def _run_operation(self, number: int, do: IoOperation) -> None:
        result: str | None = None
        error: BaseException | None = None
        try:
            result = await do()
        except asyncio.CancelledError:
            if number not in self._pending:
                raise
            error = SessionLost("cancelled")  # not by us: whoever cancels a task of the library's ends its connection
        except Exception as failure:  # noqa: BLE001 - it is for the daemon to judge
            error = failure
        self.defer_to_iteration_end(lambda: self._on_operation_done(number, result, error))

    def _on_operation_done(self, number: int, result: str | None, error: BaseException | None) -> None:
        self._operation_tasks.pop(number, None)
        answer = self._pending.get(number)
        if answer is None or answer.done():
            self._close_unclaimed(number)
            return
        outcome = result if error is None else self._encode_error(error)
        self._sink.add(("told", *self._stamp_input(), number, outcome))
        if isinstance(outcome, list):
            error = recorded_error(outcome) if outcome == [error_codec.RAISED_BY_HANDLER] else error
        self.complete(number, result, error)

    def _encode_error(self, error: BaseException) -> list[object]:
        ours = any(raised_by_handler(line, error) for line in self._open_sockets.values())
        return [error_codec.RAISED_BY_HANDLER] if ours else error_codec.encode_error(error)

    def _end_operation(self, number: int) -> None:
        task = self._operation_tasks.pop(number, None)
        if task is not None and not task.done():
            task.cancel()
            self._track_cleanup(task)

    def _close_unclaimed(self, number: int) -> None:
        """A connection came, and nobody wants it any more."""
        socket = self._real_sockets.pop(number, None)
        if socket is not None:
            self._track_cleanup(self._loop.create_task(_close_quietly(socket)))

    def _track_cleanup(self, task: asyncio.Task[None]) -> None:
        self._cleanup_tasks.add(task)
        task.add_done_callback(self._cleanup_tasks.discard)

    async def _clean_up(self) -> None:
        """Whatever is still being tidied up."""
        for handle in self._timer_handles.values():
            handle.cancel()
        for number in list(self._real_sockets):
            if number not in self._open_sockets:
                self._close_unclaimed(number)
        if self._cleanup_tasks:
            await asyncio.wait(self._cleanup_tasks)

    # Lines

    async def _open_socket(self, line: BoundarySocket, url: str) -> None:
        self._real_sockets[line.number] = await self._dial(url)

    def _make_sender(self, line: BoundarySocket) -> Callable[[str], None]:
        number, write, lines = line.number, self._real_sockets[line.number].send, self._sink

        def send(text: str) -> None:
            try:
                write(text)
            except SessionLost as lost:
                lines.add(("!>", number, text, error_codec.encode_error(lost)))
                raise
            lines.add((">", number, text))  # after it is on its way

        return send

    async def listen_on(self, line: BoundarySocket) -> None:
        socket = self._real_sockets[line.number]
        ear = self._deliveries[line.number] = _DeferredFrames(
            self, line, asyncio.current_task(), at_once=delivers_synchronously(socket)
        )
        self._loop.call_soon(ear.open)
        try:
            await socket.receive(self._make_frame_handler(line, ear))
        except asyncio.CancelledError:
            ear.raise_failure()
            raise
        finally:
            del self._deliveries[line.number]

    def _make_frame_handler(self, line: BoundarySocket, ear: "_DeferredFrames") -> FrameHandler:
        """A moment each, and each in one go: this is the way from a price to its order, and most of it is cold."""
        number, counter, now_ns, listen = line.number, self._counter, self._now_ns, line.on_frames
        direct, lines, add_many, now, wall = (
            ear.direct,
            self._sink,
            self._record_frame_batch,
            self.frozen_clock.now_cell,
            self.frozen_clock.wall_cell,
        )

        def hear(frames: Sequence[str | bytes]) -> None:
            if not direct:
                ear.defer(frames)
                return
            at_ns = now_ns()
            now[0] = at_ns / 1e9
            wall[0] = (at_ns + wall[1]) // 1_000_000
            if len(frames) < BATCH_FROM:
                lines.add(("<", at_ns, counter.iterations, number, frames))
            else:
                add_many(at_ns, counter.iterations, number, frames)
            try:
                listen(frames)
            except BaseException as failure:
                line.mark_failed(failure)
                direct.clear()
                raise

        return record_and_deliver

    def _record_frame_batch(self, at_ns: int, turns: int, number: int, frames: Sequence[str | bytes]) -> None:
        raw = [frame for frame in frames if isinstance(frame, bytes)]
        if len(raw) < len(frames):  # letters and bytes are told apart, and only the network sends so many at a time
            self._sink.add(("<", at_ns, turns, number, frames))
            return
        self._sink.add_batch(("<", at_ns, turns, number, FrameBatch(raw)))

    def on_listening_ended(self, line: BoundarySocket) -> None:
        ear = self._deliveries.get(line.number)
        if ear is not None:
            ear.update_direct()

    def record_and_deliver(self, line: BoundarySocket, frames: Sequence[str | bytes]) -> None:
        """The same where it need not be quick. Raises what the daemon does."""
        self._sink.add(("<", *self._stamp_input(), line.number, frames))
        line.deliver(frames)

    async def close_socket(self, line: BoundarySocket) -> None:
        socket = self._real_sockets.get(line.number)
        if socket is not None:
            await socket.close()
        self._real_sockets.pop(line.number, None)
        self._open_sockets.pop(line.number, None)


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
        self._socket = line
        self._listening_task = listening
        self._delivered_at_iteration_end = at_once
        self._opened = False
        self._handler_failed = False
        self._deferred: list[Sequence[str | bytes]] = []

    def open(self) -> None:
        """What had come before has been handed to us."""
        self._opened = True
        self.update_direct()

    def update_direct(self) -> None:
        """Whether frames may go straight on."""
        if (
            self._delivered_at_iteration_end
            and self._opened
            and self._socket.listening
            and self._recorder.sink_has_room
            and not self._deferred
        ):
            self.direct[:] = [True]
        else:
            self.direct.clear()

    def defer(self, frames: Sequence[str | bytes]) -> None:
        """Until this turn is over."""
        if not self._deferred:
            self._recorder.defer_to_iteration_end(self._deliver_deferred)
        self._deferred.append(frames)

    def raise_failure(self) -> None:
        """Listening was ended because the daemon had raised something: raise that."""
        if self._handler_failed and self._socket.failure is not None and self._listening_task is not None:
            self._listening_task.uncancel()
            raise self._socket.failure

    def _deliver_deferred(self) -> None:
        kept, self._deferred = self._deferred, []
        self.update_direct()
        for frames in kept:
            if not self._socket.listening:
                return
            try:
                self._recorder.record_and_deliver(self._socket, frames)
            except Exception:  # noqa: BLE001 - it is with the line, and `listen` raises it
                self._handler_failed = True
                if self._listening_task is not None:
                    self._listening_task.cancel()


class RecordedAlerts:
    """Alerts that are lines of a record as well."""

    def __init__(self, alerts: Alerts, lines: LineSink) -> None:
        self._alerts = alerts
        self._sink = lines

    def send(self, text: str, level: int = logging.INFO) -> None:
        self._sink.add(("alert", level, text))
        self._alerts.send(text, level)


def _monotonic_ns(clock: Clock) -> Callable[[], int]:
    """The monotonic time of `clock` in whole nanoseconds."""
    return clock.now_ns if isinstance(clock, RealClock) else lambda: round(clock.now_s() * 1e9)


async def _close_quietly(socket: Socket) -> None:
    with contextlib.suppress(Exception):  # whoever wanted it is gone
        await socket.close()
