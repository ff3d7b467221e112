"""Price statistics over the API and as streams: one computation, several shapes."""

from decimal import Decimal
from typing import Any

import pytest
from tests.simulator.exchange_builders import START_MS, ApiClient, a_client, a_hub, a_trader, tick

from trailingedge.core.time_units import DAY_MS, HOUR_MS, MINUTE_MS
from trailingedge.model.market import Kline, Side
from trailingedge.simulator.exchange import Exchange

SYMBOL = "ETHFDUSD"
COMMON = {
    *("openPrice", "highPrice", "lowPrice", "lastPrice", "volume", "quoteVolume"),
    *("openTime", "closeTime", "firstId", "lastId", "count"),
}
CHANGE = {"priceChange", "priceChangePercent", "weightedAvgPrice"}
BOOK = {"prevClosePrice", "lastQty", "bidPrice", "bidQty", "askPrice", "askQty"}


def a_market() -> ApiClient:
    """Trades at 100, 104, 98 and 102 in one minute; the day before closed at 99."""
    client = a_client(a_hub())
    for at_s, price in ((1, "100"), (2, "104"), (3, "98"), (4, "102")):
        client.hub.on_tick(tick(at_s=at_s, last=price, traded="2", aggressor=Side.BUY))
    return client


def ask(client: ApiClient, method: str, **params: Any) -> Any:
    return client.request(method, symbol=SYMBOL, **params)["result"]


def test_the_day_ticker_tells_the_last_24_hours() -> None:
    assert ask(a_market(), "ticker.24hr") == {
        "symbol": SYMBOL,
        "priceChange": "2.00000000",
        "priceChangePercent": "2.000",
        "weightedAvgPrice": "101.00000000",
        "prevClosePrice": "100.00000000",
        "lastPrice": "102.00000000",
        "lastQty": "2.00000000",
        "bidPrice": "100.00000000",
        "bidQty": "2.00000000",
        "askPrice": "100.10000000",
        "askQty": "3.00000000",
        "openPrice": "100.00000000",
        "highPrice": "104.00000000",
        "lowPrice": "98.00000000",
        "volume": "8.00000000",
        "quoteVolume": "808.00000000",
        "openTime": START_MS + 4000 - DAY_MS,
        "closeTime": START_MS + 4000,
        "firstId": 1,
        "lastId": 4,
        "count": 4,
    }


@pytest.mark.parametrize(
    ("method", "params", "fields"),
    [
        pytest.param("ticker.24hr", {}, COMMON | CHANGE | BOOK, id="a day"),
        pytest.param("ticker.24hr", {"type": "MINI"}, COMMON, id="a day in short"),
        pytest.param("ticker", {}, COMMON | CHANGE, id="a window"),
        pytest.param("ticker", {"type": "MINI"}, COMMON, id="a window in short"),
        pytest.param("ticker.tradingDay", {}, COMMON | CHANGE, id="a trading day"),
        pytest.param("ticker.tradingDay", {"type": "MINI"}, COMMON, id="a trading day in short"),
    ],
)
def test_a_ticker_has_the_documented_fields(method: str, params: dict[str, Any], fields: set[str]) -> None:
    client = a_market()
    row = ask(client, method, **params)
    assert set(row) == fields | {"symbol"}
    assert client.request(method, symbols=[SYMBOL], **params)["result"] == [row]


def test_all_symbols_are_one() -> None:
    client = a_market()
    assert client.request("ticker.24hr")["result"] == [ask(client, "ticker.24hr")]


@pytest.mark.parametrize(
    ("size", "open_ms", "low"),
    [
        pytest.param("1m", 59 * MINUTE_MS, "101.00000000", id="a minute"),
        pytest.param("59m", MINUTE_MS, "99.00000000", id="an hour less a minute"),
        pytest.param("1h", 0, "98.00000000", id="an hour"),
        pytest.param("7d", -7 * DAY_MS + HOUR_MS, "98.00000000", id="a week"),
    ],
)
def test_a_window_begins_with_a_full_minute(size: str, open_ms: int, low: str) -> None:
    client = a_market()
    client.hub.on_tick(tick(at_s=90, last="99", traded="1", aggressor=Side.BUY))
    client.hub.on_tick(tick(at_s=3600 + 30, last="101", traded="1", aggressor=Side.BUY))
    row = ask(client, "ticker", windowSize=size)
    assert (row["openTime"], row["closeTime"]) == (START_MS + open_ms, START_MS + HOUR_MS + 30_000)
    assert row["lowPrice"] == low


def test_trades_leave_the_day_to_the_second() -> None:
    client = a_market()
    day_s = DAY_MS // 1000
    client.hub.on_tick(tick(at_s=day_s + 2.5, last="101", traded="1", aggressor=Side.BUY))
    row = ask(client, "ticker.24hr")
    assert (row["openPrice"], row["firstId"], row["count"], row["volume"]) == (
        "104.00000000",
        2,
        4,
        "7.00000000",
    )
    assert row["prevClosePrice"] == "100.00000000"


