from decimal import Decimal
from typing import Any

import pytest
from tests.simulator.exchange_builders import START_MS, ApiClient, a_client, a_hub, an_exchange, tick

from trailingedge.model.market import Side


def a_visitor() -> ApiClient:
    """A client without a key, three minutes into the market."""
    client = a_client(a_hub(an_exchange()))
    for minute in range(1, 4):
        at = tick(at_s=minute * 60, last=f"10{minute}", traded="1", aggressor=Side.BUY)
        client.hub.on_tick(at)
    return client


def test_server_time_is_the_wall_clock_not_market_time() -> None:
    client = a_visitor()
    assert client.request("time")["result"] == {"serverTime": client.clock.unix_ms()}


def test_exchange_info_shows_the_symbols_rules() -> None:
    result = a_visitor().request("exchangeInfo", symbol="ETHFDUSD")["result"]
    (symbol,) = result["symbols"]
    assert (symbol["status"], symbol["baseAsset"], symbol["quoteAsset"]) == ("TRADING", "ETH", "FDUSD")
    filters = {each["filterType"]: each for each in symbol["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00010000"
    assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
    assert filters["PERCENT_PRICE_BY_SIDE"]["askMultiplierUp"] == "5"
    assert [(limit["rateLimitType"], limit["limit"]) for limit in result["rateLimits"]] == [
        ("REQUEST_WEIGHT", 6000),
        ("ORDERS", 100),
        ("ORDERS", 200_000),
        ("CONNECTIONS", 300),
    ]


def test_exchange_info_can_be_filtered_by_status() -> None:
    client = a_visitor()
    assert client.request("exchangeInfo", symbolStatus="HALT")["result"]["symbols"] == []
    client.hub.exchange.engine.symbol_status = "HALT"
    assert client.request("exchangeInfo", symbolStatus="HALT")["result"]["symbols"][0]["status"] == "HALT"


@pytest.mark.parametrize(("permissions", "listed"), [("SPOT", 1), (["MARGIN", "SPOT"], 1), ("MARGIN", 0), (["X"], 0)])
def test_exchange_info_can_be_filtered_by_one_permission_or_several(permissions: object, listed: int) -> None:
    assert len(a_visitor().request("exchangeInfo", permissions=permissions)["result"]["symbols"]) == listed


def test_exchange_info_lists_the_self_trade_modes_of_live_symbols() -> None:
    (symbol,) = a_visitor().request("exchangeInfo")["result"]["symbols"]
    assert symbol["defaultSelfTradePreventionMode"] == "EXPIRE_MAKER"
    assert symbol["allowedSelfTradePreventionModes"] == [
        *("EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER")
    ]


@pytest.mark.parametrize("method", ["ticker.book", "ticker.price"])
def test_prices_are_those_of_symbols_with_the_status_asked_for(method: str) -> None:
    client = a_visitor()
    assert len(client.request(method, symbolStatus="TRADING")["result"]) == 1
    assert client.request(method, symbolStatus="HALT")["result"] == []
    assert client.request(method, symbols=["ETHFDUSD"], symbolStatus="BREAK")["result"] == []
    assert client.request(method, symbol="ETHFDUSD", symbolStatus="TRADING")["status"] == 200
    refused = client.request(method, symbol="ETHFDUSD", symbolStatus="HALT")
    assert refused["error"] == {
        "code": -1220,
        "msg": "The symbol's status does not match the requested symbolStatus.",
    }


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        pytest.param("exchangeInfo", {"symbolStatus": "ASLEEP"}, -1122, id="rules by a status that is none"),
        pytest.param("ticker.book", {"symbolStatus": "ASLEEP"}, -1122, id="prices by a status that is none"),
        pytest.param("ticker.price", {"symbolStatus": ""}, -1105, id="prices by an empty status"),
        pytest.param("exchangeInfo", {"symbol": "ETHFDUSD", "permissions": "SPOT"}, -1128, id="symbol and permission"),
        pytest.param("exchangeInfo", {"symbol": "ETHBTC"}, -1121, id="rules of another symbol"),
        pytest.param("exchangeInfo", {"symbols": ["ETHFDUSD", "ETHFDUSD"]}, -1151, id="a symbol twice"),
        pytest.param("exchangeInfo", {"symbol": "ETHFDUSD", "symbols": ["ETHFDUSD"]}, -1128, id="one and several"),
        pytest.param("exchangeInfo", {"symbol": "ETHFDUSD", "symbolStatus": "HALT"}, -1128, id="symbol and status"),
        pytest.param("klines", {"symbol": "ETHFDUSD"}, -1102, id="klines without an interval"),
        pytest.param("klines", {"symbol": "ETHFDUSD", "interval": "7m"}, -1120, id="an unknown interval"),
        pytest.param("klines", {"symbol": "X", "interval": "1m"}, -1121, id="klines of another symbol"),
        pytest.param(
            "klines", {"symbol": "ETHFDUSD", "interval": "1m", "timeZone": "+15:00"}, -1130, id="no such time zone"
        ),
        pytest.param("ticker.book", {"symbol": "X"}, -1121, id="the top of another symbol"),
        pytest.param("avgPrice", {}, -1102, id="the average of nothing"),
    ],
)
def test_a_wrong_request_has_its_error_code(method: str, params: dict[str, Any], code: int) -> None:
    assert a_visitor().request(method, **params)["error"]["code"] == code


