"""What happens in a replay, written down as the story that is told afterwards.

Orders and fills are kept each; candles and moments only so many, and coarser ones where a market is longer.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from trailingedge.execution.happenings import OrderPlaced, OrderReplaced, OrderWithdrawn
from trailingedge.execution.ids import own_id
from trailingedge.execution.news import News
from trailingedge.indicators.donchian import Channel
from trailingedge.market import ExecutionReport, ExecutionType, Regime, SymbolRules
from trailingedge.replay import candles
from trailingedge.replay.columns import Grid
from trailingedge.report.story import Candle, Fill, Moment, OrderEvent, Story
from trailingedge.strategy.hard_stop import stop_distance
from trailingedge.strategy.inputs import Params
from trailingedge.strategy.memory import Memory
from trailingedge.strategy.min_gain import min_gain
from trailingedge.strategy.regime import price_at
from trailingedge.strategy.trailing import trail
from trailingedge.tally import Tally

MOST_CANDLES: Final = 32_768  # three weeks of minutes; beyond that, two become one, and so on


class Chronicle:
    """Hears what the trader and the venue tell. `curves` False: without candles and moments."""

    def __init__(self, rules: SymbolRules, grid: Grid, params: Params, *, curves: bool = True) -> None:
        self.tally = Tally(rules.base_asset, rules.quote_asset)
        self._rules = rules
        self._grid = grid
        self._params = params
        self._curves = curves
        self._orders: list[OrderEvent] = []
        self._fills: list[Fill] = []
        self._candles: list[Candle] = []
        self._moments: list[Moment] = []
        self._stride = 1  # so many candles of the strategy make one of ours
        self._begun = 0  # how many of them are in the newest

    # What happens ----------------------------------------------------------------------------

    def hear_report(self, report: ExecutionReport) -> None:
        """An execution report of an order of ours."""
        self.tally.hear_report(report)
        own = own_id(report.client_order_id)
        if report.execution_type is not ExecutionType.TRADE or own is None:
            return
        self._fills.append(
            Fill(
                time_ms=report.time_ms,
                trade_id=report.trade_id,
                order_id=report.order_id,
                number=own.number,
                kind=own.kind,
                side=report.side,
                price=report.last_price,
                quantity=report.last_quantity,
                quote=report.last_quote,
                commission=report.commission,
                commission_asset=report.commission_asset or "",
                is_maker=report.is_maker,
            )
        )

    def hear(self, news: News, market_ms: int) -> None:
        """Something happened to the trade."""
        self.tally.hear(news, market_ms)
        match news:
            case OrderPlaced():
                what = "placed"
            case OrderReplaced():
                what = "replaced"
            case OrderWithdrawn():
                what = "withdrawn"
            case _:
                return
        self._orders.append(OrderEvent(market_ms, what, news.side, news.price, news.quantity, news.client_order_id))

    def mark(self, market_ms: int, bid: int, base: Decimal, quote: Decimal) -> None:
        """Where account and market stand."""
        self.tally.mark(market_ms, self._grid.price(bid), base, quote)

    # The curves ------------------------------------------------------------------------------

    def close(self, candle: candles.Candle) -> bool:
        """A candle of the market is over; whether `note` is to be told where things stand at that moment."""
        if not self._curves:
            return False
        scale = self._grid.scale
        opened, high, low, closed = (
            candle.open / scale,
            candle.high / scale,
            candle.low / scale,
            candle.close / scale,
        )
        if self._begun:
            newest = self._candles[-1]
            self._candles[-1] = Candle(
                newest.open_ms, newest.open, max(newest.high, high), min(newest.low, low), closed
            )
        else:
            self._candles.append(Candle(candle.open_ms, opened, high, low, closed))
        self._begun += 1
        return self._begun >= self._stride

    @property
    def lags(self) -> bool:
        """There is a candle whose moment was not noted."""
        return self._begun > 0

    def note(
        self, market_ms: int, bid: int, ask: int, memory: Memory, channel: Channel | None, base: Decimal, quote: Decimal
    ) -> None:
        """Where things stand as a candle closes; `channel` was in force while it formed."""
        scale = self._grid.scale
        value = float(base) * bid / scale + float(quote)
        self._moments.append(_moment(market_ms, bid / scale, ask / scale, value, memory, channel, self._params))
        self._begun = 0
        if len(self._candles) >= MOST_CANDLES:
            self._thin_out()

    def _thin_out(self) -> None:
        """Two candles become one, with the moment at its end."""
        pairs = zip(self._candles[::2], self._candles[1::2], strict=True)
        self._candles = [
            Candle(first.open_ms, first.open, max(first.high, then.high), min(first.low, then.low), then.close)
            for first, then in pairs
        ]
        self._moments = self._moments[1::2]
        self._stride *= 2

    # The end ---------------------------------------------------------------------------------

    def story(self, settings: Mapping[str, str], gaps: tuple[str, ...]) -> Story:
        """All of it so far."""
        tally, rules = self.tally, self._rules
        return Story(
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
            candles=tuple(self._candles),
            moments=tuple(self._moments),
            replaces=tally.replaces,
            rejected=dict(sorted(tally.rejected.items())),
            first_bid=tally.first_bid,
            last_bid=tally.last_bid,
            first_value=tally.first_value,
            last_value=tally.last_value,
            max_drawdown_frac=tally.max_drawdown_frac,
            gaps=gaps,
        )


def _moment(
    time_ms: int, bid: float, ask: float, value: float, memory: Memory, channel: Channel | None, params: Params
) -> Moment:
    """One point of the curves. Stop and trail are where `decide` would find them with that channel."""
    regime, gated = memory.regime, memory.gate is not None
    anchor = high = level = stop = None
    if regime is not None:
        anchor, high = price_at(regime, memory.anchor), price_at(regime, memory.high)
        if not gated:
            stop = price_at(regime, memory.anchor * (1 - stop_distance(channel, params)))
            now = trail(
                bid if regime is Regime.BASE else 1 / ask,
                memory.anchor,
                memory.high,
                min_gain(regime, memory.anchor, ask, channel, params),
                params.fee,
                start_factor=params.start_factor,
                min_factor=params.min_factor,
                gain_scale_frac=params.gain_scale_frac(regime),
            ).level
            level = None if now is None else price_at(regime, now)
    return Moment(
        time_ms=time_ms,
        bid=bid,
        value=value,
        regime=regime,
        anchor=anchor,
        high=high,
        trail=level,
        stop=stop,
        upper=None if channel is None else channel.upper,
        mid=None if channel is None else channel.mid,
        lower=None if channel is None else channel.lower,
        gate_shut=gated,
    )
