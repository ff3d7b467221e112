"""What a run amounted to: exits, fills, fees, refusals, and the result against having done nothing.

Values are in quote, at the best bid. A deposit or withdrawal during the run is not told apart from gain.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Final

from trailingedge.execution.order_events import OrderPlaced, OrderRejected, OrderReplaced
from trailingedge.execution.trader_events import TraderEvent
from trailingedge.model.client_order_ids import ClientOrderId, own_id
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import ZERO, ExecutionReport, ExecutionType, Side
from trailingedge.strategy.signals import ExitEnded, GateOpened, RegimeSet

_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class FinishedExit:
    """One exit from its trigger to its end, at market time.

    `slippage_frac` compares the average with the mid price at the trigger, positive where it cost;
    `result_frac` is the unit value won since the anchor, after fees. Either is None where nothing was
    filled, or where there was nothing to compare with.
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
        """What its orders are called at the exchange; by this it is found again wherever it is told of."""
        return str(ClientOrderId(self.kind, self.number))

    @property
    def average(self) -> Decimal | None:
        return self.quote / self.base if self.base else None

    @property
    def age_s(self) -> float:
        return max(0.0, (self.ended_ms - self.started_ms) / 1000)


@dataclass(frozen=True, slots=True)
class WinRate:
    """Of the exits whose result is known, how many ended better than their anchor: by count, not by how much."""

    wins: int
    known: int

    @property
    def frac(self) -> float | None:
        return self.wins / self.known if self.known else None


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """How far the counts had come at one moment, and where account and market stood."""

    market_ms: int
    bid: Decimal
    value: Decimal
    exits: int
    fills: int
    replaces: int
    fees: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class PeriodResult:
    """What a part of the run came to; fractions are of the value at its beginning."""

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
    """Counts as things happen. `mark` is told now and then where account and market stand."""

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
        self._midnights: list[EquityPoint] = []  # how things stood when a day was over
        self._tomorrow_ms = 0
        self._base_asset = base_asset
        self._quote_asset = quote_asset
        self._anchor_price = 0.0
        self._exit_fees: dict[int, defaultdict[str, Decimal]] = {}
        self._exit_replaces: Counter[int] = Counter()

    @property
    def result_frac(self) -> float:
        """Growth of the account in quote."""
        return growth(self.first_value, self.last_value)

    @property
    def hold_base_frac(self) -> float:
        """What holding the base asset alone would have given."""
        return growth(self.first_bid, self.last_bid)

    def mark_to_market(self, market_ms: int, bid: Decimal, base: Decimal, quote: Decimal) -> None:
        """The account as it stands at `bid`."""
        value = base * bid + quote
        if not self.first_value:
            self.from_ms, self.first_bid, self.first_value = market_ms, bid, value
            self._midnights.clear()
            self._tomorrow_ms = (market_ms // _DAY_MS + 1) * _DAY_MS
        self._cut_day_at(market_ms)
        self.to_ms, self.last_bid, self.last_value = market_ms, bid, value
        self._peak = max(self._peak, value)
        if self._peak:
            self.max_drawdown_frac = max(self.max_drawdown_frac, -growth(self._peak, value))

    def equity_point(self) -> EquityPoint:
        """How far it has come."""
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
        """What has happened from `mark` until now."""
        return self._between(mark, self.equity_point())

    def days(self) -> tuple[PeriodResult, ...]:
        """The run cut at the midnights of UTC, oldest first; each part ends with the last mark before one."""
        if not self.from_ms:
            return ()
        began = EquityPoint(self.from_ms, self.first_bid, self.first_value, exits=0, fills=0, replaces=0, fees={})
        return tuple(self._between(*edges) for edges in pairwise((began, *self._midnights, self.equity_point())))

    def _cut_day_at(self, market_ms: int) -> None:
        """What comes from then on counts for another day, if one has begun."""
        if self.first_value and market_ms >= self._tomorrow_ms:
            self._midnights.append(self.equity_point())
            self._tomorrow_ms = (market_ms // _DAY_MS + 1) * _DAY_MS

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
        """The session begins with an anchor of an earlier one."""
        self._anchor_price = anchor_price

    def on_report(self, report: ExecutionReport) -> None:
        """An execution report of an order of ours."""
        self._cut_day_at(report.time_ms)
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
        """Something happened; the exit it ended, if it did."""
        self._cut_day_at(market_ms)
        match news:
            case OrderPlaced():
                self.placed += 1
            case OrderReplaced():
                self.replaces += 1
                own = own_id(news.client_order_id)
                if own is not None:
                    self._exit_replaces[own.number] += 1
            case OrderRejected() if news.code:  # without a code it was never sent
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
        paid = fees.get(self._quote_asset if ended.side is Side.SELL else self._base_asset, ZERO)
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
    """The days of a run, by market time in UTC: each begins with a mark, and its last minute is told once."""

    def __init__(self, tally: RunStatistics) -> None:
        self._tally = tally
        self._day = -1
        self._told = -1
        self._began: EquityPoint | None = None

    def day_result_due(self, market_ms: int) -> PeriodResult | None:
        """After the tally was marked. The day so far, once, when its last minute has begun."""
        day, of_day_ms = divmod(market_ms, _DAY_MS)
        if day != self._day:
            self._day, self._began = day, self._tally.equity_point()
        if of_day_ms < _DAY_MS - _MINUTE_MS or day == self._told:
            return None
        self._told = day
        return self.today()

    def today(self) -> PeriodResult | None:
        """The day so far, or the part of it since the start; None before the first look."""
        return None if self._began is None else self._tally.since(self._began)


def win_rate(exits: Iterable[FinishedExit]) -> WinRate:
    """A result of nothing is no win."""
    known = [finished.result_frac for finished in exits if finished.result_frac is not None]
    return WinRate(sum(result > 0 for result in known), len(known))


def slippage_frac(side: Side, mid_price: Decimal | None, average: Decimal | None) -> float | None:
    """How much worse than the mid price at the trigger, as a fraction of it; None where one of them is not known."""
    if average is None or not mid_price:
        return None
    worse = mid_price - average if side is Side.SELL else average - mid_price
    return float(worse / mid_price)


def result_frac(side: Side, base: Decimal, quote: Decimal, fee: Decimal, anchor_price: float | None) -> float | None:
    """The unit value won since the anchor. `fee` is what was paid in the asset that the exit brought."""
    if not anchor_price or not base:
        return None
    if side is Side.SELL:
        return float(quote - fee) / float(base) / anchor_price - 1.0
    return anchor_price / (float(quote) / float(base - fee)) - 1.0


def growth(first: Decimal, last: Decimal) -> float:
    """How much more `last` is than `first`, as a fraction of it."""
    return float(last / first) - 1.0 if first else 0.0
