"""The opening provokes what it promises, judged by a model that shares no code with the strategy."""

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

START_MS = 1_783_000_020_000


@dataclass
class Order:
    side: Side
    flush: bool
    price: float = 0.0
    replaces: int = -1  # the first price is a placement

    def rest(self, tick: Tick, tick_size: float) -> None:
        """Go where the default pricing wants the order: a take-profit improves, a flush crowds the other side."""
        bid, ask = float(tick.bid), float(tick.ask)
        better = tick_size if ask - bid > 1.5 * tick_size else 0.0
        wanted = bid + better if self.side is Side.BUY else ask - better
        if self.flush:
            wanted = bid + tick_size
        if abs(wanted - self.price) > tick_size / 2:
            self.price = wanted
            self.replaces += 1

    def fills(self, tick: Tick) -> bool:
        """The market went through the order, not merely to it."""
        if self.side is Side.SELL:
            return float(tick.bid) > self.price or (tick.aggressor is Side.BUY and float(tick.last_price) > self.price)
        return float(tick.ask) < self.price or (tick.aggressor is Side.SELL and float(tick.last_price) < self.price)


@dataclass
class Story:
    """Section 5 of the design with its default settings and no fee, for one unit held, told tick by tick."""

    closes: list[float]
    tick_size: float = 0.01
    base: bool = True
    anchor: float = 0.0
    high: float = 0.0
    order: Order | None = None
    gate_shut: bool = False
    beyond_ms: int | None = None  # since when the stop's distance is reached
    told: list[str] = field(default_factory=list)
    replaces: list[int] = field(default_factory=list)

    def channel(self) -> tuple[float, float]:
        """Mid and width of the forty closes that end two before the forming one."""
        window = self.closes[-41:-1]
        return (max(window) + min(window)) / 2, max(window) - min(window)

    @property
    def distance(self) -> float:
        mid, width = self.channel()
        return min(0.03, max(0.005, 0.5 * width / mid))

    def play(self, ticks: Iterable[Tick], from_ms: int) -> None:
        """Hear everything that goes into closes, and act from `from_ms` on."""
        minute, close = START_MS // MINUTE_MS, 0.0
        for tick in ticks:
            if tick.time_ms // MINUTE_MS > minute:
                self.close(close)
                minute = tick.time_ms // MINUTE_MS
            close = float(tick.last_price)
            if tick.time_ms >= from_ms:
                self.hear(tick)

    def close(self, close: float) -> None:
        before, mid_before = self.closes[-1], self.channel()[0]
        self.closes.append(close)
        if self.base:
            return
        if self.gate_shut:
            if close > self.channel()[0] and before <= mid_before:
                self.gate_shut = False
                self.anchor = self.high = 1 / close
                self.told.append("gate open")
        elif self.order is None and (self.anchor - 1 / close) / self.anchor >= self.distance:
            self.gate_shut = True
            self.told.append("stopped in QUOTE")

    def hear(self, tick: Tick) -> None:
        if self.order is not None and self.order.fills(tick):
            self.finish(self.order)
        unit = float(tick.bid) if self.base else 1 / float(tick.ask)
        self.anchor = self.anchor or unit
        self.high = max(self.high, unit)
        if self.base:
            self.judge_stop(unit, tick.time_ms)
        if self.order is None and not self.gate_shut and self.takes_profit(unit, float(tick.ask)):
            self.order = Order(Side.SELL if self.base else Side.BUY, flush=False)
        if self.order is not None:
            self.order.rest(tick, self.tick_size)

    def judge_stop(self, unit: float, now_ms: int) -> None:
        if (self.anchor - unit) / self.anchor < self.distance:
            self.beyond_ms = None
        elif self.beyond_ms is None:
            self.beyond_ms = now_ms
        elif now_ms - self.beyond_ms >= 1000 and (self.order is None or not self.order.flush):
            self.order = Order(Side.SELL, flush=True)

    def takes_profit(self, unit: float, ask: float) -> bool:
        gain = self.high - self.anchor
        reach = 0.5 * self.channel()[1]
        by_channel = reach if self.base else reach / (ask * (ask - reach))
        callback = gain * (0.1 + 0.4 * math.exp(-gain / self.anchor / 0.005))
        enough = gain >= max(0.01 * self.anchor, by_channel)
        return enough and self.high - unit >= callback and unit >= self.anchor

    def finish(self, order: Order) -> None:
        self.told.append("flush" if order.flush else f"take-profit {order.side.value}")
        self.replaces.append(order.replaces)
        self.base = order.side is Side.BUY
        self.anchor = self.high = order.price if self.base else 1 / order.price
        self.gate_shut = order.flush
        self.order = self.beyond_ms = None
        if order.flush:
            self.told.append("gate shut")


@cache
def told(seed: int, late_s: int) -> Story:
    """The first hundred minutes of a bot that begins `late_s` after the market."""
    market = GeneratedMarket(seed, START_MS)
    story = Story(closes=[float(kline.close) for kline in market.history])
    end_ms = START_MS + 100 * MINUTE_MS
    story.play(itertools.takewhile(lambda tick: tick.time_ms < end_ms, market), START_MS + late_s * 1000)
    return story


@pytest.mark.parametrize("late_s", [pytest.param(0, id="on time"), pytest.param(150, id="after a slow start")])
@pytest.mark.parametrize("seed", range(24))
def test_the_opening_shows_an_exit_of_each_side_then_the_stop_and_the_gate(seed: int, late_s: int) -> None:
    story = told(seed, late_s)
    assert story.told[:5] == ["take-profit SELL", "take-profit BUY", "flush", "gate shut", "gate open"]


@pytest.mark.parametrize("seed", range(24))
def test_the_first_exits_are_chases(seed: int) -> None:
    sell, buy = told(seed, 0).replaces[:2]
    assert sell >= 4
    assert buy >= 4


def test_the_opening_is_over_within_a_hundred_minutes() -> None:
    assert 60 <= sum(episode.minutes for episode in OPENING_SCENARIO) <= 100
