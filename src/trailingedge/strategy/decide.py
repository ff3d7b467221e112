"""One beat of thought: what is over, where we stand, and the first rule that has something to say.

Exits are latched: a rule that is true for one beat starts one, and it lasts until it is filled, too small
to go on, withdrawn, or upgraded to a flush. In between, only the rows above the take-profit matter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from trailingedge.indicators.donchian import Channel
from trailingedge.model.intent import OrderIntent
from trailingedge.model.market import Regime
from trailingedge.strategy import rules
from trailingedge.strategy.evaluation import Evaluation, raise_high, update_holdings, update_position_side
from trailingedge.strategy.exit_completion import finish_exit
from trailingedge.strategy.inputs import Holdings, Inputs, StrategyParams
from trailingedge.strategy.regime import price_at
from trailingedge.strategy.signals import StrategySignal
from trailingedge.strategy.state import Phase, ReentryGate, StrategyState
from trailingedge.strategy.trailing_stop import Trail


class Rule(Enum):
    """The rows of the table, in the order in which they are asked."""

    HALT = "invariant halt"
    CANCEL = "withdrawn by the operator"
    BASE_STOP = "hard stop"
    FLIP = "manual flip"
    PAUSE = "held"
    COMMAND_EXPIRY = "command expired"
    CLOSED_KLINES = "QUOTE stop and gate"
    TAKE_PROFIT = "take-profit"
    BREAKOUT = "breakout"


@dataclass(frozen=True, slots=True)
class Decision:
    """One beat, explained. `acted` is the rule that changed something, None on a quiet beat.

    `u` and `trail` are None without a regime or a trusted book. `stop_distance` is a fraction of the
    anchor, `stop_breach_ms` how long it has been reached (BASE). Prices are in quote per base.
    """

    acted: Rule | None
    state: StrategyState
    trading_paused: bool
    halted: bool
    unit_value: float | None
    trail: Trail | None
    stop_distance: float
    stop_breach_ms: int | None
    channel: Channel | None
    squeezed: bool
    holdings: Holdings | None

    @property
    def phase(self) -> Phase:
        return self.state.phase

    @property
    def regime(self) -> Regime | None:
        return self.state.regime

    @property
    def gate(self) -> ReentryGate | None:
        return self.state.gate

    @property
    def anchor(self) -> float | None:
        """The unit value where we came in."""
        return None if self.regime is None else self.state.anchor

    @property
    def high(self) -> float | None:
        """The best unit value since."""
        return None if self.regime is None else self.state.high

    @property
    def anchor_price(self) -> float | None:
        return self._price_of(self.anchor)

    @property
    def high_price(self) -> float | None:
        return self._price_of(self.high)

    @property
    def trail_arms_at_price(self) -> float | None:
        """Where the gain becomes worth protecting; None where none does."""
        return None if self.trail is None else self._price_of(self.trail.arming_value)

    @property
    def take_profit_price(self) -> float | None:
        """Where the take-profit exits next: from there down in BASE, up in QUOTE; None before it is armed."""
        return None if self.trail is None else self._price_of(self.trail.trigger_value)

    @property
    def stop_price(self) -> float | None:
        """The hard stop: of the bid in BASE, of a close in QUOTE; None under a shut gate, which has none."""
        if self.anchor is None or self.gate is not None:
            return None
        return self._price_of(self.anchor * (1 - self.stop_distance))

    @property
    def gate_price(self) -> float | None:
        """The mid that a close must cross to open the gate; None with an open gate or too short a channel."""
        if self.gate is None or self.channel is None or not self.channel.full:
            return None
        return self.channel.mid

    @property
    def value_in_other_asset(self) -> float | None:
        """What we hold, in the other asset."""
        if self.regime is None or self.unit_value is None or self.holdings is None:
            return None
        return float(self.holdings.amount_in(self.regime)) * self.unit_value

    def _price_of(self, value: float | None) -> float | None:
        return None if value is None or self.regime is None else price_at(self.regime, value)


# First match acts.
RULES: Final[tuple[tuple[Rule, Callable[[Evaluation], bool]], ...]] = (
    (Rule.HALT, rules.halt),
    (Rule.CANCEL, rules.cancel_exit),
    (Rule.BASE_STOP, rules.hard_stop_in_base),
    (Rule.FLIP, rules.manual_flip),
    (Rule.PAUSE, rules.cancel_buy_while_paused),
    (Rule.COMMAND_EXPIRY, rules.expire_command),
    (Rule.CLOSED_KLINES, rules.apply_closed_klines),
    (Rule.TAKE_PROFIT, rules.take_profit),
    (Rule.BREAKOUT, rules.breakout),
)


@dataclass(frozen=True, slots=True)
class StrategyStep:
    """What one beat comes to: what to remember, to want, to explain and to tell."""

    state: StrategyState
    intent: OrderIntent | None
    decision: Decision
    events: tuple[StrategySignal, ...]


def decide(inputs: Inputs, memory: StrategyState, params: StrategyParams) -> StrategyStep:
    """The next step. Pure: the same arguments give the same answer."""
    beat = Evaluation(inputs, memory, params)
    finish_exit(beat)
    update_holdings(beat)
    update_position_side(beat)
    raise_high(beat)
    acted = next((rule for rule, acts in RULES if acts(beat)), None)
    if not beat.closed_klines_applied:
        rules.apply_closed_klines(beat)  # a close comes only once, whatever was more urgent
    raise_high(beat)  # a gate that opened has set a new anchor
    return StrategyStep(beat.state, beat.intent(), build_decision(beat, acted), tuple(beat.events))


def build_decision(beat: Evaluation, acted: Rule | None) -> Decision:
    """Every number behind this beat."""
    memory, inputs = beat.state, beat.inputs
    since = memory.stop_breach_since_ms
    return Decision(
        acted=acted,
        state=memory,
        trading_paused=inputs.trading_paused,
        halted=inputs.halted,
        unit_value=beat.unit_value,
        trail=beat.trail(),
        stop_distance=beat.stop_distance,
        stop_breach_ms=None if since is None else inputs.market_ms - since,
        channel=inputs.channel,
        squeezed=memory.squeezed,
        holdings=beat.holdings,
    )
