"""Order log of a run report: fills from execution reports, order changes from trading events."""

from trailingedge.execution.order_events import OrderCancelled, OrderPlaced, OrderReplaced
from trailingedge.execution.trader_events import TraderEvent
from trailingedge.model.market import ExecutionReport, ExecutionType
from trailingedge.reconciliation.exit_ledger import exit_id
from trailingedge.report.model import Fill, OrderLogEntry


def fill_of(report: ExecutionReport) -> Fill | None:
    """Return the fill in an execution report.

    Returns None if the report is not about a trade, or not about an exit order of ours.
    """
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
    """Return the log entry for a placed, replaced or cancelled order; None for other events."""
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
