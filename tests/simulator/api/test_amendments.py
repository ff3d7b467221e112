"""Amendments that keep the queue place: reply, report, balances, queue, and every refusal."""

from typing import Any

import pytest
from tests.simulator.exchange_builders import ApiClient, a_client, a_trader, an_exchange, tick

from trailingedge.model.market import Side
from trailingedge.simulator.engine import BREAK, CANCEL_ONLY

ORDER: dict[str, Any] = {"side": "SELL", "type": "LIMIT_MAKER", "price": "100.10", "quantity": "1"}
BUY: dict[str, Any] = ORDER | {"side": "BUY", "price": "100.00", "quantity": "2"}


def a_trader_with_an_order(order: dict[str, Any] = ORDER, **spec: Any) -> ApiClient:
    """A trader with order 1001, named "first"."""
    trader = a_trader(an_exchange(**spec))
    trader.order_request("order.place", **order, newClientOrderId="first")
    return trader


def amend(trader: ApiClient, quantity: str, **params: Any) -> dict[str, Any]:
    named = {} if "origClientOrderId" in params or "orderId" in params else {"orderId": 1001}
    return trader.order_request("order.amend.keepPriority", newQty=quantity, **named, **params)


def test_the_reply_and_the_report_tell_the_new_quantity() -> None:
    trader = a_trader_with_an_order()
    seen = len(trader.events)
    answer = amend(trader, "0.6", newClientOrderId="second")
    report, position = trader.events[seen:]
    now_ms = trader.hub.exchange.engine.market_ms
    assert answer["result"] == {
        "transactTime": now_ms,
        "executionId": report["I"],
        "amendedOrder": {
            "symbol": "ETHFDUSD",
            "orderId": 1001,
            "orderListId": -1,
            "origClientOrderId": "first",
            "clientOrderId": "second",
            "price": "100.10000000",
            "qty": "0.60000000",
            "executedQty": "0.00000000",
            "preventedQty": "0.00000000",
            "quoteOrderQty": "0.00000000",
            "cumulativeQuoteQty": "0.00000000",
            "status": "NEW",
            "timeInForce": "GTC",
            "type": "LIMIT_MAKER",
            "side": "SELL",
            "workingTime": now_ms,
            "selfTradePreventionMode": "EXPIRE_MAKER",
        },
    }
    assert (report["x"], report["X"], report["c"], report["C"]) == ("REPLACED", "NEW", "second", "first")
    assert (report["i"], report["q"], report["z"], report["w"]) == (1001, "0.60000000", "0.00000000", True)
    assert position["e"] == "outboundAccountPosition"
    assert position["B"][0] == {"a": "ETH", "f": "9.40000000", "l": "0.60000000"}


def test_the_order_is_found_under_its_new_id_only() -> None:
    trader = a_trader_with_an_order()
    new_id = amend(trader, "0.6", origClientOrderId="first")["result"]["amendedOrder"]["clientOrderId"]
    assert len(new_id) == 22
    assert trader.order_request("order.status", origClientOrderId=new_id)["result"]["origQty"] == "0.60000000"
    assert trader.order_request("order.status", origClientOrderId="first")["error"]["code"] == -2013


def test_an_order_may_keep_its_client_order_id() -> None:
    amended = amend(a_trader_with_an_order(), "0.6", newClientOrderId="first")["result"]["amendedOrder"]
    assert (amended["origClientOrderId"], amended["clientOrderId"]) == ("first", "first")


def test_a_buy_order_unlocks_quote() -> None:
    trader = a_trader_with_an_order(BUY)
    amend(trader, "0.5")
    assert trader.hub.exchange.account().balance("FDUSD").locked == 50


def test_the_place_in_the_queue_stays() -> None:
    trader = a_trader_with_an_order()
    trader.order_request("order.place", **ORDER, newClientOrderId="behind")
    amend(trader, "0.6")
    # Three units of the market stand ahead of the amended order, and it stands ahead of the other one.
    trader.hub.on_tick(tick(at_s=1, last="100.10", traded="3.7", aggressor=Side.BUY))
    first = trader.order_request("order.status", orderId=1001)["result"]
    behind = trader.order_request("order.status", origClientOrderId="behind")["result"]
    assert (first["status"], first["executedQty"]) == ("FILLED", "0.60000000")
    assert (behind["status"], behind["executedQty"]) == ("PARTIALLY_FILLED", "0.10000000")


