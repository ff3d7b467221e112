"""Why: every number that led to what was done, or to nothing."""

from dataclasses import dataclass
from enum import Enum

from trailingedge.indicators.donchian import Channel
from trailingedge.model.market import Regime
from trailingedge.strategy.inputs import Holdings
from trailingedge.strategy.memory import Gate, Memory, Phase
from trailingedge.strategy.regime import price_at
from trailingedge.strategy.trailing import Trail


class Rule(Enum):
    """The rows of the table, in the order in which they are asked."""

    HALT = "invariant halt"
    WITHDRAW = "withdrawn by the operator"
    BASE_STOP = "hard stop"
    FLIP = "manual flip"
    HOLD = "held"
    EXPIRY = "command expired"
    CLOSES = "QUOTE stop and gate"
    TAKE_PROFIT = "take-profit"
    BREAKOUT = "breakout"


@dataclass(frozen=True, slots=True)
class Decision:
    """One beat, explained. `acted` is the rule that changed something, None on a quiet beat.

    `u` and `trail` are None without a regime or a trusted book. `stop_distance` is a fraction of the
    anchor, `stop_breach_ms` how long it has been reached (BASE). Prices are in quote per base.
    """

    acted: Rule | None
    memory: Memory
    hold: bool
    halted: bool
    u: float | None
    trail: Trail | None
    stop_distance: float
    stop_breach_ms: int | None
    channel: Channel | None
    squeezed: bool
    holdings: Holdings | None

    @property
    def phase(self) -> Phase:
        return self.memory.phase

    @property
    def regime(self) -> Regime | None:
        return self.memory.regime

    @property
    def gate(self) -> Gate | None:
        return self.memory.gate

    @property
    def anchor(self) -> float | None:
        """The unit value where we came in."""
        return None if self.regime is None else self.memory.anchor

    @property
    def high(self) -> float | None:
        """The best unit value since."""
        return None if self.regime is None else self.memory.high

    @property
    def anchor_price(self) -> float | None:
        return self._price(self.anchor)

    @property
    def high_price(self) -> float | None:
        return self._price(self.high)

    @property
    def arming_price(self) -> float | None:
        """Where the gain becomes worth protecting; None where none does."""
        return None if self.trail is None else self._price(self.trail.arms_at)

    @property
    def trigger_price(self) -> float | None:
        """Where the take-profit exits next: from there down in BASE, up in QUOTE; None before it is armed."""
        return None if self.trail is None else self._price(self.trail.level)

    @property
    def stop_price(self) -> float | None:
        """The hard stop: of the bid in BASE, of a close in QUOTE; None under a shut gate, which has none."""
        if self.anchor is None or self.gate is not None:
            return None
        return self._price(self.anchor * (1 - self.stop_distance))

    @property
    def gate_price(self) -> float | None:
        """The mid that a close must cross to open the gate; None with an open gate or too short a channel."""
        if self.gate is None or self.channel is None or not self.channel.full:
            return None
        return self.channel.mid

    @property
    def value(self) -> float | None:
        """What we hold, in the other asset."""
        if self.regime is None or self.u is None or self.holdings is None:
            return None
        return float(self.holdings.of(self.regime)) * self.u

    def _price(self, value: float | None) -> float | None:
        return None if value is None or self.regime is None else price_at(self.regime, value)
