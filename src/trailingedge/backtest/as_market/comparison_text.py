"""Output of the comparison of a session with the backtest of its market, as text and as JSON."""

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Final

from trailingedge.accounting.results import FinishedExit, utc
from trailingedge.backtest.as_market.comparison import MATCHED_WITHIN_MS, Comparison
from trailingedge.backtest.as_market.request_latency import RequestLatency
from trailingedge.core.printable import printable
from trailingedge.model.market import format_plain
from trailingedge.notifications.event_messages import EXIT_NAMES, counted, elapsed, figure
from trailingedge.report.model import RunReport
from trailingedge.report.tables import NO_VALUE, Table, exit_reason, slippage_text, timestamp
from trailingedge.report.terminal import USUAL_WIDTH, columns, wrapped

COMPARISON_VERSION: Final = 1
_BAR_WIDTH: Final = 30
_SIDES: Final = ("session", "backtest")


def comparison_text(compared: Comparison, width: int = USUAL_WIDTH) -> str:
    """The comparison in lines of at most `width` columns. The counts come last: they stay on the screen."""
    lines = [*wrapped(f"{printable(str(compared.path))}: {_span_text(compared.live)}", width)]
    if compared.changed_settings:
        changed = ", ".join(f"{name}={value}" for name, value in compared.changed_settings.items())
        lines += wrapped(f"the backtest ran with {printable(changed)}; the session had other values", width)
    if compared.measured is not None:
        lines += ["", *_latency_lines(compared.measured, width)]
    if compared.pairs:
        heading = f"exits: the same side, started within {elapsed(MATCHED_WITHIN_MS / 1000)} of each other"
        lines += ["", *wrapped(heading, width), *columns(_exits_table(compared), width)]
    lines += ["", "what this comparison cannot know"]
    lines += [each for text in compared.unknown for each in wrapped(f"  {printable(text)}", width)]
    lines += ["", *columns(_sums_table(compared), width)]
    if compared.halt_reason is not None:
        lines += wrapped(f"the backtest was halted: {printable(compared.halt_reason)}", width)
    lines += ["", *wrapped(_verdict(compared), width)]
    if compared.measured is not None:
        given = (
            f"to backtest with the measured latency: trailing-edge backtest --latency {compared.measured.one_way_ms}"
        )
        lines += wrapped(given, width)
    return "\n".join(lines)


def comparison_json(compared: Comparison) -> dict[str, object]:
    """The comparison as JSON. Times are UTC, slippages fractions of the mid price at the trigger, positive a cost."""
    measured = compared.measured
    return {
        "version": COMPARISON_VERSION,
        "session": str(compared.path),
        "symbol": compared.live.symbol,
        "from": _iso(compared.live.from_ms),
        "to": _iso(compared.live.to_ms),
        "changed": dict(compared.changed_settings),
        "latency_ms": compared.latency_ms,
        "measured_latency": None if measured is None else _latency_json(measured),
        "matched": compared.matched,
        "exits": [
            {"session": _exit_json(pair.live), "backtest": _exit_json(pair.simulated)} for pair in compared.pairs
        ],
        "rejected": {
            side: {str(code): count for code, count in report.results.rejected.items()}
            for side, report in zip(_SIDES, (compared.live, compared.simulated), strict=True)
        },
        "unknown": list(compared.unknown),
        "halted": compared.halt_reason,
    }


def _span_text(report: RunReport) -> str:
    span = f"{timestamp(report.from_ms)} to {timestamp(report.to_ms)} UTC"
    return f"{report.symbol}, {span}; the session compared with a backtest of its recorded market"


