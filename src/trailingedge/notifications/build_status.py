"""Status builder: builds the `StatusView` from the trading core and the market state, for the daemon and for session
replay.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from trailingedge.execution.order import OrderState
from trailingedge.execution.trading_core import TradingCore
from trailingedge.model.market import ZERO, Balance, Regime
from trailingedge.model.market_state import MarketState
from trailingedge.notifications.status import ExitView, QuoteObstacle, StatusView
from trailingedge.strategy.blocks import stop_blocks
from trailingedge.strategy.decide import Decision
from trailingedge.strategy.inputs import StrategyParams
from trailingedge.strategy.state import ActiveExit


def build_status(
    trader: TradingCore,
    snapshots: MarketState,
    now_s: float,
    *,
    mode: str,
    reconnects: int,
    stale_after_s: float = 10.0,
    kline_interval: str = "",
    reserve_base: Decimal = ZERO,
    reserve_quote: Decimal = ZERO,
    budget_short: bool = False,
    reject_text: str | None = None,
    replaces: int = 0,
    halt_reason: str | None = None,
) -> StatusView:
    """Return the current status.

    `budget_short`: the order limit forbids a replace now. `reject_text` is the exchange's reason if it rejected the
    last order, else None; `replaces` counts the replaces of the exit in progress.
    """
    rules, decision = trader.rules, trader.decision
    base, quote = (_balance(snapshots.balances, asset) for asset in (rules.base_asset, rules.quote_asset))
    view = StatusView(
        mode=mode,
        rules=rules,
        phase=trader.state.phase.value,
        base=base,
        quote=quote,
        reserve_base=reserve_base,
        reserve_quote=reserve_quote,
        market_ms=snapshots.market_ms(now_s),
        account_proven=snapshots.account_proven,
        reconnects=reconnects,
        kline_interval=kline_interval,
        halted=trader.halted,
        halt_reason=halt_reason if trader.halted else None,
        reject_text=reject_text,
    )
    # Before the first tick there is no decision; a halt can come earlier.
    if decision is None:
        return view
    top = snapshots.top
    age_s = now_s - snapshots.top_confirmed_s
    view = replace(
        view,
        top=top,
        value=None if top is None else base.total * top.bid + quote.total,
        data_age_s=age_s,
        paused=trader.paused,
        trips=trader.risk.breakers.state.trips,
        trading_paused=trader.trading_paused,
        active_exit=_exit_view(
            trader,
            trader.state.exit,
            view,
            fresh=age_s < stale_after_s,
            budget_short=budget_short,
            reject_text=reject_text,
            replaces=replaces,
        ),
    )
    return with_decision(view, decision, trader.strategy_params)


def with_decision(view: StatusView, decision: Decision, params: StrategyParams) -> StatusView:
    """Return a copy of `view` with the levels and the position of `decision`."""
    channel, trail = decision.channel, decision.trail
    # A channel of too few candles is narrower than the real one, and its levels would mislead.
    shown = channel if channel is not None and channel.full else None
    blocked = stop_blocks(view.active_exit, halted=view.halted, funded=bool(decision.state.funded))
    stop = None if blocked else decision.stop_price
    # The price has fallen through the trail and below break-even: the take-profit level cannot act any more.
    passed = trail is not None and trail.drawdown >= trail.callback and not trail.due
    return replace(
        view,
        regime=decision.regime,
        anchor=decision.anchor_price,
        high=decision.high_price,
        gain_frac=_growth(decision.anchor, decision.unit_value),
        high_frac=_growth(decision.anchor, decision.high),
        trailing=trail is not None and trail.armed,
        trails_from=decision.trail_arms_at_price,
        take_profit=None if passed else decision.take_profit_price,
        stop=stop,
        stop_frac=None if stop is None else decision.stop_distance,
        stop_confirm_s=params.hard_stop_confirm_sec,
        stop_at_once=None if stop is None else decision.price_of_loss(params.hard_stop_max_frac),
        closes_alone=params.trigger_on.at_close,
        lower=None if shown is None else shown.lower,
        mid=None if shown is None else shown.mid,
        upper=None if shown is None else shown.upper,
        squeezed=decision.squeezed,
        without_price=decision.regime is not None and decision.unit_value is None,
        gate=decision.gate,
        gate_open=decision.gate is None if decision.regime is Regime.QUOTE else None,
        decision=decision,
    )


def _growth(anchor: float | None, value: float | None) -> float | None:
    return value / anchor - 1.0 if anchor and value else None


def _balance(balances: Mapping[str, Balance], asset: str) -> Balance:
    return balances.get(asset) or Balance(asset, ZERO)


def _exit_view(
    trader: TradingCore,
    exit_: ActiveExit | None,
    view: StatusView,
    *,
    fresh: bool,
    budget_short: bool,
    reject_text: str | None,
    replaces: int,
) -> ExitView | None:
    if exit_ is None:
        return None
    chase, order = trader.maker_exit, trader.maker_exit.order
    progress = chase.progress()
    # The maker exit may still have the order of the exit before this one.
    ours = progress is not None and progress.number == exit_.number
    alive = ours and order is not None and order.alive
    obstacle = _obstacle(trader, view, fresh=fresh, budget_short=budget_short, rejected=reject_text is not None)
    return ExitView(
        kind=exit_.kind,
        side=exit_.side,
        age_s=trader.exit_age_s(view.market_ms),
        filled=progress.filled_base if progress is not None and ours else ZERO,
        filled_quote=progress.filled_quote if progress is not None and ours else ZERO,
        price=order.price if order is not None and alive else None,
        remaining=order.remaining if order is not None and alive else None,
        client_order_id=order.client_order_id if order is not None and alive else None,
        obstacle=obstacle,
        reject_text=reject_text if obstacle is QuoteObstacle.REFUSED else None,
        ending=exit_.ending,
        replaces=replaces,
    )


def _obstacle(
    trader: TradingCore, view: StatusView, *, fresh: bool, budget_short: bool, rejected: bool
) -> QuoteObstacle | None:
    """Return the most severe reason why the order does not follow the price; None if no reason applies."""
    chase, order = trader.maker_exit, trader.maker_exit.order
    progress = chase.progress()
    found = {
        QuoteObstacle.NO_ACCOUNT: not view.account_proven,
        QuoteObstacle.HALTED: not view.rules.trading,
        QuoteObstacle.NO_MARKET: not fresh,
        QuoteObstacle.IN_DOUBT: order is not None and order.state is OrderState.UNKNOWN,
        QuoteObstacle.IN_FLIGHT: order is not None and order.state is OrderState.PENDING_NEW,
        QuoteObstacle.REFUSED: rejected,
        QuoteObstacle.BALANCES: chase.idle and progress is not None and not progress.idle,
        QuoteObstacle.BUDGET: budget_short,
    }
    # A dict keeps its order: obstacles to all orders precede those that only delay the next replace.
    return next((obstacle for obstacle, met in found.items() if met), None)
