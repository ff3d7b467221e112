"""Where we stand before any rule is asked: balances, the side held, the best it has been worth."""

from dataclasses import replace

from trailingedge.model.market import Regime
from trailingedge.strategy.beat import Beat
from trailingedge.strategy.events import Funded, Origin, Unfunded
from trailingedge.strategy.regime import tradable, worth_more


def take_stock(beat: Beat) -> None:
    """Remember the balances while they are settled, and whether anybody is watching the market."""
    memory, inputs = beat.memory, beat.inputs
    if inputs.top is None:
        memory = replace(memory, blind_ms=inputs.market_ms)
    if inputs.holdings is not None:
        if inputs.holdings != memory.holdings:
            memory = replace(memory, holdings=inputs.holdings)
        if memory.exit is not None and (sold := beat.sold(memory.exit)) != memory.exit.accounted:
            memory = replace(memory, exit=replace(memory.exit, accounted=sold))
    beat.memory = memory


def see_regime(beat: Beat) -> None:
    """The side held is sticky: only another hand can change it here, and only by leaving nothing to trade."""
    memory, top, holdings = beat.memory, beat.inputs.top, beat.inputs.holdings
    if memory.exit is not None or top is None or holdings is None:
        return
    held = memory.regime
    if held is None:
        found = worth_more(holdings, top, beat.params)
    elif tradable(held, holdings, top, beat.params):
        found = held
    else:
        found = held.other if tradable(held.other, holdings, top, beat.params) else None
    if found is None:
        if memory.funded is not False:
            beat.memory = replace(memory, funded=False, stop_breach_since_ms=None)
            beat.events.append(Unfunded(held, holdings))
        return
    if found is not held:
        _come_from_outside(beat, found)
    elif memory.funded is False:
        beat.events.append(Funded(found, holdings))
    if not memory.funded:
        beat.memory = replace(beat.memory, funded=True)


def _come_from_outside(beat: Beat, regime: Regime) -> None:
    """Anchor where the other hand traded, or where the market is."""
    inputs, setting = beat.inputs, beat.params.anchor_price
    if beat.memory.regime is None and setting is not None:
        beat.anchor(regime, float(setting), Origin.SETTING)
    elif inputs.outside_price is not None:
        beat.anchor(regime, float(inputs.outside_price), Origin.OUTSIDE)
    else:
        beat.anchor(regime, beat.price_in(regime), Origin.MARKET)


def raise_high(beat: Beat) -> None:
    """The high is the best unit value since the anchor; unfunded, there is nothing to measure."""
    memory, u = beat.memory, beat.u
    if u is not None and u > memory.high and memory.funded:
        beat.memory = replace(memory, high=u)
