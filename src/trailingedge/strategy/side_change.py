"""Side change: derives the side held and the anchor after a finished exit, by the same rules live and at a restart.

The live strategy derives the side from the progress of its exit, a restart from the account's order history. Both must
reach the same side, anchor and gate, or a restart would change what the strategy does next. Therefore only
`with_new_anchor` changes the state at a new anchor, live and at a restart.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import BookTop, Regime, Side
from trailingedge.strategy.inputs import Holdings, StrategyParams
from trailingedge.strategy.state import ReentryGate, ShutBy, StrategyState
from trailingedge.strategy.strategy_events import Origin
from trailingedge.strategy.unit_value import more_valuable_regime


@dataclass(frozen=True, slots=True)
class NewAnchor:
    """The side held from `market_ms` on, and its anchor price in quote per base.

    `origin` is the source of the price; EXIT means that an exit of ours led to this side.
    `shuts_gate` is true after a filled hard stop.
    """

    market_ms: int
    regime: Regime
    price: float
    origin: Origin
    shuts_gate: bool = False


def after_filled_exit(kind: ExitKind, side: Side, average: Decimal | float, market_ms: int) -> NewAnchor:
    """Return the anchor after an exit that sold all it could.

    `average` is the average price of its fills.
    """
    return NewAnchor(market_ms, regime_after(side), float(average), Origin.EXIT, shuts_gate=kind is ExitKind.FLUSH)


def side_after_partial_exit(held: Regime, holdings: Holdings, top: BookTop, params: StrategyParams) -> Regime:
    """Return the side after a part-filled exit from `held`: the side that is worth more.

    If neither side can be traded, the result is `held`.
    """
    return more_valuable_regime(holdings, top, params) or held


def after_partial_exit(held: Regime, side_held: Regime, average: Decimal | float, market_ms: int) -> NewAnchor | None:
    """Return the anchor after a part-filled exit from `held`; None if the side stays `held`.

    `side_held` is the side after the exit. Its anchor is the average price of the fills. The gate
    stays as it is, even after a hard stop, because the exit did not sell everything.
    """
    return None if side_held is held else NewAnchor(market_ms, side_held, float(average), Origin.EXIT)


def regime_after(side: Side) -> Regime:
    """Return the regime after a filled exit: QUOTE after a sell, BASE after a buy."""
    return Regime.QUOTE if side is Side.SELL else Regime.BASE


def with_new_anchor(state: StrategyState, new: NewAnchor) -> StrategyState:
    """Return `state` with the side and anchor of `new`, and a shut gate if `new` shuts it.

    The price of that gate is the average of the hard stop's fills.
    """
    state = state.anchored(new.regime, new.price, new.market_ms)
    return replace(state, gate=ReentryGate(ShutBy.HARD_STOP, new.price, new.market_ms)) if new.shuts_gate else state
