"""One decision in the making: what is given, the memory as it changes, and what is to be told of it."""

from dataclasses import replace
from decimal import Decimal

from trailingedge.model.intent import ExitEndReason, ExitKind, ExitProgress, OrderIntent
from trailingedge.model.market import ZERO, Regime, Side
from trailingedge.strategy.hard_stop import stop_distance
from trailingedge.strategy.inputs import Holdings, Inputs, StrategyParams
from trailingedge.strategy.regime import is_tradable, more_valuable_regime, unit_value
from trailingedge.strategy.signals import (
    CommandRefused,
    ExitEnding,
    Funded,
    Origin,
    RegimeSet,
    StrategySignal,
    Unfunded,
)
from trailingedge.strategy.state import ActiveExit, StrategyState
from trailingedge.strategy.trailing_stop import Trail, compute_min_gain, compute_trail


class Evaluation:
    """Lives for one call of `decide`; the rules work on it in turn."""

    __slots__ = (
        "_trail",
        "_trail_of",
        "ask",
        "bid",
        "closed_klines_applied",
        "events",
        "inputs",
        "params",
        "state",
        "stop_distance",
        "unit_value",
    )

    def __init__(self, inputs: Inputs, memory: StrategyState, params: StrategyParams) -> None:
        self.inputs = inputs
        self.state = memory
        self.params = params
        self.bid = 0.0 if inputs.top is None else float(inputs.top.bid)
        self.ask = 0.0 if inputs.top is None else float(inputs.top.ask)
        self.stop_distance = stop_distance(inputs.channel, params)
        self.events: list[StrategySignal] = []
        self.closed_klines_applied = False
        self._trail: Trail | None = None
        self._trail_of: StrategyState | None = None
        self.unit_value = self._unit_value_in(memory.regime)  # None without a regime or a trusted book

    def exit_price(self, regime: Regime) -> float:
        """The price that leaves `regime` at once: the bid in BASE, the ask in QUOTE."""
        return self.bid if regime is Regime.BASE else self.ask

    @property
    def holdings(self) -> Holdings | None:
        """The balances as last settled."""
        return self.inputs.holdings if self.inputs.holdings is not None else self.state.holdings

    def progress_of(self, exit_: ActiveExit) -> ExitProgress | None:
        """What the chaser says of this exit, if it knows it."""
        progress = self.inputs.progress
        return progress if progress is not None and progress.number == exit_.number else None

    def set_anchor(self, regime: Regime, price: float, origin: Origin) -> None:
        """Come into `regime` at `price`, in quote per base."""
        self.events.append(RegimeSet(self.state.regime, regime, price, origin))
        self.state = self.state.anchored(regime, price, self.inputs.market_ms)
        self.unit_value = self._unit_value_in(regime)

    def start_exit(self, kind: ExitKind, side: Side) -> ActiveExit:
        """Latch a new exit. Its number is the time, and never one that was used before."""
        number = max(self.inputs.server_ms, self.state.last_number + 1)
        top = self.inputs.top
        started = ActiveExit(kind, side, number, self.inputs.market_ms, None if top is None else top.mid)
        self.state = replace(self.state, exit=started, last_number=number, stop_breach_since_ms=None)
        return started

    def end_exit(self, exit_: ActiveExit, cause: ExitEndReason) -> None:
        """Begin to withdraw the exit in progress."""
        self.events.append(ExitEnding(exit_.kind, exit_.side, exit_.number, cause))
        self.state = replace(self.state, exit=replace(exit_, ending=cause), stop_breach_since_ms=None)

    def refuse_command(self, reason: str) -> None:
        """Tell the operator why not."""
        if self.inputs.command is not None:
            self.events.append(CommandRefused(self.inputs.command, reason))

    def trail(self) -> Trail | None:
        """The take-profit's numbers now; None without a regime or a trusted book."""
        if self._trail_of is not self.state:
            self._trail, self._trail_of = self._compute_trail(), self.state
        return self._trail

    def _unit_value_in(self, regime: Regime | None) -> float | None:
        """What one unit could be turned into at once."""
        if regime is None or self.inputs.top is None:
            return None
        return unit_value(regime, self.exit_price(regime))

    def _compute_trail(self) -> Trail | None:
        memory, params, u = self.state, self.params, self.unit_value
        if memory.regime is None or u is None:
            return None
        return compute_trail(
            u,
            memory.anchor,
            memory.high,
            compute_min_gain(memory.regime, memory.anchor, self.ask, self.inputs.channel, params),
            params.fee,
            start_factor=params.start_factor,
            min_factor=params.min_factor,
            gain_scale_frac=params.gain_scale_frac(memory.regime),
        )

    def intent(self) -> OrderIntent | None:
        """What the chaser is to do: nothing, or sell all of the side held, for as long as the exit is latched."""
        exit_, holdings = self.state.exit, self.holdings
        if exit_ is None or exit_.ending is not None or holdings is None:
            return None
        funds = holdings.base if exit_.side is Side.SELL else holdings.quote
        if self.inputs.holdings is None:
            # The balances lag behind the fills: what was filled since they were settled is gone already.
            funds = max(ZERO, funds - (self.sold_amount(exit_) - exit_.accounted))
        pricing = self.params.hard_stop_pricing if exit_.kind is ExitKind.FLUSH else self.params.exit_pricing
        return OrderIntent(exit_.side, funds, pricing, exit_.kind, exit_.number)

    def sold_amount(self, exit_: ActiveExit) -> Decimal:
        """How much of the asset sold the exit has filled away so far."""
        progress = self.progress_of(exit_)
        if progress is None:
            return ZERO
        return progress.filled_base if exit_.side is Side.SELL else progress.filled_quote