def test_klines_are_rows_oldest_first_the_last_one_forming() -> None:
    rows = a_visitor().request("klines", symbol="ETHFDUSD", interval="1m", limit=2)["result"]
    assert [(row[0], row[4]) for row in rows] == [
        (START_MS + 120_000, "102.00000000"),
        (START_MS + 180_000, "103.00000000"),
    ]


def test_klines_follow_market_time_however_far_from_the_wall_clock() -> None:
    rows = a_visitor().request(
        "klines", symbol="ETHFDUSD", interval="1m", startTime=START_MS + 60_000, endTime=START_MS + 120_000
    )["result"]
    assert [row[0] for row in rows] == [START_MS + 60_000, START_MS + 120_000]


@pytest.mark.parametrize("zone", ["0", "8", "+08:00", "-1:00", "05:45", "14:00"])
def test_time_zones_move_the_days(zone: str) -> None:
    (row,) = a_visitor().request("klines", symbol="ETHFDUSD", interval="1d", timeZone=zone, limit=1)["result"]
    assert row[0] <= START_MS < row[6]


def test_the_top_comes_alone_for_one_symbol_and_in_a_list_for_several() -> None:
    client = a_visitor()
    alone = client.request("ticker.book", symbol="ETHFDUSD")["result"]
    assert alone == {
        "symbol": "ETHFDUSD",
        "bidPrice": "100.00000000",
        "bidQty": "2.00000000",
        "askPrice": "100.10000000",
        "askQty": "3.00000000",
    }
    assert client.request("ticker.book", symbols=["ETHFDUSD"])["result"] == [alone]
    assert client.request("ticker.book")["result"] == [alone]


def test_the_top_returned_is_the_one_streamed() -> None:
    client = a_visitor()
    listener = a_client(client.hub, "/ws/ethfdusd@bookTicker")
    client.hub.exchange.manual_trader().place(Side.SELL, Decimal("100.05"), Decimal(1))
    client.hub.publish_events()
    ticker = client.request("ticker.book", symbol="ETHFDUSD")["result"]
    streamed = listener.connection.frames[-1]
    assert [ticker[name] for name in ("bidPrice", "bidQty", "askPrice", "askQty")] == [
        streamed[name] for name in ("b", "B", "a", "A")
    ]


def test_last_and_average_price_are_returned() -> None:
    client = a_visitor()
    assert client.request("ticker.price", symbol="ETHFDUSD")["result"] == {
        "symbol": "ETHFDUSD",
        "price": "103.00000000",
    }
    assert client.request("avgPrice", symbol="ETHFDUSD")["result"] == {
        "mins": 5,
        "price": "102.00000000",
        "closeTime": START_MS + 180_000,
    }


@pytest.mark.parametrize("method", ["ticker.book", "ticker.price"])
def test_unknown_prices_are_answered_with_an_error(method: str) -> None:
    client = a_visitor()
    exchange = client.hub.exchange
    exchange.prices_known = lambda: False
    answer = client.request(method, symbol="ETHFDUSD")
    assert (answer["status"], answer["error"]["code"]) == (500, -1001)
    assert client.request("klines", symbol="ETHFDUSD", interval="1m")["status"] == 200
    exchange.prices_known = lambda: True
    assert client.request(method, symbol="ETHFDUSD")["status"] == 200
