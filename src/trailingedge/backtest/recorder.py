"""What happens in a replay, written down as the story that is told afterwards.

Orders and fills are kept each; candles and moments only so many, and coarser ones where a market is longer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trailingedge.accounting.statistics import EquityPoint, RunStatistics
from trailingedge.backtest import candles
from trailingedge.backtest.columns import PriceGrid
from trailingedge.execution.trader_events import TraderEvent
from trailingedge.indicators.donchian import Channel
from trailingedge.model.market import ZERO, ExecutionReport, Regime, SymbolRules
from trailingedge.report.model import Candle, Fill, OrderLogEntry, RunReport, Sample
from trailingedge.report.order_log import fill_of, order_log_entry
from trailingedge.risk.circuit_breakers import BreakerTrip, BreakerTripped
from trailingedge.strategy.hard_stop import stop_distance
from trailingedge.strategy.inputs import StrategyParams
from trailingedge.strategy.regime import price_at
from trailingedge.strategy.state import StrategyState
from trailingedge.strategy.trailing_stop import compute_min_gain, compute_trail

BaseAndQuote = tuple[float, float]  # base and quote
_RawCandle = tuple[int, int, int, int, int]  # when it opened, and its prices in ticks
# Time, bid, ask, memory, high, channel and holdings: what a moment is made of, once it is known which are told.
_RawSample = tuple[int, int, int, StrategyState, float, Channel | None, BaseAndQuote]

MAX_CANDLES: Final = 32_768  # three weeks of minutes; beyond that, two become one, and so on


@dataclass(frozen=True, slots=True)
class BacktestPart:
    """One part of a replay: what it came to by itself. Values are in quote, at the best bids."""

    from_ms: int
    to_ms: int
    first_bid: Decimal
    last_bid: Decimal
    first_value: Decimal
    last_value: Decimal
    max_drawdown_frac: float
    exits: int


class BacktestRecorder:
    """Hears what the trader and the venue tell. `curves` False: without candles and moments."""

    def __init__(self, rules: SymbolRules, grid: PriceGrid, params: StrategyParams, *, curves: bool = True) -> None:
        self.statistics = RunStatistics(rules.base_asset, rules.quote_asset)
        self.parts: list[BacktestPart] = []
        self.breaker_trips: list[tuple[int, BreakerTrip]] = []  # when each breaker tripped
        self._part_start: EquityPoint | None = None
        self._peak = self._max_drawdown = ZERO  # of the part that has begun; the second a fraction
        self._rules = rules
        self._grid = grid
        self._scale = grid.scale
        self._params = params
        self._curves = curves
        self._orders: list[OrderLogEntry] = []
        self._fills: list[Fill] = []
        self._candles: list[_RawCandle] = []
        self._samples: list[_RawSample] = []
        self._merge_count = 1  # so many candles of the strategy make one of ours
        self._merged_so_far = 0  # how many of them are in the one that has no moment yet
        self._forming: _RawCandle = (0, 0, 0, 0, 0)

    # What happens ----------------------------------------------------------------------------

    def on_report(self, report: ExecutionReport) -> None:
        """An execution report of an order of ours."""
        self.statistics.on_report(report)
        fill = fill_of(report)
        if fill is not None:
            self._fills.append(fill)

    def on_event(self, news: TraderEvent, market_ms: int) -> None:
        """Something happened to the trade."""
        self.statistics.on_event(news, market_ms)
        if isinstance(news, BreakerTripped):
            self.breaker_trips.append((market_ms, news.trip))
        event = order_log_entry(news, market_ms)
        if event is not None:
            self._orders.append(event)

    def mark_to_market(self, market_ms: int, bid: int, base: Decimal, quote: Decimal) -> None:
        """Where account and market stand."""
        self.statistics.mark_to_market(market_ms, self._grid.price(bid), base, quote)
        value = self.statistics.last_value
        if self._part_start is None:
            self._part_start, self._peak, self._max_drawdown = self.statistics.equity_point(), value, ZERO
        self._peak = max(self._peak, value)
        if self._peak:
            self._max_drawdown = max(self._max_drawdown, 1 - value / self._peak)

    def end_part(self) -> None:
        """After a mark: one part ends here, and the next begins."""
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

    # The curves ------------------------------------------------------------------------------

    def add_candle(self, candle: candles.TickCandle) -> bool:
        """A candle of the market is over; whether `note` is to be told where things stand at that moment."""
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
        """There is a candle whose moment was not noted."""
        return self._merged_so_far > 0

    def add_sample(
        self,
        market_ms: int,
        bid: int,
        ask: int,
        memory: StrategyState,
        high: float,
        channel: Channel | None,
        holds: BaseAndQuote,
    ) -> None:
        """Where things stand as a candle closes; `channel` was in force while it formed, `high` is that of the moment.

        `holds` is all of base and quote, for a curve.
        """
        self._candles.append(self._forming)
        self._samples.append((market_ms, bid, ask, memory, high, channel, holds))
        self._merged_so_far = 0
        if len(self._candles) >= MAX_CANDLES:
            self._halve_resolution()

    def _halve_resolution(self) -> None:
        """Two candles become one, with the moment at its end."""
        pairs = zip(self._candles[::2], self._candles[1::2], strict=True)
        self._candles = [
            (first[0], first[1], max(first[2], then[2]), min(first[3], then[3]), then[4]) for first, then in pairs
        ]
        self._samples = self._samples[1::2]
        self._merge_count *= 2

    # The end ---------------------------------------------------------------------------------

    def build_report(self, settings: Mapping[str, str], gaps: tuple[str, ...]) -> RunReport:
        """All of it so far."""
        tally, rules = self.statistics, self._rules
        return RunReport(
            symbol=rules.symbol,
            base_asset=rules.base_asset,
            quote_asset=rules.quote_asset,
            tick_size=rules.tick_size,
            from_ms=tally.from_ms,
            to_ms=tally.to_ms,
            settings=settings,
            exits=tuple(tally.exits),
            fills=tuple(self._fills),
            orders=tuple(self._orders),
            candles=tuple(
                Candle(open_ms, *(price / self._scale for price in prices)) for open_ms, *prices in self._candles
            ),
            samples=tuple(_sample_of(glance, self._scale, self._params) for glance in self._samples),
            replaces=tally.replaces,
            rejected=dict(sorted(tally.rejected.items())),
            first_bid=tally.first_bid,
            last_bid=tally.last_bid,
            first_value=tally.first_value,
            last_value=tally.last_value,
            max_drawdown_frac=tally.max_drawdown_frac,
            gaps=gaps,
            mode="replay",
        )


def _sample_of(glance: _RawSample, scale: int, params: StrategyParams) -> Sample:
    """One point of the curves. Stop and trail are where `decide` would find them with that channel."""
    time_ms, bid_ticks, ask_ticks, memory, high, channel, (base, quote) = glance
    bid, ask = bid_ticks / scale, ask_ticks / scale
    regime, gated = memory.regime, memory.gate is not None
    anchor = best = level = stop = None
    if regime is not None:
        anchor, best = price_at(regime, memory.anchor), price_at(regime, high)
        if not gated:
            stop = price_at(regime, memory.anchor * (1 - stop_distance(channel, params)))
            now = compute_trail(
                bid if regime is Regime.BASE else 1 / ask,
                memory.anchor,
                high,
                compute_min_gain(regime, memory.anchor, ask, channel, params),
                params.fee,
                start_factor=params.start_factor,
                min_factor=params.min_factor,
                gain_scale_frac=params.gain_scale_frac(regime),
            ).trigger_value
            level = None if now is None else price_at(regime, now)
    return Sample(
        time_ms=time_ms,
        bid=bid,
        value=base * bid + quote,
        regime=regime,
        anchor=anchor,
        high=best,
        trail=level,
        stop=stop,
        upper=None if channel is None else channel.upper,
        mid=None if channel is None else channel.mid,
        lower=None if channel is None else channel.lower,
        gate_shut=gated,
    )
