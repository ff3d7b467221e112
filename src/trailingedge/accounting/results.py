"""Results of a run, as facts: exits, round trips, transfers and valuations, from which all figures follow.

The daemon, a backtest and the report of an account each produce one `RunResults`. Values are in quote, at the best bid.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Final

from trailingedge.accounting.metrics import Drawdown
from trailingedge.accounting.round_trips import RoundTrip
from trailingedge.core.time_units import DAY_MS
from trailingedge.model.client_order_ids import ClientOrderId
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import ZERO, Side

StartOf = Callable[[int], int]
_NO_DRAWDOWN: Final = Drawdown()


@dataclass(frozen=True, slots=True)
class FinishedExit:
    """A finished exit, from its trigger to its end. Times are market time.

    `mid_price` is the mid price at the trigger, None if it is unknown. `anchor_gain_frac` is the unit value gained
    since the anchor, after fees; None if nothing was filled or the anchor is unknown. It is shown as a detail and is
    not the result, because the anchor also changes when the gate opens. `brought_frac` is the gain of a buy-back: base
    bought divided by base sold before, minus 1; None for a sale.
    """

    kind: ExitKind
    side: Side
    number: int
    cause: ExitEndReason
    started_ms: int
    ended_ms: int
    base: Decimal
    quote: Decimal
    replaces: int
    fees: Mapping[str, Decimal]
    mid_price: Decimal | None
    anchor_gain_frac: float | None
    brought_frac: float | None = None

    @property
    def id(self) -> str:
        """The client order id of this exit's orders. It names the exit in logs, reports and CSV."""
        return str(ClientOrderId(self.kind, self.number))

    @property
    def average(self) -> Decimal | None:
        return self.quote / self.base if self.base else None

    @property
    def age_s(self) -> float:
        return max(0.0, (self.ended_ms - self.started_ms) / 1000)

    @property
    def slippage(self) -> Decimal | None:
        """The quote lost because the average price is worse than the mid price at the trigger.

        It is negative if the average price is better.
        """
        if not self.base or not self.mid_price:
            return None
        at_mid = self.mid_price * self.base
        return at_mid - self.quote if self.side is Side.SELL else self.quote - at_mid

    @property
    def slippage_frac(self) -> float | None:
        """The slippage as a fraction of the mid price at the trigger; a positive value is a cost."""
        lost, mid = self.slippage, self.mid_price
        return None if lost is None or mid is None else float(lost / (mid * self.base))


@dataclass(frozen=True, slots=True)
class Transfer:
    """A change of the account that is not ours: a deposit, a withdrawal, or a fill of another order.

    An amount is positive if the account received it. `value` is the change of the account's value in quote, at the bid
    of that time; None for an asset outside of the pair.
    """

    time_ms: int
    kind: str  # "deposit", "withdrawal" or "foreign fill"
    amounts: Mapping[str, Decimal]
    value: Decimal | None


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """The counts, the account's value and the market at one time.

    `growth` is the growth of the account since the first valuation, without transfers: 1.02 is a gain of 2 %.
    `transferred` is the value in quote that transfers have added, each at the bid of the first valuation after it.
    """

    market_ms: int
    bid: Decimal
    value: Decimal
    growth: float = 1.0
    transferred: Decimal = ZERO
    exits: int = 0
    round_trips: int = 0
    transfers: int = 0
    fills: int = 0
    replaces: int = 0
    fees: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PeriodResult:
    """The result of one part of the run: a day, a week, a month, or the time since a valuation.

    `value` is the account's value at the end. `result` is the change of that value in this part, minus `transferred`,
    the amount that transfers have added. `result_frac` is the time-weighted return. So a transfer is never part of a
    result.
    """

    from_ms: int
    to_ms: int
    exits: tuple[FinishedExit, ...]
    round_trips: tuple[RoundTrip, ...]
    transfers: tuple[Transfer, ...]
    fills: int
    replaces: int
    fees: Mapping[str, Decimal]
    value: Decimal
    result: Decimal
    transferred: Decimal
    result_frac: float
    hold_base_frac: float
    has_market: bool = True

    @property
    def won(self) -> int:
        return sum(trip.won for trip in self.round_trips)

    @property
    def hold_half_frac(self) -> float:
        """The return of holding half base and half quote without trading."""
        return self.hold_base_frac / 2


