"""Order methods of the WebSocket API: place, test, cancel, cancel-replace and cancel all."""

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Final

from trailingedge.model.market import Side
from trailingedge.simulator.api.method_types import AccountMethod, RequestWeight, Result, SignedCall
from trailingedge.simulator.errors import (
    FILTER_CODE,
    PEG_PRICE,
    PEG_TYPE,
    UNKNOWN_ORDER,
    ExchangeError,
    bad_combination,
    cancel_rejected,
    invalid_parameter,
    missing_parameter,
    order_rejected,
    parameter_not_required,
)
from trailingedge.simulator.order_entry import (
    CancelReplaceRequest,
    CancelReplaceResult,
    RateLimitExceededMode,
    ReplaceMode,
)
from trailingedge.simulator.orders import (
    DEFAULT_SELF_TRADE_MODE,
    CancelOrder,
    CancelRestriction,
    NewOrder,
    OrderType,
    Peg,
    SelfTradeMode,
    SimOrder,
    SimTrade,
    TimeInForce,
)
from trailingedge.simulator.payloads import Json, ack_json, cancel_json, full_json, result_json
from trailingedge.simulator.request_params import RequestParameters

SUCCESS: Final = "SUCCESS"
FAILURE: Final = "FAILURE"
NOT_ATTEMPTED: Final = "NOT_ATTEMPTED"
# Order types of the real exchange that our symbol does not list, as its errors call them.
UNSUPPORTED_TYPES: Final = {
    "STOP_LOSS": "Stop loss",
    "STOP_LOSS_LIMIT": "Stop loss limit",
    "TAKE_PROFIT": "Take profit",
    "TAKE_PROFIT_LIMIT": "Take profit limit",
}


class ResponseType(Enum):
    """`newOrderRespType`: how much the reply to a placement contains."""

    ACK = "ACK"
    RESULT = "RESULT"
    FULL = "FULL"

    def reply_json(self, order: SimOrder, trades: list[SimTrade], symbol: str) -> Json:
        """Build the reply to a placement, with the content that this type asks for."""
        if self is ResponseType.ACK:
            return ack_json(order, symbol)
        return result_json(order, symbol) if self is ResponseType.RESULT else full_json(order, trades, symbol)


def place(call: SignedCall) -> Result:
    symbol = call.symbol()
    request, response_type = new_order(call.parameters), _response_type(call.parameters)
    call.parameters.check_all_read()
    order, trades = call.exchange.order_entry.place(call.account, request)
    return (response_type or _default_response_type(request)).reply_json(order, trades, symbol)


def test(call: SignedCall) -> Result:
    """Handle `order.test`: check parameters and filters as for a placement, but not balance, ids or matching."""
    call.symbol()
    request = new_order(call.parameters)
    _response_type(call.parameters)
    rates = call.parameters.flag("computeCommissionRates")
    call.parameters.check_all_read()
    call.exchange.order_entry.check_order(request)
    if not rates:
        return {}
    spec = call.exchange.spec
    nothing = {"maker": "0.00000000", "taker": "0.00000000"}
    return {
        "standardCommissionForOrder": {"maker": f"{spec.maker_fee:.8f}", "taker": f"{spec.taker_fee:.8f}"},
        "specialCommissionForOrder": nothing,
        "taxCommissionForOrder": nothing,
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": "0.75000000",
        },
    }


def cancel(call: SignedCall) -> Result:
    symbol = call.symbol()
    target = _target(call.parameters, "orderId", "origClientOrderId", "newClientOrderId")
    call.parameters.check_all_read()
    return cancel_json(*call.exchange.order_entry.cancel(call.account, target), symbol)


def cancel_all(call: SignedCall) -> Result:
    symbol = call.symbol()
    call.parameters.check_all_read()
    ended = call.exchange.order_entry.cancel_all(call.account)
    if not ended:
        raise cancel_rejected(UNKNOWN_ORDER)
    return [cancel_json(order, cancel_id, symbol) for order, cancel_id in ended]


