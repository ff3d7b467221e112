"""Report of a backtest: backtests the market files of a command line, and says what limits the trust in the result."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Final

from trailingedge.backtest.engine import Backtest
from trailingedge.backtest.inputs import (
    BacktestInputs,
    balance_shortage,
    build_inputs,
    data_warnings,
    open_market_files,
    require_traded,
    shared_balances,
)
from trailingedge.backtest.market_cache import calm_collector, kept_market
from trailingedge.backtest.paths import (
    FlatShare,
    PathTask,
    Scenario,
    equity_band,
    figures_of,
    run_paths,
)
from trailingedge.core.errors import ConfigError
from trailingedge.live import factory
from trailingedge.model.market import format_plain
from trailingedge.notifications.event_messages import counted
from trailingedge.notifications.risk_messages import breaker_until, measured
from trailingedge.report.model import RunReport
from trailingedge.report.progress import InterruptRequest, ProgressBar
from trailingedge.report.robustness import Robustness, median_path
from trailingedge.risk.circuit_breakers import Breaker, BreakerTrip
from trailingedge.simulator.feeds.columns import Columns, opening_price
from trailingedge.simulator.feeds.historical import RecordedMarket
from trailingedge.simulator.feeds.market_loader import load_columns

_MAX_TRIPS_SHOWN: Final = 5


class BalanceTooSmall(ConfigError):
    """The starting balances are too small for any order."""


@dataclass(frozen=True, slots=True)
class MarketRequest:
    """A request for a backtest: files of one market, settings by name as text, starting balances, and the scenario."""

    files: Sequence[Path]
    settings: Mapping[str, str]
    symbol: str | None
    balances: Mapping[str, Decimal] | None
    scenario: Scenario


def report_of_market(
    request: MarketRequest, bar: ProgressBar, stopped: InterruptRequest
) -> tuple[RunReport, str | None]:
    """Run a backtest to its end or until Ctrl-C. Returns its report, and the reason of a halt.

    The reason is None if trading was not halted. Of several paths, the report is that of the median path. Raises
    ConfigError, also if the account is too small for an order. Raises KeyboardInterrupt if Ctrl-C came before there was
    any result.
    """
    bar.show(0.0, "inspecting the files")
    with stopped.interrupt_at_once():
        market = open_market_files(request.files, factory.pair_params(request.settings), symbol=request.symbol)
        inputs = build_inputs(market, request.settings, request.balances)
    request = dataclasses.replace(request, scenario=request.scenario.of_market(market))
    warnings = data_warnings(market, inputs.params.services.kline_interval)
    for warning in warnings:
        bar.print_line(warning)
    calm_collector()
    run = _run_one if request.scenario.paths == 1 else _run_many
    backtest, robustness, interruption, market = run(request, market, inputs, bar, stopped)
    gaps = [*interruption]
    if backtest.core.state.funded is False:
        gaps.append(_shortage_at_end(backtest, inputs))
    gaps += [*_breaker_gaps(backtest.recorder.breaker_trips), *warnings, *market.gaps, *_row_gaps(market)]
    report = backtest.recorder.build_report(inputs.params.shareable_settings, tuple(gaps))
    band = equity_band(robustness.figures, report.results)
    return dataclasses.replace(report, robustness=robustness, band=band), backtest.halt_reason


@dataclass(frozen=True, slots=True)
class MarketsResult:
    """Results of several markets. `notes` has a sentence for each market without a result."""

    reports: tuple[RunReport, ...]
    notes: tuple[str, ...]
    halted: bool
    interrupted: bool


def run_markets(requests: Sequence[MarketRequest], bar: ProgressBar, stopped: InterruptRequest) -> MarketsResult:
    """Backtest several markets, one after the other. Each market gets the starting balances of its own assets.

    A market whose account is too small for an order has no result, only a note. After Ctrl-C the remaining markets have
    no result either. Raises ConfigError if files or settings are wrong.
    """
    with stopped.interrupt_at_once():
        markets = [
            open_market_files(request.files, factory.pair_params(request.settings), symbol=request.symbol)
            for request in requests
        ]
    require_traded(requests[0].balances, markets)
    reports: list[RunReport] = []
    notes: list[str] = []
    halted = interrupted = False
    for request, market in zip(requests, markets, strict=True):
        owned = shared_balances(request.balances, market)
        try:
            if stopped():
                raise KeyboardInterrupt
            report, halt = report_of_market(dataclasses.replace(request, balances=owned), bar, stopped)
        except KeyboardInterrupt:
            interrupted = True
            notes.append(f"{market.symbol}: not done, stopped by Ctrl-C")
            continue
        except BalanceTooSmall as small:
            notes += [f"{market.symbol}: {problem}" for problem in small.problems]
            continue
        reports.append(report)
        halted = halted or halt is not None
    return MarketsResult(tuple(reports), tuple(notes), halted, interrupted)


_Run = tuple[Backtest, Robustness, list[str], RecordedMarket]


def _run_one(
    request: MarketRequest, market: RecordedMarket, inputs: BacktestInputs, bar: ProgressBar, stopped: InterruptRequest
) -> _Run:
    """Run a backtest that has one path.

    The market is played while it is read, so that Ctrl-C gives the results so far.
    """
    scenario = request.scenario
    backtest = Backtest(inputs, stopped=stopped, path=scenario.path(1), latency_ms=scenario.latency_ms)
    pieces = load_columns(market, lambda share: bar.show(share, _time_text(backtest.time_ms)))
    first_pieces, price = _first_price(pieces, market.tick_size)
    _require_balance(inputs, price)
    flat = FlatShare()
    backtest.run(flat.watch(chain(first_pieces, pieces)))
    if stopped() and not backtest.time_ms:
        raise KeyboardInterrupt
    figures = (figures_of(1, backtest.recorder.statistics.results()),)
    robustness = Robustness(scenario.walk, scenario.latency_ms, 1, 1, figures, scenario.hides(market, flat.share))
    if not stopped():
        return backtest, robustness, [], market
    cut = f"stopped at {_time_text(backtest.time_ms)}; the market after that was not tested"
    return backtest, robustness, [cut], market


def _run_many(
    request: MarketRequest, _: RecordedMarket, inputs: BacktestInputs, bar: ProgressBar, stopped: InterruptRequest
) -> _Run:
    """Run all paths, then run the median path again to get its orders and curves."""
    scenario = request.scenario
    files = tuple(map(str, request.files))
    task = PathTask(files, request.symbol, dict(request.settings), request.balances, scenario)
    with stopped.interrupt_at_once():
        kept = kept_market(files, request.symbol, factory.pair_params(request.settings))
    market, pieces = kept.market, iter(kept.columns())
    _require_balance(inputs, _first_price(pieces, market.tick_size)[1])
    flat = FlatShare()
    candles = sum(map(len, flat.watch(kept.columns())))
    bar.show(0.0, f"{scenario.paths} paths")
    figures, furthest = run_paths(
        task, candles, stopped, lambda done: bar.show(done / scenario.paths, f"{done} of {scenario.paths} paths")
    )
    if not figures and not furthest.reached_ms:
        raise KeyboardInterrupt
    # After Ctrl-C before any path was finished, the one that came furthest is run again up to there.
    end_ms = None if figures else furthest.reached_ms
    listed = median_path(figures).number if figures else furthest.number
    backtest = Backtest(
        inputs,
        path=scenario.path(listed),
        latency_ms=scenario.latency_ms,
        stopped=lambda: end_ms is not None and backtest.time_ms >= end_ms,
        memo=kept.memo,
    )
    backtest.run(kept.columns())
    if not figures:
        figures = [figures_of(listed, backtest.recorder.statistics.results())]
    robustness = Robustness(
        scenario.walk,
        scenario.latency_ms,
        scenario.paths,
        listed,
        tuple(figures),
        scenario.hides(market, flat.share),
    )
    missing = scenario.paths - len(figures)
    cuts = [f"stopped: {missing} of {scenario.paths} paths were not run"] if missing else []
    if end_ms is not None:
        reached = _time_text(backtest.time_ms)
        cuts = [f"stopped before any of {scenario.paths} paths was finished: this is one of them, up to {reached}"]
    return backtest, robustness, cuts, market


def _require_balance(inputs: BacktestInputs, price: Decimal | None) -> None:
    shortage = None if price is None else balance_shortage(inputs, price)
    if shortage is not None:
        raise BalanceTooSmall([shortage])


def _first_price(pieces: Iterator[Columns], tick_size: Decimal) -> tuple[list[Columns], Decimal | None]:
    """Read pieces of the market up to the first that has a price.

    Returns the pieces read and the market's first price.
    """
    read = []
    for piece in pieces:
        read.append(piece)
        if piece:
            return read, opening_price(piece) * tick_size
    return read, None


def _row_gaps(market: RecordedMarket) -> Iterator[str]:
    """Yield a sentence for rows that were left out while the market was played."""
    if market.rows_left_out:
        what = "a book that is crossed or has one side" if market.interval_ms == 0 else "they overlap others"
        yield f"{counted(market.rows_left_out, 'row')} left out: {what}"


def _breaker_gaps(trips: Sequence[tuple[int, BreakerTrip]]) -> Iterator[str]:
    """Yield a sentence for each pause by a circuit breaker, as a limitation of the result."""
    for market_ms, trip in trips[:_MAX_TRIPS_SHOWN]:
        until = "until the end, because a backtest has no operator who resumes"
        if trip.breaker is Breaker.DAILY_LOSS:
            until = breaker_until(trip.breaker)
        limit = f"{trip.breaker.value} is {format_plain(trip.limit)}"
        yield f"trading paused at {_time_text(market_ms)} {until}: {measured(trip)}, {limit}"
    if len(trips) > _MAX_TRIPS_SHOWN:
        yield f"trading paused by breakers {counted(len(trips) - _MAX_TRIPS_SHOWN, 'more time')}"


def _shortage_at_end(backtest: Backtest, inputs: BacktestInputs) -> str:
    base, quote = backtest.exchange.totals()
    balances = {inputs.spec.base_asset: base, inputs.spec.quote_asset: quote}
    last_bid = backtest.recorder.statistics.last_bid
    shortage = balance_shortage(dataclasses.replace(inputs, balances=balances), last_bid) if last_bid else None
    return f"at the end: {shortage}" if shortage is not None else "at times the balance was too small for an order"


def _time_text(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