def test_a_quiet_window_is_flat_and_counts_nothing() -> None:
    client = a_market()
    client.hub.on_tick(tick(at_s=7200, last="102"))
    row = ask(client, "ticker", windowSize="1h")
    assert {row["openPrice"], row["highPrice"], row["lowPrice"], row["lastPrice"]} == {"102.00000000"}
    assert (row["firstId"], row["lastId"], row["count"]) == (-1, -1, 0)
    assert (row["volume"], row["weightedAvgPrice"], row["priceChangePercent"]) == ("0.00000000", "0.00000000", "0.000")


def test_the_statistics_reach_into_the_markets_history() -> None:
    past = []
    for minute in range(120):
        open_ms, price = START_MS - (120 - minute) * MINUTE_MS, Decimal(90 + minute % 7)
        past.append(Kline(open_ms, open_ms + MINUTE_MS - 1, price, price, price, price, Decimal(1)))
    exchange = Exchange(a_hub().exchange.spec, a_hub().exchange.clock, {}, past)
    exchange.on_tick(tick())
    row = ask(a_client(a_hub(exchange)), "ticker.24hr")
    assert (row["lowPrice"], row["highPrice"], row["volume"]) == ("90.00000000", "100.00000000", "120.00000000")
    assert row["count"] == 0  # trades of the past have no ids


def test_the_accounts_trades_count_and_the_klines_stay_the_markets() -> None:
    trader = a_trader()
    trader.hub.on_tick(tick(at_s=1, last="100.05", traded="2", aggressor=Side.BUY))
    trader.order_request("order.place", side="SELL", type="MARKET", quantity="0.5")
    row = ask(trader, "ticker.24hr")
    assert (row["volume"], row["count"], row["lastId"], row["lastQty"]) == ("2.50000000", 2, 2, "0.50000000")
    assert row["lowPrice"] == "100.00000000"
    (kline,) = trader.request("klines", symbol=SYMBOL, interval="1m", limit=1)["result"]
    assert kline[5] == "2.00000000"


def test_a_trading_day_begins_in_its_time_zone() -> None:
    client = a_market()
    utc, east = ask(client, "ticker.tradingDay"), ask(client, "ticker.tradingDay", timeZone="5:45")
    assert utc["openTime"] % DAY_MS == 0
    assert (east["openTime"] + 5 * HOUR_MS + 45 * MINUTE_MS) % DAY_MS == 0
    for row in (utc, east):
        assert row["openTime"] <= START_MS < row["closeTime"] == row["openTime"] + DAY_MS - 1


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        pytest.param("ticker.24hr", {"symbol": "X"}, -1121, id="another symbol"),
        pytest.param("ticker.24hr", {"symbol": SYMBOL, "symbols": [SYMBOL]}, -1128, id="one and several"),
        pytest.param("ticker.24hr", {"type": "mini"}, -1130, id="an unknown type"),
        pytest.param("ticker", {}, -1102, id="no symbol"),
        pytest.param("ticker", {"symbol": SYMBOL, "windowSize": "60m"}, -1130, id="too many minutes"),
        pytest.param("ticker", {"symbol": SYMBOL, "windowSize": "8d"}, -1130, id="too many days"),
        pytest.param("ticker", {"symbol": SYMBOL, "windowSize": "1d 2h"}, -1130, id="two units"),
        pytest.param("ticker.tradingDay", {}, -1102, id="a trading day of no symbol"),
        pytest.param("ticker.tradingDay", {"symbol": SYMBOL, "timeZone": "+15"}, -1130, id="no such time zone"),
        pytest.param("ticker.24hr", {"symbol": SYMBOL, "symbolStatus": "HALT"}, -1220, id="another status"),
    ],
)
def test_a_wrong_request_has_its_error_code(method: str, params: dict[str, Any], code: int) -> None:
    assert a_market().request(method, **params)["error"]["code"] == code


def test_a_list_leaves_out_a_symbol_of_another_status() -> None:
    assert a_market().request("ticker.24hr", symbolStatus="HALT")["result"] == []


@pytest.mark.parametrize(
    ("method", "params", "weight"),
    [
        ("ticker.24hr", {"symbol": SYMBOL}, 2),
        ("ticker.24hr", {"symbols": [SYMBOL]}, 2),
        ("ticker.24hr", {"symbols": ["X"] * 21}, 40),
        ("ticker.24hr", {}, 80),
        ("ticker", {"symbol": SYMBOL}, 4),
        ("ticker", {"symbols": ["X"] * 60}, 200),
        ("ticker.tradingDay", {"symbol": SYMBOL}, 4),
    ],
)
def test_the_weight_grows_with_the_symbols(method: str, params: dict[str, Any], weight: int) -> None:
    client = a_market()
    before = client.request("ping")["rateLimits"][0]["count"]
    assert client.request(method, **params)["rateLimits"][0]["count"] - before == weight