def update_holdings(beat: Evaluation) -> None:
    """Remember the balances while they are settled, and whether anybody is watching the market."""
    memory, inputs = beat.state, beat.inputs
    if inputs.top is None:
        memory = replace(memory, untrusted_book_ms=inputs.market_ms)
    if inputs.holdings is not None:
        if inputs.holdings != memory.holdings:
            memory = replace(memory, holdings=inputs.holdings)
        if memory.exit is not None and (sold := beat.sold_amount(memory.exit)) != memory.exit.accounted:
            memory = replace(memory, exit=replace(memory.exit, accounted=sold))
    beat.state = memory


def update_position_side(beat: Evaluation) -> None:
    """The side held is sticky: only another hand can change it here, and only by leaving nothing to trade."""
    memory, top, holdings = beat.state, beat.inputs.top, beat.inputs.holdings
    if memory.exit is not None or top is None or holdings is None:
        return
    held = memory.regime
    if held is None:
        found = more_valuable_regime(holdings, top, beat.params)
    elif is_tradable(held, holdings, top, beat.params):
        found = held
    else:
        found = held.other if is_tradable(held.other, holdings, top, beat.params) else None
    if found is None:
        if memory.funded is not False:
            beat.state = replace(memory, funded=False, stop_breach_since_ms=None)
            beat.events.append(Unfunded(held, holdings))
        return
    if found is not held:
        _adopt_outside_change(beat, found)
    elif memory.funded is False:
        beat.events.append(Funded(found, holdings))
    if not memory.funded:
        beat.state = replace(beat.state, funded=True)


def _adopt_outside_change(beat: Evaluation, regime: Regime) -> None:
    """Anchor where the other hand traded, or where the market is."""
    inputs, setting = beat.inputs, beat.params.anchor_price
    if beat.state.regime is None and setting is not None:
        beat.set_anchor(regime, float(setting), Origin.SETTING)
    elif inputs.outside_price is not None:
        beat.set_anchor(regime, float(inputs.outside_price), Origin.OUTSIDE)
    else:
        beat.set_anchor(regime, beat.exit_price(regime), Origin.MARKET)


def raise_high(beat: Evaluation) -> None:
    """The high is the best unit value since the anchor; unfunded, there is nothing to measure."""
    memory, u = beat.state, beat.unit_value
    if u is not None and u > memory.high and memory.funded:
        beat.state = replace(memory, high=u)
