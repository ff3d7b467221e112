"""Performance of a run: every metric, computed once from the run's results for terminal, page, JSON and messages."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from statistics import fmean

from trailingedge.accounting import metrics
from trailingedge.accounting.results import FinishedExit, RunResults
from trailingedge.accounting.round_trips import RoundTrip
from trailingedge.model.intent import ExitKind
from trailingedge.model.lots import fees_in_quote
from trailingedge.model.market import ZERO


@dataclass(slots=True)
class ReasonResult:
    """The results of all exits of one kind: the round trips that they ended, and the buy-backs.

    Fractions are relative to the cost of each round trip; `result` is the sum of the results in quote. `brought` are
    the gains of the buy-backs: base bought back relative to base sold before, as fractions.
    """

    trips: list[float] = field(default_factory=list)
    brought: list[float] = field(default_factory=list)
    won: int = 0
    result: Decimal = ZERO

    @property
    def mean_frac(self) -> float | None:
        return fmean(self.trips) if self.trips else None

    @property
    def mean_brought_frac(self) -> float | None:
        return fmean(self.brought) if self.brought else None


@dataclass(frozen=True, slots=True)
class Performance:
    """All metrics of a run, as `metrics` defines them. None where a metric is not defined.

    Trade metrics are of round trips. `expectancy_frac` is the average trade. Amounts are in quote: `result` is the
    change of the account's value, minus `transferred`. It is also the sum of `trades_result`, the result of all round
    trips, and `open_result`, which is mostly the gain or loss on base not sold yet. `slippage` is the sum over all
    exits whose mid price is known; a positive value is a cost. `excess_half_frac` is the return minus that of holding
    half base, half quote; `fees` are the commissions with a known price. `exposure_frac` is the share of time in base.
    `turnover` is the quote amount traded, divided by the average of the account's daily values.
    """

    round_trips: int
    won: int
    win_rate: float | None
    profit_factor: float | None
    expectancy_frac: float | None
    best_frac: float | None
    worst_frac: float | None
    average_held_s: float | None
    losing_streak: int
    trades_result: Decimal
    open_result: Decimal
    result: Decimal
    transferred: Decimal
    result_frac: float
    hold_base_frac: float
    hold_quote_frac: float
    hold_half_frac: float
    excess_half_frac: float
    annualised_frac: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    max_drawdown_frac: float
    max_drawdown_s: float
    under_water_s: float
    under_water_frac: float | None
    exposure_frac: float | None
    turnover: float | None
    slippage: Decimal
    fees: Decimal
    by_reason: Mapping[ExitKind, ReasonResult]


def measure(results: RunResults) -> Performance:
    """Compute all metrics of a run."""
    whole, trips, marks = results.whole, [trip.result_frac for trip in results.round_trips], results.marks
    closes = [mark.growth for mark in marks]  # the first valuation, then daily closes
    returns = metrics.daily_returns(closes)
    lasted_ms = whole.to_ms - whole.from_ms
    average = fmean(float(mark.value) for mark in marks) if marks else 0.0
    trades_result = sum((trip.result for trip in results.round_trips), ZERO)
    return Performance(
        round_trips=len(trips),
        won=whole.won,
        win_rate=whole.won / len(trips) if trips else None,
        profit_factor=metrics.profit_factor(trips),
        expectancy_frac=metrics.expectancy(trips),
        best_frac=max(trips, default=None),
        worst_frac=min(trips, default=None),
        average_held_s=fmean(trip.held_ms / 1000 for trip in results.round_trips) if trips else None,
        losing_streak=metrics.losing_streak(trips),
        trades_result=trades_result,
        open_result=whole.result - trades_result,
        result=whole.result,
        transferred=whole.transferred,
        result_frac=whole.result_frac,
        hold_base_frac=whole.hold_base_frac,
        hold_quote_frac=0.0,  # all values are in quote
        hold_half_frac=whole.hold_half_frac,
        excess_half_frac=whole.result_frac - whole.hold_half_frac,
        annualised_frac=metrics.annualised(metrics.total_return(closes), len(returns)),
        volatility=metrics.volatility(returns),
        sharpe=metrics.sharpe(returns),
        sortino=metrics.sortino(returns),
        calmar=metrics.calmar(closes),
        max_drawdown_frac=results.drawdown.max_frac,
        max_drawdown_s=results.drawdown.longest_ms / 1000,
        under_water_s=results.drawdown.under_water_ms / 1000,
        under_water_frac=results.drawdown.under_water_ms / lasted_ms if lasted_ms > 0 else None,
        exposure_frac=results.in_base_ms / lasted_ms if lasted_ms > 0 else None,
        turnover=float(results.traded) / average if average > 0.0 else None,
        slippage=sum((each.slippage for each in results.exits if each.slippage is not None), ZERO),
        fees=_fees(results),
        by_reason=by_reason(results.round_trips, results.exits),
    )


def _fees(results: RunResults) -> Decimal:
    """Return all commissions in quote. A commission in base counts at the average price of its exit."""
    total = ZERO
    for each in results.exits:
        if each.base:
            # A buy's commission in base is in no cost, but it was paid: here it counts like that of a sale.
            base_fee = each.fees.get(results.base_asset, ZERO) * each.quote / each.base
            others = {asset: fee for asset, fee in each.fees.items() if asset != results.base_asset}
            assets = (results.base_asset, results.quote_asset)
            total += base_fee + fees_in_quote(each.side, each.base, each.quote, others, assets)[0]
    return total


def by_reason(round_trips: Iterable[RoundTrip], exits: Iterable[FinishedExit]) -> dict[ExitKind, ReasonResult]:
    """Return the results of each kind of exit, for the whole run or a part of it."""
    found: defaultdict[ExitKind, ReasonResult] = defaultdict(ReasonResult)
    for trip in round_trips:
        reason = found[trip.kind]
        reason.trips.append(trip.result_frac)
        reason.won += trip.won
        reason.result += trip.result
    for each in exits:
        if each.brought_frac is not None:
            found[each.kind].brought.append(each.brought_frac)
    return {kind: found[kind] for kind in ExitKind if kind in found}
