"""Output of a session replay, as text and as JSON.

The text uses the words of alerts and of `why`; only the JSON contains lines of the record.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from textwrap import fill
from typing import Final

from trailingedge.core.printable import printable, printable_lines
from trailingedge.notifications.event_messages import counted, figure
from trailingedge.session_replay.explain_divergence import Difference, Divergence
from trailingedge.session_replay.formatting import describe_line, field_differences
from trailingedge.session_replay.run import ReplayResult

REPLAY_RESULT_VERSION: Final = 1
_WIDTH: Final = 80
_MAX_TEXT: Final = 400
_MAX_FIELD_DIFFERENCES: Final = 6
_NOT_DONE: Final = "does not do this"


def result_text(replayed: ReplayResult) -> str:
    """Return several lines of at most 80 columns: what was replayed, and whether the outputs are the same as
    recorded.
    """
    amount = f"{counted(replayed.inputs, 'input')}, {counted(replayed.requests, 'order request')}"
    lines = [_wrap(f"{replayed.path}: {_duration(replayed.at_ns)} from {_time_text(replayed, 0)}, {amount}", "", "  ")]
    if replayed.changed_settings:
        lines.append(
            _wrap("with " + ", ".join(_changed_setting(replayed, name) for name in replayed.changed_settings), "", "  ")
        )
    if replayed.difference is None:
        lines.append(_wrap(_same_text(replayed), "", "  "))
    else:
        lines += (_wrap(text, "", "  ") for text in _version_notes(replayed))
        lines += (
            _divergence_lines(replayed, replayed.difference)
            if replayed.changed_settings
            else _difference_lines(replayed, replayed.difference)
        )
    if replayed.incomplete_reason is not None:
        lines.append(_wrap(f"the replay ends early: {replayed.incomplete_reason}", "", "  "))
    return "\n".join(lines)


def interrupted_text(replayed: ReplayResult) -> str:
    """One line on a replay that the user stopped before it had a result."""
    share = 0.0 if replayed.stopped_at is None else replayed.stopped_at
    at = f"{_datetime_at(replayed, replayed.at_ns):%Y-%m-%d %H:%M:%S} UTC"
    return f"stopped at {share * 100:.0f} %, {at}: no difference up to there"


def result_json(replayed: ReplayResult) -> dict[str, object]:
    """The result as JSON. The key `sequel` holds the later alerts, `moments` the number of inputs."""
    difference = replayed.difference
    return {
        "version": REPLAY_RESULT_VERSION,
        "session": str(replayed.path),
        "from": _iso_at(replayed, 0),
        "to": _iso_at(replayed, replayed.at_ns),
        "recorded_by": {"program": replayed.program, "python": replayed.python},
        "replayed_by": {"program": replayed.program_now, "python": replayed.python_now},
        "changed": dict(replayed.changed_settings),
        "before": dict(replayed.recorded_values),
        "moments": replayed.inputs,
        "requests": replayed.requests,
        "same": replayed.is_same,
        "difference": None if difference is None else _difference_json(replayed, difference),
        "trouble": replayed.incomplete_reason,
    }


# --- the sentences ---


def _changed_setting(replayed: ReplayResult, name: str) -> str:
    before, now = replayed.recorded_values.get(name, ""), replayed.changed_settings[name]
    return f"{name}={now}" + (f" instead of {before}" if before and before != now else "")


def _same_text(replayed: ReplayResult) -> str:
    complete = replayed.incomplete_reason is None
    result = "no difference" if complete else "no difference as far as the record can be read"
    if replayed.changed_settings:
        return f"{result}: the same order requests and the same kinds of decisions at the same times"
    return f"{result}: every order request, decision and event is the same"


def _version_notes(replayed: ReplayResult) -> Iterator[str]:
    """Yield a note if the record was made by another version of the program: that may be why the replay differs."""
    programs = (replayed.program, replayed.program_now)
    if all(programs) and programs[0] != programs[1]:
        yield f"recorded by version {programs[0]} of this program, replayed by {programs[1]}: this may be the reason"


def _divergence_lines(replayed: ReplayResult, difference: Difference) -> Iterator[str]:
    """Describe a replay with other settings: when the runs diverge, what each does, and why."""
    divergence = replayed.divergence or Divergence()
    yield f"the same for {_duration(difference.at_ns)}; the first difference:"
    yield f"  {_time_text(replayed, difference.at_ns)}{_market_text(divergence)}"
    yield from _paragraph("recorded", _with_omission(difference.recorded, divergence.recorded))
    yield from _paragraph("with these settings", _with_omission(difference.replayed, divergence.replayed))
    if divergence.later_alerts:
        yield "later in the record:"
        yield from (_paragraph_at(replayed, at_ns, text) for at_ns, text in divergence.later_alerts)
    yield "the replay ends here: the record has no replies to other requests"


def _with_omission(line: bytes | None, texts: Sequence[str]) -> Sequence[str]:
    """Return the texts on one run. If that run does not do what the other run does, the first text says so."""
    return texts if line is not None else [_NOT_DONE, *texts]


def _market_text(divergence: Divergence) -> str:
    top, rules = divergence.top, divergence.rules
    if top is None or rules is None:
        return ""
    return f", bid {figure(top.bid, rules.tick_size)}, ask {figure(top.ask, rules.tick_size)} {rules.quote_asset}"


def _paragraph(name: str, texts: Sequence[str]) -> Iterator[str]:
    yield f"  {name}:"
    yield from (_wrap(text, "    ", " " * 6) for text in texts)


def _paragraph_at(replayed: ReplayResult, at_ns: int, text: str) -> str:
    head = f"  {_datetime_at(replayed, at_ns):%H:%M:%S} "
    return _wrap(text, head, " " * len(head))


def _wrap(text: str, head: str, indent: str) -> str:
    one_line = printable(" ".join(text.split()))
    shown = one_line if len(one_line) <= _MAX_TEXT else f"{one_line[: _MAX_TEXT - 1]}…"
    return fill(
        shown, _WIDTH, initial_indent=head, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def _difference_lines(replayed: ReplayResult, difference: Difference) -> Iterator[str]:
    """Describe a replay with the recorded settings: yield the lines that differ.

    The developer needs these lines to find the cause.
    """
    rules = None if replayed.divergence is None else replayed.divergence.rules
    at = f"{_duration(difference.at_ns)} after the start, at {_time_text(replayed, difference.at_ns)}"
    yield _wrap(f"it differs {at}:", "", "  ")
    yield "  before:"
    yield from (_wrap(describe_line(line, rules), "    ", " " * 6) for line in difference.preceding)
    for head, line in (("recorded", difference.recorded), ("replayed", difference.replayed)):
        yield f"  {head}:"
        yield _wrap("nothing" if line is None else describe_line(line, rules), "    ", " " * 6)
    if difference.recorded is None or difference.replayed is None:  # one side has no such line to compare with
        return
    found = list(islice(field_differences(difference.recorded, difference.replayed), _MAX_FIELD_DIFFERENCES + 1))
    if found:
        yield "  fields that differ:"
    for name, recorded, now in found[:_MAX_FIELD_DIFFERENCES]:
        yield _wrap(f"{name}: {recorded} recorded, {now} replayed", "    ", " " * 6)
    if len(found) > _MAX_FIELD_DIFFERENCES:
        yield "    and more, see --json"


# --- times ---


def _duration(at_ns: int) -> str:
    seconds = at_ns // 1_000_000_000
    hours, minutes = seconds // 3600, seconds // 60 % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{at_ns / 1e9:.1f} s"


def _datetime_at(replayed: ReplayResult, at_ns: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=(replayed.started_ns + at_ns) // 1000)


def _time_text(replayed: ReplayResult, at_ns: int) -> str:
    return f"{_datetime_at(replayed, at_ns):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"


def _iso_at(replayed: ReplayResult, at_ns: int) -> str:
    return _datetime_at(replayed, at_ns).isoformat(timespec="microseconds")


# --- for machines ---


def _difference_json(replayed: ReplayResult, difference: Difference) -> dict[str, object]:
    divergence = replayed.divergence or Divergence()
    return {
        "at": _iso_at(replayed, difference.at_ns),
        "after_s": difference.at_ns / 1e9,
        "bid": None if divergence.top is None else str(divergence.top.bid),
        "ask": None if divergence.top is None else str(divergence.top.ask),
        "recorded": None if difference.recorded is None else _line_text(difference.recorded),
        "now": None if difference.replayed is None else _line_text(difference.replayed),
        "before": list(map(_line_text, difference.preceding)),
        "recorded_in_words": list(map(printable, divergence.recorded)),
        "now_in_words": list(map(printable, divergence.replayed)),
        "sequel": [
            {"at": _iso_at(replayed, at_ns), "alert": printable_lines(text)} for at_ns, text in divergence.later_alerts
        ],
    }


def _line_text(line: bytes) -> str:
    """Return a line of a record as printable text, because the record may come from anybody."""
    return printable(line.decode(errors="replace"))
