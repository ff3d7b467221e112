"""How a replayed session is told, to people and to machines."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any, Final

from trailingedge.notifications.texts import counted
from trailingedge.record.lines import decode
from trailingedge.replay.comparison import Difference
from trailingedge.replay.session import Replayed

VERSION: Final = 1
_SHOWN: Final = 160
_AROUND: Final = 30


def as_text(replayed: Replayed) -> str:
    """Several lines: what was replayed, and whether it went the same way."""
    amount = f"{counted(replayed.moments, 'moment')}, {counted(replayed.requests, 'request')}"
    lines = [f"{replayed.path}: {_span(replayed)} from {_time(replayed, 0)}, {amount}"]
    if replayed.changed:
        lines.append("with " + ", ".join(f"{name}={value}" for name, value in replayed.changed.items()))
    if replayed.difference is None:
        lines.append(_same(replayed))
    else:
        lines += [*_parted(replayed, replayed.difference), *_versions(replayed)]
    if replayed.trouble is not None:
        lines.append(f"replayed up to there: {replayed.trouble}")
    return "\n".join(lines)


def as_data(replayed: Replayed) -> dict[str, object]:
    """The same for machines."""
    difference = replayed.difference
    return {
        "version": VERSION,
        "session": str(replayed.path),
        "from": _iso(replayed, 0),
        "to": _iso(replayed, replayed.at_ns),
        "recorded_by": {"program": replayed.program, "python": replayed.python},
        "changed": dict(replayed.changed),
        "moments": replayed.moments,
        "requests": replayed.requests,
        "same": replayed.same,
        "difference": None if difference is None else _difference_as_data(replayed, difference),
        "trouble": replayed.trouble,
    }


def _same(replayed: Replayed) -> str:
    way = (
        "it goes the same way" if replayed.trouble is None else "as far as the record can be read, it goes the same way"
    )
    if replayed.changed:
        return f"{way}: the same requests, and the strategy is about the same things at the same moments"
    return f"{way}: every request, decision, event and alert is what it was, byte for byte"


def _parted(replayed: Replayed, difference: Difference) -> Iterator[str]:
    way = "they part ways" if replayed.changed else "it goes another way"
    yield f"{way} {difference.at_ns / 1e9:.6f} s after the beginning, at {_time(replayed, difference.at_ns)}:"
    yield "  before:"
    yield from (f"    {_short(told(line))}" for line in difference.before)
    recorded = "nothing" if difference.recorded is None else told(difference.recorded)
    now = "nothing" if difference.now is None else told(difference.now)
    yield f"  the record says  {_short(recorded)}"
    yield f"  said now         {_short(now)}"
    yield from _closer(recorded, now)


def _closer(recorded: str, now: str) -> Iterator[str]:
    """Where two long lines begin to differ, if that cannot be seen already."""
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(recorded, now, strict=False)))
    if alike > _SHOWN - _AROUND:
        begin = alike - _AROUND
        yield f"  they differ from …{recorded[begin : begin + _SHOWN]}"
        yield f"              to   …{now[begin : begin + _SHOWN]}"


def told(line: bytes) -> str:
    """A line of a record in words."""
    try:
        entry = decode(line)
    except ValueError:  # no line, but a word about one
        return line.decode(errors="replace")
    match entry:
        case ("<" | "+", _, _, number, frame):
            return f"heard over line {number}: {frame if isinstance(frame, str) else frame.decode(errors='replace')}"
        case (">", number, text):
            return f"request over line {number}: {text}"
        case ("!>", number, text, error):
            return f"request over line {number}, not written ({': '.join(map(str, error))}): {text}"
        case ("ask", number, what):
            return f"waits for {what} ({number})"
        case ("told", _, _, number, outcome):
            return f"{number} came out: {_plain(outcome)}"
        case ("alarm", number, seconds):
            return f"alarm {number} in {seconds} s"
        case ("ring", _, _, number, *_):
            return f"alarm {number} rang"
        case ("obey", _, _, instruction, who):
            return f"{who or 'somebody'} asked: {instruction}"
        case ("stop", _, _, reason, code):
            return f"told to stop: {reason} ({code})"
        case ("tick", *_):
            return "time passed"
        case ("stir", *_):
            return "stirred"
        case ("alert", _, text):
            return f"alert: {text}"
        case ("news", event, numbers):
            return f"event {event}: {_plain(numbers)}"
        case ("decision", about, numbers):
            return f"decision {_plain(about)}: {_plain(numbers)}"
        case ("over", outcome):
            return f"ended: {_plain(outcome)}"
        case _:
            return line.decode(errors="replace")


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    one_line = text.replace("\n", " ")
    return one_line if len(one_line) <= _SHOWN else one_line[: _SHOWN - 1] + "…"


def _versions(replayed: Replayed) -> Iterator[str]:
    """Loops of different versions may take another number of turns for the same."""
    then, now = replayed.python.rpartition(".")[0], replayed.python_now.rpartition(".")[0]
    if then != now:
        yield f"recorded with Python {then}, replayed with {now}"


def _span(replayed: Replayed) -> str:
    seconds = replayed.at_ns // 1_000_000_000
    hours, minutes = seconds // 3600, seconds // 60 % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{replayed.at_ns / 1e9:.1f} s"


def _moment(replayed: Replayed, at_ns: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=(replayed.begun_ns + at_ns) // 1000)


def _time(replayed: Replayed, at_ns: int) -> str:
    return f"{_moment(replayed, at_ns):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"


def _iso(replayed: Replayed, at_ns: int) -> str:
    return _moment(replayed, at_ns).isoformat(timespec="microseconds")


def _difference_as_data(replayed: Replayed, difference: Difference) -> dict[str, object]:
    return {
        "at": _iso(replayed, difference.at_ns),
        "after_s": difference.at_ns / 1e9,
        "recorded": None if difference.recorded is None else difference.recorded.decode(errors="replace"),
        "now": None if difference.now is None else difference.now.decode(errors="replace"),
        "before": [line.decode(errors="replace") for line in difference.before],
    }