def test_the_book_shows_the_smaller_quantity() -> None:
    trader = a_trader_with_an_order()
    listener = a_client(trader.hub, "/ws/ethfdusd@bookTicker")
    amend(trader, "0.6")
    (top,) = listener.connection.frames
    assert top["A"] == "3.60000000"
    assert trader.request("depth", symbol="ETHFDUSD")["result"]["asks"] == [["100.10000000", "3.60000000"]]


def test_a_partly_filled_order_reports_its_fill() -> None:
    trader = a_trader_with_an_order()
    trader.hub.on_tick(tick(at_s=1, last="100.10", traded="3.25", aggressor=Side.BUY))
    amended = amend(trader, "0.6")["result"]["amendedOrder"]
    assert (amended["status"], amended["executedQty"], amended["qty"]) == (
        "PARTIALLY_FILLED",
        "0.25000000",
        "0.60000000",
    )
    assert trader.hub.exchange.account().balance("ETH").locked == trader.hub.exchange.account().open_orders()[0].locked


@pytest.mark.parametrize("quantity", ["0.25", "0.1"])
def test_an_order_filled_to_its_new_quantity_expires_and_is_free(quantity: str) -> None:
    trader = a_trader_with_an_order()
    trader.hub.on_tick(tick(at_s=1, last="100.10", traded="3.25", aggressor=Side.BUY))
    before = trader.request("ping")["rateLimits"][0]["count"]
    seen = len(trader.events)
    answer = amend(trader, quantity)
    assert answer["result"]["amendedOrder"]["status"] == "EXPIRED"
    assert answer["rateLimits"][0]["count"] == before
    assert [(event.get("x"), event.get("X")) for event in trader.events[seen:-1]] == [
        ("REPLACED", "PARTIALLY_FILLED"),
        ("EXPIRED", "EXPIRED"),
    ]
    account = trader.hub.exchange.account()
    assert account.open_orders() == []
    assert account.balance("ETH").locked == 0


def test_an_amendment_counts_no_unfilled_order_and_costs_its_weight() -> None:
    trader = a_trader_with_an_order()
    before = trader.request("ping")["rateLimits"][0]["count"]
    answer = amend(trader, "0.6")
    assert [limit["rateLimitType"] for limit in answer["rateLimits"]] == ["REQUEST_WEIGHT"]
    assert answer["rateLimits"][0]["count"] - before == 4
    (ten_seconds, _) = trader.request("account.rateLimits.orders", timestamp=trader.clock.unix_ms())["result"]
    assert ten_seconds["count"] == 1


@pytest.mark.parametrize(
    ("quantity", "params", "code", "text"),
    [
        pytest.param("1.1", {}, -2038, "Order amend (quantity increase) is not supported.", id="more"),
        pytest.param("1", {}, -2038, "The requested action would change no state; rejecting", id="the same"),
        pytest.param("0.6", {"orderId": 999}, -2038, "Unknown order sent.", id="an unknown order"),
        pytest.param("0.6", {"origClientOrderId": "x"}, -2038, "Unknown order sent.", id="an unknown client order id"),
        pytest.param(
            "0.6",
            {"orderId": 1001, "origClientOrderId": "x"},
            -2039,
            "Client order ID is not correct for this order ID.",
            id="ids of two orders",
        ),
        pytest.param("0.6", {"newClientOrderId": "other"}, -2038, "Duplicate order sent.", id="an id in use"),
        pytest.param("0.00005", {}, -1013, "Filter failure: LOT_SIZE", id="off the grid"),
        pytest.param("0", {}, -1013, "Filter failure: LOT_SIZE", id="nothing"),
        pytest.param("0.01", {}, -1013, "Filter failure: NOTIONAL", id="too small a notional"),
        pytest.param("-1", {}, -1100, None, id="a negative quantity"),
        pytest.param("0.6", {"newClientOrderId": "a b"}, -1100, None, id="an id with a space"),
        pytest.param("0.6", {"price": "100"}, -1104, None, id="a price"),
    ],
)
def test_a_refused_amendment_changes_nothing(quantity: str, params: dict[str, Any], code: int, text: str) -> None:
    trader = a_trader_with_an_order()
    trader.order_request("order.place", **ORDER | {"price": "100.20"}, newClientOrderId="other")
    before, events = trader.order_request("order.status", orderId=1001)["result"], len(trader.events)
    error = amend(trader, quantity, **params)["error"]
    assert error["code"] == code
    assert text is None or error["msg"] == text
    assert trader.order_request("order.status", orderId=1001)["result"] == before
    assert len(trader.events) == events


