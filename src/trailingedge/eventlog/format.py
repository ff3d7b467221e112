"""Format of a session record, version 2: one JSON array per line, which begins with the kind of the line.

The most important lines are the inputs and outputs of the trading core. `t` is the time in nanoseconds since the start:

    ["core", t, {…}]                         the core is built; the fields of `live.core_factory.CoreStart`
    ["call", t, method, {…}]                 a method of the core is called, with these arguments
    ["tick", t, age, server, {…}, sum]       the core decides on a view of market and account
    ["shutdown tick", t, age, server, {…}]   the same during a shutdown, where it only cancels
    ["requote", t, now_s, server_ms, {…}]    the market callback moves the order to these best prices

    ["command", type, {…}]                   the core sends a command to the exchange
    ["event", type, {…}]                     an event of strategy or execution
    ["decision", sum, {…}]                   the decision leads to something else than before
    ["raised", type, text]                   the core raised an error

An input line is followed by its output lines, and all of them are written together. There may be a hundred views in a
second, so only the changed fields of a view are written, and its times in a short form:

- `age` is how long ago the best prices were confirmed: in nanoseconds, or in seconds where that is a float, and null if
  they are those that were confirmed before. `now_s` is among the fields only if it cannot be computed from `t`.
- `server` is the exchange's time, in milliseconds more than `t`. `market_ms` is among the fields only if its difference
  to `t` is not the same as in the tick before.
- Best prices are written like the frame that brings them, so that compression finds the same text there.
- `sum` is a checksum of the changed fields of the decision (`decision_sums`). It is in the line of the tick, unless a
  "decision" line with the whole decision follows, which then has it. If nothing changed, there is no sum.

The other lines are for people to read, and to rebuild the market from:

    ["<", t, connection, frame]              a frame arrived; a further frame of the same read is
                                             ["+", t, connection, frame]. The kinds of
                                             text frames are "<text" and "+text"
    ["skipped", t, connection, count]        so many frames of one read are left out: there were too many
    [">", t, connection, text]               a request; ["!>", t, connection, text, reason] if it could not be written
    ["dial", t, connection, url]             a connection is open; ["closed", t, connection, reason] ends it
    ["alert", t, level, text]                an alert is sent
    ["over", t, outcome]                     the daemon ended: an exit code or [error, text]

["session", {…}] is the header. ["part", number] begins a later file of the same session. ["hole", count] replaces lines
that were dropped: the disk was too slow, or a line too large. ["sum", crc] follows each batch.

A frame that looks like one line of JSON is written as it arrived, any other frame as a JSON string. Only keys and
signatures in a frame are changed: they are redacted. The names of fields are those of the program's dataclasses. A
field that is added to the program later needs a default: an older record lacks the field, so a replay uses the default
and does not compare it. The header names the fields of a decision, because a checksum does not tell which fields it
covers.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import isfinite
from typing import Any, Final, Protocol

from trailingedge.core.redaction import ELLIPSIS, redact, redact_bytes
from trailingedge.core.session_files import SessionFiles
from trailingedge.eventlog.decision_sums import DecisionSums
from trailingedge.eventlog.json_values import JsonValues, dumps, field_names
from trailingedge.model.market import BookTop
from trailingedge.model.market_state import StateView
from trailingedge.strategy.decide import Decision

RecordEntry = tuple[Any, ...]

FORMAT: Final = "trailing-edge session"
SUFFIX: Final = ".session.jsonl.gz"
RECORD_FILES: Final = SessionFiles(SUFFIX)
# A batch of lines with its checksum. The writer begins a new batch before this size, and drops a line that is larger.
MAX_BATCH_BYTES: Final = 32 << 20
RECORD_VERSION: Final = 2
TICK: Final = "tick"
SHUTDOWN_TICK: Final = "shutdown tick"
REQUOTE: Final = "requote"
CALL: Final = "call"
CORE: Final = "core"
CORE_INPUTS: Final = (CORE, CALL, TICK, SHUTDOWN_TICK, REQUOTE)
OUTPUTS: Final = ("command", "event", "decision", "raised")

# The names of a `bookTicker` frame but for the symbol.
TOP_NAMES: Final = {"u": "update_id", "b": "bid", "B": "bid_quantity", "a": "ask", "A": "ask_quantity"}
BATCH_FROM: Final = 32  # so many frames at once, or more, are kept as a `FrameBatch`

FRAME_PREFIXES: Final = (b'["<', b'["+')

_JSON: Final = JsonValues()
to_text: Final = _JSON.to_text
# The fields of a view that a line has as they are; the others stand in it in a short form.
_VIEW: Final = JsonValues({"StateView": sorted({*field_names(StateView)} - {"now_s", "top_age_s", "market_ms", "top"})})


class LineSink(Protocol):
    """Receives the entries of a session record, in order."""

    def add(self, entry: RecordEntry) -> None:
        """Queue one entry and return at once. Entries are dropped while too many wait for the disk."""
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


def without_frames(entry: RecordEntry) -> RecordEntry:
    """Return the entry that is recorded if the frames of `entry` are left out.

    The session can be replayed without these frames.
    """
    _, at_ns, connection, frames = entry
    return "skipped", at_ns, connection, sum(1 for _ in frames)


class LineEncoder:
    """Encodes the entries of one session, in order. For views and decisions, only changes are written."""

    def __init__(self) -> None:
        self._zero_ns = 0
        self._view: StateView | None = None
        self._confirmed_s = float("-inf")  # when the best prices of the last view were confirmed
        self._market: int | None = None  # the market's time, in milliseconds more than that of the line
        self._symbol = '""'  # as JSON
        self._decisions = DecisionSums({})

    def encode(self, entry: RecordEntry) -> bytes:
        """Encode an entry as one or more lines with their line ends. Times become relative to the header's."""
        kind = entry[0]
        if kind in (TICK, SHUTDOWN_TICK):
            return self._tick(*entry)
        if kind == "<":
            return _encode_frames(entry[1] - self._zero_ns, *entry[2:])
        if kind == "session":
            self._zero_ns = entry[1]["zero_ns"]
            self._decisions = DecisionSums(entry[1]["fields"])
        elif kind in (">", "!>"):
            entry = (kind, entry[1] - self._zero_ns, entry[2], redact(entry[3], ELLIPSIS), *entry[4:])
        elif kind == CALL:
            _, at_ns, method, arguments, raised = entry
            call = f'["{kind}",{at_ns - self._zero_ns},"{method}",{to_text(arguments)}]'
            return _joined(call, *_raised(raised))
        elif kind == CORE:
            self._symbol = dumps(entry[2].rules.symbol)
            return _joined(f'["{kind}",{entry[1] - self._zero_ns},{to_text(entry[2])}]')
        elif kind == REQUOTE:
            _, at_ns, now_s, server_ms, top, commands, raised = entry
            moved = f'["{kind}",{at_ns - self._zero_ns},{now_s!r},{server_ms},{self._top_text(top)}]'
            return _joined(moved, *outputs(commands, ()), *_raised(raised))
        elif kind not in ("part", "hole"):
            entry = (kind, entry[1] - self._zero_ns, *entry[2:])
        return _joined(dumps(entry))

    def _tick(
        self,
        kind: str,
        view: StateView,
        server_ms: int,
        commands: Sequence[object],
        events: Sequence[object],
        decision: Decision | None,
        raised: BaseException | None,
    ) -> bytes:
        at_ns = round(view.now_s * 1e9) - self._zero_ns
        server = server_ms - at_ns // 1_000_000
        changed = self._view_changes(view, at_ns)
        checksum, decided = self._decisions.sum_of(decision)
        mark = f",{checksum}" if checksum is not None and not decided else ""
        tick = f'["{kind}",{at_ns},{self._age(view)},{server},{changed}{mark}]'
        if not (commands or events or decided or raised):
            return _joined(tick)
        whole = [f'["decision",{checksum},{decided}]'] if decided else []
        return _joined(tick, *outputs(commands, events), *whole, *_raised(raised))

    def _age(self, view: StateView) -> str:
        """Return the age of the best prices, in the shortest form that keeps all its digits."""
        now_s, age_s = view.now_s, view.top_age_s
        if now_s - self._confirmed_s == age_s:
            return "null"
        # A real clock counts whole nanoseconds, and a float of seconds has three times as many digits.
        age_ns = round(age_s * 1e9) if isfinite(age_s) else 0
        self._confirmed_s = confirmed_s(now_s, age_ns)
        if now_s - self._confirmed_s == age_s:
            return str(age_ns)
        self._confirmed_s = now_s - age_s
        return to_text(age_s)

    def _view_changes(self, view: StateView, at_ns: int) -> str:
        """Return the changed fields of the view, except those that the line has outside of the object."""
        before = self._view
        # A view has the klines closed since the last one, so their absence is no change.
        self._view = view._replace(closed_klines=()) if view.closed_klines else view
        members = [changed] if (changed := _VIEW.changes(before, view)) else []
        if (at_ns + self._zero_ns) / 1e9 != view.now_s:
            members.append(f'"now_s":{view.now_s!r}')
        market = view.market_ms - at_ns // 1_000_000
        if market != self._market:
            self._market = market
            members.append(f'"market_ms":{view.market_ms}')
        if before is None or view.top is not before.top:
            members.append(f'"top":{self._top_text(view.top)}')
        return f"{{{','.join(members)}}}"

    def _top_text(self, top: BookTop | None) -> str:
        """Return best prices as text in the form of a bookTicker frame: with its names, in its order."""
        if top is None:
            return "null"
        return (
            f'{{"u":{top.update_id},"s":{self._symbol},"b":"{top.bid:f}","B":"{top.bid_quantity:f}",'
            f'"a":"{top.ask:f}","A":"{top.ask_quantity:f}"}}'
        )


