"""Recorded steps: yields the inputs of a session's trading core, in order, each with the outputs that followed it."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from trailingedge.eventlog.format import (
    CORE_INPUTS,
    OUTPUTS,
    SHUTDOWN_TICK,
    TICK,
    TOP_NAMES,
    RecordEntry,
    confirmed_s,
)
from trailingedge.eventlog.json_values import merged
from trailingedge.eventlog.line_decoder import decode
from trailingedge.eventlog.reader import SessionRecord
from trailingedge.model.market import BookTop
from trailingedge.model.market_state import StateView
from trailingedge.session_replay.record_decoder import decode_value, field_types

_PRECEDING_LINES: Final = 6  # shown before a difference
_FIELDS_OF_TICK: Final = 5  # without the sum
_HOLE_REASON: Final = "because the disk was too slow"
_ALERT: Final = b'["alert",'
_HOLE: Final = b'["hole",'
_OVER: Final = b'["over",'


def _prefixes(kinds: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(f'["{kind}",'.encode() for kind in kinds)


_INPUTS: Final = _prefixes(CORE_INPUTS)
_OUTPUTS: Final = _prefixes(OUTPUTS)


@dataclass(slots=True)
class RecordedStep:
    """One input of the core, and the output lines that followed it.

    `alerts` were sent before the next input, each with its time. `preceding` are the last lines of the
    record up to and including the input, oldest first, six at most.
    """

    entry: RecordEntry
    preceding: tuple[bytes, ...]
    outputs: list[bytes] = field(default_factory=list)
    alerts: list[tuple[int, str]] = field(default_factory=list)

    @property
    def at_ns(self) -> int:
        return int(self.entry[1])


class RecordedSteps:
    """Reads the steps of a record up to its end or its first gap. Can be iterated only once.

    If reading ends early, `record.incomplete_reason` says why. `outcome` says how the daemon ended: an exit code, or an
    error with its text; None if that is not recorded.
    """

    def __init__(self, record: SessionRecord) -> None:
        self.outcome: int | list[str] | None = None
        self._record = record
        self._lines = (line for batch in record.batches() for line in batch)

    def __iter__(self) -> Iterator[RecordedStep]:
        preceding: deque[bytes] = deque(maxlen=_PRECEDING_LINES)
        step: RecordedStep | None = None
        try:
            for each in self._lines:
                preceding.append(each)
                if each.startswith(_INPUTS):
                    if step is not None:
                        yield step
                    step = _begin_step(decode(each), tuple(preceding))
                elif each.startswith(_HOLE):
                    lost = decode(each)[1]
                    self._record.incomplete_reason = f"the record has a gap: {lost} lines were lost, {_HOLE_REASON}"
                    break
                elif each.startswith(_OVER):
                    self.outcome = decode(each)[2]
                elif step is not None:
                    _add_output(step, each)
        except (ValueError, LookupError):
            self._record.incomplete_reason = (
                f"{self._record.path.name}: this version cannot read the line after line {self._record.lines_read}"
            )
        if step is not None:
            yield step

    def later_alerts(self) -> Iterator[tuple[int, str]]:
        """Yield the alerts in the rest of the record, each with its time. No step can be read afterwards."""
        for each in self._lines:
            if each.startswith(_ALERT):
                try:
                    _, at_ns, _, text = decode(each)
                except (ValueError, LookupError):  # the replay has its result; a damaged alert only ends the list
                    return
                yield at_ns, text


def _begin_step(entry: RecordEntry, preceding: tuple[bytes, ...]) -> RecordedStep:
    """Return the step of an input.

    If the line of a tick contains the checksum of a decision, that checksum becomes an output line.
    """
    if entry[0] not in (TICK, SHUTDOWN_TICK) or len(entry) == _FIELDS_OF_TICK:
        return RecordedStep(entry, preceding)
    *tick, checksum = entry
    return RecordedStep(tuple(tick), preceding, [f'["decision",{checksum}]'.encode()])


def _add_output(step: RecordedStep, output: bytes) -> None:
    if output.startswith(_OUTPUTS):
        decode(output)  # only checked: output is compared as text, and described where it differs
        step.outputs.append(output)
    elif output.startswith(_ALERT):
        _, at_ns, _, text = decode(output)
        step.alerts.append((at_ns, text))


class RecordedViews:
    """Restores the views of a record, which contains only their changes.

    `zero_ns` is the value in the record's header.
    """

    def __init__(self, zero_ns: int) -> None:
        self._zero_ns = zero_ns
        self._types = field_types(StateView)
        self._fields: dict[str, Any] = {}  # as JSON
        self._values: dict[str, Any] = {}
        self._confirmed_s = float("-inf")
        self._market = 0

    def view(self, at_ns: int, age: object, changed: dict[str, Any]) -> StateView:
        """Return the view of a tick at `at_ns`. Raises one of `record_decoder.DECODE_ERRORS`."""
        values = self._values
        values.pop("closed_klines", None)
        for name, change in changed.items():
            if name == "top":
                values[name] = decode_top(change)
            elif name in self._types:
                self._fields[name] = merged(self._fields.get(name), change)
                values[name] = decode_value(self._types[name], self._fields[name], name)
        now_s = values["now_s"] if "now_s" in changed else (at_ns + self._zero_ns) / 1e9
        at_ms = at_ns // 1_000_000
        if "market_ms" in changed:
            self._market = values["market_ms"] - at_ms
        market_ms = decode_value(int, at_ms + self._market, "market_ms")
        times = {"now_s": now_s, "market_ms": market_ms, "top_age_s": self._age_s(now_s, age)}
        return StateView(**{"top": None, "closed_klines": ()} | values | times)

    def _age_s(self, now_s: float, age: object) -> float:
        """Return the age of the best prices, and remember when they were confirmed."""
        if age is None:
            return now_s - self._confirmed_s
        if isinstance(age, int):
            self._confirmed_s = confirmed_s(now_s, age)
            return now_s - self._confirmed_s
        age_s: float = decode_value(float, age, "top_age_s")
        self._confirmed_s = now_s - age_s
        return age_s


def decode_top(encoded: Any) -> BookTop | None:
    """Return the best prices in a tick or requote. Raises one of `record_decoder.DECODE_ERRORS`."""
    if encoded is None:
        return None
    named = {name: encoded[short] for short, name in TOP_NAMES.items() if short in encoded}
    top: BookTop = decode_value(BookTop, named)
    return top
