"""Player of a recorded session: feeds its inputs to a real daemon and compares the output.

Theory of operation. `SessionPlayer` is the I/O boundary of the replayed daemon (see
`eventlog.io_interface`): it performs no operation, sends nothing, and takes every input from the
record.

- *Same settings.* The record says how many event-loop iterations lay between an input and the input
  before it. Each input is delivered after as many iterations (`on_iteration`), or at once when the
  loop is idle (`deliver_next`). So the daemon's tasks are in the same state as in the recording.
  Each output line must equal the next recorded line, byte for byte, except for fields that an older
  version did not record (`comparable.says_the_same`). The first line that differs is the
  `Difference`, and the replay ends.
- *Other settings.* The purpose is to find where the replay diverges from the recording. Numbers in
  events and alerts differ long before the daemon acts differently. So only actions are compared
  (`comparable.action_key`): requests, the kinds of events, and the decision's key.
- *Own timing.* A changed setting may change whether the daemon waits, and for how long. At the
  first timer that differs, the recorded timer inputs lose their meaning. From there on the replay
  fires the daemon's timers when they are due (`_start_own_timing`). An action may then come some
  seconds earlier or later than in the record, and in another order. `UnorderedComparison` matches
  the actions of both runs. An action without a counterpart becomes a difference only after
  MATCH_WINDOW_NS. Until then the player keeps the batches, output and status of the last seconds.
- *After the difference* the record is no longer played: the recorded replies of the exchange answer
  requests that this daemon did not send.
"""

import asyncio
import heapq
import itertools
import json
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import Context
from typing import Any, Final, TypeVarTuple, Unpack

from trailingedge.core.errors import ExitCode, SessionLost
from trailingedge.eventlog import error_codec
from trailingedge.eventlog.format import RecordEntry, decode, encode
from trailingedge.eventlog.frozen_clock import FrozenClock
from trailingedge.eventlog.io_interface import BoundarySocket, IoBoundary, IoOperation, recorded_error
from trailingedge.eventlog.reader import SessionRecord
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.session_replay.comparable import action_key, says_the_same
from trailingedge.session_replay.input_output_pairs import EventBatch, read_batches
from trailingedge.session_replay.run_alignment import MATCH_WINDOW_NS, Difference, UnorderedComparison
from trailingedge.session_replay.status_at_divergence import StatusAt, status_of
from trailingedge.simulator.virtual_loop import VirtualLoop

Args = TypeVarTuple("Args")

_PRECEDING_LINES: Final = 6  # shown before a difference
_ALERT: Final = b'["alert",'
_TIMER: Final = b'["alarm"'
_OVER: Final = b'["over"'
_COMMANDS: Final = frozenset(command.value for command in OperatorCommand)
_EXIT_CODES: Final = frozenset(map(int, ExitCode))

ReplayProgress = Callable[[float, int], bool]
"""Called before each input with the share of the record that was read, from 0 to 1, and the time in nanoseconds since
the start. Returns False to stop the replay."""


def _keep_going(_: float, __: int) -> bool:
    return True


class EndOfRecord(Exception):
    """The record has no more inputs."""


class ReplayDiverged(Exception):
    """The output differs from the record; `SessionPlayer.difference` says where."""


class ReplayStopped(Exception):
    """The progress callback has stopped the replay."""


class ReplayLoop(VirtualLoop):
    """An event loop without timers or sockets, whose only inputs come from a `SessionPlayer`."""

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
        """Refuse timers during a replay: the daemon must set its timers on its clock.

        The record contains only timers of the clock.
        """
        if self.player is not None:
            raise RuntimeError(f"{callback} sets a timer on the loop instead of the clock")
        return super().call_at(when, callback, *args, context=context)


