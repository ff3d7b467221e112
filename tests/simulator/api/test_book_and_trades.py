"""Depth and trades over the API, beside the streams of the same book and the same trades."""

from decimal import Decimal
from random import Random
from typing import Any

import pytest
from tests.simulator.exchange_builders import START_MS, ApiClient, a_client, a_hub, a_trader, an_exchange, tick

from trailingedge.model.market import Side
from trailingedge.simulator.connection_hub import ConnectionHub
from trailingedge.simulator.engine import BREAK, HALT

SYMBOL = "ETHFDUSD"
RESTING: dict[str, Any] = {"side": "SELL", "type": "LIMIT_MAKER", "price": "100.10", "quantity": "1"}
TAKING: dict[str, Any] = {"side": "SELL", "type": "MARKET", "quantity": "0.5"}
NO_SYMBOL = "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."


def depth(client: ApiClient, **params: Any) -> dict[str, Any]:
    result: dict[str, Any] = client.request("depth", symbol=SYMBOL, **params)["result"]
    return result


def recent(client: ApiClient, **params: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.request("trades.recent", symbol=SYMBOL, **params)["result"]
    return rows


def aggregates(client: ApiClient, **params: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.request("trades.aggregate", symbol=SYMBOL, **params)["result"]
    return rows


def test_depth_has_the_market_and_the_accounts_orders() -> None:
    trader = a_trader()
    for price in ("100.10", "100.20", "100.20"):
        trader.order_request("order.place", **RESTING | {"price": price})
    assert depth(trader) == {
        "lastUpdateId": 4,
        "bids": [["100.00000000", "2.00000000"]],
        "asks": [["100.10000000", "4.00000000"], ["100.20000000", "2.00000000"]],
    }
    assert depth(trader, limit=1)["asks"] == [["100.10000000", "4.00000000"]]


def test_depth_and_book_ticker_share_levels_and_update_id() -> None:
    trader = a_trader()
    listener = a_client(trader.hub, "/ws/ethfdusd@bookTicker")
    trader.order_request("order.place", **RESTING | {"price": "100.05"})
    (top,) = listener.connection.frames
    book = depth(trader)
    assert book["lastUpdateId"] == top["u"]
    assert (book["bids"][0], book["asks"][0]) == ([top["b"], top["B"]], [top["a"], top["A"]])
    # A change behind the best price raises the id and is no news for bookTicker.
    trader.order_request("order.place", **RESTING | {"price": "100.30"})
    assert depth(trader)["lastUpdateId"] == top["u"] + 1
    assert len(listener.connection.frames) == 1


def follow(levels: dict[str, str], rows: list[list[str]]) -> None:
    for price, quantity in rows:
        if Decimal(quantity):
            levels[price] = quantity
        else:
            levels.pop(price, None)


def rebuilt(snapshot: dict[str, Any], events: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """The local book of the documented procedure; fails where the procedure would start again."""
    book = {"bids": dict(snapshot["bids"]), "asks": dict(snapshot["asks"])}
    update_id = snapshot["lastUpdateId"]
    assert events[0]["U"] <= update_id + 1
    for event in events:
        if event["u"] <= update_id:
            continue
        assert event["U"] <= update_id + 1 <= event["u"]
        follow(book["bids"], event["b"])
        follow(book["asks"], event["a"])
        update_id = event["u"]
    return book


def trade_at_random(hub: ConnectionHub, trader: ApiClient, chance: Random, at_s: float) -> None:
    orders = hub.exchange.account().open_orders()
    if chance.random() < 0.4:
        price = f"{100 + chance.randint(-8, 8) / 100:.2f}"
        side = chance.choice(("BUY", "SELL"))
        trader.order_request("order.place", **RESTING | {"side": side, "price": price, "quantity": "0.1"})
    elif orders and chance.random() < 0.5:
        trader.order_request("order.cancel", orderId=chance.choice(orders).order_id)
    bid = 100 + chance.randint(-3, 3) / 100
    hub.on_tick(tick(f"{bid:.2f}", f"{bid + 0.02:.2f}", at_s=at_s, bid_quantity=str(chance.randint(1, 3))))


@pytest.mark.parametrize("speed", ["", "@100ms", "@1000ms"])
def test_a_local_book_kept_as_documented_equals_the_snapshot(speed: str) -> None:
    chance = Random(f"book {speed}")
    trader = a_trader()
    listener = a_client(trader.hub, f"/ws/ethfdusd@depth{speed}")
    snapshots, changed_at = [], [0.25 * number for number in range(1, 200)]
    for at_s in changed_at:
        trade_at_random(trader.hub, trader, chance, at_s)
        if chance.random() < 0.1 and listener.connection.frames:
            snapshots.append((len(listener.connection.frames) - 1, depth(trader)))
    trader.hub.on_tick(tick("100.00", "100.02", at_s=changed_at[-1] + 2))
    events = listener.connection.frames
    last = depth(trader)
    assert {event["e"] for event in events} == {"depthUpdate"}
    assert [after["U"] for after in events[1:]] == [before["u"] + 1 for before in events[:-1]]
    assert events[-1]["u"] == last["lastUpdateId"]
    assert len(snapshots) > 5
    for seen, snapshot in snapshots:
        assert rebuilt(snapshot, events[seen:]) == {"bids": dict(last["bids"]), "asks": dict(last["asks"])}


def test_a_diff_stream_keeps_its_pace() -> None:
    hub = a_hub()
    fast, slow = a_client(hub, "/ws/ethfdusd@depth@100ms"), a_client(hub, "/ws/ethfdusd@depth")
    for step in range(1, 41):
        hub.on_tick(tick("100.00", f"{101 + step / 100:.2f}", at_s=step * 0.05))
    assert len(fast.connection.frames) == 20
    assert len(slow.connection.frames) == 2


def test_an_unchanged_book_sends_no_diff() -> None:
    client = a_client(a_hub(), "/ws/ethfdusd@depth")
    for second in range(1, 5):
        client.hub.on_tick(tick(at_s=second))
    assert client.connection.frames == []


@pytest.mark.parametrize("levels", [5, 10, 20])
def test_a_partial_depth_stream_sends_the_best_levels(levels: int) -> None:
    trader = a_trader()
    listener = a_client(trader.hub, f"/stream?streams=ethfdusd@depth{levels}@100ms")
    for step in range(25):
        trader.order_request("order.place", **RESTING | {"price": f"100.{20 + step}", "quantity": "0.1"})
    trader.hub.on_tick(tick(at_s=1))
    frame = listener.connection.frames[-1]
    assert frame["stream"] == f"ethfdusd@depth{levels}@100ms"
    assert frame["data"] == depth(trader, limit=levels)
    assert len(frame["data"]["asks"]) == levels


def test_a_break_stops_the_depth_and_the_chain_goes_on_after_it() -> None:
    client = a_client(a_hub(), "/ws/ethfdusd@depth@100ms")
    engine = client.hub.exchange.engine
    client.hub.on_tick(tick("100.01", at_s=1))
    engine.symbol_status = BREAK
    client.hub.on_tick(tick("100.02", at_s=2))
    engine.symbol_status = "TRADING"
    client.hub.on_tick(tick("100.03", at_s=3))
    first, second = client.connection.frames
    assert second["U"] == first["u"] + 1


@pytest.mark.parametrize(
    ("params", "weight"),
    [({}, 5), ({"limit": 100}, 5), ({"limit": 101}, 25), ({"limit": 501}, 50), ({"limit": 9999}, 250)],
)
def test_the_weight_of_depth_grows_with_its_limit(params: dict[str, Any], weight: int) -> None:
    client = a_client(a_hub())
    before = client.request("ping")["rateLimits"][0]["count"]
    assert client.request("depth", symbol=SYMBOL, **params)["rateLimits"][0]["count"] - before == weight


def test_a_trade_of_the_market_is_a_row_and_two_events() -> None:
    hub = a_hub()
    client, single = a_client(hub), a_client(hub, "/ws/ethfdusd@trade")
    together = a_client(hub, "/ws/ethfdusd@aggTrade")
    hub.on_tick(tick(at_s=1, last="100.10", traded="1.5", aggressor=Side.BUY))
    assert recent(client) == [
        {
            "id": 1,
            "price": "100.10000000",
            "qty": "1.50000000",
            "quoteQty": "150.15000000",
            "time": START_MS + 1000,
            "isBuyerMaker": False,
            "isBestMatch": True,
        }
    ]
    assert single.connection.frames == [
        {
            "e": "trade",
            "E": START_MS + 1000,
            "s": SYMBOL,
            "t": 1,
            "p": "100.10000000",
            "q": "1.50000000",
            "T": START_MS + 1000,
            "m": False,
            "M": True,
        }
    ]
    (event,) = together.connection.frames
    (row,) = aggregates(client)
    assert row == {
        "a": 1,
        "p": "100.10000000",
        "q": "1.50000000",
        "f": 1,
        "l": 1,
        "T": START_MS + 1000,
        "m": False,
        "M": True,
    }
    assert event == {"e": "aggTrade", "E": START_MS + 1000, "s": SYMBOL} | row


def test_a_fill_by_the_markets_trade_is_a_part_of_that_trade() -> None:
    trader = a_trader()
    trader.order_request("order.place", **RESTING)
    # Three wait in the queue ahead, so the trade leaves a quarter for the order.
    trader.hub.on_tick(tick(at_s=1, last="100.10", traded="3.25", aggressor=Side.BUY))
    (fill,) = trader.order_request("myTrades")["result"]
    ours, others = recent(trader)
    assert (ours["id"], ours["qty"]) == (fill["id"], fill["qty"]) == (1, "0.25000000")
    assert (others["id"], others["qty"]) == (2, "3.00000000")
    (together,) = aggregates(trader)
    assert (together["q"], together["f"], together["l"]) == ("3.25000000", 1, 2)


def test_a_fill_beyond_the_markets_trade_is_a_trade_of_its_own() -> None:
    trader = a_trader()
    trader.order_request("order.place", **RESTING)
    trader.hub.on_tick(tick("100.20", "100.30", at_s=1, last="100.20", traded="2", aggressor=Side.BUY))
    (fill,) = trader.order_request("myTrades")["result"]
    assert [(row["id"], row["price"], row["qty"]) for row in recent(trader)] == [
        (fill["id"], "100.10000000", "1.00000000"),
        (2, "100.20000000", "2.00000000"),
    ]
    assert [row["isBuyerMaker"] for row in recent(trader)] == [False, False]


def test_what_an_account_takes_is_traded_in_public() -> None:
    trader = a_trader()
    listener = a_client(trader.hub, "/ws/ethfdusd@trade")
    taken = trader.order_request("order.place", **TAKING)["result"]["fills"]
    (row,) = recent(trader)
    assert (row["id"], row["price"], row["qty"]) == (taken[0]["tradeId"], taken[0]["price"], taken[0]["qty"])
    assert row["isBuyerMaker"] is True
    assert [event["t"] for event in listener.connection.frames] == [row["id"]]


def several_trades() -> ApiClient:
    client = a_client(a_hub())
    for second in range(1, 6):
        client.hub.on_tick(tick(at_s=second, last="100.10", traded="1", aggressor=Side.SELL))
    return client


@pytest.mark.parametrize(
    ("method", "params", "found"),
    [
        pytest.param("trades.recent", {}, [1, 2, 3, 4, 5], id="all"),
        pytest.param("trades.recent", {"limit": 2}, [4, 5], id="the newest"),
        pytest.param("trades.historical", {"limit": 2}, [4, 5], id="the newest of the past"),
        pytest.param("trades.historical", {"fromId": 2, "limit": 2}, [2, 3], id="from an id on"),
        pytest.param("trades.aggregate", {}, [1, 2, 3, 4, 5], id="all aggregates"),
        pytest.param("trades.aggregate", {"limit": 1}, [5], id="the newest aggregate"),
        pytest.param("trades.aggregate", {"fromId": 2, "limit": 2}, [2, 3], id="aggregates from an id on"),
        pytest.param("trades.aggregate", {"startTime": START_MS + 3000, "limit": 2}, [3, 4], id="from a time on"),
        pytest.param("trades.aggregate", {"endTime": START_MS + 3000, "limit": 2}, [2, 3], id="until a time"),
    ],
)
def test_trades_come_in_pages(method: str, params: dict[str, Any], found: list[int]) -> None:
    rows = several_trades().request(method, symbol=SYMBOL, **params)["result"]
    assert [row.get("id", row.get("a")) for row in rows] == found


@pytest.mark.parametrize(
    ("method", "params", "code", "text"),
    [
        pytest.param("depth", {}, -1102, NO_SYMBOL, id="depth of no symbol"),
        pytest.param("depth", {"symbol": "X"}, -1121, "Invalid symbol.", id="depth of another symbol"),
        pytest.param("depth", {"symbol": SYMBOL, "symbolStatus": "NEW"}, -1122, "Invalid symbolStatus.", id="status"),
        pytest.param("trades.recent", {}, -1102, NO_SYMBOL, id="trades of no symbol"),
        pytest.param(
            "trades.aggregate",
            {"symbol": SYMBOL, "fromId": 1, "startTime": START_MS},
            -1128,
            "Combination of optional parameters invalid.",
            id="an id and a time",
        ),
        pytest.param(
            "trades.recent",
            {"symbol": SYMBOL, "fromId": 1},
            -1104,
            "Not all sent parameters were read; read '2' parameter(s) but was sent '3' parameter(s).",
            id="an unknown parameter",
        ),
    ],
)
def test_a_wrong_request_has_its_error(method: str, params: dict[str, Any], code: int, text: str) -> None:
    answer = several_trades().request(method, **params | ({"limit": 5} if "fromId" in params else {}))
    assert (answer["error"]["code"], answer["error"]["msg"]) == (code, text)


def test_depth_asked_for_another_status_is_refused() -> None:
    client = a_client(a_hub())
    assert client.request("depth", symbol=SYMBOL, symbolStatus=HALT)["error"]["code"] == -1220


def test_a_stale_live_market_has_no_depth() -> None:
    client = a_client(a_hub(an_exchange()))
    client.hub.exchange.prices_known = lambda: False
    assert client.request("depth", symbol=SYMBOL)["error"]["code"] == -1001