@dataclass(frozen=True, slots=True)
class RunResults:
    """The results of a run. `marks` are the first valuation, the last one of each UTC day, and the last one.

    The first valuation has no counts, so that fills before it count for the run. `in_base_ms` is how long most of the
    value was in base. `traded` is the quote amount of all fills of ours. `rejected` counts rejected requests by error
    code. `unpriced` are assets of commissions without a known price.
    """

    base_asset: str
    quote_asset: str
    marks: tuple[EquityPoint, ...] = ()
    exits: tuple[FinishedExit, ...] = ()
    round_trips: tuple[RoundTrip, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    drawdown: Drawdown = _NO_DRAWDOWN
    in_base_ms: int = 0
    traded: Decimal = ZERO
    rejected: Mapping[int, int] = field(default_factory=dict)
    unpriced: tuple[str, ...] = ()

    @property
    def first(self) -> EquityPoint:
        return self.marks[0] if self.marks else EquityPoint(0, ZERO, ZERO)

    @property
    def last(self) -> EquityPoint:
        return self.marks[-1] if self.marks else self.first

    @property
    def whole(self) -> PeriodResult:
        """The result of the whole run."""
        return self.between(self.first, self.last)

    def between(self, start: EquityPoint, end: EquityPoint) -> PeriodResult:
        """Return the result from `start` to `end`."""
        return period(start, end, self.exits, self.round_trips, self.transfers)

    def days(self) -> tuple[PeriodResult, ...]:
        """Return the result of each UTC day, oldest first. A day ends with the last valuation before midnight.

        Consecutive days without market data are one entry, with `has_market` False.
        """
        return self._spans(_day_start)

    def weeks(self) -> tuple[PeriodResult, ...]:
        """Return the result of each week that has market data, oldest first. A week begins on Monday, 00:00 UTC."""
        return tuple(week for week in self._spans(_week_start) if week.has_market)

    def months(self) -> tuple[PeriodResult, ...]:
        """Return the result of each calendar month (UTC) that has market data, oldest first."""
        return tuple(month for month in self._spans(_month_start) if month.has_market)

    def _spans(self, start_of: StartOf) -> tuple[PeriodResult, ...]:
        """Return the result of each day, week or month.

        `start_of` returns the start of the day, week or month that contains a given time.
        """
        if not self.marks:
            return ()
        found: list[PeriodResult] = []
        ends = [list(marks)[-1] for _, marks in groupby(self.marks, key=lambda mark: start_of(mark.market_ms))]
        for start, end in pairwise((self.first, *ends)):
            begin_ms = max(start_of(end.market_ms), self.first.market_ms)
            if found and begin_ms > found[-1].to_ms:
                found.append(_without_market(found[-1], begin_ms))
            done = self.between(start, end)
            closed_ms = end.market_ms if end is self.last else _next_start(start_of, end.market_ms)
            found.append(replace(done, from_ms=begin_ms, to_ms=closed_ms))
        return tuple(found)


def period(
    start: EquityPoint,
    end: EquityPoint,
    exits: Sequence[FinishedExit],
    round_trips: Sequence[RoundTrip],
    transfers: Sequence[Transfer],
) -> PeriodResult:
    """Return the result from `start` to `end`. The counts of both are indexes into the sequences of the run."""
    transferred = end.transferred - start.transferred
    fees = {asset: fee - start.fees.get(asset, ZERO) for asset, fee in end.fees.items()}
    return PeriodResult(
        from_ms=start.market_ms,
        to_ms=end.market_ms,
        exits=tuple(exits[start.exits : end.exits]),
        round_trips=tuple(round_trips[start.round_trips : end.round_trips]),
        transfers=tuple(transfers[start.transfers : end.transfers]),
        fills=end.fills - start.fills,
        replaces=end.replaces - start.replaces,
        fees={asset: fee for asset, fee in fees.items() if fee},
        value=end.value,
        result=end.value - start.value - transferred,
        transferred=transferred,
        result_frac=end.growth / start.growth - 1.0 if start.growth else 0.0,
        hold_base_frac=growth(start.bid, end.bid),
    )


def growth(first: Decimal, last: Decimal) -> float:
    """Return the growth from `first` to `last` as a fraction of `first`; 0 if `first` is 0."""
    return float(last / first) - 1.0 if first else 0.0


def utc(unix_ms: int) -> datetime:
    """A time as a datetime in UTC, exact to the millisecond."""
    # By a timedelta: fromtimestamp takes a float, and on Windows no time before 1970.
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=unix_ms)


def _ms(time: datetime) -> int:
    return (time - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


def _day_start(unix_ms: int) -> int:
    return unix_ms - unix_ms % DAY_MS


def _week_start(unix_ms: int) -> int:
    day = unix_ms // DAY_MS
    return (day - (day + 3) % 7) * DAY_MS  # 1970 began on a Thursday


def _month_start(unix_ms: int) -> int:
    return _ms(utc(unix_ms).replace(day=1, hour=0, minute=0, second=0, microsecond=0))


def _next_start(start_of: StartOf, unix_ms: int) -> int:
    """Return the start of the span that follows the one that contains `unix_ms`."""
    after_ms = start_of(unix_ms) + DAY_MS
    while start_of(after_ms) == start_of(unix_ms):
        after_ms += DAY_MS
    return start_of(after_ms)


def _without_market(before: PeriodResult, to_ms: int) -> PeriodResult:
    """Return the entry for a time without market data, from `before` until `to_ms`."""
    return PeriodResult(
        from_ms=before.to_ms,
        to_ms=to_ms,
        exits=(),
        round_trips=(),
        transfers=(),
        fills=0,
        replaces=0,
        fees={},
        value=before.value,
        result=ZERO,
        transferred=ZERO,
        result_frac=0.0,
        hold_base_frac=0.0,
        has_market=False,
    )
