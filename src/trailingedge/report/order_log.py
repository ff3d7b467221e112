"""Order log of a run report: fills from execution reports, order changes from trading events."""

from trailingedge.execution.order_events import OrderCancelled, OrderPlaced, OrderReplaced
from trailingedge.execution.trader_events import TraderEvent
from trailingedge.model.market import ExecutionReport, ExecutionType
from trailingedge.reconciliation.exit_ledger import exit_id
from trailingedge.report.model import Fill, OrderLogEntry


def fill_of(report: ExecutionReport) -> Fill | None:
    """The fill in an execution report; None if it is no trade of an exit order of ours."""
    own = exit_id(report.client_order_id)
    if own is None or report.execution_type is not ExecutionType.TRADE:
        return None
    return Fill(
        time_ms=report.time_ms,
        trade_id=report.trade_id,
        order_id=report.order_id,
        number=own.number,
        kind=own.kind,
        side=report.side,
        price=report.last_price,
        quantity=report.last_quantity,
        quote=report.last_quote,
        commission=report.commission,
        commission_asset=report.commission_asset or "",
        is_maker=report.is_maker,
    )


def order_log_entry(news: TraderEvent, market_ms: int) -> OrderLogEntry | None:
    """The log entry of an order that was placed, replaced or cancelled; None for any other event."""
    match news:
        case OrderPlaced():
            what = "placed"
        case OrderReplaced():
            what = "replaced"
        case OrderCancelled():
            what = "withdrawn"
        case _:
            return None
    return OrderLogEntry(market_ms, what, news.side, news.price, news.quantity, news.client_order_id)
