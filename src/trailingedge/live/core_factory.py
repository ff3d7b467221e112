"""Core factory: builds the trading core of a run from the settings' parameters and from the results of the start.

The daemon calls `build_core` once the exchange's rules are known, and a session replay calls it with the recorded
`CoreStart`. A recorder passes its own `new_core`, which makes a core that records its inputs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from trailingedge.execution.maker_exit import MakerExit
from trailingedge.execution.order_rate_budget import OrderRateBudget, OrderWindow
from trailingedge.execution.trading_core import TradingCore, TradingParams
from trailingedge.indicators.donchian import DonchianChannel
from trailingedge.live.node_params import ServicesParams
from trailingedge.model.market import SymbolRules
from trailingedge.risk.risk_engine import RiskEngine
from trailingedge.strategy.inputs import StrategyParams


@dataclass(frozen=True, slots=True)
class CoreStart:
    """The inputs from which a core is built, apart from the settings.

    `listed` are the exchange's rules; `rules` are the rules in force, which also have the stricter limits of our
    settings. `fee` is the maker fee in force, `server_ms` the exchange's time after the logon. `history` has high, low
    and close of the channel's closed klines, oldest first. `windows` has how many orders already count against each
    order limit.
    """

    listed: SymbolRules
    rules: SymbolRules
    fee: Decimal
    server_ms: int
    history: tuple[tuple[float, float, float], ...]
    windows: tuple[OrderWindow, ...]


NewCore = Callable[[StrategyParams, TradingParams, MakerExit, DonchianChannel, RiskEngine, str, str], TradingCore]
BuildCore = Callable[[ServicesParams, CoreStart, OrderRateBudget], TradingCore]


def build_core(
    params: ServicesParams, start: CoreStart, budget: OrderRateBudget, new_core: NewCore = TradingCore
) -> TradingCore:
    """Build the trading core with all its parts. `budget` is shared with the daemon's status."""
    rules, channel = start.rules, params.channel()
    # Fill the channel with the kline history here. From the first tick on the core adds each kline as it closes.
    broken_out = None
    for high, low, close in start.history:
        in_force = channel.push_prices(high, low, close)
        broken_out = None if in_force is None else in_force.breakout(close)
    core = new_core(
        params.strategy_params(rules, float(start.fee)),
        params.trading,
        MakerExit(rules, budget, params.maker_exit),
        channel,
        params.risk_engine(rules, start.server_ms),
        rules.base_asset,
        rules.quote_asset,
    )
    # So that a price which has been beyond the channel for hours is no breakout of the first close after a start.
    core.state = replace(core.state, broken_out=broken_out)
    return core
