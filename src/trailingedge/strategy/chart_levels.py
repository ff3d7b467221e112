"""Chart levels: anchor, high, trail, stop and channel of the strategy at one moment, as all charts show them."""

from dataclasses import dataclass

from trailingedge.indicators.donchian import Channel
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Regime
from trailingedge.strategy.hard_stop import stop_distance
from trailingedge.strategy.inputs import StrategyParams
from trailingedge.strategy.state import StrategyState
from trailingedge.strategy.trailing_take_profit import trail_at
from trailingedge.strategy.unit_value import price_at


@dataclass(frozen=True, slots=True)
class ChartLevels:
    """Prices in quote per base; None if they do not exist.

    `trail` is the price at which a take-profit is due. `trail` and `stop` are None while they cannot act, because the
    gate is shut or a hard stop sells. `channel` is None until enough candles have closed to fill it, because until then
    it is narrower than the real one.
    """

    regime: Regime | None = None
    anchor: float | None = None
    high: float | None = None
    trail: float | None = None
    stop: float | None = None
    channel: Channel | None = None
    gate_shut: bool = False


def chart_levels(
    state: StrategyState,
    exit_kind: ExitKind | None,
    high: float,
    price: float,
    channel: Channel | None,
    params: StrategyParams,
) -> ChartLevels:
    """Return the levels at `price`: the bid in BASE, the ask in QUOTE. `high` is the best unit value since the anchor.

    `exit_kind` is that of the exit in progress, if any.
    """
    regime, shut = state.regime, state.gate is not None
    full = channel if channel is not None and channel.full else None
    if regime is None:
        return ChartLevels(channel=full, gate_shut=shut)
    trail = stop = None
    if not shut and exit_kind is not ExitKind.FLUSH:
        stop = price_at(regime, state.anchor * (1 - stop_distance(channel, params)))
        due_at = trail_at(regime, price, state.anchor, high, channel, params).trigger_value
        trail = None if due_at is None else price_at(regime, due_at)
    return ChartLevels(regime, price_at(regime, state.anchor), price_at(regime, high), trail, stop, full, shut)
