from decimal import Decimal

import pytest
from tests.simulator.exchange_builders import ListLine, a_client, a_switchboard, a_trader, an_exchange, tick

from trailingedge.market import Side
from trailingedge.simulator.switchboard import NotServed, Switchboard, is_served


@pytest.mark.parametrize(
    ("address", "served"),
    [
        ("/ws-api/v3", True),
        ("/ws-api/v3?returnRateLimits=false", True),
        ("ws://127.0.0.1:9/ws-api/v3", True),
        ("/ws", True),
        ("/ws/ethfdusd@bookTicker", True),
        ("/stream?streams=ethfdusd@bookTicker", True),
        ("/", False),
        ("/api/v3/ping", False),
        ("/wsx", False),
    ],
)
def test_only_api_and_streams_are_served(address: str, served: bool) -> None:
    assert is_served(address) is served
    switchboard = a_switchboard()
    if served:
        switchboard.connect(address, ListLine())
    else:
        with pytest.raises(NotServed):
            switchboard.connect(address, ListLine())


def test_microseconds_are_not_offered() -> None:
    with pytest.raises(NotServed, match="microseconds"):
        a_switchboard().connect("/ws-api/v3?timeUnit=MICROSECOND", ListLine())


def test_a_banned_address_is_not_let_in() -> None:
    switchboard = a_switchboard(an_exchange(weight_per_minute=2))
    client = a_client(switchboard)
    for _ in range(100):
        client.ask("ping")
    with pytest.raises(NotServed, match="banned"):
        a_client(switchboard)


def test_everybody_hears_his_own_events_alone() -> None:
    trader = a_trader()
    stranger = a_client(trader.switchboard)
    trader.switchboard.exchange.by_hand().place(Side.SELL, Decimal("100.20"), Decimal(1))
    assert trader.switchboard.deliver()
    assert [event["e"] for event in trader.events] == ["executionReport", "outboundAccountPosition"]
    assert stranger.line.frames == []


def test_who_has_left_hears_nothing() -> None:
    trader = a_trader()
    trader.switchboard.leave(trader.seat)
    trader.switchboard.leave(trader.seat)
    trader.switchboard.exchange.by_hand().deposit("ETH", Decimal(1))
    assert not trader.switchboard.deliver()


def test_a_tick_that_changes_nothing_is_heard_by_nobody() -> None:
    switchboard = a_switchboard()
    a_client(switchboard, "/ws/ethfdusd@bookTicker")
    assert not switchboard.play(tick(at_s=1))
    assert switchboard.play(tick("99.00", "99.10", at_s=2))


def test_the_first_listener_to_the_top_is_announced() -> None:
    announced: list[bool] = []
    switchboard = Switchboard(an_exchange(), awaited=lambda: announced.append(True))
    for stream in ("ethfdusd@kline_1m", "btcusdt@bookTicker"):
        a_client(switchboard, f"/ws/{stream}")
    assert announced == []
    a_client(switchboard, "/ws").say({"method": "SUBSCRIBE", "params": ["ethfdusd@bookTicker"], "id": 1})
    assert announced == [True]


def test_connections_of_either_kind_can_be_dropped() -> None:
    trader = a_trader()
    listener = a_client(trader.switchboard, "/ws/ethfdusd@bookTicker")
    trader.switchboard.cut(api=False)
    assert (listener.line.closed, trader.line.closed) == ((1006, ""), None)
    trader.switchboard.cut()
    assert trader.line.closed == (1006, "")
