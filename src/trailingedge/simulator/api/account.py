"""Account methods of the WebSocket API: balances, commission, order limits, orders and trades of an account.

The handlers read `call.records`. Under the fault `lag` these records are older than the account's present state.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeVar

from trailingedge.core.time_units import DAY_MS
from trailingedge.simulator.api.method_types import AccountMethod, RequestWeight, Result, SignedCall
from trailingedge.simulator.errors import ExchangeError, bad_combination, missing_parameter
from trailingedge.simulator.exchange_spec import format_amount, limit_json
from trailingedge.simulator.lagged_view import find_order
from trailingedge.simulator.orders import SimOrder
from trailingedge.simulator.payloads import Json, my_trade_json, order_json

MAX_SPAN_MS: Final = DAY_MS  # the longest span between startTime and endTime

Row = TypeVar("Row")


def status(call: SignedCall) -> Result:
    """Handle `account.status`: return balances, commission rates and permissions."""
    omit_zero = call.parameters.flag("omitZeroBalances")
    call.parameters.check_all_read()
    account, spec = call.records, call.exchange.spec
    balances = [each for each in account.balances() if each.total or not omit_zero]
    return {
        "makerCommission": int(spec.maker_fee * 10_000),
        "takerCommission": int(spec.taker_fee * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": _rates(spec.maker_fee, spec.taker_fee),
        "canTrade": True,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": account.updated_ms,
        "accountType": "SPOT",
        "balances": [
            {"asset": each.asset, "free": format_amount(each.free), "locked": format_amount(each.locked)}
            for each in balances
        ],
        "permissions": ["SPOT"],
        "uid": account.uid,
    }


def commission(call: SignedCall) -> Result:
    """Handle `account.commission`: return the commission rates for the symbol."""
    symbol = call.symbol()
    call.parameters.check_all_read()
    spec = call.exchange.spec
    return {
        "symbol": symbol,
        "standardCommission": _rates(spec.maker_fee, spec.taker_fee),
        "specialCommission": _rates(Decimal(0), Decimal(0)),
        "taxCommission": _rates(Decimal(0), Decimal(0)),
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": "0.75000000",
        },
    }


def order_limits(call: SignedCall) -> Result:
    """Handle `account.rateLimits.orders`: return the unfilled-order counts and their limits."""
    call.parameters.check_all_read()
    return [limit_json(limit) for limit in call.account.order_counts.limits(call.now_ms)]


def order_status(call: SignedCall) -> Result:
    """Handle `order.status`: return the order of that order id or client order id."""
    symbol, parameters = call.symbol(), call.parameters
    order_id, client_order_id = parameters.integer("orderId"), parameters.text("origClientOrderId")
    parameters.check_all_read()
    # Both ids may be sent; then they must name the same order.
    if order_id is None and client_order_id is None:
        raise missing_parameter("orderId")
    return order_json(find_order(call.records, order_id, client_order_id), symbol)


def open_orders(call: SignedCall) -> Result:
    """Handle `openOrders.status`: return all open orders."""
    if "symbol" in call.parameters:
        call.symbol()
    call.parameters.check_all_read()
    return [order_json(order, call.exchange.spec.symbol) for order in call.records.open_orders()]


def all_orders(call: SignedCall) -> Result:
    """Handle `allOrders`: return orders by id or by time, oldest first.

    `orderId` selects the orders with at least that id. `startTime` and `endTime` select by the time of an order's last
    change; `orderId` is then ignored. Without any of them the newest orders are returned.
    """
    symbol, parameters = call.symbol(), call.parameters
    from_id = parameters.integer("orderId")
    start_ms, end_ms = _span(call)
    limit = parameters.limit(500)
    parameters.check_all_read()
    orders: Iterable[SimOrder] = call.records.orders.values()
    timed = start_ms is not None or end_ms is not None
    if timed:
        orders = [each for each in orders if _within(each.updated_ms, start_ms, end_ms)]
    elif from_id is not None:
        orders = [each for each in orders if each.order_id >= from_id]
    # If the request gives a start, the list begins there; otherwise it ends at the newest row. Clients page this way.
    oldest_first = start_ms is not None or (from_id is not None and not timed)
    return [order_json(each, symbol) for each in _page(list(orders), limit, oldest_first)]


def my_trades(call: SignedCall) -> Result:
    """Handle `myTrades`: return trades, oldest first.

    As on the real exchange, a request with both times and an id is refused.
    """
    symbol, parameters = call.symbol(), call.parameters
    order_id, from_id = parameters.integer("orderId"), parameters.integer("fromId")
    start_ms, end_ms = _span(call)
    limit = parameters.limit(500)
    parameters.check_all_read()
    timed = start_ms is not None or end_ms is not None
    if timed and (order_id is not None or from_id is not None):
        raise bad_combination()
    trades = [
        trade
        for trade in call.records.trades
        if (order_id is None or trade.order_id == order_id)
        and (from_id is None or trade.trade_id >= from_id)
        and _within(trade.time_ms, start_ms, end_ms)
    ]
    oldest_first = start_ms is not None or from_id is not None
    return [my_trade_json(trade, symbol) for trade in _page(trades, limit, oldest_first)]


def _span(call: SignedCall) -> tuple[int | None, int | None]:
    """Read `startTime` and `endTime`, in milliseconds of market time. A time that was not sent is None.

    Raises ExchangeError if more than 24 hours lie between them.
    """
    start_ms = call.parameters.market_time_ms("startTime", call.latest_ms)
    end_ms = call.parameters.market_time_ms("endTime", call.latest_ms)
    if start_ms is not None and end_ms is not None and end_ms - start_ms > MAX_SPAN_MS:
        raise ExchangeError(-1127, "More than 24 hours between startTime and endTime.")
    return start_ms, end_ms


def _within(time_ms: int, start_ms: int | None, end_ms: int | None) -> bool:
    return (start_ms is None or time_ms >= start_ms) and (end_ms is None or time_ms <= end_ms)


def _page(rows: Sequence[Row], limit: int, oldest_first: bool) -> Sequence[Row]:
    """Return `limit` of `rows`: the oldest ones if `oldest_first`, else the newest ones.

    Both `rows` and the result are sorted, oldest first.
    """
    return rows[:limit] if oldest_first else rows[-limit:]


def _rates(maker: Decimal, taker: Decimal) -> Json:
    nothing = format_amount(Decimal(0))
    return {"maker": format_amount(maker), "taker": format_amount(taker), "buyer": nothing, "seller": nothing}


ACCOUNT_METHODS: Final[Mapping[str, AccountMethod]] = {
    "account.status": AccountMethod(status, RequestWeight(20)),
    "account.commission": AccountMethod(commission, RequestWeight(20)),
    "account.rateLimits.orders": AccountMethod(order_limits, RequestWeight(40)),
    "order.status": AccountMethod(order_status, RequestWeight(4)),
    "openOrders.status": AccountMethod(open_orders, RequestWeight(80, ("symbol",), 6)),
    "allOrders": AccountMethod(all_orders, RequestWeight(20)),
    "myTrades": AccountMethod(my_trades, RequestWeight(20, ("orderId",), 5)),
}
