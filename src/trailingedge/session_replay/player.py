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
from trailingedge.eventlog.io_boundary import BoundarySocket, Do, IoBoundary, error_of
from trailingedge.eventlog.reader import SessionRecord
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.session_replay.comparable import act
from trailingedge.session_replay.comparison import PATIENCE_NS, Difference, UnorderedComparison
from trailingedge.session_replay.event_batches import EventBatch, moments
from trailingedge.session_replay.status_at import StatusAt, sight_of
from trailingedge.simulator.virtual_loop import VirtualLoop

Args = TypeVarTuple("Args")

_LINES_BEFORE: Final = 6
_ALARM: Final = b'["alarm"'
_OVER: Final = b'["over"'

Glance = Callable[[float, int], bool]


def _go_on(_: float, __: int) -> bool:
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

    def at_rest(self) -> None:
        if self.player is None:
            super().at_rest()
            return
        while not self._ready:
            self.player.bring()

    def _turn(self) -> None:
        super()._turn()
        if self.player is not None:
            self.player.turned()

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

    def __init__(self, record: SessionRecord, *, acts_only: bool = False, glance: Glance = _go_on) -> None:
        super().__init__(FrozenClock(record.head.zero_ns, record.head.unix_ns))
        self.daemon: TradingNode | None = None
        self.difference: Difference | None = None
        self.at_ns = 0
        self.moments = 0
        self.requests = 0
        self.finished = False  # the daemon has
        self.ended = False  # whatever the daemon still does is of no interest
        self._acts_only = acts_only
        self._record = record
        self._glance = glance
        self._own_time = False
        self._moments = moments(record)
        self._next: EventBatch | None = None
        self._now = EventBatch(("begin", 0, 0), [])
        self._since = -1  # the daemon's first step is the moment before the first
        self._expected: deque[bytes] = deque()
        self._loosely = UnorderedComparison()
        self._before: deque[bytes] = deque(maxlen=_LINES_BEFORE)
        self._due_ns: dict[int, int] = {}
        self._ringing: list[tuple[int, int]] = []
        self._past: deque[EventBatch] = deque()  # by their own time, the last moments
        self._said: deque[tuple[int, bytes]] = deque()  # and what was said in them, with its time
        self._sights: dict[int, StatusAt | None] = {}  # and how things stood where that may matter
        self._early: dict[int, tuple[Any, Exception | None]] = {}  # by their own time, answers before the questions

    def begin(self) -> None:
        """The first moment, before the daemon's first step. Raises EndOfRecord."""
        first = next(self._moments, None)
        if first is None:
            raise EndOfRecord
        self._stand_at(first)
        self._next = next(self._moments, None)

    @property
    def at_the_end(self) -> bool:
        """The record tells how it ended, and that is where it stands. By its own time the daemon may be late for it."""
        return self._next is None and any(line.startswith(_OVER) for line in self._now.said)

    # Moments ---------------------------------------------------------------------------------

    def turned(self) -> None:
        """A turn of the loop is over. Raises Parted or Stopped."""
        self._since += 1
        if self.difference is not None:
            raise ReplayDiverged
        if not self._own_time:
            self._play_what_is_due()

    def bring(self) -> None:
        """Nothing is ready: whatever comes next. Raises EndOfRecord, Parted or Stopped."""
        if self.difference is not None:
            raise ReplayDiverged
        if self._own_time:
            self._remember()
            if self._ring_by_own_time():
                return
        if self._next is None:
            self._look_for_silence()
            raise EndOfRecord
        self._play()
        if not self._own_time:  # what came in the same turn
            self._play_what_is_due()

    # Where they part -------------------------------------------------------------------------

    def sequel(self, from_ns: int) -> Iterator[tuple[int, bytes]]:
        """What the record says from that moment on, each line with its time; nothing can be played after that."""
        past = [moment for moment in self._past if moment.at_ns >= from_ns] if self._own_time else [self._now]
        upcoming = () if self._next is None else (self._next,)
        for moment in itertools.chain(past, upcoming, self._moments):
            yield from ((moment.at_ns, line) for line in moment.said)

    def said_at(self, at_ns: int) -> list[bytes]:
        """What the daemon said in that moment, alerts included; in step only from the difference on."""
        return [line for when_ns, line in self._said if when_ns == at_ns]

    def sight_at(self, at_ns: int) -> StatusAt | None:
        """How things stood at the end of that moment, as far as that is known."""
        return sight_of(self.daemon) if at_ns == self.at_ns else self._sights.get(at_ns)

    def _remember(self) -> None:
        """All tasks have had their turn; what is too old to matter is forgotten."""
        if self._loosely.open_at(self.at_ns):
            self._sights[self.at_ns] = sight_of(self.daemon)
        old_ns = self.at_ns - 2 * PATIENCE_NS
        while self._past and self._past[0].at_ns < old_ns:
            self._past.popleft()
        while self._said and self._said[0][0] < old_ns:
            self._said.popleft()
        self._sights = {at_ns: sight for at_ns, sight in self._sights.items() if at_ns >= old_ns}

    # The end ---------------------------------------------------------------------------------

    def over(self, outcome: object) -> None:
        """The daemon has ended."""
        self.finished = True
        self._say(("over", outcome))
        if self.difference is None:
            self._look_for_silence()

    def _play_what_is_due(self) -> None:
        while self._next is not None and self._since >= self._next.turn - self._now.turn:
            self._play()

    def _play(self) -> None:
        if self._next is None:
            return
        if not self._own_time:
            self._look_for_silence()
            if self.difference is not None:
                raise ReplayDiverged
        if not self._glance(self._record.share, self.at_ns):
            raise ReplayStopped
        moment = self._next
        self._stand_at(moment)
        self._next = next(self._moments, None)
        self._since = 0
        self.moments += 1
        problem = self._happen(moment.entry)
        if problem is not None:
            if self._own_time:  # it follows from something that has parted before
                self.difference = self._loosely.left(self.at_ns, finished=True)
            self._differ(moment.lines[0], problem.encode())
            raise ReplayDiverged

    def _stand_at(self, moment: EventBatch) -> None:
        self._now = moment
        self._stand_at_time(moment.at_ns)
        if moment.entry[0] != "begin":
            self._before += moment.lines
        if self._own_time:
            self._past.append(moment)
            self._loosely.expect(moment.said, moment.at_ns, tuple(self._before))
            self.difference = self.difference or self._loosely.overdue(moment.at_ns)
        else:
            self._expected += (line for line in moment.said if not self._passes(line))

    def _stand_at_time(self, at_ns: int) -> None:
        self.at_ns = at_ns
        self.time.stand_at(self.time.zero_ns + at_ns)

    def _happen(self, entry: RecordEntry) -> str | None:
        """Do it; why that cannot be, where it cannot."""
        match entry:
            case ("<", _, _, number, frames):
                line = self._open_lines.get(number)
                if line is None or not line.listening:
                    return f"nobody listens to line {number}"
                try:
                    line.heard(frames)
                except Exception:  # noqa: BLE001 - it is with the line, whose end will raise it
                    return None
            case ("ring", _, _, number, *off_ms):
                if off_ms:
                    self.time.set_wall(off_ms[0])
                if not self._own_time and not self._ring(number):
                    return f"alarm {number} is not set"
            case ("tick", *_):
                pass  # it has the time, and nothing else
            case ("told", _, _, number, outcome):
                error = error_of(outcome) if isinstance(outcome, list) else None
                if self._own_time and number > self._asked:
                    self._early[number] = (outcome, error)
                elif not self.told(number, None if error else outcome, error):
                    return f"nobody waits for the answer to {number}"
            case _:
                return self._enter(entry)
        return None

    def _enter(self, entry: RecordEntry) -> str | None:
        if self.daemon is None:
            return "there is no daemon"
        match entry:
            case ("obey", _, _, instruction, who):
                self.daemon.obey(OperatorCommand(instruction), who=who)
            case ("stop", _, _, reason, code):
                self.daemon.stop(reason, ExitCode(code))
            case ("stir", *_):
                self.daemon.wake()
            case _:
                return "a line that means nothing to this version"
        return None

    # What is said ----------------------------------------------------------------------------

    def add(self, entry: RecordEntry) -> None:
        """The daemon says that."""
        if entry[0] in (">", "!>"):
            self.requests += 1
        self._say(entry)

    def mind(self) -> bool:
        """Nothing is written."""
        return True

    def _say(self, entry: RecordEntry) -> None:
        line = encode(entry)[:-1]
        if (self._own_time or self.difference is not None) and not self.ended:
            self._said.append((self.at_ns, line))
        if self.ended or self.difference is not None or self._passes(line):
            return
        if self._own_time:
            self._loosely.say(line, self.at_ns, tuple(self._before))
        elif self._expected and self._alike(self._expected[0], line):
            self._before.append(self._expected.popleft())
        elif self._acts_only and (line.startswith(_ALARM) or self._waits_then()):
            self._go_by_own_time()
            self._loosely.say(line, self.at_ns, tuple(self._before))
        else:
            self._differ(self._expected[0] if self._expected else None, line)

    def _alike(self, recorded: bytes, now: bytes) -> bool:
        return recorded == now or (self._acts_only and act(recorded) == act(now))

    def _passes(self, line: bytes) -> bool:
        """It is not compared."""
        return self._acts_only and line.startswith(b'["alert"')

    def _look_for_silence(self) -> None:
        """What the record says by now should have been said."""
        if self.difference is not None:
            return
        if not self._own_time and self._acts_only and self._waits_then():
            self._go_by_own_time()
        if self._own_time:
            self.difference = self._loosely.left(self.at_ns, finished=self.finished)
        elif self._expected:
            self._differ(self._expected[0], None)

    def _waits_then(self) -> bool:
        """The next thing that the record has is a wait, which is no act."""
        return bool(self._expected) and self._expected[0].startswith(_ALARM)

    def _differ(self, recorded: bytes | None, now: bytes | None) -> None:
        if self.difference is None:
            self.difference = Difference(self.at_ns, recorded, now, tuple(self._before))

    # Own time --------------------------------------------------------------------------------

    def _go_by_own_time(self) -> None:
        self._own_time = True
        self._past.append(self._now)
        self._loosely.expect(self._expected, self.at_ns, tuple(self._before))
        self._expected.clear()
        self._ringing = [(self._due_ns[number], number) for number in self._alarms if number in self._due_ns]
        heapq.heapify(self._ringing)

    def _ring_by_own_time(self) -> bool:
        """The next alarm, where it is due before the next moment."""
        while self._ringing:
            due_ns, number = self._ringing[0]
            if self._next is None or due_ns > self._next.at_ns:
                return False
            heapq.heappop(self._ringing)
            if number in self._alarms:
                self._stand_at_time(max(due_ns, self.at_ns))
                return self._ring(number)
        return False

    def _ring(self, number: int) -> bool:
        self._due_ns.pop(number, None)
        return self.ring(number)

    # The threshold ---------------------------------------------------------------------------

    async def listen(self, line: BoundarySocket) -> None:
        """The record knows when it ends."""

    def deaf(self, line: BoundarySocket) -> None:
        """The record knows that nothing more was heard."""

    async def close(self, line: BoundarySocket) -> None:
        """The record knows when it is done."""

    async def _open(self, line: BoundarySocket, url: str) -> None:
        """The record knows what comes of it."""

    def _sender(self, line: BoundarySocket) -> Callable[[str], None]:
        def send(text: str) -> None:
            recorded = self._expected[0] if self._expected else b""
            if recorded.startswith(b'["!>"'):
                error = decode(recorded)[3]
                self.add(("!>", line.number, text, error))
                lost = error_codec.read(error)
                raise lost if isinstance(lost, SessionLost) else SessionLost(str(lost))
            self.add((">", line.number, text))

        return send

    def _set_alarm(self, number: int, seconds: float) -> None:
        self._due_ns[number] = self.at_ns + round(max(0.0, seconds) * 1e9)
        self.add(("alarm", number, seconds))
        if self._own_time:
            heapq.heappush(self._ringing, (self._due_ns[number], number))

    def _unset_alarm(self, number: int) -> None:
        self._due_ns.pop(number, None)

    def _begin(self, number: int, what: str, do: Do) -> None:  # noqa: ARG002 - it has been done
        self.add(("ask", number, what))
        early = (None, None) if self.ended else self._early.pop(number, None)
        if early is not None:
            outcome, error = early
            asyncio.get_running_loop().call_soon(self.told, number, None if error else outcome, error)

    def _leave(self, number: int) -> None:
        """Nobody waits any more, and nothing goes on."""
