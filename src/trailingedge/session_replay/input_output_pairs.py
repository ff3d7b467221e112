"""Input-output pairs: yields a record's inputs in order, each with the output that followed it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from trailingedge.core.time_units import DAY_MS
from trailingedge.eventlog.format import INPUT_KINDS, RecordEntry, decode
from trailingedge.eventlog.reader import SessionRecord


@dataclass(slots=True)
class EventBatch:
    """One recorded input, the lines it consists of, and the output lines that followed it."""

    entry: RecordEntry
    lines: list[bytes]
    output: list[bytes] = field(default_factory=list)

    @property
    def at_ns(self) -> int:
        return int(self.entry[1])

    @property
    def iteration(self) -> int:
        return int(self.entry[2])


def read_batches(record: SessionRecord) -> Iterator[EventBatch]:
    """Yield the inputs up to the end of the record or its first gap.

    If reading ends early, `record.incomplete_reason` says why. The inputs of the last event-loop
    iteration are left out: the daemon answers an input in later tasks, so part of the last output
    may be missing. They are yielded if their output contains the session's own end.
    """
    iteration: list[EventBatch] = []  # inputs of one event-loop iteration
    frames: list[str | bytes] = []
    at_ns = 0  # of the newest input
    try:
        for batch in record.batches():
            for line in batch:
                if line.startswith((b'["<', *_INPUT_PREFIXES)):
                    entry = decode(line)
                    if entry[0] == "<":
                        frames = [entry[4]]
                        entry = (*entry[:4], frames)
                    event = EventBatch(entry, [line])
                    if not 0 <= event.at_ns - at_ns <= _LONGEST_PAUSE_NS:
                        raise ValueError(f"the time jumps from one input at {at_ns} ns to the next at {event.at_ns} ns")
                    at_ns = event.at_ns
                    # A new iteration proves that the one before is complete, with all its output.
                    if iteration and event.iteration != iteration[-1].iteration:
                        yield from iteration
                        iteration.clear()
                    iteration.append(event)
                elif not iteration:  # output before the first input: the daemon is being built
                    continue
                elif line.startswith(b'["+'):
                    frames.append(decode(line)[4])
                    iteration[-1].lines.append(line)
                elif line.startswith(b'["hole"'):
                    lost = decode(line)[1]
                    record.incomplete_reason = f"the record has a gap: {lost} lines were lost, {_HOLE_REASON}"
                    return
                else:
                    decode(line)  # only checked: output is compared as bytes, and described where it differs
                    iteration[-1].output.append(line)
    except (ValueError, LookupError):
        record.incomplete_reason = (
            f"{record.path.name} has a line that this version cannot read after line {record.lines_read}"
        )
        return
    output = [line for event in iteration for line in event.output]
    if any(line.startswith(_CANCELLED) for line in output):
        record.incomplete_reason = f"{record.path.name} ends where the session was aborted, for example by Ctrl-C twice"
    elif any(line.startswith(b'["over"') for line in output):
        yield from iteration


_INPUT_PREFIXES: Final = tuple(f'["{kind}",'.encode() for kind in INPUT_KINDS)
_CANCELLED: Final = b'["over",["CancelledError"'
# The daemon ticks at least once in LOOP_SLEEP_SEC, which is a day at most. With other settings, a replay fires all
# timers that are due in a pause.
_LONGEST_PAUSE_NS: Final = 2 * DAY_MS * 1_000_000
_HOLE_REASON: Final = "the disk did not keep up"
