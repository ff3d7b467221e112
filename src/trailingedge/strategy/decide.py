"""The decision of one tick: ends a finished exit and applies the first rule that matches.

Holdings and high are updated first. Then a table of rules is checked in order, and the first rule
that matches acts. A rule that matches for only one tick can start an exit. The exit then lasts until
it is filled, until its remainder is too small to place, until it is cancelled, or until the hard
stop takes it over. During an exit, only the rules above the take-profit can change anything.
"""

from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

from trailingedge.indicators.donchian import Channel
from trailingedge.model.intent import OrderIntent
from trailingedge.model.market import Regime
from trailingedge.strategy import decision_rules
from trailingedge.strategy.blocks import TradeBlock
from trailingedge.strategy.close_trigger import mark_judged, take_in_closes
from trailingedge.strategy.evaluation_context import (
    Evaluation,
    raise_high,
    raise_high_to_passed_prices,
    update_holdings,
    update_position_side,
)
from trailingedge.strategy.exit_completion import finish_exit
from trailingedge.strategy.hard_stop import LARGEST_LOSS_CONFIRM_S
from trailingedge.strategy.inputs import Holdings, Inputs, StrategyParams
from trailingedge.strategy.reentry_gate import gate_mid
from trailingedge.strategy.state import Phase, ReentryGate, StrategyState
from trailingedge.strategy.strategy_events import StrategySignal
from trailingedge.strategy.trailing_take_profit import Trail
from trailingedge.strategy.unit_value import price_at


class Rule(Enum):
    """The rules, in the order in which they are applied. Session records contain the values."""

    SOLD_OUT = "last fill"
    HALT = "invariant halt"
    CANCEL = "withdrawn by the operator"
    BASE_STOP = "hard stop"
    FLIP = "manual flip"
    PAUSE = "held"
    COMMAND_EXPIRY = "command expired"
    CLOSED_KLINES = "QUOTE stop and gate"
    TAKE_PROFIT = "take-profit"
    BREAKOUT = "breakout"


class Decision(NamedTuple):
    """The result of one evaluation with every number behind it, for log, status, `why`, record and backtest.

    `acted` is the rule that changed something, or None if no rule did. `unit_value` and `trail` are
    None without a regime or a trusted book. `stop_distance` is a fraction of the anchor.
    `stop_breach_ms` is how long the bid has been at the hard stop (BASE). Prices are in quote per
    base. `exit_blocks` are the reasons why the strategy may not start an exit by itself. The reason
    UNSETTLED (balances not settled) is left out, because it lasts only milliseconds. So if there is
    no reason and a take-profit is due but not started, the strategy waits for balances. With TRIGGER_ON=close,
    `judged_close` is the close that take-profit and hard stop judged; `trail` is that of this close.

    The fields are recorded; a value that can be computed from them is a property.
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
    exit_blocks: tuple[TradeBlock, ...] = ()
    judged_close: float | None = None

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
        """The unit value at which we entered the regime (BASE or QUOTE); None without a regime."""
        return None if self.regime is None else self.state.anchor

    @property
    def high(self) -> float | None:
        """The best unit value since the anchor; None without a regime."""
        return None if self.regime is None else self.state.high

    @property
    def anchor_price(self) -> float | None:
        return self._price_of(self.anchor)

    @property
    def high_price(self) -> float | None:
        return self._price_of(self.high)

    @property
    def trail_arms_at_price(self) -> float | None:
        """Return the price at which the trail becomes armed; None without a trail or if no gain can arm it."""
        return None if self.trail is None else self._price_of(self.trail.arming_value)

    @property
    def take_profit_price(self) -> float | None:
        """Return the trigger price; None if the trail is not armed.

        BASE sells at a bid <= it, QUOTE buys at an ask >= it.
        """
        return None if self.trail is None else self._price_of(self.trail.trigger_value)

    @property
    def stop_price(self) -> float | None:
        """The price of the stop: the bid is compared with it in BASE, a kline's close in QUOTE.

        It is None while the gate is shut, and while there is no regime.
        """
        return None if self.gate is not None else self.price_of_loss(self.stop_distance)

    def price_of_loss(self, fraction: float) -> float | None:
        """Return the price at which that fraction of the anchor is lost; None without a regime."""
        return None if self.anchor is None else self._price_of(self.anchor * (1 - fraction))

    def stop_confirms_in_s(self, params: StrategyParams) -> float | None:
        """Return in how many seconds the hard stop is confirmed if the price stays.

        None without a breach, and without a trusted book, because then no price is known.
        """
        since, max_since = self.state.stop_breach_since_ms, self.state.max_breach_since_ms
        if self.stop_breach_ms is None or since is None or self.unit_value is None:
            return None
        waits_ms = [params.hard_stop_confirm_sec * 1000 - self.stop_breach_ms]
        if max_since is not None:
            waits_ms.append(LARGEST_LOSS_CONFIRM_S * 1000 - (since + self.stop_breach_ms - max_since))
        return max(0.0, min(waits_ms) / 1000)

    @property
    def gate_price(self) -> float | None:
        """The middle of the channel, which a close must cross to open the shut gate.

        It is None while the gate is open, and while the channel covers too few candles.
        """
        return None if self.gate is None else gate_mid(self.channel)

    @property
    def value_in_other_asset(self) -> float | None:
        """Return the value of our holdings in the other asset; None if it is not known."""
        if self.regime is None or self.unit_value is None or self.holdings is None:
            return None
        return float(self.holdings.amount_in(self.regime)) * self.unit_value

    def _price_of(self, value: float | None) -> float | None:
        return None if value is None or self.regime is None else price_at(self.regime, value)


class Occasion(Enum):
    """An input that a rule needs before it can match. Without this input the rule is not tried."""

    PRICE = "a price, which every tick has"
    EXIT = "an exit in progress"
    HALT = "a broken invariant"
    COMMAND = "a command of the operator"
    CANDLE = "a closed kline"


# The first rule that matches acts, and the rules below it are not checked in this tick. The order is the precedence:
# the last fill of an exit before anything else, a halt before a command, a cancel before the hard stop, the hard stop
# before all rules that seek profit.
RULES: Final[tuple[tuple[Rule, Occasion, Callable[[Evaluation], bool]], ...]] = (
    (Rule.SOLD_OUT, Occasion.EXIT, decision_rules.await_end_of_sold_exit),
    (Rule.HALT, Occasion.HALT, decision_rules.halt),
    (Rule.CANCEL, Occasion.COMMAND, decision_rules.cancel_exit),
    (Rule.BASE_STOP, Occasion.PRICE, decision_rules.hard_stop_in_base),
    (Rule.FLIP, Occasion.COMMAND, decision_rules.manual_flip),
    (Rule.PAUSE, Occasion.EXIT, decision_rules.cancel_buy_while_paused),
    (Rule.COMMAND_EXPIRY, Occasion.EXIT, decision_rules.expire_command),
    (Rule.CLOSED_KLINES, Occasion.CANDLE, decision_rules.apply_closed_klines),
    (Rule.TAKE_PROFIT, Occasion.PRICE, decision_rules.take_profit),
    (Rule.BREAKOUT, Occasion.CANDLE, decision_rules.breakout),
)


@lru_cache
def rules_for(
    exit_: bool, halt: bool, command: bool, candle: bool
) -> tuple[tuple[Rule, Callable[[Evaluation], bool]], ...]:
    """Return the rows of the table that can match, in the table's order. At most ticks only the price has changed."""
    there = {Occasion.EXIT: exit_, Occasion.HALT: halt, Occasion.COMMAND: command, Occasion.CANDLE: candle}
    return tuple((rule, acts) for rule, needed, acts in RULES if there.get(needed, True))


