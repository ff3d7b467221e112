"""Report of a run that the program made itself: what its statistics counted, and what an observer collected."""

from collections.abc import Iterable, Mapping

from trailingedge.accounting.statistics import RunStatistics
from trailingedge.model.market import SymbolRules
from trailingedge.report.model import Candle, Fill, OrderLogEntry, RunReport, Sample


def report_of_run(
    statistics: RunStatistics,
    rules: SymbolRules,
    settings: Mapping[str, str],
    *,
    fills: Iterable[Fill],
    orders: Iterable[OrderLogEntry],
    candles: Iterable[Candle],
    samples: Iterable[Sample],
    gaps: Iterable[str],
    mode: str,
) -> RunReport:
    """Return the report of a run. `settings` are those that a report may show; `mode` is that of `RunReport`."""
    return RunReport(
        symbol=rules.symbol,
        base_asset=rules.base_asset,
        quote_asset=rules.quote_asset,
        tick_size=rules.tick_size,
        from_ms=statistics.from_ms,
        to_ms=statistics.to_ms,
        settings=settings,
        exits=tuple(statistics.exits),
        fills=tuple(fills),
        orders=tuple(orders),
        candles=tuple(candles),
        samples=tuple(samples),
        replaces=statistics.replaces,
        rejected=dict(sorted(statistics.rejected.items())),
        first_bid=statistics.first_bid,
        last_bid=statistics.last_bid,
        first_value=statistics.first_value,
        last_value=statistics.last_value,
        max_drawdown_frac=statistics.max_drawdown_frac,
        gaps=tuple(gaps),
        mode=mode,
    )
