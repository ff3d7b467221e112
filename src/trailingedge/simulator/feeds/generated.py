"""A market out of nothing: endless ticks from a seed, and the history that led to them.

Only `Random.random`, square roots and plain arithmetic make the numbers, so that a seed gives the same
market on every supported Python.
"""

import itertools
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final

from trailingedge.core.time_units import MINUTE_MS
from trailingedge.model.market import ZERO, Kline, Side
from trailingedge.simulator.feeds.market_phases import OPENING_SCENARIO, MarketPhase, random_phases
from trailingedge.simulator.feeds.ticks import Tick

# What rests at the best price is worth about this much, in the quote asset.
_DEPTH_NOTIONAL: Final = 10_000.0
# Noise finds its way back to the drift by this share a minute, so that an episode ends about where it should.
_HOMING: Final = 0.1
# The same for the history before the start, which may roam further.
_PAST_HOMING: Final = 0.01
_PAST_NOISE_FRAC: Final = 0.0003
_PAST_STEPS: Final = 6  # a minute


class GeneratedMarket:
    """A seeded tape. `start_ms` is floored to its minute; the first tick is exactly there.

    The history is `history_minutes` klines that close at the first tick's last price. A `scripted`
    market opens with the moves of `script.OPENING` before the seed draws the episodes; otherwise the
    seed does from the start. The ticks never end; iterating again tells the same ones again.
    Raises ValueError for a start price that is not a price on the tick.
    """

    def __init__(
        self,
        seed: int,
        start_ms: int,
        symbol: str = "ETHFDUSD",
        base_asset: str = "ETH",
        quote_asset: str = "FDUSD",
        tick_size: Decimal = Decimal("0.01"),
        step_size: Decimal = Decimal("0.0001"),
        start_price: Decimal = Decimal("2500.00"),
        scripted: bool = True,
        history_minutes: int = 1500,
    ) -> None:
        if start_price <= ZERO or start_price % tick_size:
            raise ValueError(f"a market cannot start at {start_price} on ticks of {tick_size}")
        self.symbol = symbol
        self.base_asset = base_asset
        self.quote_asset = quote_asset
        self.tick_size = tick_size
        self.step_size = step_size
        self.gaps: Sequence[str] = ()
        self._seed = seed
        self._scripted = scripted
        self._start_ms = start_ms - start_ms % MINUTE_MS
        self._start_ticks = int(start_price / tick_size)
        self._depth_steps = max(2, int(_DEPTH_NOTIONAL / float(start_price * step_size)))
        self.history: Sequence[Kline] = self._generate_history(history_minutes)

    def __iter__(self) -> Iterator[Tick]:
        chance = random.Random(f"{self._seed} ticks")
        episodes = itertools.chain(OPENING_SCENARIO if self._scripted else (), random_phases(chance))
        book = _GeneratedBook(self._start_ticks, self._depth_steps, chance)
        for time_ms, episode, level in _moments(episodes, self._start_ms, chance):
            if time_ms > self._start_ms:
                book.move_to(self._start_ticks * level, episode)
            yield Tick(
                time_ms=time_ms,
                bid=book.bid * self.tick_size,
                bid_quantity=book.bid_steps * self.step_size,
                ask=book.ask * self.tick_size,
                ask_quantity=book.ask_steps * self.step_size,
                last_price=book.last_price * self.tick_size,
                traded=book.traded_steps * self.step_size,
                aggressor=book.aggressor,
            )

    def _generate_history(self, minutes: int) -> tuple[Kline, ...]:
        """Quiet klines, told backwards from the start so that they end exactly there."""
        chance = random.Random(f"{self._seed} past")
        klines: list[Kline] = []
        close, offset_frac, mood = self._start_ticks, 0.0, 1.0
        for minute in range(1, minutes + 1):
            if minute % 120 == 0:
                mood = 0.5 + chance.random()
            walked = [close]
            for _ in range(_PAST_STEPS):
                offset_frac += _noise(chance, mood * _PAST_NOISE_FRAC, 1 / _PAST_STEPS)
                offset_frac -= offset_frac * _PAST_HOMING / _PAST_STEPS
                walked.append(round(self._start_ticks * (1.0 + offset_frac)))
            open_ms = self._start_ms - minute * MINUTE_MS
            volume_steps = 1 + int(self._depth_steps * 5.0 * chance.random())
            klines.append(
                Kline(
                    open_ms=open_ms,
                    close_ms=open_ms + MINUTE_MS - 1,
                    open=walked[-1] * self.tick_size,
                    high=max(walked) * self.tick_size,
                    low=min(walked) * self.tick_size,
                    close=close * self.tick_size,
                    volume=volume_steps * self.step_size,
                )
            )
            close = walked[-1]
        return tuple(reversed(klines))


