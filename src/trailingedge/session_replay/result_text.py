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
from trailingedge.session_replay.formatting import deviations, told
from trailingedge.session_replay.run import ReplayResult

VERSION: Final = 1
_WIDTH: Final = 80
_LONGEST: Final = 400
_DEVIATIONS: Final = 6


def as_text(replayed: ReplayResult) -> str:
    """Several lines of at most 80 columns: what was replayed, and whether it went the same way."""
    amount = f"{counted(replayed.moments, 'moment')}, {counted(replayed.requests, 'request')}"
    lines = [_filled(f"{replayed.path}: {_span(replayed.at_ns)} from {_time(replayed, 0)}, {amount}", "", "  ")]
    if replayed.changed:
        lines.append(_filled("with " + ", ".join(_change(replayed, name) for name in replayed.changed), "", "  "))
    if replayed.difference is None:
        lines.append(_filled(_same(replayed), "", "  "))
    else:
        lines += (_filled(text, "", "  ") for text in _versions(replayed))
        lines += _fork(replayed, replayed.difference) if replayed.changed else _parted(replayed, replayed.difference)
    if replayed.trouble is not None:
        lines.append(_filled(f"replayed up to there: {replayed.trouble}", "", "  "))
    return "\n".join(lines)


def as_stopped(replayed: ReplayResult) -> str:
    """One line on a replay that was asked to end before it had an answer."""
    share = 0.0 if replayed.stopped_at is None else replayed.stopped_at
    at = f"{_moment(replayed, replayed.at_ns):%Y-%m-%d %H:%M:%S} UTC"
    return f"stopped at {share * 100:.0f} %, {at}: it goes the same way up to there"


def as_data(replayed: ReplayResult) -> dict[str, object]:
    """The same for machines."""
    difference = replayed.difference
    return {
        "version": VERSION,
        "session": str(replayed.path),
        "from": _iso(replayed, 0),
        "to": _iso(replayed, replayed.at_ns),
        "recorded_by": {"program": replayed.program, "python": replayed.python},
        "replayed_by": {"program": replayed.program_now, "python": replayed.python_now},
        "changed": dict(replayed.changed),
        "before": dict(replayed.before),
        "moments": replayed.moments,
        "requests": replayed.requests,
        "same": replayed.same,
        "difference": None if difference is None else _difference_as_data(replayed, difference),
        "trouble": replayed.trouble,
    }


# --- what is said ---


def _change(replayed: ReplayResult, name: str) -> str:
    before, now = replayed.before.get(name, ""), replayed.changed[name]
    return f"{name}={now}" + (f" instead of {before}" if before and before != now else "")


def _same(replayed: ReplayResult) -> str:
    way = (
        "it goes the same way" if replayed.trouble is None else "as far as the record can be read, it goes the same way"
    )
    if replayed.changed:
        return f"{way}: the same requests, and the strategy is about the same things at the same moments"
    return f"{way}: every request, decision, event and alert is what it was, byte for byte"


def _versions(replayed: ReplayResult) -> Iterator[str]:
    """What else than the daemon or its settings may be the reason. Golden records and tests know no version."""
    then, now = _minor(replayed.python), _minor(replayed.python_now)
    programs = (replayed.program, replayed.program_now)
    if all(programs) and programs[0] != programs[1]:
        yield f"recorded by version {programs[0]} of this program, replayed by {programs[1]}: that may be why"
    if then != now:
        yield f"recorded with Python {then}, replayed with Python {now}: that may be why"


def _minor(version: str) -> str:
    """Loops of different versions may take another number of turns for the same."""
    return ".".join(version.split(".")[:2])


