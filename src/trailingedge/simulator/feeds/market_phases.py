"""Market phases of the generated market: calm, trend, squeeze, crash and rally, drawn from a seed or scripted.

The numbers fit ETH against a dollar; fractions are fractions of the price.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final


class PhaseKind(Enum):
    """The kinds of phases."""

    CALM = "calm"
    TREND = "trend"
    SQUEEZE = "squeeze"
    CRASH = "crash"
    RALLY = "rally"


@dataclass(frozen=True, slots=True)
class MarketPhase:
    """One phase of the market.

    The price drifts evenly by `drift_frac` over the phase, with a noise of `noise_frac` per √minute around the drift.
    The time between ticks is within the range `tick_interval_s` (at most 7, so that a minute has at least eight ticks),
    the spread within the range `spread_ticks`. The fraction `unchanged_share` of the ticks does not change the best
    prices, so that trades can reach an order that waits in the queue.
    """

    kind: PhaseKind
    minutes: float
    drift_frac: float
    noise_frac: float
    tick_interval_s: tuple[float, float] = (2.0, 7.0)
    spread_ticks: tuple[int, int] = (1, 5)
    unchanged_share: float = 0.35


def calm(minutes: float, drift_frac: float = 0.0) -> MarketPhase:
    return MarketPhase(PhaseKind.CALM, minutes, drift_frac, noise_frac=0.0003)


def trend(minutes: float, drift_frac: float) -> MarketPhase:
    return MarketPhase(PhaseKind.TREND, minutes, drift_frac, noise_frac=0.0004, unchanged_share=0.25)


def squeeze(minutes: float, drift_frac: float = 0.0) -> MarketPhase:
    return MarketPhase(
        PhaseKind.SQUEEZE, minutes, drift_frac, noise_frac=0.0001, spread_ticks=(1, 3), unchanged_share=0.5
    )


def crash(minutes: float, drift_frac: float) -> MarketPhase:
    return MarketPhase(
        PhaseKind.CRASH,
        minutes,
        drift_frac,
        noise_frac=0.001,
        tick_interval_s=(1.0, 4.0),
        spread_ticks=(2, 12),
        unchanged_share=0.1,
    )


def rally(minutes: float, drift_frac: float) -> MarketPhase:
    return MarketPhase(
        PhaseKind.RALLY,
        minutes,
        drift_frac,
        noise_frac=0.0008,
        tick_interval_s=(1.5, 5.0),
        spread_ticks=(1, 6),
        unchanged_share=0.15,
    )


def random_phases(chance: random.Random) -> Iterator[MarketPhase]:
    """Yield random phases without end; half of them are calm or squeezes.

    The more the price has risen so far, the less likely is another rise. This keeps the price in its order of magnitude
    over many days.
    """
    # The sum of drifts so far; at ±20 % nine phases in ten go the other way.
    level_frac = 0.0
    while True:
        phase = _draw(chance, rises=chance.random() < 0.5 - 2.0 * max(-0.2, min(0.2, level_frac)))
        level_frac += phase.drift_frac
        yield phase


def _draw(chance: random.Random, rises: bool) -> MarketPhase:
    sign = 1.0 if rises else -1.0
    draw = chance.random()
    if draw < 0.3:
        return calm(_between(chance, 8.0, 25.0), sign * _between(chance, 0.0, 0.003))
    if draw < 0.5:
        return squeeze(_between(chance, 8.0, 20.0), sign * _between(chance, 0.0, 0.0005))
    if draw < 0.75:
        return trend(_between(chance, 12.0, 30.0), sign * _between(chance, 0.005, 0.018))
    if rises:
        return rally(_between(chance, 10.0, 30.0), _between(chance, 0.02, 0.05))
    return crash(_between(chance, 6.0, 20.0), -_between(chance, 0.02, 0.05))


def _between(chance: random.Random, low: float, high: float) -> float:
    return low + (high - low) * chance.random()


def _rise_or_fall(kind: PhaseKind, minutes: float, drift_frac: float) -> MarketPhase:
    """Return a rise or fall with so little noise that the strategy sees no reversal in it."""
    return MarketPhase(kind, minutes, drift_frac, noise_frac=0.0002, tick_interval_s=(2.0, 6.0), unchanged_share=0.15)


def _turn(drift_frac: float) -> MarketPhase:
    """Return a steep move against the trend.

    Every tick moves the market away from an order at the best price, so the order must be replaced at each of them.
    """
    return MarketPhase(
        PhaseKind.TREND,
        1.5,
        drift_frac,
        noise_frac=0.0001,
        tick_interval_s=(2.0, 4.0),
        spread_ticks=(2, 5),
        unchanged_share=0.0,
    )


# Made for the default settings, whatever the minute of the quarter hour in which it begins: a take-profit sells,
# another buys back, and after the crash the price stays below the hard stop for its ten minutes. It stays below the
# middle of the channel until the candles of the crash are part of it, and then rises across it, which opens the gate.
OPENING_SCENARIO: Final[tuple[MarketPhase, ...]] = (
    calm(2.0),
    _rise_or_fall(PhaseKind.RALLY, 11.0, 0.045),
    _turn(-0.011),
    calm(2.0),
    _rise_or_fall(PhaseKind.TREND, 11.0, -0.048),
    _turn(0.012),
    calm(2.0),
    crash(6.0, -0.105),
    calm(13.0),
    _rise_or_fall(PhaseKind.TREND, 17.0, 0.05),
    _rise_or_fall(PhaseKind.RALLY, 6.0, 0.075),
    calm(17.0),
)
