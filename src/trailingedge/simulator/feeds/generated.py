"""Generated market: endless ticks from a seed, with a history of one-minute klines before them.

Only `Random.random`, square roots and plain arithmetic are used: Python guarantees the sequence of `random()` for a
seed across versions, but not that of `gauss` or `choice`. So a seed gives the same market on every supported Python.
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
from trailingedge.simulator.feeds.ticks import LargestNumbers, Tick

# Approximate notional of the quantity at each best price, in the quote asset.
_DEPTH_NOTIONAL: Final = 10_000.0
# The noise around the drift decays by this share per minute, so that a phase ends about where its drift leads.
_MEAN_REVERSION: Final = 0.1
# The same for the history before the start, which may move further away.
_HISTORY_MEAN_REVERSION: Final = 0.01
_HISTORY_NOISE_FRAC: Final = 0.0003
_HISTORY_STEPS: Final = 6  # price steps per minute


class GeneratedMarket:
    """A market generated from a seed. The first tick is at `start_ms`, rounded down to its minute.

    The history has `history_minutes` klines, and the last one closes at the first tick's last
    price. A `scripted` market begins with `OPENING_SCENARIO`, and the seed draws the phases after
    it. Any other market draws all phases from the seed. The ticks never end; iterating again yields
    the same ticks. Raises ValueError if the start price is not a multiple of the tick size.
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
            raise ValueError(f"start price {start_price} is not a positive multiple of the tick size {tick_size}")
        self.symbol = symbol
        self.base_asset = base_asset
        self.quote_asset = quote_asset
        self.tick_size = tick_size
        self.step_size = step_size
        self.gaps: Sequence[str] = ()
        self.largest: LargestNumbers | None = None
        self._seed = seed
        self._scripted = scripted
        self._start_ms = start_ms - start_ms % MINUTE_MS
        self._start_ticks = int(start_price / tick_size)
        self._depth_steps = max(2, int(_DEPTH_NOTIONAL / float(start_price * step_size)))
        self.history: Sequence[Kline] = self._generate_history(history_minutes)

    def __iter__(self) -> Iterator[Tick]:
        chance = random.Random(f"{self._seed} ticks")
        phases = itertools.chain(OPENING_SCENARIO if self._scripted else (), random_phases(chance))
        book = _GeneratedBook(self._start_ticks, self._depth_steps, chance)
        for time_ms, phase, level in _tick_times(phases, self._start_ms, chance):
            if time_ms > self._start_ms:
                book.move_to(self._start_ticks * level, phase)
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
        """Return calm klines, made backwards so that the last one closes at the start price."""
        chance = random.Random(f"{self._seed} past")
        klines: list[Kline] = []
        close, offset_frac, volatility = self._start_ticks, 0.0, 1.0
        # Backwards in time, so that the last close is the start price exactly; `open` is where a minute's steps end.
        for minute in range(1, minutes + 1):
            if minute % 120 == 0:
                volatility = 0.5 + chance.random()
            prices = [close]
            for _ in range(_HISTORY_STEPS):
                offset_frac += _noise(chance, volatility * _HISTORY_NOISE_FRAC, 1 / _HISTORY_STEPS)
                offset_frac -= offset_frac * _HISTORY_MEAN_REVERSION / _HISTORY_STEPS
                prices.append(round(self._start_ticks * (1.0 + offset_frac)))
            open_ms = self._start_ms - minute * MINUTE_MS
            volume_steps = 1 + int(self._depth_steps * 5.0 * chance.random())
            klines.append(
                Kline(
                    open_ms=open_ms,
                    close_ms=open_ms + MINUTE_MS - 1,
                    open=prices[-1] * self.tick_size,
                    high=max(prices) * self.tick_size,
                    low=min(prices) * self.tick_size,
                    close=close * self.tick_size,
                    volume=volume_steps * self.step_size,
                )
            )
            close = prices[-1]
        return tuple(reversed(klines))


def _noise(chance: random.Random, noise_frac: float, minutes: float) -> float:
    """Draw a uniform random price change. Its standard deviation is `noise_frac` × √`minutes`."""
    return noise_frac * math.sqrt(3.0 * minutes) * (2.0 * chance.random() - 1.0)


def _tick_times(
    phases: Iterable[MarketPhase], start_ms: int, chance: random.Random
) -> Iterator[tuple[int, MarketPhase, float]]:
    """Yield each tick's time, its phase, and its price as a multiple of the start price."""
    time_ms = phase_start_ms = start_ms
    base, offset_frac = 1.0, 0.0
    for phase in phases:
        length_ms = int(phase.minutes * MINUTE_MS)
        shortest_s, longest_s = phase.tick_interval_s
        while time_ms < phase_start_ms + length_ms:
            drifted = base * (1.0 + phase.drift_frac * (time_ms - phase_start_ms) / length_ms)
            yield time_ms, phase, drifted * (1.0 + offset_frac)
            step_ms = int(1000 * (shortest_s + (longest_s - shortest_s) * chance.random()))
            step_minutes = step_ms / MINUTE_MS
            offset_frac += _noise(chance, phase.noise_frac, step_minutes) - offset_frac * _MEAN_REVERSION * step_minutes
            time_ms += step_ms
        base *= 1.0 + phase.drift_frac
        phase_start_ms += length_ms


class _GeneratedBook:
    """The best prices in tick sizes, their quantities in step sizes, and the last trade."""

    def __init__(self, last: int, depth_steps: int, chance: random.Random) -> None:
        self._depth_steps = depth_steps
        self._chance = chance
        self.last_price = last
        self.bid, self.ask = last - 1, last
        self.bid_steps, self.ask_steps = self._resting(), self._resting()
        self.traded_steps = 0
        self.aggressor: Side | None = None

    def move_to(self, middle: float, phase: MarketPhase) -> None:
        """Move the best prices to `middle`, or by chance leave them unchanged; then make a trade.

        The trade mostly goes in the direction of the move.
        """
        chance = self._chance
        buyers = 0.5
        # The squared random number below makes wide spreads rare.
        if chance.random() >= phase.unchanged_share:
            narrowest, widest = phase.spread_ticks
            spread = narrowest + int((widest - narrowest + 1) * chance.random() ** 2)
            bid = max(1, round(middle - spread / 2))
            buyers = 0.85 if bid > self.bid else 0.15
            self.bid, self.ask = bid, bid + spread
            self.bid_steps, self.ask_steps = self._resting(), self._resting()
        self._trade(buyers)

    def _trade(self, buyers: float) -> None:
        """Make one trade, a buy with the probability `buyers`; one time in ten make none."""
        draw = self._chance.random()
        if draw > 0.9:
            self.traded_steps, self.aggressor = 0, None
            return
        steps = 1 + int(0.6 * self._depth_steps * self._chance.random() ** 3)
        if draw < 0.9 * buyers:
            self.aggressor, self.last_price = Side.BUY, self.ask
            self.traded_steps = min(steps, self.ask_steps)
            self.ask_steps = max(1, self.ask_steps - self.traded_steps)
        else:
            self.aggressor, self.last_price = Side.SELL, self.bid
            self.traded_steps = min(steps, self.bid_steps)
            self.bid_steps = max(1, self.bid_steps - self.traded_steps)

    def _resting(self) -> int:
        return 1 + int(self._depth_steps * (0.1 + 2.5 * self._chance.random() ** 2))
