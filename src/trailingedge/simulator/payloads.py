"""JSON payloads of the simulated exchange: replies and events about orders, trades, balances and the book."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trailingedge.model.market import ZERO, Balance, BookTop, OrderStatus
from trailingedge.simulator.engine_events import OrderReport
from trailingedge.simulator.exchange_spec import format_amount
from trailingedge.simulator.orders import Amendment, OrderType, PreventedMatch, SimOrder, SimTrade

Json = dict[str, object]

NO_TRADE_GROUP: Final = -1  # the trade group of an account that belongs to none


@dataclass(frozen=True, slots=True)
class UserEvent:
    """An event for the sessions subscribed to one account."""

    account: str
    payload: Json


@dataclass(frozen=True, slots=True)
class MarketEvent:
    """An event for the connections subscribed to `stream`.

    `in_array`: the payload is sent as an array of one, because streams of all symbols (`!ticker@arr`) send arrays.
    """

    stream: str
    payload: Json
    in_array: bool = False


ExchangeEvent = UserEvent | MarketEvent


def ack_json(order: SimOrder, symbol: str) -> Json:
    """The reply to a placement with `newOrderRespType` ACK."""
    return {
        "symbol": symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        "transactTime": order.updated_ms,
    }


def result_json(order: SimOrder, symbol: str) -> Json:
    """The reply to a placement with `newOrderRespType` RESULT."""
    return (
        ack_json(order, symbol)
        | amounts_json(order)
        | {"workingTime": order.working_ms, "selfTradePreventionMode": order.request.self_trade_mode.value}
        | _optional_fields(order, _OF_REPLIES)
        | _prevented_in_placement(order)
    )


def full_json(order: SimOrder, trades: Sequence[SimTrade], symbol: str) -> Json:
    """The reply to a placement with `newOrderRespType` FULL."""
    fills = [
        {
            "price": format_amount(trade.price),
            "qty": format_amount(trade.quantity),
            "commission": format_amount(trade.commission),
            "commissionAsset": trade.commission_asset,
            "tradeId": trade.trade_id,
        }
        for trade in trades
    ]
    return result_json(order, symbol) | {"fills": fills}


def cancel_json(order: SimOrder, cancel_id: str, symbol: str) -> Json:
    """The reply to a cancel. `executedQty` is what was filled before the cancel."""
    return (
        {
            "symbol": symbol,
            "origClientOrderId": order.client_order_id,
            "orderId": order.order_id,
            "orderListId": -1,
            "clientOrderId": cancel_id,
            "transactTime": order.updated_ms,
        }
        | amounts_json(order)
        | {"selfTradePreventionMode": order.request.self_trade_mode.value}
        | _optional_fields(order, _OF_REPLIES)
        | _prevented_in_record(order)
    )


def order_json(order: SimOrder, symbol: str) -> Json:
    """An order as `order.status`, `openOrders.status` and `allOrders` return it."""
    return (
        {
            "symbol": symbol,
            "orderId": order.order_id,
            "orderListId": -1,
            "clientOrderId": order.client_order_id,
        }
        | amounts_json(order)
        | {
            "stopPrice": format_amount(ZERO),
            "icebergQty": format_amount(ZERO),
            "time": order.created_ms,
            "updateTime": order.updated_ms,
            "isWorking": order.working_ms >= 0,
            "workingTime": order.working_ms,
            "selfTradePreventionMode": order.request.self_trade_mode.value,
        }
        | _optional_fields(order, _OF_REPLIES)
        | _prevented_in_record(order)
    )


def amended_json(order: SimOrder, amendment: Amendment, symbol: str) -> Json:
    """The reply to an amendment. Unlike other replies it says `qty`, and spells `cumulativeQuoteQty` with one m."""
    request = order.request
    amended: Json = {
        "symbol": symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "origClientOrderId": amendment.orig_client_order_id,
        "clientOrderId": order.client_order_id,
        "price": format_amount(request.price or ZERO),
        "qty": format_amount(order.quantity),
        "executedQty": format_amount(order.filled),
        "preventedQty": format_amount(order.prevented),
        "quoteOrderQty": format_amount(request.quote_quantity or ZERO),
        "cumulativeQuoteQty": format_amount(order.filled_quote),
        "status": order.status.value,
        "timeInForce": request.time_in_force.value,
        "type": request.type.value,
        "side": request.side.value,
        "workingTime": order.working_ms,
        "selfTradePreventionMode": request.self_trade_mode.value,
    }
    return {
        "transactTime": order.updated_ms,
        "executionId": amendment.execution_id,
        "amendedOrder": amended | _optional_fields(order, _OF_REPLIES),
    }


def amendment_json(order: SimOrder, amendment: Amendment, symbol: str) -> Json:
    """An amendment as a row of `order.amendments`."""
    return {
        "symbol": symbol,
        "orderId": order.order_id,
        "executionId": amendment.execution_id,
        "origClientOrderId": amendment.orig_client_order_id,
        "newClientOrderId": amendment.new_client_order_id,
        "origQty": format_amount(amendment.orig_quantity),
        "newQty": format_amount(amendment.new_quantity),
        "time": amendment.time_ms,
    }


def amounts_json(order: SimOrder) -> Json:
    """The amounts and the status of an order, in every reply but ACK. (`cummulative` is Binance's spelling.)"""
    request = order.request
    return {
        "price": format_amount(request.price or ZERO),
        "origQty": format_amount(order.quantity),
        "executedQty": format_amount(order.filled),
        "origQuoteOrderQty": format_amount(request.quote_quantity or ZERO),
        "cummulativeQuoteQty": format_amount(order.filled_quote),
        "status": order.status.value,
        "timeInForce": request.time_in_force.value,
        "type": request.type.value,
        "side": request.side.value,
    }


@dataclass(frozen=True, slots=True)
class _OptionalNames:
    """The names of the fields that only some orders have: strategy, peg, expiry reason."""

    strategy_id: str
    strategy_type: str
    peg_type: str
    offset_type: str
    offset: str
    pegged_price: str
    expiry_reason: str


_OF_REPLIES: Final = _OptionalNames(
    "strategyId", "strategyType", "pegPriceType", "pegOffsetType", "pegOffsetValue", "peggedPrice", "expiryReason"
)
_OF_REPORTS: Final = _OptionalNames("j", "J", "gP", "gOT", "gOV", "gp", "eR")


def _optional_fields(order: SimOrder, names: _OptionalNames) -> Json:
    """The fields that only some orders have, as a reply or a report names them."""
    request, found = order.request, Json()
    if request.strategy_id is not None:
        found[names.strategy_id] = request.strategy_id
    if request.strategy_type is not None:
        found[names.strategy_type] = request.strategy_type
    if request.peg is not None:
        found[names.peg_type] = request.peg.price_type
        if request.peg.levels is not None:
            found |= {names.offset_type: "PRICE_LEVEL", names.offset: request.peg.levels}
        found[names.pegged_price] = format_amount(order.price)
    if order.expiry_reason is not None:
        found[names.expiry_reason] = order.expiry_reason
    return found


def my_trade_json(trade: SimTrade, symbol: str) -> Json:
    """A fill as a row of `myTrades`."""
    return {
        "symbol": symbol,
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "orderListId": -1,
        "price": format_amount(trade.price),
        "qty": format_amount(trade.quantity),
        "quoteQty": format_amount(trade.quote_volume),
        "commission": format_amount(trade.commission),
        "commissionAsset": trade.commission_asset,
        "time": trade.time_ms,
        "isBuyer": trade.side.value == "BUY",
        "isMaker": trade.is_maker,
        "isBestMatch": True,
    }


def report_json(report: OrderReport, symbol: str) -> Json:
    """An `executionReport`.

    In a CANCELED report "c" is the cancel's client order id and "C" the order's own, as on the real exchange. In a
    REPLACED report, "c" is the order's new client order id and "C" the one that it had: `previous_id`.
    """
    order, request, cancel_id = report.order, report.order.request, report.cancel_id
    # "w" says whether the order is on the book; a MARKET order never is.
    working = not order.status.final and request.type is not OrderType.MARKET
    payload: Json = {
        "e": "executionReport",
        "E": report.event_ms,
        "s": symbol,
        # The swap of "c" and "C" in a CANCELED report is a classic trap: a client that matches reports by "c" alone
        # takes its own cancel for an unknown order.
        "c": order.client_order_id if cancel_id is None else cancel_id,
        "S": request.side.value,
        "o": request.type.value,
        "f": request.time_in_force.value,
        "q": format_amount(order.quantity),
        "p": format_amount(request.price or ZERO),
        "P": format_amount(ZERO),
        "F": format_amount(ZERO),
        "g": -1,
        "C": report.previous_id if cancel_id is None else order.client_order_id,
        "x": report.execution.value,
        "X": order.status.value,
        "r": report.reject_reason,
        "i": order.order_id,
        "l": format_amount(ZERO),
        "z": format_amount(order.filled),
        "L": format_amount(ZERO),
        "n": "0",
        "N": None,
        "T": order.updated_ms,
        "t": -1,
        "I": report.execution_id,
        "w": working,
        "m": False,
        "M": False,
        "O": order.created_ms,
        "Z": format_amount(order.filled_quote),
        "Y": format_amount(ZERO),
        "Q": format_amount(request.quote_quantity or ZERO),
        "V": request.self_trade_mode.value,
    }
    # "W" is absent where the order is not or no longer on the book.
    if order.working_ms >= 0 and order.status is not OrderStatus.CANCELED:
        payload["W"] = order.working_ms
    payload |= _optional_fields(order, _OF_REPORTS)
    if report.trade is not None:
        payload |= fill_fields(report.trade)
    if report.prevented is not None:
        payload |= prevention_fields(report.prevented, order, symbol)
    return payload


def fill_fields(trade: SimTrade) -> Json:
    """Return the fields of an `executionReport` that describe a fill ("x" is TRADE)."""
    return {
        "l": format_amount(trade.quantity),
        "L": format_amount(trade.price),
        "Y": format_amount(trade.quote_volume),
        "n": format_amount(trade.commission),
        "N": trade.commission_asset,
        "t": trade.trade_id,
        "m": trade.is_maker,
        "M": True,
    }


def account_position(balances: Sequence[Balance], updated_ms: int, event_ms: int) -> Json:
    """An `outboundAccountPosition`: the balances themselves, not their changes."""
    return {
        "e": "outboundAccountPosition",
        "E": event_ms,
        "u": updated_ms,
        "B": [balance_json(each) for each in balances],
    }


def balance_update(asset: str, amount: Decimal, event_ms: int) -> Json:
    """A `balanceUpdate`: a deposit or, with a negative `amount`, a withdrawal."""
    return {"e": "balanceUpdate", "E": event_ms, "a": asset, "d": format_amount(amount), "T": event_ms}


def balance_json(balance: Balance) -> Json:
    return {"a": balance.asset, "f": format_amount(balance.free), "l": format_amount(balance.locked)}


def book_ticker_json(top: BookTop, symbol: str) -> Json:
    """A `bookTicker` event."""
    return {
        "u": top.update_id,
        "s": symbol,
        "b": format_amount(top.bid),
        "B": format_amount(top.bid_quantity),
        "a": format_amount(top.ask),
        "A": format_amount(top.ask_quantity),
    }


def prevention_fields(match: PreventedMatch, order: SimOrder, symbol: str) -> Json:
    """Return the extra fields of an `executionReport` about a prevented self-trade ("x" is TRADE_PREVENTION).

    `order` is the order that the report is about: the taker or the maker of the prevented trade.
    """
    is_taker = order.order_id == match.taker_order_id
    return {
        "v": match.match_id,
        "A": format_amount(order.prevented),
        "B": format_amount((match.taker_quantity if is_taker else match.maker_quantity) or ZERO),
        "u": NO_TRADE_GROUP,
        "U": match.maker_order_id if is_taker else match.taker_order_id,
        "Cs": symbol,
        "pl": format_amount(match.quantity),
        "pL": format_amount(match.price),
        "pY": format_amount(match.quantity * match.price),
    }


def prevented_match_json(match: PreventedMatch, symbol: str) -> Json:
    """A prevented self-trade as a row of `myPreventedMatches`."""
    return (
        {
            "symbol": symbol,
            "preventedMatchId": match.match_id,
            "takerOrderId": match.taker_order_id,
            "makerSymbol": symbol,
            "makerOrderId": match.maker_order_id,
            "tradeGroupId": NO_TRADE_GROUP,
            "selfTradePreventionMode": match.mode.value,
            "price": format_amount(match.price),
        }
        | _prevented_quantities(match)
        | {"transactTime": match.time_ms}
    )


def _prevented_in_record(order: SimOrder) -> Json:
    """Fields for queries and cancels: the quantity that the order lost to self-trade prevention."""
    if order.prevented_match_id is None:
        return {}
    return {"preventedMatchId": order.prevented_match_id, "preventedQuantity": format_amount(order.prevented)}


def _prevented_in_placement(order: SimOrder) -> Json:
    """Fields for the reply to a placement: the prevented self-trades, and the quantity the order lost by them."""
    if not order.prevented_as_taker:
        return {}
    matches = [
        {
            "preventedMatchId": match.match_id,
            "makerOrderId": match.maker_order_id,
            "price": format_amount(match.price),
        }
        | _prevented_quantities(match)
        for match in order.prevented_as_taker
    ]
    taken = {"preventedQuantity": format_amount(order.prevented)} if order.prevented else {}
    return {"preventedMatches": matches, **taken}


def _prevented_quantities(match: PreventedMatch) -> Json:
    quantities = {"takerPreventedQuantity": match.taker_quantity, "makerPreventedQuantity": match.maker_quantity}
    return {name: format_amount(quantity) for name, quantity in quantities.items() if quantity is not None}
