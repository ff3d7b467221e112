"""Health of a running daemon for monitors: a judgement in Nagios' three levels, and metrics in Prometheus' text format.

Sources: Monitoring Plugins Development Guidelines (exit codes, one line, performance data after a bar); Prometheus,
"Exposition formats", text-based format.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from math import isfinite
from typing import Final

from trailingedge.model.market import format_plain
from trailingedge.notifications.risk_messages import breaker_name
from trailingedge.notifications.session_heading import heading
from trailingedge.notifications.status import QuoteObstacle, StatusView, position

LITTLE_DISK_BYTES: Final = 200 * 1024 * 1024  # a few weeks of session logs
NO_DISK_BYTES: Final = 20 * 1024 * 1024
_CLOCK_MAY_BE_OFF_S: Final = 1.0


class HealthLevel(IntEnum):
    """How healthy the daemon is. The values are the exit codes of a monitoring plugin."""

    OK = 0
    WARNING = 1
    CRITICAL = 2


@dataclass(frozen=True, slots=True)
class HealthFacts:
    """The facts by which health is judged.

    `view` is None until trading begins; until then `starting` names the step that is waiting.

    `disk_free` is the free space in bytes on the disk of the logs; None if it is not known. `latency_s` is the duration
    of the last round trip to the exchange in seconds. `replaces`, `ticks` and `result_frac` count from the start of the
    session.
    """

    mode: str
    symbol: str
    view: StatusView | None
    stale_after_s: float
    starting: str = ""
    disk_free: int | None = None
    clock_offset_s: float = 0.0
    latency_s: float = 0.0
    ticks: int = 0
    replaces: int = 0
    result_frac: float | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """The result of an assessment: the worst level, and all problems, the worst first."""

    level: HealthLevel
    problems: tuple[str, ...]

    def as_data(self) -> dict[str, object]:
        """Return this result as data for JSON."""
        return {"level": int(self.level), "state": self.level.name.lower(), "problems": list(self.problems)}


def assess(facts: HealthFacts) -> Health:
    """Return the health that follows from `facts`."""
    found = sorted(_problems(facts), key=lambda problem: -problem[0])
    return Health(max((level for level, _ in found), default=HealthLevel.OK), tuple(text for _, text in found))


def _problems(facts: HealthFacts) -> Iterator[tuple[HealthLevel, str]]:
    if facts.view is None:
        yield HealthLevel.WARNING, f"not trading yet: {facts.starting or 'starting'}"
    else:
        yield from _trading_problems(facts.view, facts.stale_after_s)
    if facts.disk_free is not None and facts.disk_free < LITTLE_DISK_BYTES:
        level = HealthLevel.CRITICAL if facts.disk_free < NO_DISK_BYTES else HealthLevel.WARNING
        yield level, f"{facts.disk_free / 1e6:.0f} MB of disk free under LOG_DIR"
    if abs(facts.clock_offset_s) >= _CLOCK_MAY_BE_OFF_S:
        yield HealthLevel.WARNING, f"the exchange's clock minus this machine's clock is {facts.clock_offset_s:+.1f} s"


def _trading_problems(view: StatusView, stale_after_s: float) -> Iterator[tuple[HealthLevel, str]]:
    if view.halted:
        yield HealthLevel.CRITICAL, f"halted: {view.halt_reason}"
    if not view.account_proven:
        yield HealthLevel.CRITICAL, "no account connection"
    age_s = view.data_age_s
    if age_s is None or age_s >= stale_after_s:
        long = f"for {age_s:.0f} s" if age_s is not None and isfinite(age_s) else "yet"
        yield HealthLevel.CRITICAL, f"no market data {long}"
    if view.paused:
        yield HealthLevel.WARNING, "paused"
    for trip in view.trips:
        yield HealthLevel.WARNING, f"breaker: {breaker_name(trip.breaker)}"
    if view.active_exit is not None and view.active_exit.obstacle is QuoteObstacle.IN_DOUBT:
        yield HealthLevel.WARNING, "the state of an order is unknown: its request was not answered"
    if view.reject_text is not None:
        yield HealthLevel.WARNING, f"the exchange rejected the last order ({view.reject_text.rstrip('.')})"


def plugin_line(facts: HealthFacts, health: Health) -> str:
    """Return the line of a monitoring plugin: level, problems or else the present activity, and performance data."""
    what = "; ".join(health.problems)
    if not what and facts.view is not None:
        what = position(facts.view)
    data = {"value": _value(facts), "result": facts.result_frac, "latency": facts.latency_s, "ticks": facts.ticks}
    performance = " ".join(f"{name}={_number(value)}" for name, value in data.items() if value is not None)
    text = f"{heading(facts.mode, facts.symbol)}: {what}".replace("|", "/")
    return f"TRAILING-EDGE {health.level.name} - {text} | {performance}"


def _value(facts: HealthFacts) -> Decimal | float | None:
    return None if facts.view is None else facts.view.value


def _number(value: Decimal | float | int) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    return format_plain(value) if isinstance(value, Decimal) else str(value)


# --- Prometheus ---


@dataclass(frozen=True, slots=True)
class _Metric:
    name: str
    kind: str
    meaning: str
    value: Decimal | float | int | None


def prometheus_text(facts: HealthFacts, health: Health, unix_s: float) -> str:
    """Return the metrics of the daemon at the time `unix_s`. Unknown values are left out."""
    labels = f'mode="{_escaped(facts.mode)}",symbol="{_escaped(facts.symbol)}"'
    lines = []
    for metric in _metrics(facts, health, unix_s):
        if metric.value is None:
            continue
        name = f"trailing_edge_{metric.name}"
        lines += [f"# HELP {name} {metric.meaning}", f"# TYPE {name} {metric.kind}"]
        lines.append(f"{name}{{{labels}}} {_number(metric.value)}")
    phase = "starting" if facts.view is None else facts.view.phase
    lines += [
        "# HELP trailing_edge_state 1 for the present activity of the bot, which the label state names.",
        "# TYPE trailing_edge_state gauge",
    ]
    lines.append(f'trailing_edge_state{{{labels},state="{_escaped(phase)}"}} 1')
    return "\n".join(lines) + "\n"


def _metrics(facts: HealthFacts, health: Health, unix_s: float) -> Iterator[_Metric]:
    view = facts.view
    yield _Metric(
        "updated_seconds", "gauge", "Time at which this file was written, in seconds since 1970.", round(unix_s)
    )
    yield _Metric("health", "gauge", "0 ok, 1 warning, 2 critical.", int(health.level))
    yield _Metric(
        "value", "gauge", "Value of the account in the quote asset, with the base asset at the best bid.", _value(facts)
    )
    yield _Metric(
        "result_ratio",
        "gauge",
        "Result since the start, as a fraction; deposits and withdrawals do not count.",
        facts.result_frac,
    )
    if view is not None:
        age_s = view.data_age_s if view.data_age_s is not None and isfinite(view.data_age_s) else None
        yield _Metric("price", "gauge", "Best bid, in the quote asset.", None if view.top is None else view.top.bid)
        yield _Metric("market_data_age_seconds", "gauge", "Age of the newest market price, in seconds.", age_s)
        yield _Metric("paused", "gauge", "1 while the operator or a breaker pauses trading.", int(view.trading_paused))
        yield _Metric(
            "halted", "gauge", "1 while trading is halted because a safety rule was broken.", int(view.halted)
        )
        yield _Metric("reconnects_total", "counter", "Reconnects since the start.", view.reconnects)
    yield _Metric("replaces_total", "counter", "Cancel-replaces of the bot's orders since the start.", facts.replaces)
    yield _Metric("ticks_total", "counter", "Ticks of the main loop since the start.", facts.ticks)
    yield _Metric(
        "latency_seconds", "gauge", "Newest measured time from a request to its reply, in seconds.", facts.latency_s
    )
    yield _Metric(
        "clock_offset_seconds",
        "gauge",
        "Clock of the exchange minus clock of this machine, in seconds.",
        facts.clock_offset_s,
    )
    yield _Metric("disk_free_bytes", "gauge", "Free disk space in the log folder, in bytes.", facts.disk_free)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
