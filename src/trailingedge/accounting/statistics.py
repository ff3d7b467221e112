"""Statistics of a run: exits, fills, fees, rejections, and the result compared with having done nothing.

Values are in quote, at the best bid. A deposit or withdrawal during the run counts as gain or loss.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from trailingedge.core.time_units import DAY_MS, MINUTE_MS
from trailingedge.execution.order_events import OrderPlaced, OrderRejected, OrderReplaced
from trailingedge.execution.trader_events import TraderEvent
from trailingedge.model.client_order_ids import ClientOrderId, own_id
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import ZERO, ExecutionReport, ExecutionType, Side
from trailingedge.strategy.strategy_events import ExitEnded, GateOpened, RegimeSet


@dataclass(frozen=True, slots=True)
class FinishedExit:
    """A finished exit, from its trigger to its end. Times are market time.

    `slippage_frac` compares the average fill price with the mid price at the trigger; a positive
    value is a cost. `result_frac` is the unit value gained since the anchor, after fees. Each of
    the two is None if nothing was filled, or if the price to compare with is unknown.
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
    fees: dict[str, Decimal]
    slippage_frac: float | None
    result_frac: float | None

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


@dataclass(frozen=True, slots=True)
class WinRate:
    """Counts of exits: `known` have a known result, `wins` of them ended better than their anchor.

    Large and small exits count the same.
    """

    wins: int
    known: int

    @property
    def frac(self) -> float | None:
        return self.wins / self.known if self.known else None


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """The counts, the account's value and the market at one time."""

    market_ms: int
    bid: Decimal
    value: Decimal
    exits: int
    fills: int
    replaces: int
    fees: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class PeriodResult:
    """The result of one part of the run. Fractions are of the account's value at the beginning of the part."""

    from_ms: int
    to_ms: int
    exits: tuple[FinishedExit, ...]
    fills: int
    replaces: int
    fees: Mapping[str, Decimal]
    value: Decimal
    result_frac: float
    hold_base_frac: float


