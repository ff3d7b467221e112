"""Live feed: another exchange's prices, trades and klines played here as they arrive."""

from decimal import Decimal
from typing import Any

import pytest
from tests.simulator.exchange_builders import START_MS, ListConnection, a_hub, an_exchange, sell

from trailingedge.model.market import BookTop, Kline, Side, SymbolRules
from trailingedge.simulator.connection_hub import ConnectionHub
from trailingedge.simulator.feeds.live import LiveMarket, OpeningTick
from trailingedge.simulator.klines import Interval, kline_row_json

D = Decimal
MINUTE = Interval("1m")
STREAMS = "/stream?streams=ethfdusd@bookTicker/ethfdusd@kline_1m/ethfdusd@aggTrade"


class LiveTest:
    """A live market, and a client subscribed to all of its streams."""

    def __init__(self) -> None:
        self.hub: ConnectionHub = a_hub(an_exchange())
        self.exchange = self.hub.exchange
        self.exchange.market.klines.relay_interval(MINUTE, 3)
        self.connection = ListConnection()
        self.hub.connect(STREAMS, self.connection)
        self.live = LiveMarket(self.hub, MINUTE)

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [frame["data"] for frame in self.connection.frames if kind in frame["stream"]]


def top(bid: str, ask: str) -> BookTop:
    return BookTop(D(bid), D(ask), D(4), D(5), 77)


def kline(minute: int, close: str, *, closed: bool = True) -> Kline:
    opens_ms = START_MS + minute * 60_000
    return Kline(opens_ms, opens_ms + 59_999, D(100), D(120), D(90), D(close), D(7), closed)


def test_a_market_opens_at_the_current_prices_without_a_trade() -> None:
    rules = SymbolRules("ETHFDUSD", "ETH", "FDUSD", D("0.01"), D("0.0001"))
    (tick,) = OpeningTick.of_market(rules, top("100.00", "100.10"), D("99.50"), START_MS)
    assert (tick.bid, tick.ask, tick.bid_quantity, tick.ask_quantity) == (D("100.00"), D("100.10"), D(4), D(5))
    assert (tick.time_ms, tick.last_price, tick.traded) == (START_MS, D("99.50"), D(0))


def test_best_prices_are_published() -> None:
    test = LiveTest()
    test.live.on_top(top("101.00", "101.10"), START_MS + 5)
    (event,) = test.events("bookTicker")
    assert (event["b"], event["B"], event["a"], event["A"]) == (
        "101.00000000",
        "4.00000000",
        "101.10000000",
        "5.00000000",
    )
    assert not test.events("aggTrade")


def test_a_trade_is_published_and_fills_a_resting_order() -> None:
    test = LiveTest()
    order, _ = test.exchange.order_entry.place(test.exchange.account(), sell("100.05", "1"))
    test.live.on_trade(D("100.05"), D("0.4"), Side.BUY, START_MS + 5, START_MS + 5)
    assert order.filled == D("0.4")
    (event,) = test.events("aggTrade")
    assert (event["p"], event["q"], event["m"], event["T"]) == ("100.05000000", "0.40000000", False, START_MS + 5)


@pytest.mark.parametrize("price", ["100.05", "100.06"], ids=["at its price", "through its price"])
def test_a_trade_from_before_an_orders_acceptance_fills_nothing(price: str) -> None:
    test = LiveTest()
    test.exchange.engine.market_now = lambda: START_MS + 700
    order, _ = test.exchange.order_entry.place(test.exchange.account(), sell("100.05", "1"))
    assert (order.created_ms, test.exchange.engine.market_ms) == (START_MS + 700, START_MS + 700)
    test.live.on_trade(D(price), D("0.4"), Side.BUY, START_MS + 900, START_MS + 699)
    assert order.filled == 0
    (event,) = test.events("aggTrade")  # it is published all the same
    assert event["p"] == f"{price}000000"
    test.live.on_trade(D("100.05"), D("0.4"), Side.BUY, START_MS + 901, START_MS + 700)
    assert order.filled == D("0.4")