def _latency_lines(measured: RequestLatency, width: int) -> Iterator[str]:
    what = "order request" if measured.of_orders else "request other than an order"
    yield from wrapped(
        f"round trips of {counted(len(measured.round_trips_ms), what)}: median {measured.median_ms:.1f} ms, "
        f"95 % within {measured.p95_ms:.1f} ms",
        width,
    )
    buckets = measured.buckets()
    most = max(bucket.count for bucket in buckets)
    for bucket in buckets:
        span = (
            f"{bucket.from_ms:.0f}+" if bucket.to_ms == float("inf") else f"{bucket.from_ms:.0f} to {bucket.to_ms:.0f}"
        )
        mark = "#" * -(-bucket.count * _BAR_WIDTH // most)
        yield f"  {span:>12} ms {bucket.count:>6} {mark}".rstrip()


def _exits_table(compared: Comparison) -> Table:
    """Two rows for each pair: the session's exit and the backtest's."""
    headings = ("started, UTC", "in", "why", "side", "price", "slippage", "filled in", "replaces")
    rows = []
    for pair in compared.pairs:
        for name, report, finished in (
            ("session", compared.live, pair.live),
            ("backtest", compared.simulated, pair.simulated),
        ):
            rows.append(
                (f"  no exit in the {name} matches",) if finished is None else _exit_row(report, name, finished)
            )
    return Table(headings, tuple(rows), frozenset({"price", "slippage", "filled in", "replaces"}))


def _exit_row(report: RunReport, name: str, finished: FinishedExit) -> tuple[str, ...]:
    average = finished.average
    return (
        timestamp(finished.started_ms),
        name,
        exit_reason(finished),
        finished.side.value,
        NO_VALUE if average is None else figure(average, report.tick_size),
        slippage_text(finished.slippage_frac),
        elapsed(finished.age_s) if finished.base else NO_VALUE,
        str(finished.replaces),
    )


def _sums_table(compared: Comparison) -> Table:
    headings = ("in", "exits", "slippage", "filled in", "replaces", "rejected, by code")
    sides = zip(_SIDES, (compared.live, compared.simulated), strict=True)
    rows = tuple(_sums_row(name, report) for name, report in sides)
    return Table(headings, rows, frozenset({"exits", "slippage", "filled in", "replaces"}))


def _sums_row(name: str, report: RunReport) -> tuple[str, ...]:
    exits = report.exits
    slips = [each.slippage_frac for each in exits if each.slippage_frac is not None]
    ages = [each.age_s for each in exits if each.base]
    return (
        name,
        str(len(exits)),
        f"{slippage_text(median(slips))}" if slips else NO_VALUE,
        elapsed(median(ages)) if ages else NO_VALUE,
        str(sum(each.replaces for each in exits)),
        _codes_text(report.results.rejected),
    )


def _codes_text(rejected: Mapping[int, int]) -> str:
    return ", ".join(f"{count} of {code}" for code, count in sorted(rejected.items())) or "none"


def _verdict(compared: Comparison) -> str:
    live, simulated = len(compared.live.exits), len(compared.simulated.exits)
    return (
        f"{compared.matched} of {counted(live, 'exit')} matched by the backtest, which had {simulated}, with a latency "
        f"of {compared.latency_ms} ms each way; slippage and time to fill are medians"
    )


def _latency_json(measured: RequestLatency) -> dict[str, object]:
    return {
        "requests": len(measured.round_trips_ms),
        "of_orders": measured.of_orders,
        "median_ms": measured.median_ms,
        "p95_ms": measured.p95_ms,
        "one_way_ms": measured.one_way_ms,
        "histogram": [
            {"from_ms": each.from_ms, "to_ms": None if each.to_ms == float("inf") else each.to_ms, "count": each.count}
            for each in measured.buckets()
        ],
    }


def _exit_json(finished: FinishedExit | None) -> dict[str, object] | None:
    if finished is None:
        return None
    average = finished.average
    return {
        "id": finished.id,
        "why": EXIT_NAMES[finished.kind],
        "ending": finished.cause.value,
        "side": finished.side.value,
        "started": _iso(finished.started_ms),
        "average": None if average is None else format_plain(average),
        "slippage_frac": finished.slippage_frac,
        "filled_in_s": finished.age_s if finished.base else None,
        "replaces": finished.replaces,
    }


def _iso(unix_ms: int) -> str:
    return utc(unix_ms).isoformat(timespec="milliseconds")
