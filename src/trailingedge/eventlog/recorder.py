"""Recorder of a session: the I/O boundary of the live daemon, which writes down every input and output.

Theory of operation. The daemon is built with `Recorder.runtime`. Its clock, its connections, its signatures and the
check of its API key all go through the boundary (see `io_interface`). Three rules make the record replayable.

- *Stamp first.* Before the daemon sees an input, the input gets a time and an iteration number
  (`_stamp_input`) and is written to the record. The outputs that follow are appended as they
  happen, until the next input.
- *End of iteration.* Ready tasks may still work on the previous input, so the next input is delivered only after all
  of them have run. In one iteration asyncio runs first what became ready in the iteration before, then network
  callbacks, then timers that are due. So network callbacks and timers already come after the ready tasks. Every other
  input, such as an operator command or the result of an operation, is deferred by `call_later(0)`, as a timer.
- *Frames take the fast path.* A transport that delivers a frame in its protocol callback delivers it at the end of an
  iteration. So the frame is stamped, recorded and handed over in one function call. An order waits for this path: it
  costs one reading of the clock and one append. Other frames (those that came before the handler was set, or while the
  writer of the record drops lines) wait in `_DeferredFrames`.

The daemon's time is frozen between inputs. If it works for longer than REFRESH_AFTER_S, a "tick" input follows that
carries nothing but the time.
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
from trailingedge.eventlog.io_interface import (
    BoundarySocket,
    IoBoundary,
    IoOperation,
    raised_by_handler,
    recorded_error,
)
from trailingedge.eventlog.loop_counter import attach_counter, detach_counter
from trailingedge.execution.trading_core import TradingCore
from trailingedge.live.node_dependencies import InputEntry, Runtime
from trailingedge.model.market import ExecutionReport
from trailingedge.model.market_state import StateView
from trailingedge.notifications.alert_sinks import Alerts
from trailingedge.strategy.decide import Decision
from trailingedge.websocket.socket_dialer import Dial, FrameHandler, Socket, delivers_synchronously


class DecisionObserver:
    """Records every event, and each decision whose key differs from the last recorded key."""

    def __init__(self, lines: LineSink) -> None:
        self._sink = lines
        self._last_key: tuple[object, ...] = ()

    def on_tick(self, trader: TradingCore, _: StateView) -> None:
        for event in trader.events:
            self._sink.add(("news", recorded_name(type(event).__name__), event))
        decision = trader.decision
        if decision is not None and (key := _decision_key(decision)) != self._last_key:
            self._last_key = key
            self._sink.add(("decision", key[1:], decision))

    def on_report(self, _: ExecutionReport) -> None:
        """Do nothing: the frame that contained the report is already recorded."""


def _decision_key(decision: Decision) -> tuple[object, ...]:
    """Return the parts of a decision that cause a new record line when one of them changes.

    The first part, the time of the anchor, is not written into the recorded key. A replay with
    other settings compares the recorded keys, and must not report another anchor time as a
    difference.
    """
    state = decision.state
    active = state.exit
    return (
        state.anchor_ms,
        decision.acted,
        state.phase,
        state.regime,
        None if state.gate is None else state.gate.shut_by,
        None if active is None else (active.kind, active.side, active.ending),
        decision.trading_paused,
        decision.halted,
        decision.trail is not None and decision.trail.armed,
    )


REFRESH_AFTER_S: Final = 0.25  # work on one input that takes longer is followed by a "tick" input, for the clock's sake
_WALL_TOLERANCE_MS: Final = 2  # both clocks are rounded to milliseconds: a smaller difference is no adjustment


class Recorder(IoBoundary):
    """The I/O boundary of a live daemon. Build the daemon with `runtime`; its inputs and outputs go to `lines`."""

    def __init__(self, real: Runtime, lines: FrameSink, header: dict[str, object], seed: int) -> None:
        self._now_ns = _monotonic_ns(real.clock)
        super().__init__(FrozenClock(self._now_ns(), real.clock.unix_ms() * 1_000_000))
        self._sink = lines
        self._real = real
        self._dial: Dial = real.dial
        self._loop = asyncio.get_running_loop()
        self._counter = attach_counter(self._loop, self._on_iteration, self._inside_iteration)
        self._deferred: deque[Callable[[], None]] = deque()  # inputs that wait for the end of the iteration
        self._timer_handles: dict[int, asyncio.TimerHandle] = {}
        self._real_sockets: dict[int, Socket] = {}
        self._operation_tasks: dict[int, asyncio.Task[None]] = {}
        self._cleanup_tasks: set[asyncio.Task[None]] = set()
        self._deliveries: dict[int, _DeferredFrames] = {}
        self._finished = False
        self.sink_has_room = True  # False while the sink drops lines
        self.runtime = replace(
            real,
            keys=real.keys.with_wrapped_signer(self.wrap_signer),
            dial=self.dial,
            clock=self,
            save_frames=None if real.save_frames is None else self.wrap_save_frames(real.save_frames),
            stopwatch=real.stopwatch or real.clock,  # measures our own work, for which the frozen clock is no use
            input_gate=self._gate_input,
            observer=DecisionObserver(lines),
            random=Random(seed),  # from the header, so that a replay draws the same back-off times
        )
        clocks = {
            "zero_ns": self.frozen_clock.zero_ns,
            "unix_ns": self.frozen_clock.zero_ns + self.frozen_clock.wall_cell[1],
        }
        lines.add(("session", header | {"seed": seed} | clocks))

    def wrap_alerts(self, alerts: Alerts) -> Alerts:
        """Return `alerts` wrapped so that each alert is recorded before it is sent."""
        return RecordedAlerts(alerts, self._sink)

    async def run_session(self, run: Callable[[], Awaitable[ExitCode]]) -> ExitCode:
        """Run the daemon and record how it ended."""
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

    # Inputs ----------------------------------------------------------------------------------

    def _stamp_input(self) -> tuple[int, int]:
        """Return time and loop iteration for a new input, and move the frozen clock to that time."""
        now_ns = self._now_ns()
        self.frozen_clock.set_time_ns(now_ns)
        return now_ns, self._counter.iterations

    def _on_iteration(self) -> None:
        """If the frozen time is too old to measure ages with, record a "tick": an input that is only a time."""
        if self._now_ns() / 1e9 > self.frozen_clock.now_cell[0] + REFRESH_AFTER_S and not self._finished:
            self._sink.add(("tick", *self._stamp_input()))

    def _inside_iteration(self) -> None:
        if self._now_ns() / 1e9 > self.frozen_clock.now_cell[0] + REFRESH_AFTER_S:
            self.defer_to_iteration_end(self._on_iteration)

    def defer_to_iteration_end(self, act: Callable[[], None]) -> None:
        """Call `act` after all tasks that are ready now have run, at the end of an event-loop iteration."""
        if not self._deferred:
            self._loop.call_later(0.0, self._run_deferred)
        self._deferred.append(act)

    def _run_deferred(self) -> None:
        # What an action defers in turn must wait for the tasks that this round makes ready.
        for _ in range(len(self._deferred)):
            self._deferred.popleft()()
        if self._deferred:
            self._loop.call_later(0.0, self._run_deferred)

    def _gate_input(self, entry: InputEntry, act: Callable[[], None]) -> None:
        def record_and_act() -> None:
            if not self._finished:
                kind, *fields = entry
                self._sink.add((kind, *self._stamp_input(), *fields))
            act()

        self.defer_to_iteration_end(record_and_act)

    # Timers ----------------------------------------------------------------------------------

    def _start_timer(self, number: int, seconds: float) -> None:
        self._sink.add(("alarm", number, seconds))
        self._timer_handles[number] = self._loop.call_later(max(0.0, seconds), self._on_timer, number)

    def _stop_timer(self, number: int) -> None:
        self._timer_handles.pop(number).cancel()

    def _on_timer(self, number: int) -> None:
        if self._finished:
            return
        del self._timer_handles[number]
        stamp = self._stamp_input()
        # The frozen wall clock follows the monotonic one. Timers fire several times a second, often enough to notice
        # that NTP or an operator has set the real one; reading it at every frame would cost time.
        off_ms = self._real.clock.unix_ms() - self.frozen_clock.wall_cell[0]
        if abs(off_ms) < _WALL_TOLERANCE_MS:
            self._sink.add(("ring", *stamp, number))
        else:
            self.frozen_clock.adjust_wall_ms(off_ms)
            self._sink.add(("ring", *stamp, number, off_ms))
        self._check_backlog()
        self.fire_timer(number)

    def _check_backlog(self) -> None:
        """Deliver frames at once only while the writer of the record keeps up; else defer them."""
        has_room = self._sink.check_backlog()
        if has_room is not self.sink_has_room:
            self.sink_has_room = has_room
            for delivery in self._deliveries.values():
                delivery.update_direct()

    # Operations ------------------------------------------------------------------------------

    def _start_operation(self, number: int, what: str, operation: IoOperation) -> None:
        self._sink.add(("ask", number, what))
        self._operation_tasks[number] = self._loop.create_task(self._run_operation(number, operation))

    async def _run_operation(self, number: int, operation: IoOperation) -> None:
        result: str | None = None
        error: BaseException | None = None
        try:
            result = await operation()
        except asyncio.CancelledError:
            if number not in self._pending:  # the daemon waits no longer: `_end_operation` has cancelled us
                raise
            error = SessionLost("cancelled")  # by the library, which cancels a task of its own when a connection ends
        except Exception as failure:  # noqa: BLE001 - the daemon handles it, as it would without a recorder
            error = failure
        self.defer_to_iteration_end(lambda: self._on_operation_done(number, result, error))

    def _on_operation_done(self, number: int, result: str | None, error: BaseException | None) -> None:
        self._operation_tasks.pop(number, None)
        pending = self._pending.get(number)
        if pending is None or pending.done():
            self._close_unclaimed(number)
            return
        outcome = result if error is None else self._encode_error(error)
        self._sink.add(("told", *self._stamp_input(), number, outcome))
        if isinstance(outcome, list):
            error = recorded_error(outcome) if outcome == [error_codec.RAISED_BY_HANDLER] else error
        self.complete(number, result, error)

    def _encode_error(self, error: BaseException) -> list[object]:
        by_handler = any(raised_by_handler(socket, error) for socket in self._open_sockets.values())
        return [error_codec.RAISED_BY_HANDLER] if by_handler else error_codec.encode_error(error)

    def _end_operation(self, number: int) -> None:
        task = self._operation_tasks.pop(number, None)
        if task is not None and not task.done():
            task.cancel()
            self._track_cleanup(task)

    def _close_unclaimed(self, number: int) -> None:
        """Close the connection of a dial that succeeded after the daemon had stopped waiting for it."""
        socket = self._real_sockets.pop(number, None)
        if socket is not None:
            self._track_cleanup(self._loop.create_task(_close_quietly(socket)))

    def _track_cleanup(self, task: asyncio.Task[None]) -> None:
        self._cleanup_tasks.add(task)
        task.add_done_callback(self._cleanup_tasks.discard)

    async def _clean_up(self) -> None:
        """Stop timers, close unclaimed connections, and wait for operations that are being cancelled."""
        for handle in self._timer_handles.values():
            handle.cancel()
        for number in list(self._real_sockets):
            if number not in self._open_sockets:
                self._close_unclaimed(number)
        if self._cleanup_tasks:
            await asyncio.wait(self._cleanup_tasks)

    # Connections -----------------------------------------------------------------------------

    async def _open_socket(self, socket: BoundarySocket, url: str) -> None:
        self._real_sockets[socket.number] = await self._dial(url)

    def _make_sender(self, socket: BoundarySocket) -> Callable[[str], None]:
        number, write, lines = socket.number, self._real_sockets[socket.number].send, self._sink

        def send(text: str) -> None:
            try:
                write(text)
            except SessionLost as lost:
                lines.add(("!>", number, text, error_codec.encode_error(lost)))
                raise
            lines.add((">", number, text))  # after the write, so that recording does not delay the order

        return send

    async def listen_on(self, socket: BoundarySocket) -> None:
        real = self._real_sockets[socket.number]
        delivery = self._deliveries[socket.number] = _DeferredFrames(
            self, socket, asyncio.current_task(), delivered_at_iteration_end=delivers_synchronously(real)
        )
        self._loop.call_soon(delivery.open)
        try:
            await real.receive(self._make_frame_handler(socket, delivery))
        except asyncio.CancelledError:
            delivery.raise_failure()
            raise
        finally:
            del self._deliveries[socket.number]

    def _make_frame_handler(self, socket: BoundarySocket, delivery: "_DeferredFrames") -> FrameHandler:
        """Return a function that stamps, records and delivers frames.

        Each price passes through this function before we can send an order. Most of the time the CPU
        caches are cold then, so attribute look-ups and calls cost more than in a benchmark loop. Therefore this
        function does everything itself, with local variables.
        """
        number, counter, now_ns, handle = socket.number, self._counter, self._now_ns, socket.on_frames
        direct, lines, record_batch, now_cell, wall_cell = (
            delivery.direct,
            self._sink,
            self._record_frame_batch,
            self.frozen_clock.now_cell,
            self.frozen_clock.wall_cell,
        )

        def on_frames(frames: Sequence[str | bytes]) -> None:
            if not direct:
                delivery.defer(frames)
                return
            at_ns = now_ns()
            now_cell[0] = at_ns / 1e9
            wall_cell[0] = (at_ns + wall_cell[1]) // 1_000_000
            if len(frames) < BATCH_FROM:
                lines.add(("<", at_ns, counter.iterations, number, frames))
            else:
                record_batch(at_ns, counter.iterations, number, frames)
            try:
                handle(frames)
            except BaseException as failure:
                socket.mark_failed(failure)
                direct.clear()
                raise

        return on_frames

    def _record_frame_batch(self, at_ns: int, iteration: int, number: int, frames: Sequence[str | bytes]) -> None:
        raw = [frame for frame in frames if isinstance(frame, bytes)]
        if len(raw) < len(frames):  # a batch keeps bytes only; text frames come from test connections, never in floods
            self._sink.add(("<", at_ns, iteration, number, frames))
            return
        self._sink.add_batch(("<", at_ns, iteration, number, FrameBatch(raw)))

    def on_listening_ended(self, socket: BoundarySocket) -> None:
        delivery = self._deliveries.get(socket.number)
        if delivery is not None:
            delivery.update_direct()

    def record_and_deliver(self, socket: BoundarySocket, frames: Sequence[str | bytes]) -> None:
        """Stamp, record and deliver frames that were deferred. Raises what the daemon's handler raises."""
        self._sink.add(("<", *self._stamp_input(), socket.number, frames))
        socket.deliver(frames)

    async def close_socket(self, socket: BoundarySocket) -> None:
        real = self._real_sockets.get(socket.number)
        if real is not None:
            await real.close()
        self._real_sockets.pop(socket.number, None)
        self._open_sockets.pop(socket.number, None)


