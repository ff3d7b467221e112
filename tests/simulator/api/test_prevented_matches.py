from typing import Any

import pytest
from tests.simulator.exchange_builders import ApiClient, a_trader

SELL: dict[str, Any] = {"side": "SELL", "type": "LIMIT_MAKER", "price": "100.05", "quantity": "1"}
BUY: dict[str, Any] = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "100.05", "quantity": "2"}


def a_self_trader() -> tuple[ApiClient, int, dict[str, Any]]:
    """A client that met an order of its own; that order's id, and the reply to the order that met it."""
    trader = a_trader()
    maker = trader.order_request("order.place", **SELL)["result"]["orderId"]
    return trader, maker, trader.order_request("order.place", **BUY, selfTradePreventionMode="EXPIRE_BOTH")["result"]


def test_a_placement_names_the_self_trades_that_were_prevented() -> None:
    _, maker, taker = a_self_trader()
    assert taker["status"] == "EXPIRED_IN_MATCH"
    assert taker["selfTradePreventionMode"] == "EXPIRE_BOTH"
    assert taker["preventedQuantity"] == "2.00000000"
    assert taker["preventedMatches"] == [
        {
            "preventedMatchId": 1,
            "makerOrderId": maker,
            "price": "100.05000000",
            "takerPreventedQuantity": "2.00000000",
            "makerPreventedQuantity": "1.00000000",
        }
    ]
    assert "preventedMatchId" not in taker


def test_a_query_has_what_the_order_lost() -> None:
    trader, maker, _ = a_self_trader()
    found = trader.order_request("order.status", orderId=maker)["result"]
    assert (found["status"], found["preventedMatchId"], found["preventedQuantity"]) == (
        "EXPIRED_IN_MATCH",
        1,
        "1.00000000",
    )
    assert "preventedMatches" not in found


def test_a_prevented_match_is_found_by_its_id_and_by_either_order() -> None:
    trader, maker, taker = a_self_trader()
    row = {
        "symbol": "ETHFDUSD",
        "preventedMatchId": 1,
        "takerOrderId": taker["orderId"],
        "makerSymbol": "ETHFDUSD",
        "makerOrderId": maker,
        "tradeGroupId": -1,
        "selfTradePreventionMode": "EXPIRE_BOTH",
        "price": "100.05000000",
        "takerPreventedQuantity": "2.00000000",
        "makerPreventedQuantity": "1.00000000",
        "transactTime": taker["transactTime"],
    }
    for selection in ({"preventedMatchId": 1}, {"orderId": maker}, {"orderId": taker["orderId"]}):
        assert trader.order_request("myPreventedMatches", **selection)["result"] == [row]
    assert trader.order_request("myPreventedMatches", orderId=maker, fromPreventedMatchId=2)["result"] == []


@pytest.mark.parametrize(
    "selection",
    [{}, {"preventedMatchId": 1, "orderId": 1}, {"preventedMatchId": 1, "fromPreventedMatchId": 1}],
    ids=["none", "both ids", "a start without an order"],
)
def test_other_selections_are_refused(selection: dict[str, int]) -> None:
    assert a_trader().order_request("myPreventedMatches", **selection)["error"]["code"] == -1128
