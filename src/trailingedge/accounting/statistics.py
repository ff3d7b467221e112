"""Statistics of a run: takes the events of the trading core and the execution reports, and keeps the run's results."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from trailingedge.accounting.result_ledger import ResultLedger
from trailingedge.accounting.results import EquityPoint, FinishedExit, PeriodResult, period
from trailingedge.accounting.round_trips import EndedExit
from trailingedge.core.time_units import DAY_MS, MINUTE_MS
from trailingedge.execution.order_events import OrderPlaced, OrderRejected, OrderReplaced
from trailingedge.execution.trader_events import TraderEvent
from trailingedge.model.client_order_ids import own_id
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import ZERO, AccountTrade, ExecutionReport, ExecutionType, Side
from trailingedge.strategy.strategy_events import ExitEnded, GateOpened, RegimeSet

_CURVE_STEP_MS: Final = 15 * MINUTE_MS


class RunStatistics(ResultLedger):
    """Counts events and reports as they happen; `mark_to_market` values the account every minute."""

    def __init__(self, base_asset: str, quote_asset: str) -> None:
        super().__init__(base_asset, quote_asset)
        self.placed = 0
        self.taker_fills = 0
        self.rejected: Counter[int] = Counter()
        self._anchor_price = 0.0
        self._exit_fees: dict[int, defaultdict[str, Decimal]] = {}
        self._exit_replaces: Counter[int] = Counter()

    def replaces_of(self, exit_number: int) -> int:
        """Return how often the order of this exit, which must be in progress, has been replaced."""
        return self._exit_replaces[exit_number]

    def since(self, mark: EquityPoint) -> PeriodResult:
        """Return the result from `mark`, an earlier `equity_point`, until now."""
        return period(mark, self.equity_point(), self.exits, self.round_trips, self.transfers)

    def resume(
        self,
        anchor_price: float | None,
        ended: Iterable[tuple[EndedExit, ExitKind]] = (),
        open_fills: Iterable[tuple[int, AccountTrade]] = (),
    ) -> None:
        """Take over the anchor and the `ended` exits of an earlier run. The next exits are matched with them.

        `open_fills` are the fills of an exit that continues in this run, each with the exit's number.
        """
        if anchor_price is not None:
            self._anchor_price = anchor_price
        self.restore(ended)
        for number, fill in open_fills:
            if fill.commission:
                self._add_exit_fee(number, fill.commission, fill.commission_asset)

    def on_report(self, report: ExecutionReport) -> None:
        """Count the fill and its fee if the report is a fill. A fill of a foreign order is a transfer."""
        self.cut_day_at(report.time_ms)
        # Fills are counted from reports and not from events, because fees and the maker flag stand only there.
        if report.execution_type is not ExecutionType.TRADE:
            return
        own = own_id(report.client_order_id)
        if own is None:
            self._foreign_fill(report)
            return
        if not report.is_maker:
            self.taker_fills += 1
        base, quote, fee = report.last_quantity, report.last_quote, report.commission
        self.on_fill(report.side, base, quote, fee, report.commission_asset, report.time_ms)
        if fee and report.commission_asset is not None:
            self._add_exit_fee(own.number, fee, report.commission_asset)

    def _foreign_fill(self, report: ExecutionReport) -> None:
        moved = (report.last_quantity, -report.last_quote)
        base, quote = moved if report.side is Side.BUY else (-moved[0], -moved[1])
        self.on_foreign_fill(base, quote, report.commission, report.commission_asset, report.time_ms)

    def _add_exit_fee(self, number: int, fee: Decimal, asset: str) -> None:
        self._exit_fees.setdefault(number, defaultdict(lambda: ZERO))[asset] += fee

    def on_event(self, news: TraderEvent, market_ms: int) -> FinishedExit | None:
        """Count an event. Returns the finished exit if the event ended one, else None."""
        self.cut_day_at(market_ms)
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
        # The exchange takes the fee from what an order brings. A fee in a third asset, such as BNB, is not subtracted:
        # the anchor was measured without it, too.
        paid = fees.get(self.quote_asset if ended.side is Side.SELL else self.base_asset, ZERO)
        # The anchor price is still the one before this exit: RegimeSet, which sets the new one, comes after ExitEnded.
        gain = anchor_gain_frac(ended.side, ended.filled_base, ended.filled_quote, paid, self._anchor_price)
        return self.on_exit(
            FinishedExit(
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
                mid_price=ended.mid_price,
                anchor_gain_frac=gain,
            )
        )


class DailyResults:
    """Returns the result of each UTC day once, in the day's last minute of market time."""

    def __init__(self, tally: RunStatistics) -> None:
        self._tally = tally
        self._day = -1
        self._told = -1
        self._began: EquityPoint | None = None
        self._growth: list[float] = []  # of each unit of quote in the course of the day
        self._sampled_ms = 0

    @property
    def began(self) -> EquityPoint | None:
        """The valuation at midnight UTC, or the first one of a run that began today; None without a valuation."""
        return self._began

    def day_result_due(self, market_ms: int) -> PeriodResult | None:
        """Return the day's result once, in the last minute of the day; else None. Call this after `mark_to_market`."""
        day, of_day_ms = divmod(market_ms, DAY_MS)
        if day != self._day:
            self._day, self._began = day, self._tally.equity_point()
            self._growth, self._sampled_ms = [], 0
        if market_ms - self._sampled_ms >= _CURVE_STEP_MS:
            self._sampled_ms = market_ms
            self._growth.append(self._tally.equity_point().growth)
        # In the last minute and not at midnight, so that the result is published on the day that it is about.
        if of_day_ms < DAY_MS - MINUTE_MS or day == self._told:
            return None
        self._told = day
        return self.today()

    def curve(self) -> Sequence[float]:
        """Return the result in the course of today as fractions, oldest first: every quarter of an hour, and now."""
        if self._began is None or not self._began.growth:
            return ()
        return tuple(each / self._began.growth - 1.0 for each in (*self._growth, self._tally.equity_point().growth))

    def today(self) -> PeriodResult | None:
        """Return today's result. It counts from midnight UTC, or from the start if that was today.

        Returns None before the first valuation.
        """
        return None if self._began is None else self._tally.since(self._began)


def anchor_gain_frac(
    side: Side, base: Decimal, quote: Decimal, fee: Decimal, anchor_price: float | None
) -> float | None:
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
