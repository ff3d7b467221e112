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
    """The side held after an exit, and its anchor price in quote per base.

    `shuts_gate` is true after a filled hard stop.
    """

    regime: Regime
    price: float
    shuts_gate: bool = False


def after_filled_exit(kind: ExitKind, side: Side, average: Decimal | float) -> SideChange:
    """Return the side change after an exit that sold all it could.

    `average` is the average price of its fills.
    """
    return SideChange(regime_after(side), float(average), shuts_gate=kind is ExitKind.FLUSH)


def side_after_partial_exit(held: Regime, holdings: Holdings, top: BookTop, params: StrategyParams) -> Regime:
    """Return the side after a part-filled exit from `held`: the side that is worth more.

    If neither side can be traded, the result is `held`.
    """
    return more_valuable_regime(holdings, top, params) or held


def after_partial_exit(held: Regime, side_held: Regime, average: Decimal | float) -> SideChange | None:
    """Return the side change after a part-filled exit from `held`; None if the side stays `held`.

    `side_held` is the side after the exit. Its anchor is the average price of the fills. The gate
    stays as it is, even after a hard stop, because the exit did not sell everything.
    """
    return None if side_held is held else SideChange(side_held, float(average))


def regime_after(side: Side) -> Regime:
    """Return the regime after a filled exit: QUOTE after a sell, BASE after a buy."""
    return Regime.QUOTE if side is Side.SELL else Regime.BASE


def enter_side(state: StrategyState, change: SideChange, market_ms: int) -> StrategyState:
    """Return `state` with the side and anchor of `change`, and a shut gate if `change` shuts it."""
    state = state.anchored(change.regime, change.price, market_ms)
    return replace(state, gate=shut_gate(change, market_ms)) if change.shuts_gate else state


def shut_gate(change: SideChange, market_ms: int) -> ReentryGate:
    """Return the gate that a filled hard stop shuts.

    Its price is the average of the stop's fills.
    """
    return ReentryGate(ShutBy.HARD_STOP, change.price, market_ms)
