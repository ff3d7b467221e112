"""Report of a backtest: runs recorded market files from the command line and describes what the result lacks."""

import dataclasses
import gc
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Final

from trailingedge.backtest.columns import Columns, opening_price
from trailingedge.backtest.engine import Backtest
from trailingedge.backtest.inputs import (
    BacktestInputs,
    balance_shortage,
    build_inputs,
    data_warnings,
    open_market_files,
)
from trailingedge.backtest.market_loader import load_columns
from trailingedge.live import factory
from trailingedge.model.market import format_plain
from trailingedge.notifications.event_messages import counted
from trailingedge.notifications.risk_messages import breaker_until, measured
from trailingedge.report.model import RunReport
from trailingedge.report.progress import ProgressBar, stop_on_ctrl_c
from trailingedge.risk.circuit_breakers import Breaker, BreakerTrip

_MAX_TRIPS_SHOWN: Final = 5
_GC_THRESHOLD: Final = 50_000  # new objects between two collections


def report_of_market(
    files: Sequence[Path],
    settings: Mapping[str, str],
    symbol: str | None,
    balances: Mapping[str, Decimal] | None,
    bar: ProgressBar,
) -> tuple[RunReport, str | None]:
    """Run a backtest to its end or until Ctrl-C. Returns its report, and the reason of a halt.

    The reason is None if trading was not halted. `settings` are given by name, as text. Balances
    that are too small from the start are reported at once, above the progress bar. Raises
    ConfigError, and KeyboardInterrupt if Ctrl-C came before there was any result.
    """
    bar.show(0.0, "inspecting the files")
    with stop_on_ctrl_c() as stopped:
        with stopped.interrupt_at_once():
            market = open_market_files(files, factory.pair_params(settings), symbol=symbol)
            inputs = build_inputs(market, settings, balances)
        backtest = Backtest(inputs, stopped=stopped)
        pieces = load_columns(market, lambda share: bar.show(share, _time_text(backtest.time_ms)))
        first_pieces, price = _first_price(pieces, market.tick_size)
        shortage = None if price is None else balance_shortage(inputs, price)
        if shortage is not None:
            bar.print_line(shortage)
        warnings = data_warnings(market, inputs.params.services.kline_interval)
        for warning in warnings:
            bar.print_line(warning)
        # The objects that exist now stay until the end, and a backtest makes few cycles: the collector would look
        # through all of them again and again without finding anything.
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD)
        backtest.run(chain(first_pieces, pieces))
        if stopped() and not backtest.time_ms:
            raise KeyboardInterrupt
        gaps = [] if shortage is None else [shortage]
        if stopped():
            gaps.append(f"stopped at {_time_text(backtest.time_ms)}; the market after that was not tested")
        if shortage is None and backtest.core.state.funded is False:
            gaps.append(_shortage_at_end(backtest, inputs))
        gaps += [*_breaker_gaps(backtest.recorder.breaker_trips), *warnings, *market.gaps]
    return backtest.recorder.build_report(inputs.params.shareable_settings, tuple(gaps)), backtest.halt_reason


def _first_price(pieces: Iterator[Columns], tick_size: Decimal) -> tuple[list[Columns], Decimal | None]:
    """Read pieces until one has a price. Returns the pieces read and the market's first price.

    The price is None if the market has no prices.
    """
    read = []
    for piece in pieces:
        read.append(piece)
        if piece:
            return read, opening_price(piece) * tick_size
    return read, None


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
