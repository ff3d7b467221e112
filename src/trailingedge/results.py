"""What a run came to, for machines: the one shape of summary, replay and report.

Amounts and prices are strings, fractions are numbers, times ISO 8601 in UTC.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from trailingedge.config import OPTIONS, Settings
from trailingedge.market import SymbolRules, as_on, plain
from trailingedge.tally import FinishedExit, Period, Tally

VERSION = 1


def results(settings: Settings, rules: SymbolRules, tally: Tally, gaps: Sequence[str] = ()) -> dict[str, object]:
    """The whole of it. Secrets are left out of the settings."""
    return {
        "version": VERSION,
        "symbol": rules.symbol,
        "from": iso(tally.from_ms),
        "to": iso(tally.to_ms),
        "settings": {name: option.shown(option.of(settings)) for name, option in OPTIONS.items() if not option.secret},
        "exits": [_exit(finished, rules) for finished in tally.exits],
        "totals": {
            "exits": len(tally.exits),
            "fills": tally.fills,
            "replaces": tally.replaces,
            "fees": _amounts(tally.fees),
            "rejected": {str(code): count for code, count in sorted(tally.rejected.items())},
            "result_frac": tally.result_frac,
            "hold_base_frac": tally.hold_base_frac,
            "hold_quote_frac": 0.0,  # all values are in quote
            "max_drawdown_frac": tally.max_drawdown_frac,
        },
        "gaps": list(gaps),
    }


def day_as_data(rules: SymbolRules, day: Period) -> dict[str, object]:
    """A day so far, or what of it one has seen."""
    return {
        "from": iso(day.from_ms),
        "to": iso(day.to_ms),
        "exits": [_exit(finished, rules) for finished in day.exits],
        "fills": day.fills,
        "replaces": day.replaces,
        "fees": _amounts(day.fees),
        "value": plain(day.value),
        "result_frac": day.result_frac,
        "hold_base_frac": day.hold_base_frac,
    }


def iso(unix_ms: int) -> str:
    """A time of the market, to the millisecond."""
    return (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=unix_ms)).isoformat(timespec="milliseconds")


def _exit(finished: FinishedExit, rules: SymbolRules) -> dict[str, object]:
    average = finished.average
    return {
        "number": finished.number,
        "kind": finished.kind.name.lower(),
        "side": finished.side.value,
        "cause": finished.cause.value,
        "from": iso(finished.started_ms),
        "to": iso(finished.ended_ms),
        "base": plain(finished.base),
        "quote": plain(finished.quote),
        "average": None if average is None else as_on(average, rules.tick_size),
        "slippage_frac": finished.slippage_frac,
        "result_frac": finished.result_frac,
        "replaces": finished.replaces,
        "fees": _amounts(finished.fees),
    }


def _amounts(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    return {asset: plain(amount) for asset, amount in amounts.items() if amount}