def cancel_replace(call: SignedCall) -> Result:
    symbol, parameters = call.symbol(), call.parameters
    request = CancelReplaceRequest(
        target=_target(parameters, "cancelOrderId", "cancelOrigClientOrderId", "cancelNewClientOrderId"),
        new_order=new_order(parameters),
        mode=parameters.required_choice("cancelReplaceMode", ReplaceMode),
        exceeded_mode=parameters.choice("orderRateLimitExceededMode", RateLimitExceededMode)
        or RateLimitExceededMode.DO_NOTHING,
    )
    response_type = _response_type(parameters) or _default_response_type(request.new_order)
    parameters.check_all_read()
    outcome = call.exchange.order_entry.replace(call.account, request)
    halves = _halves(outcome, response_type, symbol)
    # An error reply carries both halves in its `data`. Only there can a client see that its old order is gone.
    if outcome.error is None:
        return halves
    status, code, text = outcome.error
    raise ExchangeError(code, text, status, halves)


def new_order(parameters: RequestParameters) -> NewOrder:
    """Build the order that the parameters describe.

    Raises ExchangeError for the first wrong parameter.
    """
    side = parameters.required_choice("side", Side, ExchangeError(-1117, "Invalid side."))
    type_ = _order_type(parameters)
    # If a request has several mistakes, the order of these checks decides which error the client sees.
    peg = _peg(parameters, type_)
    time_in_force = _time_in_force(parameters, type_)
    if peg is not None and time_in_force is not TimeInForce.GTC:
        raise order_rejected(PEG_PRICE)
    price = parameters.amount("price")
    if type_ is OrderType.MARKET and price is not None:
        raise parameter_not_required("price")
    if type_ is not OrderType.MARKET and price is None and peg is None:
        raise missing_parameter("price")
    quantity, quote_quantity = _quantities(parameters, type_)
    not_allowed = ExchangeError(FILTER_CODE, "This symbol does not allow the specified self-trade prevention mode.")
    self_trade_mode = parameters.choice("selfTradePreventionMode", SelfTradeMode, not_allowed)
    strategy_type = parameters.integer("strategyType")
    if strategy_type is not None and strategy_type < 1_000_000:
        raise ExchangeError(-1134, "Strategy type was less than 1000000.")
    return NewOrder(
        side=side,
        type=type_,
        quantity=quantity,
        price=price,
        time_in_force=time_in_force,
        quote_quantity=quote_quantity,
        client_order_id=parameters.client_order_id("newClientOrderId"),
        peg=peg,
        strategy_id=parameters.integer("strategyId"),
        strategy_type=strategy_type,
        self_trade_mode=self_trade_mode or DEFAULT_SELF_TRADE_MODE,
    )


def _order_type(parameters: RequestParameters) -> OrderType:
    """Read `type`. Raises ExchangeError for stop, trailing and iceberg orders, which the symbol does not support."""
    named = parameters.text("type")
    if named in UNSUPPORTED_TYPES:
        kind = "Trailing stop" if "trailingDelta" in parameters else UNSUPPORTED_TYPES[named]
        raise _unsupported(kind)
    type_ = parameters.required_choice("type", OrderType, ExchangeError(-1116, "Invalid orderType."))
    for name in ("stopPrice", "trailingDelta"):
        if name in parameters:
            raise parameter_not_required(name)
    if "icebergQty" in parameters:
        raise parameter_not_required("icebergQty") if type_ is OrderType.MARKET else _unsupported("Iceberg")
    return type_


def _unsupported(kind: str) -> ExchangeError:
    # The real exchange refuses these before the matching engine: −1013, not −2010.
    return ExchangeError(FILTER_CODE, f"{kind} orders are not supported for this symbol.")


def _quantities(parameters: RequestParameters, type_: OrderType) -> tuple[Decimal | None, Decimal | None]:
    """Return `quantity` and `quoteOrderQty`. A MARKET order has exactly one of them, others only `quantity`."""
    quantity, quote_quantity = parameters.amount("quantity"), parameters.amount("quoteOrderQty")
    if quote_quantity is not None and type_ is not OrderType.MARKET:
        raise parameter_not_required("quoteOrderQty")
    if quantity is None and quote_quantity is None:
        raise missing_parameter("quantity")
    if quantity is not None and quote_quantity is not None:
        raise bad_combination()
    return quantity, quote_quantity


