"""A recorded session lived once more: the same daemon on the same threshold, with the record behind it.

The loop brings each moment of the record after as many turns as it came after then, so that it meets the tasks
where they were; what the daemon says to it is held against what it said then, line by line.

With other settings than the recorded ones the two may part ways, and that they do is what is asked. Numbers in
alerts and events then differ before anything is done differently, so that only acts are compared: requests, and
what the strategy is about. Where a setting changes whether and how long something waits, alarms ring by their own
time from there on; what only one of the two does then shows a while later, so that the last moments are kept.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import Context
from typing import Any, Final, TypeVarTuple, Unpack

from trailingedge.core.errors import ExitCode, SessionLost
from trailingedge.eventlog import error_codec
from trailingedge.eventlog.format import RecordEntry, decode, encode
from trailingedge.eventlog.frozen_clock import FrozenClock
from trailingedge.eventlog.io_boundary import BoundarySocket, IoBoundary, IoOperation, recorded_error
from trailingedge.eventlog.reader import SessionRecord
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.session_replay.comparable import action_key
from trailingedge.session_replay.comparison import MATCH_WINDOW_NS, Difference, UnorderedComparison
from trailingedge.session_replay.event_batches import EventBatch, read_batches
from trailingedge.session_replay.status_at import StatusAt, status_of
from trailingedge.simulator.virtual_loop import VirtualLoop

Args = TypeVarTuple("Args")

_PRECEDING_LINES: Final = 6
_TIMER: Final = b'["alarm"'
_OVER: Final = b'["over"'

ReplayProgress = Callable[[float, int], bool]


def _keep_going(_: float, __: int) -> bool:
    return True


class EndOfRecord(Exception):
    """There are no more moments."""


class ReplayDiverged(Exception):
    """The two have parted ways."""


class ReplayStopped(Exception):
    """Somebody has asked for an end."""


class ReplayLoop(VirtualLoop):
    """A loop without timers, in which moments come from a record."""

    def __init__(self) -> None:
        super().__init__()
        self.player: SessionPlayer | None = None

    def on_idle(self) -> None:
        if self.player is None:
            super().on_idle()
            return
        while not self._ready:
            self.player.deliver_next()

    def _run_iteration(self) -> None:
        super()._run_iteration()
        if self.player is not None:
            self.player.on_iteration()

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Args]], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Only the clock knows when something is over."""
        if self.player is not None:
            raise RuntimeError(f"{callback} sets a timer on the loop instead of the clock")
        return super().call_at(when, callback, *args, context=context)