class SessionPlayer(IoBoundary):
    """Delivers recorded inputs to the daemon and compares the daemon's output with the record.

    `actions_only` tells that the settings differ from the recorded ones. If `alert_texts` is False,
    only the level of an alert is compared, because another version may word an alert differently.
    Raises ReplayStopped through the event loop if `on_progress` returns False.
    """

    def __init__(
        self,
        record: SessionRecord,
        *,
        actions_only: bool = False,
        alert_texts: bool = True,
        on_progress: ReplayProgress = _keep_going,
    ) -> None:
        super().__init__(FrozenClock(record.header.zero_ns, record.header.unix_ns))
        self.node: TradingNode | None = None
        self.difference: Difference | None = None
        self.at_ns = 0
        self.input_count = 0
        self.request_count = 0
        self.finished = False  # the daemon has ended by itself
        self.ignores_output = False  # while the remaining tasks are cancelled
        self._actions_only = actions_only
        self._alert_texts = alert_texts
        self._record = record
        self._on_progress = on_progress
        self._own_timing = False
        self._batches = read_batches(record)
        self._upcoming: EventBatch | None = None
        self._current = EventBatch(("begin", 0, 0), [])
        self._iterations_since = -1  # of the current input; the iteration that starts the daemon does not count
        self._expected_output: deque[bytes] = deque()
        self._unordered = UnorderedComparison()
        self._preceding: deque[bytes] = deque(maxlen=_PRECEDING_LINES)
        self._timer_due_ns: dict[int, int] = {}
        self._timer_heap: list[tuple[int, int]] = []
        # With own timing, of the last seconds: a difference in them shows only later.
        self._recent_batches: deque[EventBatch] = deque()
        self._recent_output: deque[tuple[int, bytes]] = deque()  # with its time
        self._statuses: dict[int, StatusAt | None] = {}  # by time, where an action is unmatched
        # With own timing, the recorded result of an operation may be read before the daemon starts it.
        self._early_results: dict[int, tuple[Any, Exception | None]] = {}

    def start(self) -> None:
        """Make the first input the current one, before the daemon runs.

        Raises EndOfRecord if the record has no input.
        """
        first = next(self._batches, None)
        if first is None:
            raise EndOfRecord
        self._enter_batch(first)
        self._upcoming = next(self._batches, None)

    @property
    def at_recorded_end(self) -> bool:
        """Whether the record was played up to the session's end.

        The daemon may still run then, if its timers no longer follow the record.
        """
        return self._upcoming is None and any(line.startswith(_OVER) for line in self._current.output)

    # Delivery --------------------------------------------------------------------------------

    def on_iteration(self) -> None:
        """Deliver the inputs that are due after an iteration of the loop.

        Raises ReplayDiverged or ReplayStopped.
        """
        self._iterations_since += 1
        if self.difference is not None:
            raise ReplayDiverged
        if not self._own_timing:
            self._deliver_due()

    def deliver_next(self) -> None:
        """Deliver the next input. Called when the event loop is idle.

        Raises EndOfRecord, ReplayDiverged or ReplayStopped.
        """
        if self.difference is not None:
            raise ReplayDiverged
        if self._own_timing:
            self._update_history()
            if self._fire_due_timer():
                return
        if self._upcoming is None:
            # Output that the record has before its end and the daemon has not produced is a difference, too.
            self._check_missing_output()
            raise EndOfRecord
        self._deliver_upcoming()
        if not self._own_timing:  # inputs of the same iteration
            self._deliver_due()

    # What a difference is explained by -------------------------------------------------------

    def remaining_lines(self, from_ns: int) -> Iterator[tuple[int, bytes]]:
        """Yield the recorded output from `from_ns` on, each line with its time.

        This consumes the record: no input can be played afterwards.
        """
        if self._own_timing:
            recent = [batch for batch in self._recent_batches if batch.at_ns >= from_ns]
        else:
            recent = [self._current]
        upcoming = () if self._upcoming is None else (self._upcoming,)
        # Already read, one read ahead, and the rest of the file.
        for batch in itertools.chain(recent, upcoming, self._batches):
            yield from ((batch.at_ns, line) for line in batch.output)

    def output_at(self, at_ns: int) -> list[bytes]:
        """Return the daemon's output at `at_ns`, alerts included.

        While the timers follow the record, only output since the difference is known.
        """
        return [line for line_ns, line in self._recent_output if line_ns == at_ns]

    def status_at(self, at_ns: int) -> StatusAt | None:
        """Return the daemon's status after the input at `at_ns`; None if it was not kept."""
        return status_of(self.node) if at_ns == self.at_ns else self._statuses.get(at_ns)

    def _update_history(self) -> None:
        """Keep the daemon's status if an action at this time is unmatched. Drop old statuses, batches and output.

        Called when the event loop is idle.
        """
        if self._unordered.has_unmatched_at(self.at_ns):
            self._statuses[self.at_ns] = status_of(self.node)
        # An action is reported at the latest one window after it happened, when its batch is still here.
        old_ns = self.at_ns - 2 * MATCH_WINDOW_NS
        while self._recent_batches and self._recent_batches[0].at_ns < old_ns:
            self._recent_batches.popleft()
        while self._recent_output and self._recent_output[0][0] < old_ns:
            self._recent_output.popleft()
        self._statuses = {at_ns: status for at_ns, status in self._statuses.items() if at_ns >= old_ns}

    # Inputs ----------------------------------------------------------------------------------

    def on_node_finished(self, outcome: object) -> None:
        """Compare the daemon's end with the record. `outcome` is its exit code or error."""
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
        batch = self._upcoming
        self._enter_batch(batch)
        self._upcoming = next(self._batches, None)
        self._iterations_since = 0
        self.input_count += 1
        problem = self._apply_input(batch.entry)
        if problem is not None:
            if self._own_timing:  # the cause is an earlier action that has no counterpart
                self.difference = self._unordered.unmatched(self.at_ns, finished=True)
                # Without one, all actions agree: the daemon has closed the connection a moment earlier than recorded,
                # and the frame that came meanwhile is lost.
                if self.difference is None and batch.entry[0] == "<":
                    return
            self._set_difference(batch.lines[0], problem.encode())
            raise ReplayDiverged

    def _enter_batch(self, batch: EventBatch) -> None:
        self._current = batch
        self._set_time(batch.at_ns)
        if batch.entry[0] != "begin":
            self._preceding += batch.lines
        if self._own_timing:
            self._recent_batches.append(batch)
            self._unordered.add_recorded(batch.output, batch.at_ns, tuple(self._preceding))
            self.difference = self.difference or self._unordered.overdue(batch.at_ns)
        else:
            self._expected_output += (line for line in batch.output if not self._is_ignored(line))

    def _set_time(self, at_ns: int) -> None:
        self.at_ns = at_ns
        self.frozen_clock.set_time_ns(self.frozen_clock.zero_ns + at_ns)

    def _apply_input(self, entry: RecordEntry) -> str | None:
        """Apply a recorded input to the daemon. Return the reason if that fails, else None."""
        match entry:
            case ("<", _, _, number, frames):
                socket = self._open_sockets.get(number)
                if socket is None or not socket.listening:
                    return f"the replayed daemon does not listen on connection {number}"
                try:
                    socket.deliver(frames)
                except Exception:  # noqa: BLE001 - the socket keeps it, and `receive` raises it in the daemon's task
                    return None
            case ("ring", _, _, number, *off_ms):
                if off_ms:
                    self.frozen_clock.adjust_wall_ms(off_ms[0])
                if not self._own_timing and not self._fire_timer(number):
                    return f"the replayed daemon has not set timer {number}"
            case ("tick", *_):
                pass  # it only moves the clock
            case ("told", _, _, number, outcome):
                error = recorded_error(outcome) if isinstance(outcome, list) else None
                if self._own_timing and number > self._operation_count:
                    self._early_results[number] = (outcome, error)
                elif not self.complete(number, None if error else outcome, error):
                    return f"the replayed daemon does not wait for operation {number}"
            case _:
                return self._apply_command(entry)
        return None

    def _apply_command(self, entry: RecordEntry) -> str | None:
        if self.node is None:
            return "the daemon is not built yet"
        match entry:
            case ("obey", _, _, command, who) if command in _COMMANDS:
                self.node.submit(OperatorCommand(command), source=who)
            case ("stop", _, _, reason, code) if code in _EXIT_CODES:
                self.node.stop(reason, ExitCode(code))
            case ("stir", *_):
                self.node.wake()
            case _:
                return "this version does not know this kind of line, command or exit code"
        return None

    # Output ----------------------------------------------------------------------------------

    def add(self, entry: RecordEntry) -> None:
        """Compare an output line of the daemon with the record.

        This implements `LineSink`, as the writer of a live session does.
        """
        if entry[0] in (">", "!>"):
            self.request_count += 1
        self._on_output(entry)

    def check_backlog(self) -> bool:
        """Return True. The player writes nothing, so it never has a backlog."""
        return True

    def _on_output(self, entry: RecordEntry) -> None:
        # Encoded like in the recording, so that equal output gives equal bytes.
        line = encode(entry)[:-1]
        if (self._own_timing or self.difference is not None) and not self.ignores_output:
            self._recent_output.append((self.at_ns, line))
        if self.ignores_output or self.difference is not None or self._is_ignored(line):
            return
        if self._own_timing:
            self._unordered.add_replayed(line, self.at_ns, tuple(self._preceding))
        elif self._expected_output and self._lines_match(self._expected_output[0], line):
            self._preceding.append(self._expected_output.popleft())  # the usual case
        elif self._actions_only and (line.startswith(_TIMER) or self._timer_expected()):
            # One of the two sets a timer that the other does not: from here on their timings differ.
            self._start_own_timing()
            self._unordered.add_replayed(line, self.at_ns, tuple(self._preceding))
        else:
            self._set_difference(self._expected_output[0] if self._expected_output else None, line)

    def _lines_match(self, recorded: bytes, now: bytes) -> bool:
        if says_the_same(recorded, now) or (self._actions_only and action_key(recorded) == action_key(now)):
            return True
        return not self._alert_texts and _alert_level(recorded) == _alert_level(now) is not None

    def _is_ignored(self, line: bytes) -> bool:
        """Whether a line is not compared.

        With other settings alerts are not compared, because their numbers may differ.
        """
        return self._actions_only and line.startswith(_ALERT)

    def _check_missing_output(self) -> None:
        """Set `difference` if the daemon has not produced all recorded output.

        Called before the replay's time moves on.
        """
        if self.difference is not None:
            return
        if not self._own_timing and self._actions_only and self._timer_expected():
            self._start_own_timing()
        if self._own_timing:
            self.difference = self._unordered.unmatched(self.at_ns, finished=self.finished)
        elif self._expected_output:
            self._set_difference(self._expected_output[0], None)

    def _timer_expected(self) -> bool:
        """Whether the next recorded output is a timer.

        If the daemon does not set this timer, only its timing differs, and not its actions.
        """
        return bool(self._expected_output) and self._expected_output[0].startswith(_TIMER)

    def _set_difference(self, recorded: bytes | None, now: bytes | None) -> None:
        if self.difference is None:
            self.difference = Difference(self.at_ns, recorded, now, tuple(self._preceding))

    # Own timing ------------------------------------------------------------------------------

    def _start_own_timing(self) -> None:
        """Stop following the recorded timers: fire timers when they are due, and match actions in any order."""
        self._own_timing = True
        self._recent_batches.append(self._current)
        self._unordered.add_recorded(self._expected_output, self.at_ns, tuple(self._preceding))
        self._expected_output.clear()
        # Timers that are set keep their due times; recorded "ring" inputs only move the clock from now on.
        self._timer_heap = [
            (self._timer_due_ns[number], number) for number in self._timers if number in self._timer_due_ns
        ]
        heapq.heapify(self._timer_heap)

    def _fire_due_timer(self) -> bool:
        """Fire the next timer if it is due before the next recorded input.

        Returns whether a timer was fired.
        """
        while self._timer_heap:
            due_ns, number = self._timer_heap[0]
            if self._upcoming is None or due_ns > self._upcoming.at_ns:
                return False
            heapq.heappop(self._timer_heap)
            if number in self._timers:  # a cancelled timer stays in the heap
                self._set_time(max(due_ns, self.at_ns))
                return self._fire_timer(number)
        return False

    def _fire_timer(self, number: int) -> bool:
        self._timer_due_ns.pop(number, None)
        return self.fire_timer(number)

    # I/O boundary: operations are never performed, their results come from the record ----------

    async def listen_on(self, socket: BoundarySocket) -> None:
        """Never called, because the record contains the end of the connection as an input."""

    def on_listening_ended(self, socket: BoundarySocket) -> None:
        """Do nothing. Frames come only from the record, so there is no listening to stop."""

    async def close_socket(self, socket: BoundarySocket) -> None:
        """Never called, because the record contains the end of the close as an input."""

    async def _open_socket(self, socket: BoundarySocket, url: str) -> None:
        """Never called, because the record contains the result of the dial as an input."""

    def _make_sender(self, socket: BoundarySocket) -> Callable[[str], None]:
        def send(text: str) -> None:
            recorded = self._expected_output[0] if self._expected_output else b""
            if recorded.startswith(b'["!>"'):
                # The recorded write failed, so this one must, too: the daemon's reaction is what is compared next.
                error = decode(recorded)[3]
                self.add(("!>", socket.number, text, error))
                lost = error_codec.decode_error(error)
                raise lost if isinstance(lost, SessionLost) else SessionLost(str(lost))
            self.add((">", socket.number, text))

        return send

    def _start_timer(self, number: int, seconds: float) -> None:
        self._timer_due_ns[number] = self.at_ns + round(max(0.0, seconds) * 1e9)
        self.add(("alarm", number, seconds))
        if self._own_timing:
            heapq.heappush(self._timer_heap, (self._timer_due_ns[number], number))

    def _stop_timer(self, number: int) -> None:
        self._timer_due_ns.pop(number, None)

    def _start_operation(self, number: int, what: str, operation: IoOperation) -> None:  # noqa: ARG002 - not performed
        self.add(("ask", number, what))
        early = (None, None) if self.ignores_output else self._early_results.pop(number, None)
        if early is not None:
            # Not at once: the daemon has not begun to wait yet.
            outcome, error = early
            asyncio.get_running_loop().call_soon(self.complete, number, None if error else outcome, error)

    def _end_operation(self, number: int) -> None:
        """Do nothing. Operations are not performed, so there is nothing to cancel."""


def _alert_level(line: bytes) -> int | None:
    """The level of a recorded alert; None for any other line."""
    entry = json.loads(line) if line.startswith(_ALERT) else None
    return None if entry is None else int(entry[1])