def confirmed_s(now_s: float, age_ns: int) -> float:
    """Return the time `age_ns` nanoseconds before `now_s`."""
    return (round(now_s * 1e9) - age_ns) / 1e9


def outputs(commands: Iterable[object], events: Iterable[object]) -> Iterator[str]:
    """Yield the output lines for commands and events."""
    for kind, values in (("command", commands), ("event", events)):
        for value in values:
            yield f'["{kind}","{type(value).__name__}",{to_text(value)}]'


def _raised(error: BaseException | None) -> Iterator[str]:
    if error is not None:
        yield raised_line(error)


def raised_line(error: BaseException) -> str:
    """Return the output line for an error of the core."""
    return dumps(("raised", type(error).__name__, redact(str(error), ELLIPSIS)))


def _joined(*lines: str) -> bytes:
    """Return lines with their ends, encoded."""
    return "\n".join((*lines, "")).encode()


def _encode_frames(at_ns: int, connection: int, frames: Iterable[str | bytes]) -> bytes:
    encoded, mark = [], b"<"
    for frame in frames:
        kind = mark if isinstance(frame, bytes) else mark + b"text"
        encoded.append(b'["%s",%d,%d,%s]\n' % (kind, at_ns, connection, _encode_frame(frame)))
        mark = b"+"
    return b"".join(encoded)


def _encode_frame(frame: str | bytes) -> bytes:
    """Encode a frame: as it arrived if it looks like one line of JSON, else as a JSON string.

    The JSON string keeps every byte. A frame is not parsed and dumped again: that would cost more
    and could change the text. Secrets are redacted.
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
        return dumps(redact(text or "", ELLIPSIS)).encode()
    return redact_bytes(raw)