class SessionPlayer(IoBoundary):
    """Brings the moments and hears what is said. `acts_only`: the settings are others than the recorded ones.

    Before each moment `glance` is told how much of the record has been read, from 0 to 1, and the time in
    nanoseconds since the beginning; Stopped goes through where it returns False.
    """

    def __init__(self, record: SessionRecord, *, acts_only: bool = False, glance: ReplayProgress = _keep_going) -> None:
        super().__init__(FrozenClock(record.header.zero_ns, record.header.unix_ns))
        self.node: TradingNode | None = None
        self.difference: Difference | None = None
        self.at_ns = 0
        self.input_count = 0
        self.request_count = 0
        self.finished = False  # the daemon has
        self.ignores_output = False  # whatever the daemon still does is of no interest
        self._actions_only = acts_only
        self._record = record
        self._on_progress = glance
        self._own_timing = False
        self._batches = read_batches(record)
        self._upcoming: EventBatch | None = None
        self._current = EventBatch(("begin", 0, 0), [])
        self._iterations_since = -1  # the daemon's first step is the moment before the first
        self._expected_output: deque[bytes] = deque()
        self._unordered = UnorderedComparison()
        self._preceding: deque[bytes] = deque(maxlen=_PRECEDING_LINES)
        self._timer_due_ns: dict[int, int] = {}
        self._timer_heap: list[tuple[int, int]] = []
        self._recent_batches: deque[EventBatch] = deque()  # by their own time, the last moments
        self._recent_output: deque[tuple[int, bytes]] = deque()  # and what was said in them, with its time
        self._statuses: dict[int, StatusAt | None] = {}  # and how things stood where that may matter
        self._early_results: dict[
            int, tuple[Any, Exception | None]
        ] = {}  # by their own time, answers before the questions

    def start(self) -> None:
        """The first moment, before the daemon's first step. Raises EndOfRecord."""
        first = next(self._batches, None)
        if first is None:
            raise EndOfRecord
        self._enter_batch(first)
        self._upcoming = next(self._batches, None)

    @property
    def at_recorded_end(self) -> bool:
        """The record tells how it ended, and that is where it stands. By its own time the daemon may be late for it."""
        return self._upcoming is None and any(line.startswith(_OVER) for line in self._current.output)

    # Moments ---------------------------------------------------------------------------------

    def on_iteration(self) -> None:
        """A turn of the loop is over. Raises Parted or Stopped."""
        self._iterations_since += 1
        if self.difference is not None:
            raise ReplayDiverged
        if not self._own_timing:
            self._deliver_due()

    def deliver_next(self) -> None:
        """Nothing is ready: whatever comes next. Raises EndOfRecord, Parted or Stopped."""
        if self.difference is not None:
            raise ReplayDiverged
        if self._own_timing:
            self._update_history()
            if self._fire_due_timer():
                return
        if self._upcoming is None:
            self._check_missing_output()
            raise EndOfRecord
        self._deliver_upcoming()
        if not self._own_timing:  # what came in the same turn
            self._deliver_due()

    # Where they part -------------------------------------------------------------------------

    def remaining_lines(self, from_ns: int) -> Iterator[tuple[int, bytes]]:
        """What the record says from that moment on, each line with its time; nothing can be played after that."""
        past = (
            [moment for moment in self._recent_batches if moment.at_ns >= from_ns]
            if self._own_timing
            else [self._current]
        )
        upcoming = () if self._upcoming is None else (self._upcoming,)
        for moment in itertools.chain(past, upcoming, self._batches):
            yield from ((moment.at_ns, line) for line in moment.output)

    def output_at(self, at_ns: int) -> list[bytes]:
        """What the daemon said in that moment, alerts included; in step only from the difference on."""
        return [line for when_ns, line in self._recent_output if when_ns == at_ns]

    def status_at(self, at_ns: int) -> StatusAt | None:
        """How things stood at the end of that moment, as far as that is known."""
        return status_of(self.node) if at_ns == self.at_ns else self._statuses.get(at_ns)

    def _update_history(self) -> None:
        """All tasks have had their turn; what is too old to matter is forgotten."""
        if self._unordered.has_unmatched_at(self.at_ns):
            self._statuses[self.at_ns] = status_of(self.node)
        old_ns = self.at_ns - 2 * MATCH_WINDOW_NS
        while self._recent_batches and self._recent_batches[0].at_ns < old_ns:
            self._recent_batches.popleft()
        while self._recent_output and self._recent_output[0][0] < old_ns:
            self._recent_output.popleft()
        self._statuses = {at_ns: sight for at_ns, sight in self._statuses.items() if at_ns >= old_ns}

    # The end ---------------------------------------------------------------------------------

    def on_node_finished(self, outcome: object) -> None:
        """The daemon has ended."""
        self.finished = True
        self._on_output(("over", outcome))
        if self.difference is None:
            self._check_missing_output()

    def _deliver_due(self) -> None:
        while (
            self._upcoming is not None and self._iterations_since >= self._upcoming.iteration - self._current.iteration
        ):
            self._deliver_upcoming()

    def _deliver_upcoming(self) -> None:
        if self._upcoming is None:
            return
        if not self._own_timing:
            self._check_missing_output()
            if self.difference is not None:
                raise ReplayDiverged
        if not self._on_progress(self._record.share_read, self.at_ns):
            raise ReplayStopped
        moment = self._upcoming
        self._enter_batch(moment)
        self._upcoming = next(self._batches, None)
        self._iterations_since = 0
        self.input_count += 1
        problem = self._apply_input(moment.entry)
        if problem is not None:
            if self._own_timing:  # it follows from something that has parted before
                self.difference = self._unordered.unmatched(self.at_ns, finished=True)
            self._set_difference(moment.lines[0], problem.encode())
            raise ReplayDiverged

    def _enter_batch(self, moment: EventBatch) -> None:
        self._current = moment
        self._set_time(moment.at_ns)
        if moment.entry[0] != "begin":
            self._preceding += moment.lines
        if self._own_timing:
            self._recent_batches.append(moment)
            self._unordered.add_recorded(moment.output, moment.at_ns, tuple(self._preceding))
            self.difference = self.difference or self._unordered.overdue(moment.at_ns)
        else:
            self._expected_output += (line for line in moment.output if not self._is_ignored(line))

    def _set_time(self, at_ns: int) -> None:
        self.at_ns = at_ns
        self.frozen_clock.set_time_ns(self.frozen_clock.zero_ns + at_ns)

    def _apply_input(self, entry: RecordEntry) -> str | None:
        """Do it; why that cannot be, where it cannot."""
        match entry:
            case ("<", _, _, number, frames):
                line = self._open_sockets.get(number)
                if line is None or not line.listening:
                    return f"nobody listens to line {number}"
                try:
                    line.deliver(frames)
                except Exception:  # noqa: BLE001 - it is with the line, whose end will raise it
                    return None
            case ("ring", _, _, number, *off_ms):
                if off_ms:
                    self.frozen_clock.adjust_wall_ms(off_ms[0])
                if not self._own_timing and not self._fire_timer(number):
                    return f"alarm {number} is not set"
            case ("tick", *_):
                pass  # it has the time, and nothing else
            case ("told", _, _, number, outcome):
                error = recorded_error(outcome) if isinstance(outcome, list) else None
                if self._own_timing and number > self._operation_count:
                    self._early_results[number] = (outcome, error)
                elif not self.complete(number, None if error else outcome, error):
                    return f"nobody waits for the answer to {number}"
            case _:
                return self._apply_command(entry)
        return None

    def _apply_command(self, entry: RecordEntry) -> str | None:
        if self.node is None:
            return "there is no daemon"
        match entry:
            case ("obey", _, _, instruction, who):
                self.node.submit(OperatorCommand(instruction), who=who)
            case ("stop", _, _, reason, code):
                self.node.stop(reason, ExitCode(code))
            case ("stir", *_):
                self.node.wake()
            case _:
                return "a line that means nothing to this version"
        return None

    # What is said ----------------------------------------------------------------------------

    def add(self, entry: RecordEntry) -> None:
        """The daemon says that."""
        if entry[0] in (">", "!>"):
            self.request_count += 1
        self._on_output(entry)

    def check_backlog(self) -> bool:
        """Nothing is written."""
        return True

    def _on_output(self, entry: RecordEntry) -> None:
        line = encode(entry)[:-1]
        if (self._own_timing or self.difference is not None) and not self.ignores_output:
            self._recent_output.append((self.at_ns, line))
        if self.ignores_output or self.difference is not None or self._is_ignored(line):
            return
        if self._own_timing:
            self._unordered.add_replayed(line, self.at_ns, tuple(self._preceding))
        elif self._expected_output and self._lines_match(self._expected_output[0], line):
            self._preceding.append(self._expected_output.popleft())
        elif self._actions_only and (line.startswith(_TIMER) or self._timer_expected()):
            self._start_own_timing()
            self._unordered.add_replayed(line, self.at_ns, tuple(self._preceding))
        else:
            self._set_difference(self._expected_output[0] if self._expected_output else None, line)

    def _lines_match(self, recorded: bytes, now: bytes) -> bool:
        return recorded == now or (self._actions_only and action_key(recorded) == action_key(now))

    def _is_ignored(self, line: bytes) -> bool:
        """It is not compared."""
        return self._actions_only and line.startswith(b'["alert"')

    def _check_missing_output(self) -> None:
        """What the record says by now should have been said."""
        if self.difference is not None:
            return
        if not self._own_timing and self._actions_only and self._timer_expected():
            self._start_own_timing()
        if self._own_timing:
            self.difference = self._unordered.unmatched(self.at_ns, finished=self.finished)
        elif self._expected_output:
            self._set_difference(self._expected_output[0], None)

    def _timer_expected(self) -> bool:
        """The next thing that the record has is a wait, which is no act."""
        return bool(self._expected_output) and self._expected_output[0].startswith(_TIMER)

    def _set_difference(self, recorded: bytes | None, now: bytes | None) -> None:
        if self.difference is None:
            self.difference = Difference(self.at_ns, recorded, now, tuple(self._preceding))

    # Own time --------------------------------------------------------------------------------

    def _start_own_timing(self) -> None:
        self._own_timing = True
        self._recent_batches.append(self._current)
        self._unordered.add_recorded(self._expected_output, self.at_ns, tuple(self._preceding))
        self._expected_output.clear()
        self._timer_heap = [
            (self._timer_due_ns[number], number) for number in self._timers if number in self._timer_due_ns
        ]
        heapq.heapify(self._timer_heap)

    def _fire_due_timer(self) -> bool:
        """The next alarm, where it is due before the next moment."""
        while self._timer_heap:
            due_ns, number = self._timer_heap[0]
            if self._upcoming is None or due_ns > self._upcoming.at_ns:
                return False
            heapq.heappop(self._timer_heap)
            if number in self._timers:
                self._set_time(max(due_ns, self.at_ns))
                return self._fire_timer(number)
        return False

    def _fire_timer(self, number: int) -> bool:
        self._timer_due_ns.pop(number, None)
        return self.fire_timer(number)

    # The threshold ---------------------------------------------------------------------------

    async def listen_on(self, line: BoundarySocket) -> None:
        """The record knows when it ends."""

    def on_listening_ended(self, line: BoundarySocket) -> None:
        """The record knows that nothing more was heard."""

    async def close_socket(self, line: BoundarySocket) -> None:
        """The record knows when it is done."""

    async def _open_socket(self, line: BoundarySocket, url: str) -> None:
        """The record knows what comes of it."""

    def _make_sender(self, line: BoundarySocket) -> Callable[[str], None]:
        def send(text: str) -> None:
            recorded = self._expected_output[0] if self._expected_output else b""
            if recorded.startswith(b'["!>"'):
                error = decode(recorded)[3]
                self.add(("!>", line.number, text, error))
                lost = error_codec.decode_error(error)
                raise lost if isinstance(lost, SessionLost) else SessionLost(str(lost))
            self.add((">", line.number, text))

        return send

    def _start_timer(self, number: int, seconds: float) -> None:
        self._timer_due_ns[number] = self.at_ns + round(max(0.0, seconds) * 1e9)
        self.add(("alarm", number, seconds))
        if self._own_timing:
            heapq.heappush(self._timer_heap, (self._timer_due_ns[number], number))

    def _stop_timer(self, number: int) -> None:
        self._timer_due_ns.pop(number, None)

    def _start_operation(self, number: int, what: str, do: IoOperation) -> None:  # noqa: ARG002 - it has been done
        self.add(("ask", number, what))
        early = (None, None) if self.ignores_output else self._early_results.pop(number, None)
        if early is not None:
            outcome, error = early
            asyncio.get_running_loop().call_soon(self.complete, number, None if error else outcome, error)

    def _end_operation(self, number: int) -> None:
        """Nobody waits any more, and nothing goes on."""
