"""The opening scenario leads to the exits it was written for, by a model that shares no code with the strategy."""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

import pytest

from trailingedge.core.time_units import MINUTE_MS
from trailingedge.model.market import Side
from trailingedge.simulator.feeds.generated import GeneratedMarket
from trailingedge.simulator.feeds.market_phases import OPENING_SCENARIO
from trailingedge.simulator.feeds.ticks import Tick

CANDLE_MS = 15 * MINUTE_MS
START_MS = 1_783_000_800_000  # a full quarter hour


@dataclass
class Order:
    side: Side
    hard_stop: bool
    price: float = 0.0
    replaces: int = -1  # the first price is a placement

    def rest(self, tick: Tick, tick_size: float) -> None:
        """Place the order as the default pricing does: a take-profit improves the best price, a hard stop joins
        the opposite side."""
        bid, ask = float(tick.bid), float(tick.ask)
        better = tick_size if ask - bid > 1.5 * tick_size else 0.0
        request = bid + better if self.side is Side.BUY else ask - better
        if self.hard_stop:
            request = bid + tick_size
        if abs(request - self.price) > tick_size / 2:
            self.price = request
            self.replaces += 1

    def fills(self, tick: Tick) -> bool:
        """Whether the market went through the order's price; touching it is not enough."""
        if self.side is Side.SELL:
            return float(tick.bid) > self.price or (tick.aggressor is Side.BUY and float(tick.last_price) > self.price)
        return float(tick.ask) < self.price or (tick.aggressor is Side.SELL and float(tick.last_price) < self.price)


@dataclass
class StrategyModel:
    """A model of the strategy with default settings and no fee, holding one unit, fed tick by tick.

    `closes` are those of the closed candles.
    """

    closes: list[float]
    tick_size: float = 0.01
    base: bool = True
    anchor: float = 0.0
    high: float = 0.0
    order: Order | None = None
    gate_shut: bool = False
    shut_price: float = 0.0
    closed_since_shut: bool = False
    beyond_ms: int | None = None  # since when the price has been beyond the stop
    log: list[str] = field(default_factory=list)
    replaces: list[int] = field(default_factory=list)

    def channel(self) -> tuple[float, float]:
        """Mid and width of the channel: the 96 closes that end two before the forming kline."""
        window = self.closes[-97:-1]
        return (max(window) + min(window)) / 2, max(window) - min(window)

    @property
    def distance(self) -> float:
        mid, width = self.channel()
        return min(0.15, max(0.08, 0.5 * width / mid))

    def play(self, ticks: Iterable[Tick], from_ms: int) -> None:
        """Take in all ticks, and act from `from_ms` on."""
        candle, close = None, 0.0
        for tick in ticks:
            if candle is not None and tick.time_ms // CANDLE_MS > candle:
                self.close(close)
            candle = tick.time_ms // CANDLE_MS
            close = float(tick.last_price)
            if tick.time_ms >= from_ms:
                self.take_in(tick)

    def close(self, close: float) -> None:
        # A close is judged by the channel in force while its candle formed.
        mid, distance = self.channel()[0], self.distance
        before = self.closes[-1] if self.closed_since_shut else self.shut_price
        self.closes.append(close)
        if self.base:
            return
        if self.gate_shut:
            self.closed_since_shut = True
            if close > mid and before <= mid:
                self.gate_shut = False
                self.anchor = self.high = 1 / close
                self.log.append("gate open")
        elif self.order is None and (self.anchor - 1 / close) / self.anchor >= distance:
            self.gate_shut = True
            self.log.append("stopped in QUOTE")

    def take_in(self, tick: Tick) -> None:
        if self.order is not None and self.order.fills(tick):
            self.finish(self.order)
        unit = float(tick.bid) if self.base else 1 / float(tick.ask)
        self.anchor = self.anchor or unit
        self.high = max(self.high, unit)
        if self.base:
            self.judge_stop(unit, tick.time_ms)
        if self.order is None and not self.gate_shut and self.takes_profit(unit, float(tick.ask)):
            self.order = Order(Side.SELL if self.base else Side.BUY, hard_stop=False)
        if self.order is not None:
            self.order.rest(tick, self.tick_size)

    def judge_stop(self, unit: float, now_ms: int) -> None:
        if (self.anchor - unit) / self.anchor < self.distance:
            self.beyond_ms = None
        elif self.beyond_ms is None:
            self.beyond_ms = now_ms
        elif now_ms - self.beyond_ms >= 600_000 and (self.order is None or not self.order.hard_stop):
            self.order = Order(Side.SELL, hard_stop=True)

    def takes_profit(self, unit: float, ask: float) -> bool:
        gain = self.high - self.anchor
        reach = 0.5 * self.channel()[1]
        by_channel = reach if self.base else reach / (ask * (ask - reach))
        callback = gain * (0.1 + 0.4 * math.exp(-gain / self.anchor / 0.02))
        enough = gain >= max(0.03 * self.anchor, by_channel)
        return enough and self.high - unit >= callback and unit >= self.anchor

    def finish(self, order: Order) -> None:
        self.log.append("hard stop" if order.hard_stop else f"take-profit {order.side.value}")
        self.replaces.append(order.replaces)
        self.base = order.side is Side.BUY
        self.anchor = self.high = order.price if self.base else 1 / order.price
        self.gate_shut, self.shut_price, self.closed_since_shut = order.hard_stop, order.price, False
        self.order = self.beyond_ms = None
        if order.hard_stop:
            self.log.append("gate shut")


@cache
def run_model(seed: int, late_s: int) -> StrategyModel:
    """The first hundred minutes of a bot that starts `late_s` seconds after the market.

    The market begins at another minute of the quarter hour for each seed.
    """
    start_ms = START_MS + seed % 15 * MINUTE_MS
    market = GeneratedMarket(seed, start_ms)
    ends = [kline for kline in market.history if (kline.close_ms + 1) % CANDLE_MS == 0]
    model = StrategyModel(closes=[float(kline.close) for kline in ends])
    end_ms = start_ms + 100 * MINUTE_MS
    model.play(itertools.takewhile(lambda tick: tick.time_ms < end_ms, market), start_ms + late_s * 1000)
    return model


@pytest.mark.parametrize("late_s", [pytest.param(0, id="on time"), pytest.param(150, id="after a slow start")])
@pytest.mark.parametrize("seed", range(8))
def test_the_opening_shows_an_exit_of_each_side_then_the_stop_and_the_gate(seed: int, late_s: int) -> None:
    model = run_model(seed, late_s)
    assert model.log[:5] == ["take-profit SELL", "take-profit BUY", "hard stop", "gate shut", "gate open"]


@pytest.mark.parametrize("seed", range(8))
def test_the_first_exits_are_chases(seed: int) -> None:
    sell, buy = run_model(seed, 0).replaces[:2]
    assert sell >= 4
    assert buy >= 4


def test_the_opening_is_over_within_a_hundred_minutes() -> None:
    assert 60 <= sum(episode.minutes for episode in OPENING_SCENARIO) <= 100
