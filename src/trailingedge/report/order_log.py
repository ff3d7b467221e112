"""What an exit does, as a story tells it: its fills from reports, its orders from news."""

from trailingedge.execution.order_events import OrderCancelled, OrderPlaced, OrderReplaced
from trailingedge.execution.trader_events import TraderEvent
from trailingedge.model.market import ExecutionReport, ExecutionType
from trailingedge.reconciliation.exit_ledger import exit_id
from trailingedge.report.model import Fill, OrderLogEntry


def fill_of(report: ExecutionReport) -> Fill | None:
    """The trade of an exit's order; None where it is something else."""
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


def order_event_of(news: TraderEvent, market_ms: int) -> OrderLogEntry | None:
    """What became of an exit's order on the book; None where the news is of something else."""
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