def _time_in_force(parameters: RequestParameters, type_: OrderType) -> TimeInForce:
    if type_ is OrderType.LIMIT:
        return parameters.required_choice("timeInForce", TimeInForce, ExchangeError(-1115, "Invalid timeInForce."))
    # LIMIT_MAKER and MARKET have no `timeInForce`; a request that sends one gets an error (−1106).
    if "timeInForce" in parameters:
        raise parameter_not_required("timeInForce")
    return TimeInForce.GTC


def _peg(parameters: RequestParameters, type_: OrderType) -> Peg | None:
    price_type = parameters.text("pegPriceType")
    offset_type, levels = parameters.text("pegOffsetType"), parameters.integer("pegOffsetValue")
    if offset_type not in {None, "PRICE_LEVEL"}:
        raise ExchangeError(-1211, "Invalid pegOffsetType.")
    # An offset must have both a type and a value, and is allowed only on a pegged order.
    if (offset_type is None) != (levels is None) or (levels is not None and price_type is None):
        raise bad_combination()
    if price_type is None:
        return None
    if price_type not in {"PRIMARY_PEG", "MARKET_PEG"}:
        raise ExchangeError(-1210, "Invalid pegPriceType.")
    if levels is not None and not 1 <= levels <= 100:
        raise invalid_parameter("pegOffsetValue")
    if type_ is OrderType.MARKET:
        raise order_rejected(PEG_TYPE)
    if price_type == "MARKET_PEG":
        raise order_rejected(PEG_PRICE)  # illegal for post-only orders, and not modelled for the others
    return Peg(price_type, levels)


def _response_type(parameters: RequestParameters) -> ResponseType | None:
    return parameters.choice("newOrderRespType", ResponseType)


# Binance: MARKET and LIMIT default to FULL, all other types to ACK.
def _default_response_type(request: NewOrder) -> ResponseType:
    return ResponseType.ACK if request.type is OrderType.LIMIT_MAKER else ResponseType.FULL


def _target(parameters: RequestParameters, by_order_id: str, by_client_id: str, cancel_id: str) -> CancelOrder:
    restriction = parameters.choice(
        "cancelRestrictions", CancelRestriction, ExchangeError(-1145, "Invalid cancelRestrictions")
    )
    target = CancelOrder(
        order_id=parameters.integer(by_order_id),
        orig_client_order_id=parameters.text(by_client_id),
        cancel_id=parameters.client_order_id(cancel_id),
        restriction=restriction,
    )
    if target.order_id is None and target.orig_client_order_id is None:
        raise missing_parameter(by_order_id)
    return target


def _halves(outcome: CancelReplaceResult, response_type: ResponseType, symbol: str) -> Json:
    """Build the four JSON fields that describe the two halves of a cancel-replace.

    They form the `result` of a successful reply, or the `data` of an error reply.
    """
    if isinstance(outcome.cancel, ExchangeError):
        cancel_half, cancel_result = outcome.cancel.as_json(), FAILURE
    else:
        cancel_half, cancel_result = cancel_json(*outcome.cancel, symbol), SUCCESS
    place_half: Json | None
    if outcome.place is None:
        place_half, place_result = None, NOT_ATTEMPTED
    elif isinstance(outcome.place, ExchangeError):
        # Without its `data`: that of the whole reply holds these halves.
        place_half, place_result = {"code": outcome.place.code, "msg": outcome.place.text}, FAILURE
    else:
        place_half, place_result = response_type.reply_json(*outcome.place, symbol), SUCCESS
    return {
        "cancelResult": cancel_result,
        "newOrderResult": place_result,
        "cancelResponse": cancel_half,
        "newOrderResponse": place_half,
    }


ORDER_METHODS: Final[Mapping[str, AccountMethod]] = {
    "order.place": AccountMethod(place, RequestWeight(1), free_on_success=True, shows_order_counts=True),
    "order.test": AccountMethod(test, RequestWeight(1, ("computeCommissionRates",), 20)),
    "order.cancel": AccountMethod(cancel, RequestWeight(1), free_on_success=True),
    "order.cancelReplace": AccountMethod(
        cancel_replace, RequestWeight(1), free_on_success=True, shows_order_counts=True
    ),
    "openOrders.cancelAll": AccountMethod(cancel_all, RequestWeight(1), free_on_success=True),
}
