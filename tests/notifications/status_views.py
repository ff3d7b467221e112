"""Status views for tests, built from the decisions of a real strategy."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from tests.strategy.strategy_harness import StrategyRun, in_base

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import ZERO, Balance, BookTop, Side, SymbolRules
from trailingedge.notifications.build_status import with_decision
from trailingedge.notifications.status import ExitView, StatusView
from trailingedge.strategy.blocks import TradeBlock
from trailingedge.strategy.decide import Decision

D = Decimal
RULES = SymbolRules("ETHFDUSD", "ETH", "FDUSD", D("0.01"), D("0.0001"), min_quantity=D("0.0001"), min_notional=D(5))
SELLING = ExitView(
    ExitKind.TAKE_PROFIT,
    Side.SELL,
    age_s=12.0,
    filled=D("0.1"),
    price=D("2500.12"),
    remaining=D("0.9"),
    client_order_id="TE-t-1",
)
BUYING = replace(SELLING, side=Side.BUY, price=D("2500.11"))


def decision_of(life: StrategyRun) -> Decision:
    if life.last is None:
        raise LookupError("no beat yet")
    return life.last.decision


def blocked(*blocks: TradeBlock) -> Decision:
    """A decision that has these reasons not to start an exit."""
    return in_base().tick("2500").decision._replace(exit_blocks=blocks)


def view_of(life: StrategyRun, bid: str | None, ask: str | None = None, **given: Any) -> StatusView:
    """What the status shows of the last beat, with the book at `bid`, and `given` beside."""
    decision = decision_of(life)
    top = None
    if bid is not None:
        top = BookTop(D(bid), D(bid) + D("0.01") if ask is None else D(ask))
    holdings = life.holdings
    view = StatusView(
        mode="sim",
        rules=RULES,
        phase=decision.phase.value,
        top=top,
        base=Balance("ETH", holdings.base),
        quote=Balance("FDUSD", holdings.quote),
        value=ZERO if top is None else holdings.base * top.bid + holdings.quote,
        data_age_s=0.1 if top is not None else 12.0,
        market_ms=life.market_ms,
        trading_paused=decision.trading_paused,
    )
    return with_decision(replace(view, **given), decision, life.params)