def test_best_prices_alone_repeat_no_trade() -> None:
    test = LiveTest()
    order, _ = test.exchange.order_entry.place(test.exchange.account(), sell("100.05", "1"))
    test.live.on_trade(D("100.05"), D("0.4"), Side.BUY, START_MS + 5, START_MS + 5)
    test.live.on_top(top("100.00", "100.20"), START_MS + 6)
    assert order.filled == D("0.4")


def test_time_is_the_other_exchanges_and_never_goes_back() -> None:
    test = LiveTest()
    test.live.on_top(top("101.00", "101.10"), START_MS + 5000)
    test.live.on_top(top("102.00", "102.10"), START_MS + 4000)
    assert test.exchange.engine.market_ms == START_MS + 5000
    test.live.on_kline(kline(0, "101"), START_MS + 60_010)
    assert test.exchange.engine.market_ms == START_MS + 60_010


def test_relayed_klines_are_returned_not_those_built_from_trades() -> None:
    test = LiveTest()
    test.live.on_trade(D("300"), D(1), Side.BUY, START_MS + 5, START_MS + 5)
    test.live.on_kline(kline(0, "101", closed=False), START_MS + 2000)
    test.live.on_kline(kline(0, "102", closed=False), START_MS + 4000)
    test.live.on_kline(kline(0, "103"), START_MS + 60_001)
    test.live.on_top(top("400.00", "400.10"), START_MS + 180_000)
    assert [(each["k"]["c"], each["k"]["x"], each["E"]) for each in test.events("kline")] == [
        ("101.00000000", False, START_MS + 2000),
        ("102.00000000", False, START_MS + 4000),
        ("103.00000000", True, START_MS + 60_001),
    ]
    (row,) = test.exchange.market.klines.rows(MINUTE, None, None, 10)
    assert kline_row_json(row, MINUTE)[:7] == [
        START_MS,
        *("100.00000000", "120.00000000", "90.00000000", "103.00000000", "7.00000000"),
        START_MS + 59_999,
    ]


@pytest.mark.parametrize(
    ("start", "end", "limit", "minutes"),
    [
        pytest.param(None, None, 2, [4, 5], id="the newest"),
        pytest.param(None, 4, 2, [3, 4], id="the newest up to an end"),
        pytest.param(4, None, 1, [4], id="the oldest from a start"),
        pytest.param(0, 9, 500, [3, 4, 5], id="no more than are kept"),
        pytest.param(7, 9, 500, [], id="none"),
    ],
)
def test_pages_of_relayed_klines_follow_the_times_given(
    start: int | None, end: int | None, limit: int, minutes: list[int]
) -> None:
    klines = LiveTest().exchange.market.klines
    for minute in (1, 2, 3, 4, 5, 2):  # the last one is older than the newest and is dropped
        klines.add_relayed(MINUTE, kline(minute, "100"))
    page = klines.rows(
        MINUTE,
        None if start is None else START_MS + start * 60_000,
        None if end is None else START_MS + end * 60_000,
        limit,
    )
    assert [(row.open_ms - START_MS) // 60_000 for row in page] == minutes


def test_other_intervals_are_built_from_the_trades() -> None:
    test = LiveTest()
    test.live.on_trade(D("300"), D(1), Side.BUY, START_MS + 5, START_MS + 5)
    (row,) = test.exchange.market.klines.rows(Interval("5m"), None, None, 10)
    assert row.close == 300


def test_a_symbol_that_stops_trading_fills_no_order() -> None:
    test = LiveTest()
    order, _ = test.exchange.order_entry.place(test.exchange.account(), sell("100.05", "1"))
    test.live.on_symbol_status("HALT")
    test.live.on_trade(D("100.06"), D(9), Side.BUY, START_MS + 5, START_MS + 5)
    assert order.filled == 0
    test.live.on_symbol_status("TRADING")
    test.live.on_top(top("100.06", "100.20"), START_MS + 6)
    assert order.filled == 1
