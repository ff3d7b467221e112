"""The moments of a record, one after the other, each with what came of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from trailingedge.eventlog.format import INPUT_KINDS, RecordEntry, decode
from trailingedge.eventlog.reader import SessionRecord


@dataclass(slots=True)
class EventBatch:
    """A moment of the record, its lines there, and those of what the daemon made of it."""

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
    """Until the record ends, or has a hole.

    Those of the last turn of the loop before that are left out: the daemon answered when the turn was over, and what
    came of them may be missing.
    """
    turn: list[EventBatch] = []
    frames: list[str | bytes] = []
    try:
        for batch in record.batches():
            for line in batch:
                if line.startswith((b'["<', *_INPUT_PREFIXES)):
                    entry = decode(line)
                    if entry[0] == "<":
                        frames = [entry[4]]
                        entry = (*entry[:4], frames)
                    moment = EventBatch(entry, [line])
                    if turn and moment.iteration != turn[-1].iteration:
                        yield from turn
                        turn.clear()
                    turn.append(moment)
                elif not turn:
                    continue
                elif line.startswith(b'["+'):
                    frames.append(decode(line)[4])
                    turn[-1].lines.append(line)
                elif line.startswith(b'["hole"'):
                    record.incomplete_reason = f"there is a hole in it: {decode(line)[1]} lines were lost, {_WHY}"
                    return
                else:
                    turn[-1].output.append(line)
    except (ValueError, LookupError):
        record.incomplete_reason = (
            f"{record.path.name} has a line that this version cannot read, after line {record.lines_read}"
        )
        return
    said = [line for moment in turn for line in moment.output]
    if any(line.startswith(_CANCELLED) for line in said):
        record.incomplete_reason = (
            f"{record.path.name} ends where the session was broken off, by a second Ctrl-C for instance"
        )
    elif any(line.startswith(b'["over"') for line in said):
        yield from turn


_INPUT_PREFIXES: Final = tuple(f'["{kind}",'.encode() for kind in INPUT_KINDS)
_CANCELLED: Final = b'["over",["CancelledError"'
_HOLE_REASON: Final = "the disk did not keep up"
