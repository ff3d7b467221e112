"""The story of recorded markets: what is asked for on a command line, and what comes of it."""

import dataclasses
import gc
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any, Final, Protocol

from trailingedge.accounting.summary_json import shareable_settings
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
from trailingedge.config import Settings
from trailingedge.model.market import format_plain
from trailingedge.notifications.messages import counted
from trailingedge.notifications.risk_messages import breaker_until, measured
from trailingedge.report.model import RunReport
from trailingedge.report.progress import ProgressBar, stop_on_ctrl_c
from trailingedge.risk.circuit_breakers import Breaker, BreakerTrip
from trailingedge.simulator.amounts import parse_balances, parse_fraction

_MAX_TRIPS_SHOWN: Final = 5
_GC_THRESHOLD: Final = 50_000  # new objects between two collections
_FILES_HELP: Final = (
    "market files in Binance's public CSV layouts (klines, trades, aggTrades, bookTicker), zipped or not"
)


class ArgumentGroup(Protocol):
    """A parser, or one of its groups."""

    def add_argument(self, *names: str, **options: Any) -> Any: ...


def add_market_arguments(parser: ArgumentGroup, *, others: str = "", alone: str = "") -> None:
    """Which market, from which balances, at which fee.

    `others` says what else the files may be, and `alone` what to write before flags that are for markets alone.
    """
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=f"{_FILES_HELP}{others}")
    parser.add_argument(
        "--balance",
        type=parse_balances,
        metavar="ASSET=AMOUNT,…",
        help=f"{alone}what the account owns (1 of the base asset)",
    )
    parser.add_argument(
        "--fee", type=parse_fraction, metavar="F", help="maker fee as a fraction; the same as --set FEE=F"
    )


def report_of_market(
    files: Sequence[Path], settings: Settings, symbol: str | None, held: Mapping[str, Decimal] | None, bar: ProgressBar
) -> tuple[RunReport, str | None]:
    """The story of it, to its end or until Ctrl-C; and why it was halted, if it was.

    An account that is too small from the beginning on is told of at once, on `bar`. Raises ConfigError, and
    KeyboardInterrupt where Ctrl-C came before there was anything to tell.
    """
    bar.show(0.0, "looking through the files")
    with stop_on_ctrl_c() as stopped:
        with stopped.interrupt_at_once():
            market = open_market_files(files, settings, symbol=symbol)
            standing = build_inputs(market, settings, held)
        replay = Backtest(standing, stopped=stopped)
        pieces = load_columns(market, lambda share: bar.show(share, _time_text(replay.time_ms)))
        beginning, price = _first_price(pieces, market.tick_size)
        small = None if price is None else balance_shortage(standing, price)
        if small is not None:
            bar.print_line(f"not {small}")
        doubtful = data_warnings(market, standing.settings)
        for doubt in doubtful:
            bar.print_line(doubt)
        gc.freeze()  # nothing of what is there by now will ever be garbage, and little of what comes
        gc.set_threshold(_GC_THRESHOLD)
        replay.run(chain(beginning, pieces))
        if stopped() and not replay.time_ms:
            raise KeyboardInterrupt
        gaps = [] if small is None else [small]
        if stopped():
            gaps.append(f"stopped at {_moment(replay.time_ms)}; what came after it was not replayed")
        if small is None and replay.core.state.funded is False:
            gaps.append(_shortage_at_end(replay, standing))
        gaps += [*_breaker_gaps(replay.recorder.breaker_trips), *doubtful, *market.gaps]
    return replay.recorder.build_report(shareable_settings(standing.settings), tuple(gaps)), replay.halt_reason


def _first_price(pieces: Iterator[Columns], tick_size: Decimal) -> tuple[list[Columns], Decimal | None]:
    """What had to be read for it, and the first price of a market, None where it has none."""
    read = []
    for piece in pieces:
        read.append(piece)
        if piece:
            return read, opening_price(piece) * tick_size
    return read, None


def _breaker_gaps(trips: Sequence[tuple[int, BreakerTrip]]) -> Iterator[str]:
    """What the strategy had no part in, for a breaker held it."""
    for market_ms, trip in trips[:_MAX_TRIPS_SHOWN]:
        until = "until the end, for nobody was there to resume"
        if trip.breaker is Breaker.DAILY_LOSS:
            until = breaker_until(trip.breaker)
        limit = f"{trip.breaker.value} is {format_plain(trip.limit)}"
        yield f"nothing was begun after {_moment(market_ms)} {until}: {measured(trip)}, {limit}"
    if len(trips) > _MAX_TRIPS_SHOWN:
        yield f"breakers held {counted(len(trips) - _TRIPS_TOLD, 'more time')}"


def _shortage_at_end(replay: Backtest, standing: BacktestInputs) -> str:
    base, quote = replay.exchange.totals()
    held = {standing.spec.base_asset: base, standing.spec.quote_asset: quote}
    last_bid = replay.recorder.statistics.last_bid
    why = balance_shortage(dataclasses.replace(standing, balances=held), last_bid) if last_bid else None
    return f"in the end {why}" if why is not None else "at times too little was held to make an order"


def _time_text(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
