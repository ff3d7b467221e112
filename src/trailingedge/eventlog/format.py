"""What stands in a record, line by line: each is a JSON array that begins with its kind.

Of a *moment*, when something came from outside, the second and third are its time, in nanoseconds since the
beginning, and how often the event loop had gone round:

    ["begin", t, n]                          the daemon's first step
    ["<", t, n, line, frame]                 a frame came over that line; ["+", 0, 0, line, frame] together with it.
                                             "<text" and "+text" where it came as text, not as bytes
    ["told", t, n, number, outcome]          what was asked for has come out: null or a text, or [error, …]
    ["ring", t, n, alarm, off_ms]            an alarm rang; `off_ms` where the wall clock was found to have been set
    ["tick", t, n]                           nothing came, but time had passed
    ["obey", t, n, instruction, who]         an operator
    ["stop", t, n, reason, code]
    ["stir", t, n]

Everything else is what the daemon made of the moment before, in the order in which it did:

    [">", line, text]                        a request; ["!>", line, text, error] where it could not be written
    ["ask", number, what]                    it waits for something: a dial, whose number is the line's from then on,
                                             the end of a line, a check
    ["alarm", number, seconds]
    ["alert", level, text]
    ["news", event, {…}]                     something changed, by strategy or chase
    ["decision", […], {…}]                   what it is about has changed: that, and all the numbers
    ["over", outcome]                        it has ended: an exit code or [error, …]

And beside it: ["session", {…}] heads a session, ["part", number] a further file of it; ["hole", count] stands
where lines could not be kept, ["sum", crc] after each batch.

Frames stand as they came wherever they look like JSON on one line, else as a JSON string; nothing else is
changed in them but keys and signatures, which are struck out here as everywhere.
"""

import json
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from itertools import accumulate
from typing import Any, Final, Protocol

from trailingedge.core.redaction import ELLIPSIS, redact, redact_bytes

RecordEntry = tuple[Any, ...]


class LineSink(Protocol):
    """Where a record's lines go, in order."""

    @property
    def add(self) -> Callable[[RecordEntry], None]:
        """Takes one and returns at once. Not for keeping: it is another one when it has to be."""
        ...

    def check_backlog(self) -> bool:
        """Called now and then, to see that they are written as fast as they come: whether they are kept."""
        ...


class FrameSink(LineSink, Protocol):
    """The same for whoever adds frames."""

    def add_batch(self, entry: RecordEntry) -> None:
        """Takes one whose frames are a bundle, or leaves it out where too much waits already."""
        ...


class FrameBatch:
    """Frames that came together by the hundred, kept as one piece: apart they would hold several times the memory."""

    __slots__ = ("_ends", "_joined")

    def __init__(self, frames: Sequence[bytes]) -> None:
        self._joined = b"".join(frames)
        self._ends = array("Q", accumulate(map(len, frames)))

    def __iter__(self) -> Iterator[bytes]:
        begin = 0
        for end in self._ends:
            yield self._joined[begin:end]
            begin = end

    @property
    def size_bytes(self) -> int:
        """In bytes."""
        return len(self._joined)


FORMAT: Final = "trailing-edge session"
RECORD_VERSION: Final = 1
INPUT_KINDS: Final = ("begin", "told", "ring", "tick", "obey", "stop", "stir")  # beside frames

BATCH_FROM: Final = 32  # frames that came together, from which on they are kept as a bundle

FRAME_PREFIXES: Final = (b'["<', b'["+')

_dumps: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


# Version 1 of the record was defined with these names; the program has better ones since. Fields and events.
RECORDED_AS: Final[Mapping[str, str]] = {
    "state": "memory",
    "trading_paused": "hold",
    "unit_value": "u",
    "untrusted_book_ms": "blind_ms",
    "ExitStarted": "ExitArmed",
    "HardStopTriggered": "FlushArmed",
    "reject_reason": "refusal",
    "in_a_row": "again",
    "late_exit": "past",
    "actual": "told",
    "OrderCancelled": "OrderWithdrawn",
    "OrderRejected": "OrderRefused",
    "UnknownOrderWithOurId": "StrangerWithOurId",
}


def recorded_name(name: str) -> str:
    """The name under which a record of version 1 keeps the field or event `name`."""
    return RECORDED_AS.get(name, name)


def encode(entry: RecordEntry, zero_ns: int = 0) -> bytes:
    """The line of it, or the lines, each with its end. Moments bear the time of a clock that began with `zero_ns`."""
    kind = entry[0]
    if kind == "<":
        return _encode_frames(entry[1] - zero_ns, *entry[2:])
    if kind in INPUT_KINDS:
        entry = (kind, entry[1] - zero_ns, *entry[2:])
    elif kind in (">", "!>"):
        entry = (kind, entry[1], redact(entry[2], ELLIPSIS), *entry[3:])
    elif kind in ("news", "decision"):
        entry = (kind, *map(_to_json, entry[1:]))
    return f"{_dumps(entry)}\n".encode()


def _encode_frames(at_ns: int, turns: int, line: int, frames: Iterable[str | bytes]) -> bytes:
    first, *others = frames
    kind = "<" if isinstance(first, bytes) else "<text"
    written = [b'["%s",%d,%d,%d,%s]\n' % (kind.encode(), at_ns, turns, line, _encode_frame(first))]
    for frame in others:
        kind = "+" if isinstance(frame, bytes) else "+text"
        written.append(b'["%s",0,0,%d,%s]\n' % (kind.encode(), line, _encode_frame(frame)))
    return b"".join(written)


def _encode_frame(frame: str | bytes) -> bytes:
    """As it came where that fits on a line of JSON, else as a string in which every byte is kept."""
    text = frame if isinstance(frame, str) else None
    try:
        raw = frame.encode() if isinstance(frame, str) else frame
        looks_like_json = raw[:1] == b"{" and raw[-1:] == b"}" and b"\n" not in raw and b"\r" not in raw
        if looks_like_json and not raw.isascii():
            raw.decode()
    except UnicodeError:
        looks_like_json, raw = False, b""
    if not looks_like_json:
        if text is None and isinstance(frame, bytes):
            text = frame.decode(errors="surrogateescape")
        return _dumps(redact(text or "", ELLIPSIS)).encode()
    return redact_bytes(raw)


def decode(line: bytes) -> RecordEntry:
    """What a line says. Raises ValueError where it is none."""
    if line.startswith(FRAME_PREFIXES):
        head, at_ns, turns, number, frame = line.split(b",", 4)
        kind = "<" if head[2] == 60 else "+"
        raw: str | bytes = frame[:-1]
        if frame[-1] != 93:
            raise ValueError("the line has no end")
        if frame[0] == 34:
            text = json.loads(raw)
            raw = text.encode(errors="surrogateescape") if len(head) == 4 else text
        elif len(head) != 4:
            raw = frame[:-1].decode()
        return kind, int(at_ns), int(turns), int(number), raw
    entry = json.loads(line)
    if not isinstance(entry, list) or not entry:
        raise ValueError("no line of a record")
    return tuple(entry)


def _to_json(value: object) -> object:
    """Any event as JSON: what the writing thread is given cannot change any more."""
    if value is None or isinstance(value, str | bool | int):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {recorded_name(field.name): _to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple) and (names := getattr(value, "_fields", None)) is not None:
        return {recorded_name(name): _to_json(each) for name, each in zip(names, value, strict=True)}
    if isinstance(value, Mapping):
        return {str(name): _to_json(each) for name, each in value.items()}
    if isinstance(value, Iterable):
        return [_to_json(each) for each in value]
    return type(value).__name__