def test_an_order_must_be_named() -> None:
    trader = a_trader_with_an_order()
    assert trader.order_request("order.amend.keepPriority", newQty="0.6")["error"]["code"] == -1102
    assert trader.order_request("order.amend.keepPriority", orderId=1001)["error"]["code"] == -1102


def test_an_order_is_amended_ten_times_at_most() -> None:
    trader = a_trader_with_an_order()
    for step in range(1, 11):
        assert amend(trader, f"{1 - step / 20:.2f}")["status"] == 200
    error = amend(trader, "0.1")["error"]
    assert (error["code"], error["msg"]) == (-2038, "Filter failure: MAX_NUM_ORDER_AMENDS")


def test_a_symbol_may_not_support_amendments() -> None:
    trader = a_trader_with_an_order(amends_allowed=False)
    assert amend(trader, "0.6")["error"]["msg"] == "Order amend is not supported for this symbol."
    (symbol,) = trader.request("exchangeInfo")["result"]["symbols"]
    assert symbol["amendAllowed"] is False


@pytest.mark.parametrize(("status", "accepted"), [(CANCEL_ONLY, True), (BREAK, False)])
def test_the_symbols_status_decides(status: str, accepted: bool) -> None:
    trader = a_trader_with_an_order()
    trader.hub.exchange.engine.symbol_status = status
    answer = amend(trader, "0.6")
    assert (answer["status"] == 200) is accepted
    assert accepted or answer["error"] == {"code": -2038, "msg": "Market is closed."}


def test_the_amendments_of_an_order_are_listed() -> None:
    trader = a_trader_with_an_order()
    first = amend(trader, "0.8", newClientOrderId="second")["result"]["executionId"]
    second = amend(trader, "0.6", newClientOrderId="third")["result"]["executionId"]
    rows = trader.order_request("order.amendments", orderId=1001)["result"]
    assert rows[0] == {
        "symbol": "ETHFDUSD",
        "orderId": 1001,
        "executionId": first,
        "origClientOrderId": "first",
        "newClientOrderId": "second",
        "origQty": "1.00000000",
        "newQty": "0.80000000",
        "time": trader.hub.exchange.engine.market_ms,
    }
    assert [row["executionId"] for row in rows] == [first, second]
    page = trader.order_request("order.amendments", orderId=1001, fromExecutionId=second)["result"]
    assert [row["executionId"] for row in page] == [second]
    newest = trader.order_request("order.amendments", orderId=1001, limit=1)["result"]
    assert [row["executionId"] for row in newest] == [second]


def test_an_unknown_order_has_no_amendments() -> None:
    trader = a_trader_with_an_order()
    assert trader.order_request("order.amendments", orderId=9)["result"] == []
    assert trader.order_request("order.amendments")["error"]["code"] == -1102


def test_my_filters_are_those_of_the_symbol() -> None:
    trader = a_trader()
    (symbol,) = trader.request("exchangeInfo")["result"]["symbols"]
    assert trader.order_request("myFilters")["result"] == {
        "exchangeFilters": [],
        "symbolFilters": symbol["filters"],
        "assetFilters": [],
    }


@pytest.mark.parametrize("method", ["order.amend.keepPriority", "order.amendments", "myFilters"])
def test_a_key_is_needed(method: str) -> None:
    client = a_client(a_trader().hub)
    assert client.order_request(method, orderId=1001, newQty="0.5")["error"]["code"] == -1102


def test_the_audit_log_tells_the_amendment() -> None:
    trader = a_trader_with_an_order()
    amend(trader, "0.6", newClientOrderId="second")
    (entry,) = [each for each in trader.hub.exchange.audit_log.entries if each.what == "amended"]
    assert entry.details == "1001 second LIMIT_MAKER SELL 0.6 at 100.10, before 1"