class StrategyStep(NamedTuple):
    """The result of `decide`: the new state, the order we want, the explanation, and the signals to publish."""

    state: StrategyState
    intent: OrderIntent | None
    decision: Decision
    events: tuple[StrategySignal, ...]


def decide(inputs: Inputs, state: StrategyState, params: StrategyParams) -> StrategyStep:
    """Evaluate one tick and return the result. The same arguments always give the same result."""
    evaluation = Evaluation(inputs, state, params)
    # The order matters. The prices since the last evaluation belong to the old regime. A finished exit sets the new,
    # which the balances are then compared with; the high is measured in it; and the rules read all three.
    if inputs.highest_bid is not None or inputs.lowest_ask is not None:
        raise_high_to_passed_prices(evaluation)
    if state.exit is not None:
        finish_exit(evaluation)
    update_holdings(evaluation)
    update_position_side(evaluation)
    take_in_closes(evaluation)
    raise_high(evaluation)
    before_rules = evaluation.state
    acted = apply_rules(evaluation)
    if inputs.closed_klines and not evaluation.closed_klines_applied:
        # Each closed kline comes only once, so it must be applied even if an earlier rule acted first.
        decision_rules.apply_closed_klines(evaluation)
    if evaluation.state is not before_rules:
        # A gate that opened has set a new anchor and a high equal to it; the price may be beyond it already.
        raise_high(evaluation)
    if acted is not Rule.CLOSED_KLINES:  # else the rules below it have not judged the close
        mark_judged(evaluation)
    intent = None if evaluation.state.exit is None else evaluation.intent()
    return StrategyStep(evaluation.state, intent, build_decision(evaluation, acted), tuple(evaluation.events))


def apply_rules(evaluation: Evaluation) -> Rule | None:
    """Apply the first rule that matches. Returns it, or None if no rule matches."""
    inputs, exit_ = evaluation.inputs, evaluation.state.exit
    rules = rules_for(exit_ is not None, inputs.halted, inputs.command is not None, bool(inputs.closed_klines))
    for rule, acts in rules:
        if acts(evaluation):
            return rule
    return None


def build_decision(evaluation: Evaluation, acted: Rule | None) -> Decision:
    """Build the `Decision` from this evaluation. `acted` is the rule that acted, or None."""
    state, inputs, blocks = evaluation.state, evaluation.inputs, evaluation.exit_blocks()
    if inputs.holdings is None:
        blocks = tuple([block for block in blocks if block is not TradeBlock.UNSETTLED])
    since = state.stop_breach_since_ms
    # Without the names of the fields, because a call with names takes three times as long.
    return Decision(
        acted,
        state,
        inputs.trading_paused,
        inputs.halted,
        evaluation.unit_value,
        evaluation.trail(),
        evaluation.stop_distance,
        None if since is None else inputs.market_ms - since,
        inputs.channel,
        state.squeezed,
        evaluation.holdings,
        blocks,
        evaluation.judged_close,
    )
