"""Order methods over the API: the replies' types, and every way a request can be wrong."""

from typing import Any

import pytest
from tests.simulator.exchange_builders import ApiClient, a_trader, an_exchange, tick

from trailingedge.model.market import Side

GOOD: dict[str, Any] = {"side": "SELL", "type": "LIMIT_MAKER", "price": "100.10", "quantity": "1"}
TAKING: dict[str, Any] = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "100.10", "quantity": "1"}
NO_NAME = "Mandatory parameter '{}' was not sent, was empty/null, or malformed."
ACK = {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
RESULT = ACK | {
    *("price", "origQty", "executedQty", "origQuoteOrderQty", "cummulativeQuoteQty", "status", "timeInForce"),
    *("type", "side", "workingTime", "selfTradePreventionMode"),
}


def error(answer: dict[str, Any]) -> tuple[int, int, str]:
    return answer["status"], answer["error"]["code"], answer["error"]["msg"]


@pytest.mark.parametrize(
    ("params", "fields"),
    [
        pytest.param(GOOD, ACK, id="a post-only order, by default"),
        pytest.param(GOOD | {"newOrderRespType": "RESULT"}, RESULT, id="RESULT"),
        pytest.param(GOOD | {"newOrderRespType": "FULL"}, RESULT | {"fills"}, id="FULL"),
        pytest.param(TAKING, RESULT | {"fills"}, id="a limit order, by default"),
        pytest.param(TAKING | {"newOrderRespType": "ACK"}, ACK, id="ACK"),
        pytest.param(
            GOOD | {"newOrderRespType": "RESULT", "pegPriceType": "PRIMARY_PEG"},
            RESULT | {"pegPriceType", "peggedPrice"},
            id="a pegged order",
        ),
        pytest.param(
            GOOD | {"newOrderRespType": "RESULT", "strategyId": 7, "strategyType": 1_000_000},
            RESULT | {"strategyId", "strategyType"},
            id="an order of a strategy",
        ),
    ],
)
def test_the_reply_to_a_placement_has_the_requested_type(params: dict[str, Any], fields: set[str]) -> None:
    answer = a_trader().order_request("order.place", **params)
    assert answer["status"] == 200
    assert set(answer["result"]) == fields


def test_a_placement_shows_amounts_with_eight_decimals() -> None:
    result = a_trader().order_request("order.place", **GOOD, newClientOrderId="mm-1", newOrderRespType="RESULT")[
        "result"
    ]
    assert result["clientOrderId"] == "mm-1"
    assert (result["price"], result["origQty"], result["executedQty"]) == ("100.10000000", "1.00000000", "0.00000000")
    assert (result["status"], result["timeInForce"], result["orderListId"]) == ("NEW", "GTC", -1)


def test_a_taker_sees_its_fills() -> None:
    trader = a_trader()
    result = trader.order_request("order.place", **TAKING)["result"]
    assert result["fills"] == [
        {
            "price": "100.10000000",
            "qty": "1.00000000",
            "commission": "0.00100000",
            "commissionAsset": "ETH",
            "tradeId": 1,
        }
    ]


@pytest.mark.parametrize(
    ("params", "code", "text"),
    [
        pytest.param({"symbol": None}, -1102, NO_NAME.format("symbol"), id="no symbol"),
        pytest.param({"symbol": "ETHBTC"}, -1121, "Invalid symbol.", id="another symbol"),
        pytest.param({"side": None}, -1102, NO_NAME.format("side"), id="no side"),
        pytest.param({"side": "sell"}, -1117, "Invalid side.", id="a side in small letters"),
        pytest.param({"type": "STOP"}, -1116, "Invalid orderType.", id="no such type"),
        *(
            pytest.param({"type": type_, **more}, -1013, f"{kind} orders are not supported for this symbol.", id=kind)
            for type_, more, kind in (
                ("STOP_LOSS", {"stopPrice": "99"}, "Stop loss"),
                ("STOP_LOSS_LIMIT", {"stopPrice": "99", "timeInForce": "GTC"}, "Stop loss limit"),
                ("TAKE_PROFIT", {"stopPrice": "101"}, "Take profit"),
                ("TAKE_PROFIT_LIMIT", {"stopPrice": "101", "timeInForce": "GTC"}, "Take profit limit"),
                ("STOP_LOSS", {"trailingDelta": 100}, "Trailing stop"),
                ("LIMIT_MAKER", {"icebergQty": "0.1"}, "Iceberg"),
            )
        ),
        pytest.param({"stopPrice": "99"}, -1106, "Parameter 'stopPrice' sent when not required.", id="a stop price"),
        pytest.param({"price": None}, -1102, NO_NAME.format("price"), id="no price"),
        pytest.param({"quantity": None}, -1102, NO_NAME.format("quantity"), id="no quantity"),
        pytest.param(
            {"timeInForce": "GTC"},
            -1106,
            "Parameter 'timeInForce' sent when not required.",
            id="a time in force for a post-only order",
        ),
        pytest.param(
            {"quoteOrderQty": "10"}, -1106, "Parameter 'quoteOrderQty' sent when not required.", id="a quote quantity"
        ),
        pytest.param({"type": "LIMIT"}, -1102, NO_NAME.format("timeInForce"), id="no time in force for a limit order"),
        pytest.param(
            {"type": "LIMIT", "timeInForce": "DAY"}, -1115, "Invalid timeInForce.", id="an unknown time in force"
        ),
        pytest.param(
            {"newClientOrderId": "a b"},
            -1100,
            "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'.",
            id="an id with a space",
        ),
        pytest.param(
            {"price": "100.123456789"}, -1111, "Parameter 'price' has too much precision.", id="nine decimals"
        ),
        pytest.param({"price": "100.001"}, -1013, "Filter failure: PRICE_FILTER", id="a price off the grid"),
        pytest.param({"quantity": "0.00005"}, -1013, "Filter failure: LOT_SIZE", id="a quantity off the grid"),
        pytest.param({"quantity": "0.01"}, -1013, "Filter failure: NOTIONAL", id="too small a notional"),
        pytest.param({"price": "600"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE", id="too far away"),
        pytest.param(
            {"selfTradePreventionMode": "NONE"},
            -1013,
            "This symbol does not allow the specified self-trade prevention mode.",
            id="a prevention mode not allowed",
        ),
        pytest.param({"strategyType": 5}, -1134, "Strategy type was less than 1000000.", id="a small strategy type"),
        pytest.param(
            {"newOrderRespType": "ALL"}, -1130, "Data sent for parameter 'newOrderRespType' is not valid.", id="shape"
        ),
        pytest.param({"pegPriceType": "PEG"}, -1210, "Invalid pegPriceType.", id="an unknown peg"),
        pytest.param(
            {"pegPriceType": "PRIMARY_PEG", "pegOffsetType": "TICKS", "pegOffsetValue": 1},
            -1211,
            "Invalid pegOffsetType.",
            id="an unknown offset",
        ),
        pytest.param(
            {"pegPriceType": "MARKET_PEG"},
            -2010,
            "This price peg cannot be used with this order type.",
            id="a taker's peg for a maker",
        ),
        pytest.param({"price": "100.00"}, -2010, "Order would immediately match and take.", id="at the bid"),
        pytest.param(
            {"quantity": "11"}, -2010, "Account has insufficient balance for requested action.", id="beyond the means"
        ),
    ],
)
def test_a_wrong_placement_is_rejected_with_code_and_text(params: dict[str, Any], code: int, text: str) -> None:
    trader = a_trader()
    answer = trader.request(
        "order.place", **({"symbol": "ETHFDUSD", "timestamp": trader.clock.unix_ms()} | GOOD | params)
    )
    assert error(answer) == (400, code, text)
    assert trader.events == []
    assert trader.hub.exchange.audit_log.placed == 0


def test_a_surplus_parameter_is_rejected_before_anything_happens() -> None:
    trader = a_trader()
    assert error(trader.order_request("order.place", **GOOD, colour="red"))[1] == -1104
    assert trader.order_request("openOrders.status")["result"] == []


def test_a_duplicate_of_an_open_order_is_rejected() -> None:
    trader = a_trader()
    trader.order_request("order.place", **GOOD, newClientOrderId="mm-1")
    assert error(trader.order_request("order.place", **GOOD, newClientOrderId="mm-1")) == (
        400,
        -2010,
        "Duplicate order sent.",
    )


def test_too_many_orders_are_rejected_with_429() -> None:
    trader = a_trader(an_exchange(orders_per_10_s=1))
    trader.order_request("order.place", **GOOD)
    assert error(trader.order_request("order.place", **GOOD)) == (
        429,
        -1015,
        "Too many new orders; current limit is 1 orders per 10 SECOND.",
    )


def test_a_test_order_is_validated_but_never_reaches_the_engine() -> None:
    trader = a_trader()
    assert trader.order_request("order.test", **GOOD | {"price": "99.00", "quantity": "10000"})["result"] == {}
    assert error(trader.order_request("order.test", **GOOD | {"price": "100.001"}))[1] == -1013
    rates = trader.order_request("order.test", **GOOD, computeCommissionRates=True)["result"]
    assert rates["standardCommissionForOrder"] == {"maker": "0.00000000", "taker": "0.00100000"}
    assert trader.events == []


def test_the_reply_to_a_cancel_shows_what_was_filled_before_it() -> None:
    trader = a_trader()
    order_id = trader.order_request("order.place", **GOOD, newClientOrderId="mm-1")["result"]["orderId"]
    trader.hub.on_tick(tick(at_s=1, last="100.10", traded="3.25", aggressor=Side.BUY))
    result = trader.order_request("order.cancel", orderId=order_id, newClientOrderId="c-1")["result"]
    assert (result["origClientOrderId"], result["clientOrderId"]) == ("mm-1", "c-1")
    assert (result["status"], result["executedQty"]) == ("CANCELED", "0.25000000")
    assert not {"fills", "workingTime"} & set(result)


@pytest.mark.parametrize(
    ("params", "code", "text"),
    [
        pytest.param({}, -1102, NO_NAME.format("orderId"), id="neither id"),
        pytest.param({"orderId": 5}, -2011, "Unknown order sent.", id="no such order"),
        pytest.param(
            {"orderId": 5, "cancelRestrictions": "NEVER"}, -1145, "Invalid cancelRestrictions", id="bad restriction"
        ),
    ],
)
def test_a_wrong_cancel_is_rejected_with_code_and_text(params: dict[str, Any], code: int, text: str) -> None:
    assert error(a_trader().order_request("order.cancel", **params)) == (400, code, text)


def test_cancel_all_lists_each_order_and_fails_if_there_is_none() -> None:
    trader = a_trader()
    for price in ("100.10", "100.20"):
        trader.order_request("order.place", **GOOD | {"price": price})
    assert [each["price"] for each in trader.order_request("openOrders.cancelAll")["result"]] == [
        "100.10000000",
        "100.20000000",
    ]
    assert error(trader.order_request("openOrders.cancelAll")) == (400, -2011, "Unknown order sent.")


def replace(trader: ApiClient, **params: Any) -> dict[str, Any]:
    first = trader.order_request("order.place", **GOOD, newClientOrderId="mm-1")["result"]["orderId"]
    return trader.order_request(
        "order.cancelReplace", **{"cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": first} | GOOD | params
    )


def test_a_successful_replace_returns_both_halves() -> None:
    answer = replace(a_trader(), price="100.20", newClientOrderId="mm-1", newOrderRespType="RESULT")
    assert answer["status"] == 200
    result = answer["result"]
    assert (result["cancelResult"], result["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert result["cancelResponse"]["origClientOrderId"] == "mm-1"
    assert result["newOrderResponse"]["price"] == "100.20000000"


def test_a_replace_that_would_match_leaves_nothing_on_the_book() -> None:
    trader = a_trader()
    answer = replace(trader, price="99.00")
    assert error(answer) == (409, -2021, "Order cancel-replace partially failed.")
    data = answer["error"]["data"]
    assert (data["cancelResult"], data["newOrderResult"]) == ("SUCCESS", "FAILURE")
    assert data["cancelResponse"]["status"] == "CANCELED"
    assert data["newOrderResponse"] == {"code": -2010, "msg": "Order would immediately match and take."}
    assert trader.order_request("openOrders.status")["result"] == []


def test_a_replace_of_an_unknown_order_tries_no_placement() -> None:
    answer = replace(a_trader(), cancelOrderId=7, price="100.20")
    assert error(answer) == (400, -2022, "Order cancel-replace failed.")
    assert answer["error"]["data"] == {
        "cancelResult": "FAILURE",
        "newOrderResult": "NOT_ATTEMPTED",
        "cancelResponse": {"code": -2011, "msg": "Unknown order sent."},
        "newOrderResponse": None,
    }


def test_a_replace_that_breaks_a_filter_has_no_halves() -> None:
    answer = replace(a_trader(), price="100.001")
    assert answer["error"] == {"code": -1013, "msg": "Filter failure: PRICE_FILTER"}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        pytest.param({"cancelReplaceMode": None}, -1102, id="no mode"),
        pytest.param({"cancelReplaceMode": "TRY"}, -1130, id="an unknown mode"),
        pytest.param({"cancelOrderId": None}, -1102, id="no order to cancel"),
        pytest.param({"orderRateLimitExceededMode": "HOPE"}, -1130, id="an unknown mode for the limit"),
    ],
)
def test_a_malformed_replace_is_rejected(params: dict[str, Any], code: int) -> None:
    assert replace(a_trader(), **params)["error"]["code"] == code


def test_a_symbol_without_pegs_rejects_them() -> None:
    client = a_trader(an_exchange(pegs_allowed=False))
    answer = client.order_request("order.place", **GOOD | {"pegPriceType": "PRIMARY_PEG"})
    assert answer["error"] == {"code": -2010, "msg": "Pegged orders are not supported for this symbol."}
