"""Side change: derives the side held after a finished exit, by the same rules live and at a restart.

The live strategy derives the side from the progress of its exit, a restart from the account's order history. Both must
reach the same side, anchor and gate, or a restart would change what the strategy does next.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import BookTop, Regime, Side
from trailingedge.strategy.inputs import Holdings, StrategyParams
from trailingedge.strategy.state import ReentryGate, ShutBy, StrategyState
from trailingedge.strategy.unit_value import more_valuable_regime


@dataclass(frozen=True, slots=True)
class SideChange:
    """The side held from now on and its anchor price, in quote per base. A filled hard stop also shuts the gate."""

    regime: Regime
    price: float
    shuts_gate: bool = False


def after_filled_exit(kind: ExitKind, side: Side, average: Decimal | float) -> SideChange:
    """The change made by an exit that sold all it could, at the `average` price of its fills."""
    return SideChange(regime_after(side), float(average), shuts_gate=kind is ExitKind.FLUSH)


def side_after_partial_exit(held: Regime, holdings: Holdings, top: BookTop, params: StrategyParams) -> Regime:
    """The side to hold after an exit that sold only a part: the one worth more, `held` where neither can be traded."""
    return more_valuable_regime(holdings, top, params) or held


def after_partial_exit(held: Regime, side_held: Regime, average: Decimal | float) -> SideChange | None:
    """The change made by an exit from `held` that sold only a part; None where the side stays.

    `side_held` is the side held since. Its anchor is the average of the fills. The gate stays as it is, even after
    a hard stop, because the exit did not sell everything.
    """
    return None if side_held is held else SideChange(side_held, float(average))


def regime_after(side: Side) -> Regime:
    """The side that a completed `side` order leads to."""
    return Regime.QUOTE if side is Side.SELL else Regime.BASE


def enter_side(state: StrategyState, change: SideChange, market_ms: int) -> StrategyState:
    """`state` after `change`: a new anchor, and a shut gate where the change shuts it."""
    state = state.anchored(change.regime, change.price, market_ms)
    return replace(state, gate=shut_gate(change, market_ms)) if change.shuts_gate else state


def shut_gate(change: SideChange, market_ms: int) -> ReentryGate:
    """The gate that a filled hard stop leaves: shut, at the average price of its fills."""
    return ReentryGate(ShutBy.HARD_STOP, change.price, market_ms)
