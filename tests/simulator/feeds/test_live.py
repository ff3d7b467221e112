"""Another exchange's news on this one: prices, trades and klines as they are told, in a time that never goes back."""

from decimal import Decimal
from typing import Any

import pytest
from tests.simulator.exchange_builders import START_MS, ListConnection, a_hub, an_exchange, sell

from trailingedge.model.market import BookTop, Kline, Side, SymbolRules
from trailingedge.simulator.connections import ConnectionHub
from trailingedge.simulator.feeds.live import LiveMarket, OpeningTick
from trailingedge.simulator.klines import Interval, kline_row_json

D = Decimal
MINUTE = Interval("1m")
STREAMS = "/stream?streams=ethfdusd@bookTicker/ethfdusd@kline_1m/ethfdusd@aggTrade"


class Scene:
    """A live market, and somebody who listens to all of it."""

    def __init__(self) -> None:
        self.switchboard: ConnectionHub = a_hub(an_exchange())
        self.exchange = self.switchboard.exchange
        self.exchange.engine.klines.relay_interval(MINUTE, 3)
        self.line = ListConnection()
        self.switchboard.connect(STREAMS, self.line)
        self.live = LiveMarket(self.switchboard, MINUTE)

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [frame["data"] for frame in self.line.frames if kind in frame["stream"]]


def top(bid: str, ask: str) -> BookTop:
    return BookTop(D(bid), D(ask), D(4), D(5), 77)


def kline(minute: int, close: str, *, closed: bool = True) -> Kline:
    opens_ms = START_MS + minute * 60_000
    return Kline(opens_ms, opens_ms + 59_999, D(100), D(120), D(90), D(close), D(7), closed)


def test_a_market_opens_as_it_stands_and_nothing_trades_by_that() -> None:
    rules = SymbolRules("ETHFDUSD", "ETH", "FDUSD", D("0.01"), D("0.0001"))
    (tick,) = OpeningTick.of_market(rules, top("100.00", "100.10"), D("99.50"), START_MS)
    assert (tick.bid, tick.ask, tick.bid_quantity, tick.ask_quantity) == (D("100.00"), D("100.10"), D(4), D(5))
    assert (tick.time_ms, tick.last_price, tick.traded) == (START_MS, D("99.50"), D(0))


def test_best_prices_are_told_on() -> None:
    scene = Scene()
    scene.live.on_top(top("101.00", "101.10"), START_MS + 5)
    (told,) = scene.told("bookTicker")
    assert (told["b"], told["B"], told["a"], told["A"]) == ("101.00000000", "4.00000000", "101.10000000", "5.00000000")
    assert not scene.told("aggTrade")


def test_a_trade_is_told_on_and_fills_who_stands_there() -> None:
    scene = Scene()
    order, _ = scene.exchange.place(scene.exchange.account(), sell("100.05", "1"))
    scene.live.on_trade(D("100.05"), D("0.4"), Side.BUY, START_MS + 5)
    assert order.filled == D("0.4")
    (told,) = scene.told("aggTrade")
    assert (told["p"], told["q"], told["m"], told["T"]) == ("100.05000000", "0.40000000", False, START_MS + 5)


def test_best_prices_alone_repeat_no_trade() -> None:
    scene = Scene()
    order, _ = scene.exchange.place(scene.exchange.account(), sell("100.05", "1"))
    scene.live.on_trade(D("100.05"), D("0.4"), Side.BUY, START_MS + 5)
    scene.live.on_top(top("100.00", "100.20"), START_MS + 6)
    assert order.filled == D("0.4")


def test_time_is_the_others_and_never_goes_back() -> None:
    scene = Scene()
    scene.live.on_top(top("101.00", "101.10"), START_MS + 5000)
    scene.live.on_top(top("102.00", "102.10"), START_MS + 4000)
    assert scene.exchange.engine.market_ms == START_MS + 5000
    scene.live.on_kline(kline(0, "101"), START_MS + 60_010)
    assert scene.exchange.engine.market_ms == START_MS + 60_010


def test_klines_are_those_told_not_those_built_from_the_trades() -> None:
    scene = Scene()
    scene.live.on_trade(D("300"), D(1), Side.BUY, START_MS + 5)
    scene.live.on_kline(kline(0, "101", closed=False), START_MS + 2000)
    scene.live.on_kline(kline(0, "102", closed=False), START_MS + 4000)
    scene.live.on_kline(kline(0, "103"), START_MS + 60_001)
    scene.live.on_top(top("400.00", "400.10"), START_MS + 180_000)
    assert [(each["k"]["c"], each["k"]["x"], each["E"]) for each in scene.told("kline")] == [
        ("101.00000000", False, START_MS + 2000),
        ("102.00000000", False, START_MS + 4000),
        ("103.00000000", True, START_MS + 60_001),
    ]
    (row,) = scene.exchange.engine.klines.rows(MINUTE, None, None, 10)
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
def test_pages_of_told_klines_follow_the_times_given(
    start: int | None, end: int | None, limit: int, minutes: list[int]
) -> None:
    klines = Scene().exchange.engine.klines
    for minute in (1, 2, 3, 4, 5, 2):  # one that comes late says nothing new
        klines.add_relayed(MINUTE, kline(minute, "100"))
    page = klines.rows(
        MINUTE,
        None if start is None else START_MS + start * 60_000,
        None if end is None else START_MS + end * 60_000,
        limit,
    )
    assert [(row.open_ms - START_MS) // 60_000 for row in page] == minutes


def test_another_interval_is_built_from_the_trades_as_ever() -> None:
    scene = Scene()
    scene.live.on_trade(D("300"), D(1), Side.BUY, START_MS + 5)
    (row,) = scene.exchange.engine.klines.rows(Interval("5m"), None, None, 10)
    assert row.close == 300


def test_a_symbol_that_stops_trading_fills_nobody() -> None:
    scene = Scene()
    order, _ = scene.exchange.place(scene.exchange.account(), sell("100.05", "1"))
    scene.live.on_symbol_status("HALT")
    scene.live.on_trade(D("100.06"), D(9), Side.BUY, START_MS + 5)
    assert order.filled == 0
    scene.live.on_symbol_status("TRADING")
    scene.live.on_top(top("100.06", "100.20"), START_MS + 6)
    assert order.filled == 1