class _DeferredFrames:
    """Keeps frames of one connection until the end of the event-loop iteration.

    If the list `direct` is not empty, frames may be delivered at once instead. It is a list so that
    the frame handler sees a change without an attribute look-up. Frames may be delivered at once if
    the transport delivers in its protocol callback. The frames that the transport had buffered
    before `listen_on` was called are an exception: it hands them over in the middle of an
    iteration.
    """

    def __init__(
        self,
        recorder: Recorder,
        socket: BoundarySocket,
        listening_task: "asyncio.Task[None] | None",
        *,
        delivered_at_iteration_end: bool,
    ) -> None:
        self.direct: list[bool] = []
        self._recorder = recorder
        self._socket = socket
        self._listening_task = listening_task
        self._delivered_at_iteration_end = delivered_at_iteration_end
        self._opened = False
        self._handler_failed = False
        self._deferred: list[Sequence[str | bytes]] = []

    def open(self) -> None:
        """Allow direct delivery. The frames that were buffered before `listen_on` have been handed over by now."""
        self._opened = True
        self.update_direct()

    def update_direct(self) -> None:
        """Decide again whether frames may be delivered at once: not while earlier frames are deferred."""
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
        """Keep `frames` until the end of the iteration."""
        if not self._deferred:
            self._recorder.defer_to_iteration_end(self._deliver_deferred)
        self._deferred.append(frames)

    def raise_failure(self) -> None:
        """Raise the handler's error if that error is why the listening task was cancelled.

        `uncancel` withdraws our own request to cancel the task, so that only a cancellation from
        outside still counts.
        """
        if self._handler_failed and self._socket.failure is not None and self._listening_task is not None:
            self._listening_task.uncancel()
            raise self._socket.failure

    def _deliver_deferred(self) -> None:
        deferred, self._deferred = self._deferred, []
        self.update_direct()
        for frames in deferred:
            if not self._socket.listening:
                return
            try:
                self._recorder.record_and_deliver(self._socket, frames)
            except Exception:  # noqa: BLE001 - the socket keeps it, and `receive` raises it in the daemon's task
                # We are in a timer callback, so the error must be carried into the task that listens.
                self._handler_failed = True
                if self._listening_task is not None:
                    self._listening_task.cancel()


class RecordedAlerts:
    """Records each alert and then sends it."""

    def __init__(self, alerts: Alerts, lines: LineSink) -> None:
        self._alerts = alerts
        self._sink = lines

    def send(self, text: str, level: int = logging.INFO) -> None:
        self._sink.add(("alert", level, text))
        self._alerts.send(text, level)


def _monotonic_ns(clock: Clock) -> Callable[[], int]:
    """Return a function that reads the monotonic time of `clock` in whole nanoseconds."""
    return clock.now_ns if isinstance(clock, RealClock) else lambda: round(clock.now_s() * 1e9)


async def _close_quietly(socket: Socket) -> None:
    with contextlib.suppress(Exception):  # the dial's caller has given up, nothing is lost
        await socket.close()
