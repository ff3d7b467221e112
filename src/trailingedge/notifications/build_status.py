"""A look at the trade: what the status shows is gathered here, and nowhere else."""

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
from trailingedge.strategy.state import ActiveExit


def build_status(
    trader: TradingCore,
    snapshots: MarketState,
    now_s: float,
    *,
    mode: str,
    reconnects: int,
    stale_after_s: float = 10.0,
    stop_confirm_s: float = 0.0,
    reserve_base: Decimal = ZERO,
    reserve_quote: Decimal = ZERO,
    budget_short: bool = False,
    refusal: str | None = None,
    halt_reason: str | None = None,
) -> StatusView:
    """How things stand. `budget_short`: a move of the order has to wait; `refusal` is the last order's, if it was."""
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
        halted=trader.halted,
        halt_reason=halt_reason if trader.halted else None,
    )
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
        active_exit=_chase(
            trader, trader.state.exit, view, fresh=age_s < stale_after_s, budget_short=budget_short, refusal=refusal
        ),
    )
    return with_decision(view, decision, stop_confirm_s)


def with_decision(view: StatusView, decision: Decision, stop_confirm_s: float) -> StatusView:
    """`view` with what the strategy made of it."""
    channel, trail = decision.channel, decision.trail
    shown = channel if channel is not None and channel.full else None
    unwatched = stop_blocks(view.active_exit, halted=view.halted, funded=bool(decision.state.funded))
    stop = None if unwatched else decision.stop_price
    gone_by = trail is not None and trail.drawdown >= trail.callback and not trail.due
    return replace(
        view,
        regime=decision.regime,
        anchor=decision.anchor_price,
        high=decision.high_price,
        gain_frac=_growth(decision.anchor, decision.unit_value),
        high_frac=_growth(decision.anchor, decision.high),
        trailing=trail is not None and trail.armed,
        trails_from=decision.trail_arms_at_price,
        take_profit=None if gone_by else decision.take_profit_price,
        stop=stop,
        stop_frac=None if stop is None else decision.stop_distance,
        stop_confirm_s=stop_confirm_s,
        lower=None if shown is None else shown.lower,
        mid=None if shown is None else shown.mid,
        upper=None if shown is None else shown.upper,
        squeezed=decision.squeezed,
        without_price=decision.regime is not None and decision.unit_value is None,
        gate=decision.gate,
        gate_open=decision.gate is None if decision.regime is Regime.QUOTE else None,
    )


def _growth(anchor: float | None, value: float | None) -> float | None:
    return value / anchor - 1.0 if anchor and value else None


def _balance(balances: Mapping[str, Balance], asset: str) -> Balance:
    return balances.get(asset) or Balance(asset, ZERO)


def _chase(
    trader: TradingCore,
    exit_: ActiveExit | None,
    view: StatusView,
    *,
    fresh: bool,
    budget_short: bool,
    refusal: str | None,
) -> ExitView | None:
    if exit_ is None:
        return None
    chase, order = trader.maker_exit, trader.maker_exit.order
    progress = chase.progress()
    ours = progress is not None and progress.number == exit_.number
    alive = ours and order is not None and order.alive
    obstacle = _obstacle(trader, view, fresh=fresh, budget_short=budget_short, refused=refusal is not None)
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
        reject_text=refusal if obstacle is QuoteObstacle.REFUSED else None,
        ending=exit_.ending,
    )


def _obstacle(
    trader: TradingCore, view: StatusView, *, fresh: bool, budget_short: bool, refused: bool
) -> QuoteObstacle | None:
    """The first reason why the chase stands still, the gravest first."""
    chase, order = trader.maker_exit, trader.maker_exit.order
    progress = chase.progress()
    found = {
        QuoteObstacle.NO_ACCOUNT: not view.account_proven,
        QuoteObstacle.HALTED: not view.rules.trading,
        QuoteObstacle.NO_MARKET: not fresh,
        QuoteObstacle.IN_DOUBT: order is not None and order.state is OrderState.UNKNOWN,
        QuoteObstacle.IN_FLIGHT: order is not None and order.state is OrderState.PENDING_NEW,
        QuoteObstacle.REFUSED: refused,
        QuoteObstacle.BALANCES: chase.idle and progress is not None and not progress.idle,
        QuoteObstacle.BUDGET: budget_short,
    }
    return next((obstacle for obstacle, met in found.items() if met), None)
