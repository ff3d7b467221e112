"""How a replayed session is told, to people and to machines.

People are told in the words of alerts and of `why`; the lines of the record themselves are for machines.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from textwrap import fill
from typing import Final

from trailingedge.notifications.messages import counted, figure
from trailingedge.session_replay.comparison import Difference
from trailingedge.session_replay.divergence import Divergence
from trailingedge.session_replay.formatting import describe_line, field_differences
from trailingedge.session_replay.run import ReplayResult

REPLAY_RESULT_VERSION: Final = 1
_WIDTH: Final = 80
_MAX_TEXT: Final = 400
_MAX_FIELD_DIFFERENCES: Final = 6


def result_text(replayed: ReplayResult) -> str:
    """Several lines of at most 80 columns: what was replayed, and whether it went the same way."""
    amount = f"{counted(replayed.inputs, 'moment')}, {counted(replayed.requests, 'request')}"
    lines = [_wrap(f"{replayed.path}: {_span(replayed.at_ns)} from {_time(replayed, 0)}, {amount}", "", "  ")]
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
        lines.append(_wrap(f"replayed up to there: {replayed.incomplete_reason}", "", "  "))
    return "\n".join(lines)


def interrupted_text(replayed: ReplayResult) -> str:
    """One line on a replay that was asked to end before it had an answer."""
    share = 0.0 if replayed.stopped_at is None else replayed.stopped_at
    at = f"{_moment(replayed, replayed.at_ns):%Y-%m-%d %H:%M:%S} UTC"
    return f"stopped at {share * 100:.0f} %, {at}: it goes the same way up to there"


def result_json(replayed: ReplayResult) -> dict[str, object]:
    """The same for machines."""
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


# --- what is said ---


def _changed_setting(replayed: ReplayResult, name: str) -> str:
    before, now = replayed.recorded_values.get(name, ""), replayed.changed_settings[name]
    return f"{name}={now}" + (f" instead of {before}" if before and before != now else "")


def _same_text(replayed: ReplayResult) -> str:
    way = (
        "it goes the same way"
        if replayed.incomplete_reason is None
        else "as far as the record can be read, it goes the same way"
    )
    if replayed.changed_settings:
        return f"{way}: the same requests, and the strategy is about the same things at the same moments"
    return f"{way}: every request, decision, event and alert is what it was, byte for byte"


def _version_notes(replayed: ReplayResult) -> Iterator[str]:
    """What else than the daemon or its settings may be the reason. Golden records and tests know no version."""
    then, now = _minor_version(replayed.python), _minor_version(replayed.python_now)
    programs = (replayed.program, replayed.program_now)
    if all(programs) and programs[0] != programs[1]:
        yield f"recorded by version {programs[0]} of this program, replayed by {programs[1]}: that may be why"
    if then != now:
        yield f"recorded with Python {then}, replayed with Python {now}: that may be why"


def _minor_version(version: str) -> str:
    """Loops of different versions may take another number of turns for the same."""
    return ".".join(version.split(".")[:2])


def _divergence_lines(replayed: ReplayResult, difference: Difference) -> Iterator[str]:
    """Where another setting parts ways, and what it and the recorded one are about there."""
    fork = replayed.divergence or Divergence()
    yield f"both do the same for {_span(difference.at_ns)}, then they part ways:"
    yield f"  {_time(replayed, difference.at_ns)}{_market(fork)}"
    yield from _paragraph("then", fork.recorded or ["it goes on as before"])
    yield from _paragraph("now", fork.replayed or ["nothing of the kind"])
    if fork.later_alerts:
        yield "after that the record tells of:"
        yield from (_paragraph_at(replayed, at_ns, text) for at_ns, text in fork.later_alerts)
    yield "what the exchange would have answered to the other way no record knows"


def _market_text(fork: Divergence) -> str:
    if fork.top is None or fork.rules is None:
        return ""
    tick = fork.rules.tick_size
    return f", bid {figure(fork.top.bid, tick)}, ask {figure(fork.top.ask, tick)} {fork.rules.quote_asset}"


def _paragraph(name: str, texts: Sequence[str]) -> Iterator[str]:
    indent = " " * 8
    for number, text in enumerate(texts):
        head = f"  {name + ':' if number == 0 else '':<6}"
        yield _wrap(text, head, indent)


def _paragraph_at(replayed: ReplayResult, at_ns: int, text: str) -> str:
    head = f"  {_moment(replayed, at_ns):%H:%M:%S} "
    return _wrap(text, head, " " * len(head))


def _wrap(text: str, head: str, indent: str) -> str:
    one_line = " ".join(text.split())
    shown = one_line if len(one_line) <= _MAX_TEXT else f"{one_line[: _LONGEST - 1]}…"
    return fill(
        shown, _WIDTH, initial_indent=head, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def _difference_lines(replayed: ReplayResult, difference: Difference) -> Iterator[str]:
    """Where the same settings lead elsewhere, line by line, for whoever looks for the reason."""
    rules = None if replayed.divergence is None else replayed.divergence.rules
    at = f"{_span(difference.at_ns)} after the beginning, at {_time(replayed, difference.at_ns)}"
    yield _wrap(f"it goes another way {at}:", "", "  ")
    yield "  before:"
    yield from (_wrap(describe_line(line, rules), "    ", " " * 6) for line in difference.preceding)
    for head, line in (("the record says", difference.recorded), ("said now", difference.replayed)):
        yield f"  {head}:"
        yield _wrap("nothing" if line is None else describe_line(line, rules), "    ", " " * 6)
    if difference.recorded is None or difference.replayed is None:
        return
    found = list(islice(field_differences(difference.recorded, difference.replayed), _MAX_FIELD_DIFFERENCES + 1))
    if found:
        yield "  they differ in:"
    for name, mine, yours in found[:_MAX_FIELD_DIFFERENCES]:
        yield _wrap(f"{name}: {mine} then, {yours} now", "    ", " " * 6)
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
    return f"{_moment(replayed, at_ns):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"


def _iso_at(replayed: ReplayResult, at_ns: int) -> str:
    return _datetime_at(replayed, at_ns).isoformat(timespec="microseconds")


# --- for machines ---


def _difference_json(replayed: ReplayResult, difference: Difference) -> dict[str, object]:
    fork = replayed.divergence or Divergence()
    return {
        "at": _iso_at(replayed, difference.at_ns),
        "after_s": difference.at_ns / 1e9,
        "bid": None if fork.top is None else str(fork.top.bid),
        "ask": None if fork.top is None else str(fork.top.ask),
        "recorded": None if difference.recorded is None else difference.recorded.decode(errors="replace"),
        "now": None if difference.replayed is None else difference.replayed.decode(errors="replace"),
        "before": [line.decode(errors="replace") for line in difference.preceding],
        "recorded_in_words": list(fork.recorded),
        "now_in_words": list(fork.replayed),
        "sequel": [{"at": _iso_at(replayed, at_ns), "alert": text} for at_ns, text in fork.later_alerts],
    }