class RunStatistics:
    """Counts events and reports as they happen; `mark_to_market` values the account every minute."""

    def __init__(self, base_asset: str, quote_asset: str) -> None:
        self.exits: list[FinishedExit] = []
        self.fills = 0
        self.taker_fills = 0
        self.placed = 0
        self.replaces = 0
        self.fees: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        self.rejected: Counter[int] = Counter()
        self.from_ms = self.to_ms = 0
        self.first_bid = self.last_bid = ZERO
        self.first_value = self.last_value = ZERO
        self.max_drawdown_frac = 0.0
        self._peak = ZERO
        self._midnights: list[EquityPoint] = []  # the last point of each finished day
        self._tomorrow_ms = 0
        self._base_asset = base_asset
        self._quote_asset = quote_asset
        self._anchor_price = 0.0
        self._exit_fees: dict[int, defaultdict[str, Decimal]] = {}
        self._exit_replaces: Counter[int] = Counter()

    @property
    def result_frac(self) -> float:
        """The growth of the account's value in quote during the run, as a fraction."""
        return growth(self.first_value, self.last_value)

    @property
    def hold_base_frac(self) -> float:
        """Return the growth that holding only the base asset would have given."""
        return growth(self.first_bid, self.last_bid)

    def replaces_of(self, exit_number: int) -> int:
        """Return how often the order of this exit, which must be in progress, has been replaced."""
        return self._exit_replaces[exit_number]

    def mark_to_market(self, market_ms: int, bid: Decimal, base: Decimal, quote: Decimal) -> None:
        """Value the account at `bid`."""
        value = base * bid + quote
        # Before the first valuation there is nothing to compare with; fills that came earlier belong to it.
        if not self.first_value:
            self.from_ms, self.first_bid, self.first_value = market_ms, bid, value
            self._midnights.clear()
            self._tomorrow_ms = (market_ms // DAY_MS + 1) * DAY_MS
        self._cut_day_at(market_ms)
        self.to_ms, self.last_bid, self.last_value = market_ms, bid, value
        self._peak = max(self._peak, value)
        # Valued at intervals: a drawdown between two valuations is not seen.
        if self._peak:
            self.max_drawdown_frac = max(self.max_drawdown_frac, -growth(self._peak, value))

    def equity_point(self) -> EquityPoint:
        """Return the present counts, and the value and the bid of the last valuation."""
        return EquityPoint(
            market_ms=self.to_ms,
            bid=self.last_bid,
            value=self.last_value,
            exits=len(self.exits),
            fills=self.fills,
            replaces=self.replaces,
            fees=dict(self.fees),
        )

    def since(self, mark: EquityPoint) -> PeriodResult:
        """Return the result from `mark`, an earlier `equity_point`, until now."""
        return self._between(mark, self.equity_point())

    def days(self) -> tuple[PeriodResult, ...]:
        """Return the result of each UTC day of the run, oldest first.

        A day ends with the last valuation before midnight.
        """
        if not self.from_ms:
            return ()
        began = EquityPoint(self.from_ms, self.first_bid, self.first_value, exits=0, fills=0, replaces=0, fees={})
        return tuple(self._between(*edges) for edges in pairwise((began, *self._midnights, self.equity_point())))

    def _cut_day_at(self, market_ms: int) -> None:
        """Close the day if `market_ms` is after it, so that later events count for the next day."""
        if self.first_value and market_ms >= self._tomorrow_ms:
            self._midnights.append(self.equity_point())
            self._tomorrow_ms = (market_ms // DAY_MS + 1) * DAY_MS

    def _between(self, mark: EquityPoint, end: EquityPoint) -> PeriodResult:
        fees = {asset: fee - mark.fees.get(asset, ZERO) for asset, fee in end.fees.items()}
        return PeriodResult(
            from_ms=mark.market_ms,
            to_ms=end.market_ms,
            exits=tuple(self.exits[mark.exits : end.exits]),
            fills=end.fills - mark.fills,
            replaces=end.replaces - mark.replaces,
            fees={asset: fee for asset, fee in fees.items() if fee},
            value=end.value,
            result_frac=growth(mark.value, end.value),
            hold_base_frac=growth(mark.bid, end.bid),
        )

    def resume_anchor(self, anchor_price: float) -> None:
        """Take over the anchor of an earlier run. The next exit's result is measured from it."""
        self._anchor_price = anchor_price

    def on_report(self, report: ExecutionReport) -> None:
        """Count the fill and its fee if the report is a fill of one of our orders."""
        self._cut_day_at(report.time_ms)
        # Fills are counted from reports and not from events, because fees and the maker flag stand only there.
        own = own_id(report.client_order_id)
        if own is None or report.execution_type is not ExecutionType.TRADE:
            return
        self.fills += 1
        if not report.is_maker:
            self.taker_fills += 1
        if report.commission and report.commission_asset is not None:
            self.fees[report.commission_asset] += report.commission
            fees = self._exit_fees.setdefault(own.number, defaultdict(lambda: ZERO))
            fees[report.commission_asset] += report.commission

    def on_event(self, news: TraderEvent, market_ms: int) -> FinishedExit | None:
        """Count an event. Returns the finished exit if the event ended one, else None."""
        self._cut_day_at(market_ms)
        match news:
            case OrderPlaced():
                self.placed += 1
            case OrderReplaced():
                self.replaces += 1
                own = own_id(news.client_order_id)
                if own is not None:
                    self._exit_replaces[own.number] += 1
            case OrderRejected() if news.code:  # without a code it never left this process
                self.rejected[news.code] += 1
            case RegimeSet():
                self._anchor_price = news.price
            case GateOpened():
                self._anchor_price = news.close
            case ExitEnded():
                return self._finish(news, market_ms)
        return None

    def _finish(self, ended: ExitEnded, market_ms: int) -> FinishedExit:
        fees = dict(self._exit_fees.pop(ended.number, {}))
        # The exchange takes the fee from what an order brings. A fee in a third asset, such as BNB, has no price here
        # and is listed, not subtracted.
        paid = fees.get(self._quote_asset if ended.side is Side.SELL else self._base_asset, ZERO)
        # The anchor price is still the one before this exit: RegimeSet, which sets the new one, comes after ExitEnded.
        finished = FinishedExit(
            kind=ended.kind,
            side=ended.side,
            number=ended.number,
            cause=ended.cause,
            started_ms=ended.started_ms,
            ended_ms=market_ms,
            base=ended.filled_base,
            quote=ended.filled_quote,
            replaces=self._exit_replaces.pop(ended.number, 0),
            fees=fees,
            slippage_frac=slippage_frac(ended.side, ended.mid_price, ended.average),
            result_frac=result_frac(ended.side, ended.filled_base, ended.filled_quote, paid, self._anchor_price),
        )
        self.exits.append(finished)
        return finished


class DailyResults:
    """Gives the result of each UTC day once, in the day's last minute of market time."""

    def __init__(self, tally: RunStatistics) -> None:
        self._tally = tally
        self._day = -1
        self._told = -1
        self._began: EquityPoint | None = None

    def day_result_due(self, market_ms: int) -> PeriodResult | None:
        """Return the day's result once, in its last minute; else None. Call this after `mark_to_market`."""
        day, of_day_ms = divmod(market_ms, DAY_MS)
        if day != self._day:
            self._day, self._began = day, self._tally.equity_point()
        # In the last minute and not at midnight, so that the result is published on the day that it is about.
        if of_day_ms < DAY_MS - MINUTE_MS or day == self._told:
            return None
        self._told = day
        return self.today()

    def today(self) -> PeriodResult | None:
        """Return today's result. It counts from midnight UTC, or from the start if that was today.

        Returns None before the first valuation.
        """
        return None if self._began is None else self._tally.since(self._began)


def win_rate(exits: Iterable[FinishedExit]) -> WinRate:
    """Count the exits that ended better than their anchor. A result of exactly zero is no win."""
    # Exits without a fill have no result, and would otherwise lower the rate of a quiet day.
    known = [finished.result_frac for finished in exits if finished.result_frac is not None]
    return WinRate(sum(result > 0 for result in known), len(known))


def slippage_frac(side: Side, mid_price: Decimal | None, average: Decimal | None) -> float | None:
    """Return how much worse `average` is than `mid_price`, as a fraction of `mid_price`.

    Returns None if either price is unknown.
    """
    if average is None or not mid_price:
        return None
    worse = mid_price - average if side is Side.SELL else average - mid_price
    return float(worse / mid_price)


def result_frac(side: Side, base: Decimal, quote: Decimal, fee: Decimal, anchor_price: float | None) -> float | None:
    """Return the growth of the unit value from the anchor to this exit, as a fraction.

    `fee` is the fee paid in the received asset: quote for a sale, base for a buy-back. Returns None
    if nothing was filled, or if there is no anchor.
    """
    if not anchor_price or not base:
        return None
    # Both sides as the growth of a unit value: 1 bought back with less quote is a gain in base.
    if side is Side.SELL:
        return float(quote - fee) / float(base) / anchor_price - 1.0
    return anchor_price / (float(quote) / float(base - fee)) - 1.0


def growth(first: Decimal, last: Decimal) -> float:
    """Return the growth from `first` to `last` as a fraction of `first`; 0 if `first` is 0."""
    return float(last / first) - 1.0 if first else 0.0