def _noise(chance: random.Random, noise_frac: float, minutes: float) -> float:
    """A random step over that time, uniform, with a standard deviation of `noise_frac` a square root of a minute."""
    return noise_frac * math.sqrt(3.0 * minutes) * (2.0 * chance.random() - 1.0)


def _moments(
    episodes: Iterable[MarketPhase], start_ms: int, chance: random.Random
) -> Iterator[tuple[int, MarketPhase, float]]:
    """When something happens, in which episode, and the price there as a multiple of the start's."""
    time_ms = began_ms = start_ms
    base, offset_frac = 1.0, 0.0
    for episode in episodes:
        length_ms = int(episode.minutes * MINUTE_MS)
        shortest_s, longest_s = episode.tick_interval_s
        while time_ms < began_ms + length_ms:
            drifted = base * (1.0 + episode.drift_frac * (time_ms - began_ms) / length_ms)
            yield time_ms, episode, drifted * (1.0 + offset_frac)
            step_ms = int(1000 * (shortest_s + (longest_s - shortest_s) * chance.random()))
            step_minutes = step_ms / MINUTE_MS
            offset_frac += _noise(chance, episode.noise_frac, step_minutes) - offset_frac * _HOMING * step_minutes
            time_ms += step_ms
        base *= 1.0 + episode.drift_frac
        began_ms += length_ms


class _GeneratedBook:
    """The best prices in ticks, what rests there in steps, and the last trade."""

    def __init__(self, last: int, depth_steps: int, chance: random.Random) -> None:
        self._depth_steps = depth_steps
        self._chance = chance
        self.last_price = last
        self.bid, self.ask = last - 1, last
        self.bid_steps, self.ask_steps = self._resting(), self._resting()
        self.traded_steps = 0
        self.aggressor: Side | None = None

    def move_to(self, middle: float, episode: MarketPhase) -> None:
        """Move the best prices around `middle`, or let them rest; then trade, most often with the move."""
        chance = self._chance
        buyers = 0.5
        if chance.random() >= episode.unchanged_share:
            narrowest, widest = episode.spread_ticks
            spread = narrowest + int((widest - narrowest + 1) * chance.random() ** 2)
            bid = max(1, round(middle - spread / 2))
            buyers = 0.85 if bid > self.bid else 0.15
            self.bid, self.ask = bid, bid + spread
            self.bid_steps, self.ask_steps = self._resting(), self._resting()
        self._trade(buyers)

    def _trade(self, buyers: float) -> None:
        """One taker takes, a buyer with that chance; now and then nobody does."""
        draw = self._chance.random()
        if draw > 0.9:
            self.traded_steps, self.aggressor = 0, None
            return
        wanted = 1 + int(0.6 * self._depth_steps * self._chance.random() ** 3)
        if draw < 0.9 * buyers:
            self.aggressor, self.last_price = Side.BUY, self.ask
            self.traded_steps = min(wanted, self.ask_steps)
            self.ask_steps = max(1, self.ask_steps - self.traded_steps)
        else:
            self.aggressor, self.last_price = Side.SELL, self.bid
            self.traded_steps = min(wanted, self.bid_steps)
            self.bid_steps = max(1, self.bid_steps - self.traded_steps)

    def _resting(self) -> int:
        return 1 + int(self._depth_steps * (0.1 + 2.5 * self._chance.random() ** 2))