def frames_of(stream: str, at: tuple[float, ...] = (1.0, 1.5, 2.0)) -> list[Any]:
    client = a_client(a_hub(), f"/ws/{stream}")
    for at_s in at:
        client.hub.on_tick(tick(at_s=at_s, last=f"{100 + at_s}", traded="1", aggressor=Side.BUY))
    return client.connection.frames


@pytest.mark.parametrize(
    ("stream", "event", "fields"),
    [
        pytest.param("ethfdusd@miniTicker", "24hrMiniTicker", "eEscohlvq", id="mini"),
        pytest.param("ethfdusd@ticker", "24hrTicker", "eEspPwxcQbBaAohlvqOCFLn", id="day"),
        pytest.param("ethfdusd@ticker_1h", "1hTicker", "eEspPohlcwvqOCFLn", id="an hour"),
        pytest.param("ethfdusd@ticker_4h", "4hTicker", "eEspPohlcwvqOCFLn", id="four hours"),
        pytest.param("ethfdusd@ticker_1d", "1dTicker", "eEspPohlcwvqOCFLn", id="a day from a full minute"),
        pytest.param("ethfdusd@avgPrice", "avgPrice", "eEsiwT", id="average price"),
    ],
)
def test_a_statistics_stream_publishes_each_second(stream: str, event: str, fields: str) -> None:
    first, second = frames_of(stream)
    assert set(first) == set(fields)
    assert (first["e"], first["s"]) == (event, SYMBOL)
    assert (first["E"], second["E"]) == (START_MS + 1000, START_MS + 2000)


@pytest.mark.parametrize("name", ["miniTicker", "ticker", "ticker_1h", "ticker_4h", "ticker_1d"])
def test_the_streams_of_all_symbols_are_arrays_of_what_changed(name: str) -> None:
    client = a_client(a_hub(), f"/stream?streams=!{name}@arr/ethfdusd@{name}")
    client.hub.on_tick(tick(at_s=1, last="101", traded="1", aggressor=Side.BUY))
    by_stream = {frame["stream"]: frame["data"] for frame in client.connection.frames}
    assert by_stream[f"!{name}@arr"] == [by_stream[f"ethfdusd@{name}"]]
    client.hub.on_tick(tick(at_s=2, last="101"))
    assert [frame["stream"] for frame in client.connection.frames[2:]] == [f"ethfdusd@{name}"]


def test_an_array_may_be_asked_for_with_a_pace() -> None:
    (mini, *_) = frames_of("!miniTicker@arr@1000ms")
    assert mini[0]["e"] == "24hrMiniTicker"


def test_a_stream_and_the_method_tell_the_same() -> None:
    hub = a_hub()
    client, listener = a_client(hub), a_client(hub, "/ws/ethfdusd@ticker/ethfdusd@avgPrice")
    hub.on_tick(tick(at_s=1, last="101", traded="1", aggressor=Side.BUY))
    by_event = {frame["e"]: frame for frame in listener.connection.frames}
    ticker, row = by_event["24hrTicker"], ask(client, "ticker.24hr")
    for key, name in zip(
        "pPwxcQbBaAohlvqOCFLn",
        [
            "priceChange",
            "priceChangePercent",
            "weightedAvgPrice",
            "prevClosePrice",
            "lastPrice",
            "lastQty",
            "bidPrice",
            "bidQty",
            "askPrice",
            "askQty",
            "openPrice",
            "highPrice",
            "lowPrice",
            "volume",
            "quoteVolume",
            "openTime",
            "closeTime",
            "firstId",
            "lastId",
            "count",
        ],
        strict=True,
    ):
        assert ticker[key] == row[name], name
    average = ask(client, "avgPrice")
    told = by_event["avgPrice"]
    assert (told["w"], told["T"], told["i"]) == (average["price"], average["closeTime"], f"{average['mins']}m")


def test_the_average_price_names_the_last_trade() -> None:
    client = a_market()
    client.hub.on_tick(tick(at_s=9))
    assert ask(client, "avgPrice")["closeTime"] == START_MS + 4000


def test_a_closed_kline_names_its_trades() -> None:
    client = a_client(a_hub(), "/ws/ethfdusd@kline_1m")
    for at_s in (1, 2, 61):
        client.hub.on_tick(tick(at_s=at_s, last="101", traded="1", aggressor=Side.BUY))
    closed = next(frame["k"] for frame in client.connection.frames if frame["k"]["x"])
    assert (closed["f"], closed["L"], closed["n"]) == (1, 2, 2)