def _fork(replayed: ReplayResult, difference: Difference) -> Iterator[str]:
    """Where another setting parts ways, and what it and the recorded one are about there."""
    fork = replayed.fork or Divergence()
    yield f"both do the same for {_span(difference.at_ns)}, then they part ways:"
    yield f"  {_time(replayed, difference.at_ns)}{_market(fork)}"
    yield from _paragraph("then", fork.then or ["it goes on as before"])
    yield from _paragraph("now", fork.now or ["nothing of the kind"])
    if fork.sequel:
        yield "after that the record tells of:"
        yield from (_paragraph_at(replayed, at_ns, text) for at_ns, text in fork.sequel)
    yield "what the exchange would have answered to the other way no record knows"


def _market(fork: Divergence) -> str:
    if fork.top is None or fork.rules is None:
        return ""
    tick = fork.rules.tick_size
    return f", bid {figure(fork.top.bid, tick)}, ask {figure(fork.top.ask, tick)} {fork.rules.quote_asset}"


def _paragraph(name: str, texts: Sequence[str]) -> Iterator[str]:
    indent = " " * 8
    for number, text in enumerate(texts):
        head = f"  {name + ':' if number == 0 else '':<6}"
        yield _filled(text, head, indent)


def _paragraph_at(replayed: ReplayResult, at_ns: int, text: str) -> str:
    head = f"  {_moment(replayed, at_ns):%H:%M:%S} "
    return _filled(text, head, " " * len(head))


def _filled(text: str, head: str, indent: str) -> str:
    one_line = " ".join(text.split())
    shown = one_line if len(one_line) <= _LONGEST else f"{one_line[: _LONGEST - 1]}…"
    return fill(
        shown, _WIDTH, initial_indent=head, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def _parted(replayed: ReplayResult, difference: Difference) -> Iterator[str]:
    """Where the same settings lead elsewhere, line by line, for whoever looks for the reason."""
    rules = None if replayed.fork is None else replayed.fork.rules
    at = f"{_span(difference.at_ns)} after the beginning, at {_time(replayed, difference.at_ns)}"
    yield _filled(f"it goes another way {at}:", "", "  ")
    yield "  before:"
    yield from (_filled(told(line, rules), "    ", " " * 6) for line in difference.before)
    for head, line in (("the record says", difference.recorded), ("said now", difference.now)):
        yield f"  {head}:"
        yield _filled("nothing" if line is None else told(line, rules), "    ", " " * 6)
    if difference.recorded is None or difference.now is None:
        return
    found = list(islice(deviations(difference.recorded, difference.now), _DEVIATIONS + 1))
    if found:
        yield "  they differ in:"
    for name, mine, yours in found[:_DEVIATIONS]:
        yield _filled(f"{name}: {mine} then, {yours} now", "    ", " " * 6)
    if len(found) > _DEVIATIONS:
        yield "    and more, see --json"


# --- times ---


def _span(at_ns: int) -> str:
    seconds = at_ns // 1_000_000_000
    hours, minutes = seconds // 3600, seconds // 60 % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{at_ns / 1e9:.1f} s"


def _moment(replayed: ReplayResult, at_ns: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=(replayed.begun_ns + at_ns) // 1000)


def _time(replayed: ReplayResult, at_ns: int) -> str:
    return f"{_moment(replayed, at_ns):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"


def _iso(replayed: ReplayResult, at_ns: int) -> str:
    return _moment(replayed, at_ns).isoformat(timespec="microseconds")


# --- for machines ---


def _difference_as_data(replayed: ReplayResult, difference: Difference) -> dict[str, object]:
    fork = replayed.fork or Divergence()
    return {
        "at": _iso(replayed, difference.at_ns),
        "after_s": difference.at_ns / 1e9,
        "bid": None if fork.top is None else str(fork.top.bid),
        "ask": None if fork.top is None else str(fork.top.ask),
        "recorded": None if difference.recorded is None else difference.recorded.decode(errors="replace"),
        "now": None if difference.now is None else difference.now.decode(errors="replace"),
        "before": [line.decode(errors="replace") for line in difference.before],
        "recorded_in_words": list(fork.then),
        "now_in_words": list(fork.now),
        "sequel": [{"at": _iso(replayed, at_ns), "alert": text} for at_ns, text in fork.sequel],
    }
