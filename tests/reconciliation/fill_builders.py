"""Builders for fills of our exits, as the trade list and the user data stream show them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tests.execution.order_builders import D, own, report

from trailingedge.core.time_units import HOUR_MS
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import AccountTrade, ExecutionReport, OrderStatus, Side
from trailingedge.reconciliation.exit_ledger import ExitTotals

MIDNIGHT_MS: Final = 1_782_950_400_000  # 00:00 UTC


def trade(
    trade_id: int,
    side: Side,
    quantity: str,
    price: str,
    fee: str = "0",
    fee_asset: str = "FDUSD",
    time_ms: int = MIDNIGHT_MS,
    order_id: int = 7,
) -> AccountTrade:
    """One row of the trade list."""
    amount, at = D(quantity), D(price)
    return AccountTrade(trade_id, order_id, side, at, amount, amount * at, D(fee), fee_asset, time_ms, is_maker=True)


def fill_report(fill: AccountTrade, number: int, kind: ExitKind = ExitKind.TAKE_PROFIT) -> ExecutionReport:
    """The same fill as an execution report of the exit `number`."""
    bare = report(
        fill.order_id,
        fill.price,
        fill.quantity,
        fill.quantity,
        OrderStatus.FILLED,
        client_order_id=own(kind, number),
        side=fill.side,
        time_ms=fill.time_ms,
    )
    return replace(
        bare,
        trade_id=fill.trade_id,
        last_price=fill.price,
        last_quantity=fill.quantity,
        last_quote=fill.quote_quantity,
        commission=fill.commission,
        commission_asset=fill.commission_asset,
    )


def finished(
    side: Side,
    quantity: str,
    price: str,
    ended_ms: int = MIDNIGHT_MS + HOUR_MS,
    fees: Mapping[str, str] | None = None,
    number: int = 1,
) -> ExitTotals:
    """An exit that traded `quantity` at an average of `price`."""
    amount = D(quantity)
    paid = {asset: D(fee) for asset, fee in (fees or {}).items()}
    return ExitTotals(number, side, amount, amount * D(price), paid, ended_ms)
