"""Recorder of a backtest: collects statistics, orders, fills, candles and samples for the report.

Every order and fill is kept. Candles and samples are limited in number: in a long market each covers a longer time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import ceil, floor
from typing import Final

from trailingedge.accounting.results import EquityPoint
from trailingedge.accounting.statistics import RunStatistics
from trailingedge.backtest import candles
from trailingedge.execution.trader_events import TraderEvent
from trailingedge.indicators.donchian import Channel
from trailingedge.model.market import ZERO, ExecutionReport, Regime, SymbolRules
from trailingedge.report.model import Candle, Fill, OrderLogEntry, RunReport, Sample
from trailingedge.report.order_log import fill_of, order_log_entry
from trailingedge.risk.circuit_breakers import BreakerTrip, BreakerTripped
from trailingedge.simulator.feeds.columns import PriceGrid
from trailingedge.strategy.chart_levels import chart_levels
from trailingedge.strategy.inputs import StrategyParams
from trailingedge.strategy.state import StrategyState

BaseAndQuote = tuple[float, float]
_RawCandle = tuple[int, int, int, int, int]  # open time, and open, high, low and close in ticks
# Time, bid, ask, state, high, channel and balances. A sample is computed from it at the end, because most are dropped.
_RawSample = tuple[int, int, int, StrategyState, float, Channel | None, BaseAndQuote]

_ANY_BID: Final = (-1, 2**62)
_ROUNDING: Final = 1e-9
MAX_CANDLES: Final = 32_768  # three weeks of minutes; beyond that two become one, again and again


@dataclass(frozen=True, slots=True)
class BacktestPart:
    """The result of one part of a backtest, computed from that part alone. Values are in quote, at the best bids."""

    from_ms: int
    to_ms: int
    first_bid: Decimal
    last_bid: Decimal
    first_value: Decimal
    last_value: Decimal
    max_drawdown_frac: float
    exits: int


class BacktestRecorder:
    """Collects the events and reports of the trading core. If `curves` is False, it keeps no candles or samples."""

    def __init__(self, rules: SymbolRules, grid: PriceGrid, params: StrategyParams, *, curves: bool = True) -> None:
        self.statistics = RunStatistics(rules.base_asset, rules.quote_asset)
        self.parts: list[BacktestPart] = []
        self.breaker_trips: list[tuple[int, BreakerTrip]] = []  # when each breaker tripped
        self._part_start: EquityPoint | None = None
        self._peak = self._max_drawdown = ZERO  # of the current part; the drawdown as a fraction of the peak
        self._rules = rules
        self._grid = grid
        self._scale = grid.scale
        self._params = params
        self._curves = curves
        self._orders: list[OrderLogEntry] = []
        self._fills: list[Fill] = []
        self._candles: list[_RawCandle] = []
        self._samples: list[_RawSample] = []
        self._merge_count = 1  # candles of the strategy per candle of the report
        self._merged_so_far = 0  # in the report's candle that has no sample yet
        self._forming: _RawCandle = (0, 0, 0, 0, 0)

    # Events ----------------------------------------------------------------------------------

    def on_report(self, report: ExecutionReport) -> None:
        """Record an execution report of one of our orders."""
        self.statistics.on_report(report)
        fill = fill_of(report)
        if fill is not None:
            self._fills.append(fill)

    def on_event(self, event: TraderEvent, market_ms: int) -> None:
        """Record `event`, which the trading core has published."""
        self.statistics.on_event(event, market_ms)
        if isinstance(event, BreakerTripped):
            self.breaker_trips.append((market_ms, event.trip))
        order = order_log_entry(event, market_ms)
        if order is not None:
            self._orders.append(order)

    def mark_to_market(self, market_ms: int, bid: int, base: Decimal, quote: Decimal) -> None:
        """Value the balances at the best bid, for results and drawdown."""
        self.statistics.mark_to_market(market_ms, self._grid.price(bid), base, quote)
        value = self.statistics.last_value
        # Each part has a drawdown of its own, so it needs its own peak beside that of the statistics.
        if self._part_start is None:
            self._part_start, self._peak, self._max_drawdown = self.statistics.equity_point(), value, ZERO
        self._peak = max(self._peak, value)
        if self._peak:
            self._max_drawdown = max(self._max_drawdown, 1 - value / self._peak)

    def unmoved_bids(self, base: Decimal) -> tuple[int, int]:
        """Return two bids in ticks.

        At unchanged balances, a valuation at a bid strictly between them changes no drawdown. `base` is the total base,
        which must be that of the last valuation.
        """
        if not base:
            return _ANY_BID
        low, high = self.statistics.unmoved_values()
        low, high = max(low, float(self._peak * (1 - self._max_drawdown))), min(high, float(self._peak))
        value, bid = float(self.statistics.last_value), float(self.statistics.last_bid)
        from_bid, to_bid = (bid + (edge - value) / float(base) for edge in (low, high))
        # Narrower by far more than floats round: a valuation may be made once too often, never once too rarely.
        margin = bid * _ROUNDING
        return ceil((from_bid + margin) * self._scale), floor((to_bid - margin) * self._scale)

    def end_part(self) -> None:
        """End the current part of the results at the last valuation of the account.

        The next part begins at the same valuation.
        """
        began, now = self._part_start, self.statistics.equity_point()
        if began is None or began.market_ms == now.market_ms:
            return
        self.parts.append(
            BacktestPart(
                from_ms=began.market_ms,
                to_ms=now.market_ms,
                first_bid=began.bid,
                last_bid=now.bid,
                first_value=began.value,
                last_value=now.value,
                max_drawdown_frac=float(self._max_drawdown),
                exits=now.exits - began.exits,
            )
        )
        self._part_start, self._peak, self._max_drawdown = now, now.value, ZERO

    # Curves ----------------------------------------------------------------------------------

    def add_candle(self, candle: candles.TickCandle) -> bool:
        """Add a closed candle of the market. Returns whether `add_sample` must follow."""
        if not self._curves:
            return False
        if self._merged_so_far:
            open_ms, opened, high, low, _ = self._forming
            self._forming = (open_ms, opened, max(high, candle.high), min(low, candle.low), candle.close)
        else:
            self._forming = (candle.open_ms, candle.open, candle.high, candle.low, candle.close)
        self._merged_so_far += 1
        return self._merged_so_far >= self._merge_count

    @property
    def has_unsampled_candle(self) -> bool:
        """Whether `add_sample` has not yet been called for the newest candle."""
        return self._merged_so_far > 0

    def add_sample(
        self,
        market_ms: int,
        bid: int,
        ask: int,
        state: StrategyState,
        high: float,
        channel: Channel | None,
        balances: BaseAndQuote,
    ) -> None:
        """Add a sample: the state at the close of a candle.

        `channel` does not yet contain this candle. `high` also covers the ticks that the backtest skipped.
        `balances` are the account's total base and total quote.
        """
        self._candles.append(self._forming)
        self._samples.append((market_ms, bid, ask, state, high, channel, balances))
        self._merged_so_far = 0
        if len(self._candles) >= MAX_CANDLES:
            self._halve_resolution()

    def _halve_resolution(self) -> None:
        """Merge each two successive candles into one and keep the later of their samples.

        This limits memory for any market length.
        """
        pairs = zip(self._candles[::2], self._candles[1::2], strict=True)
        self._candles = [
            (first[0], first[1], max(first[2], then[2]), min(first[3], then[3]), then[4]) for first, then in pairs
        ]
        self._samples = self._samples[1::2]
        self._merge_count *= 2

    # Report ----------------------------------------------------------------------------------

    def build_report(self, settings: Mapping[str, str], gaps: tuple[str, ...]) -> RunReport:
        """The report of the backtest so far."""
        start = float(self.statistics.results().first.value)
        return RunReport(
            symbol=self._rules.symbol,
            tick_size=self._rules.tick_size,
            settings=settings,
            results=self.statistics.results(),
            fills=tuple(self._fills),
            orders=tuple(self._orders),
            candles=tuple(
                Candle(open_ms, *(price / self._scale for price in prices)) for open_ms, *prices in self._candles
            ),
            samples=tuple(_sample_of(raw, self._scale, self._params, start) for raw in self._samples),
            gaps=gaps,
            mode="backtest",
        )


def _sample_of(raw: _RawSample, scale: int, params: StrategyParams, start: float) -> Sample:
    """Compute one point of the report's curves. `start` is the account's first value: a backtest has no transfers."""
    time_ms, bid_ticks, ask_ticks, state, high, channel, (base, quote) = raw
    bid, ask = bid_ticks / scale, ask_ticks / scale
    value, kind = base * bid + quote, None if state.exit is None else state.exit.kind
    price = bid if state.regime is Regime.BASE else ask
    levels = chart_levels(state, kind, high, price, channel, params)
    return Sample.at(time_ms, bid, value, value / start if start else 1.0, levels)
