"""Format of a session record: one JSON array per line, which begins with the kind of the line.

Inputs are what came from outside. Their second and third fields are the time `t`, in nanoseconds since the start, and
the event-loop iteration `n`:

    ["begin", t, n]                          the daemon starts
    ["<", t, n, connection, frame]           a frame arrived; a further frame of the same read is
                                             ["+", 0, 0, connection, frame]. The kinds of
                                             text frames are "<text" and "+text"
    ["told", t, n, number, outcome]          an operation completed: null, a text, or [error, …]
    ["ring", t, n, timer, off_ms]            a timer fired; `off_ms` is there only if the wall
                                             clock was adjusted by that much
    ["tick", t, n]                           no input, but the frozen clock was brought up to date
    ["obey", t, n, command, who]             an operator command
    ["stop", t, n, reason, code]             a stop with that exit code is requested
    ["stir", t, n]                           the trading loop is woken

Outputs are what the daemon did because of the input before them, in order:

    [">", connection, text]                  a request; ["!>", connection, text, error] if it could not be written
    ["ask", number, what]                    an operation starts: a dial (its number becomes the
                                             number of the connection), listening to a
                                             connection, a close, a check, a signature
    ["alarm", number, seconds]               a timer is set
    ["alert", level, text]                   an alert is sent
    ["news", event, {…}]                     an event of strategy or execution
    ["decision", […], {…}]                   the decision changed: its key, then all its fields
    ["over", outcome]                        the daemon ended: an exit code or [error, …]

Other lines: ["session", {…}] is the header. ["part", number] begins a later file of the same
session. ["hole", count] replaces lines that were dropped: the disk was too slow, or a line too large.
["sum", crc] follows each batch.

A frame that looks like one line of JSON is written as it arrived, any other frame as a JSON string.
Only keys and signatures in a frame are changed: they are redacted. The kinds and field names above
belong to version 1 of the format and never change, even if the program now uses other words.
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

from trailingedge.core import number_text
from trailingedge.core.redaction import ELLIPSIS, redact, redact_bytes
from trailingedge.core.session_files import SessionFiles
from trailingedge.eventlog.line_shapes import check_shape

RecordEntry = tuple[Any, ...]


class LineSink(Protocol):
    """Receives the entries of a session record, in order."""

    @property
    def add(self) -> Callable[[RecordEntry], None]:
        """The function that takes one entry and returns at once.

        Read this attribute for each call: while too many entries wait for the disk, it is a function
        that drops entries.
        """
        ...

    def check_backlog(self) -> bool:
        """Drop new entries while too many wait for the disk. Returns whether new entries are kept."""
        ...


class FrameSink(LineSink, Protocol):
    """A LineSink that also takes large batches of frames."""

    def add_batch(self, entry: RecordEntry) -> None:
        """Take an entry whose frames are a `FrameBatch`, or drop it if too many bytes wait to be written."""
        ...


class FrameBatch:
    """Joins frames that arrived together into one bytes object, which takes far less memory."""

    __slots__ = ("_ends", "_joined")

    def __init__(self, frames: Sequence[bytes]) -> None:
        # Cumulative lengths: a frame is the slice between two of them. Eight bytes per frame instead of an object.
        self._joined = b"".join(frames)
        self._ends = array("Q", accumulate(map(len, frames)))

    def __iter__(self) -> Iterator[bytes]:
        begin = 0
        for end in self._ends:
            yield self._joined[begin:end]
            begin = end

    @property
    def size_bytes(self) -> int:
        return len(self._joined)


FORMAT: Final = "trailing-edge session"
SUFFIX: Final = ".session.jsonl.gz"
RECORD_FILES: Final = SessionFiles(SUFFIX)
# A batch of lines with its checksum. The writer begins a new batch before this size, and drops a line that is larger.
MAX_BATCH_BYTES: Final = 32 << 20
RECORD_VERSION: Final = 1
INPUT_KINDS: Final = ("begin", "told", "ring", "tick", "obey", "stop", "stir")  # besides frames

BATCH_FROM: Final = 32  # so many frames at once, or more, are kept as a `FrameBatch`

FRAME_PREFIXES: Final = (b'["<', b'["+')

_dumps: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


# Fields and events whose names in version 1 of the record differ from those in the program.
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
    """Encode an entry as one or more lines with their line ends. Times of inputs become relative to `zero_ns`."""
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


def _encode_frames(at_ns: int, iteration: int, connection: int, frames: Iterable[str | bytes]) -> bytes:
    # The first frame carries time and iteration. The others arrived in the same call, so they repeat neither.
    first, *others = frames
    kind = "<" if isinstance(first, bytes) else "<text"
    encoded = [b'["%s",%d,%d,%d,%s]\n' % (kind.encode(), at_ns, iteration, connection, _encode_frame(first))]
    for frame in others:
        kind = "+" if isinstance(frame, bytes) else "+text"
        encoded.append(b'["%s",0,0,%d,%s]\n' % (kind.encode(), connection, _encode_frame(frame)))
    return b"".join(encoded)


def _encode_frame(frame: str | bytes) -> bytes:
    """Encode a frame: as it arrived if it looks like one line of JSON, else as a JSON string.

    The JSON string keeps every byte. A frame is not parsed and dumped again: that would cost more
    and could change the text, but a replay must deliver the same bytes. Secrets are redacted.
    """
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
    """Return the entry that `line` holds. Raises ValueError if it is not a line of a record.

    A frame is not parsed: it is the text between the fourth comma and the closing bracket.
    """
    if line.startswith(FRAME_PREFIXES):
        head, at_ns, turns, number, frame = line.split(b",", 4)
        kind = "<" if head[2] == 60 else "+"  # 60 is "<"
        raw: str | bytes = frame[:-1]
        if not frame.endswith(b"]"):
            raise ValueError("the line has no end")
        # 34 is a quotation mark: the frame was not JSON. The head has four bytes, `["<"`, unless it was a text frame.
        if frame[0] == 34:
            text = _loads(raw)
            if not isinstance(text, str):
                raise ValueError("the frame is no text")
            raw = text.encode(errors="surrogateescape") if len(head) == 4 else text
        elif len(head) != 4:
            raw = frame[:-1].decode()
        return kind, _count(at_ns), _count(turns), _count(number), raw
    entry = _loads(line)
    if not isinstance(entry, list) or not entry:
        raise ValueError("not a line of a record")
    check_shape(tuple(entry))
    return tuple(entry)


def _loads(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _count(digits: bytes) -> int:
    if not digits.isdigit():  # `int` takes signs, spaces and underscores, too
        raise ValueError(f"{digits[:20]!r} is no number")
    return number_text.parse_integer(digits.decode())


def _to_json(value: object) -> object:
    """Convert an event or a decision to JSON values. Both are frozen, so a thread may do this."""
    if value is None or isinstance(value, str | bool | int):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)  # JSON has no infinity and no NaN
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
