from decimal import Decimal
from typing import Any

import pytest
from tests.simulator.exchange_builders import START_MS, ApiClient, a_trader, an_exchange, tick

from trailingedge.model.market import Side

GOOD: dict[str, Any] = {"side": "SELL", "type": "LIMIT_MAKER", "price": "100.10", "quantity": "1"}


def a_trader_with_fills() -> ApiClient:
    """Orders 1001 to 1003: sold at 60 s, cancelled at 60 s, resting; trades 1 and 3 are the first order's."""
    trader = a_trader()
    trader.order_request("order.place", **GOOD, newClientOrderId="first")
    trader.hub.on_tick(tick(at_s=30, last="100.10", traded="3.25", aggressor=Side.BUY))
    trader.hub.on_tick(tick("100.15", "100.30", at_s=60))
    trader.order_request("order.place", **GOOD | {"price": "100.40"}, newClientOrderId="second")
    trader.order_request("order.cancel", origClientOrderId="second")
    trader.order_request("order.place", **GOOD | {"price": "100.50"}, newClientOrderId="third")
    return trader


def test_the_account_is_its_balances_and_rates() -> None:
    trader = a_trader(an_exchange(maker_fee=Decimal("0.0001")))
    trader.order_request("order.place", **GOOD)
    result = trader.request("account.status", timestamp=trader.clock.unix_ms())["result"]
    assert result["balances"] == [
        {"asset": "ETH", "free": "9.00000000", "locked": "1.00000000"},
        {"asset": "FDUSD", "free": "1000.00000000", "locked": "0.00000000"},
    ]
    assert (result["makerCommission"], result["commissionRates"]["maker"]) == (1, "0.00010000")
    assert result["updateTime"] == START_MS


def test_zero_balances_are_left_out_on_request() -> None:
    trader = a_trader(an_exchange(quote="0"))
    stamp = trader.clock.unix_ms()
    result = trader.request("account.status", timestamp=stamp, omitZeroBalances=True)["result"]
    assert [balance["asset"] for balance in result["balances"]] == ["ETH"]


def test_the_commission_of_the_symbol_is_returned() -> None:
    result = a_trader(an_exchange(maker_fee=Decimal("0.0002"))).order_request("account.commission")["result"]
    assert result["standardCommission"] == {
        "maker": "0.00020000",
        "taker": "0.00100000",
        "buyer": "0.00000000",
        "seller": "0.00000000",
    }


def test_the_unfilled_orders_are_counted() -> None:
    trader = a_trader()
    trader.order_request("order.place", **GOOD)
    result = trader.request("account.rateLimits.orders", timestamp=trader.clock.unix_ms())["result"]
    assert [(limit["interval"], limit["count"]) for limit in result] == [("SECOND", 1), ("DAY", 1)]


def test_an_order_is_found_by_either_id() -> None:
    trader = a_trader_with_fills()
    by_id = trader.order_request("order.status", orderId=1001)["result"]
    assert by_id == trader.order_request("order.status", origClientOrderId="first")["result"]
    assert (by_id["status"], by_id["executedQty"], by_id["time"]) == ("FILLED", "1.00000000", START_MS)
    assert by_id["updateTime"] == START_MS + 60_000
    assert {"stopPrice", "icebergQty", "isWorking", "workingTime"} <= set(by_id)


@pytest.mark.parametrize(
    ("params", "code", "text"),
    [
        pytest.param({"orderId": 7}, -2013, "Order does not exist.", id="no such order"),
        pytest.param({"origClientOrderId": "x"}, -2013, "Order does not exist.", id="no such id"),
        pytest.param(
            {"orderId": 1001, "origClientOrderId": "second"},
            -2039,
            "Client order ID is not correct for this order ID.",
            id="ids that disagree",
        ),
        pytest.param(
            {},
            -1102,
            "Mandatory parameter 'orderId' was not sent, was empty/null, or malformed.",
            id="neither",
        ),
    ],
)
def test_an_order_that_is_not_found_has_its_error(params: dict[str, Any], code: int, text: str) -> None:
    assert a_trader_with_fills().order_request("order.status", **params)["error"] == {"code": code, "msg": text}


def test_open_orders_are_those_not_final() -> None:
    trader = a_trader_with_fills()
    assert [each["orderId"] for each in trader.order_request("openOrders.status")["result"]] == [1003]
    everywhere = trader.request("openOrders.status", timestamp=trader.clock.unix_ms())
    assert [each["orderId"] for each in everywhere["result"]] == [1003]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        pytest.param({}, [1001, 1002, 1003], id="all"),
        pytest.param({"limit": 2}, [1002, 1003], id="the newest"),
        pytest.param({"orderId": 1002}, [1002, 1003], id="from an order on"),
        pytest.param({"orderId": 1001, "limit": 1}, [1001], id="the oldest from an order on"),
        pytest.param({"startTime": START_MS, "limit": 2}, [1001, 1002], id="the oldest from a time on"),
        pytest.param({"endTime": START_MS + 59_999}, [], id="up to a time"),
    ],
)
def test_all_orders_come_in_pages(params: dict[str, Any], found: list[int]) -> None:
    result = a_trader_with_fills().order_request("allOrders", **params)["result"]
    assert [each["orderId"] for each in result] == found


def test_a_trade_row_is_one_fill() -> None:
    first, second = a_trader_with_fills().order_request("myTrades")["result"]
    assert first == {
        "symbol": "ETHFDUSD",
        "id": 1,
        "orderId": 1001,
        "orderListId": -1,
        "price": "100.10000000",
        "qty": "0.25000000",
        "quoteQty": "25.02500000",
        "commission": "0.00000000",
        "commissionAsset": "FDUSD",
        "time": START_MS + 30_000,
        "isBuyer": False,
        "isMaker": True,
        "isBestMatch": True,
    }
    assert (second["id"], second["qty"]) == (3, "0.75000000")


@pytest.mark.parametrize(
    ("params", "found"),
    [
        pytest.param({"orderId": 1001}, [1, 3], id="of an order"),
        pytest.param({"orderId": 1001, "fromId": 2}, [3], id="of an order from a trade on"),
        pytest.param({"fromId": 2}, [3], id="from a trade on"),
        pytest.param({"limit": 1}, [3], id="the newest"),
        pytest.param({"startTime": START_MS, "limit": 1}, [1], id="the oldest from a time on"),
        pytest.param({"startTime": START_MS, "endTime": START_MS + 30_000}, [1], id="between two times"),
    ],
)
def test_trades_come_in_pages(params: dict[str, Any], found: list[int]) -> None:
    assert [each["id"] for each in a_trader_with_fills().order_request("myTrades", **params)["result"]] == found


@pytest.mark.parametrize(
    ("params", "code"),
    [
        pytest.param({"orderId": 1001, "startTime": START_MS}, -1128, id="an order and a time"),
        pytest.param({"fromId": 1, "endTime": START_MS}, -1128, id="a trade and a time"),
        pytest.param({"startTime": START_MS - 90_000_000, "endTime": START_MS}, -1127, id="more than a day"),
        pytest.param({"startTime": 1}, -1130, id="before 2017"),
        pytest.param({"limit": 0}, -1130, id="no rows"),
    ],
)
def test_a_wrong_request_for_trades_has_its_error_code(params: dict[str, Any], code: int) -> None:
    assert a_trader_with_fills().order_request("myTrades", **params)["error"]["code"] == code
