from decimal import Decimal

import pytest
from tests.simulator.exchange_builders import (
    Agenda,
    ApiClient,
    ListLine,
    a_client,
    a_switchboard,
    a_trader,
    an_exchange,
    tick,
)

from trailingedge.model.market import Side
from trailingedge.simulator.connections import ConnectionHub, NotServed, is_served


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
        switchboard.admit(address)
    else:
        with pytest.raises(NotServed):
            switchboard.admit(address)


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
    switchboard = ConnectionHub(an_exchange(), awaited=lambda: announced.append(True))
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


def listeners() -> tuple[ApiClient, ApiClient]:
    """A trader and a listener to the best prices, of one exchange."""
    trader = a_trader()
    return trader, a_client(trader.switchboard, "/ws/ethfdusd@bookTicker")


def test_a_mute_stream_lives_and_says_nothing() -> None:
    trader, listener = listeners()
    trader.switchboard.mute_streams = True
    assert not trader.switchboard.play(tick("101.00", "101.10", at_s=1))
    assert (listener.line.texts, listener.line.closed) == ([], None)
    trader.switchboard.mute_streams = False
    assert trader.switchboard.play(tick("102.00", "102.10", at_s=2))
    assert [frame["u"] for frame in listener.line.frames] == [3]  # what was not said then is never said


def test_a_mute_account_answers_and_tells_nothing() -> None:
    trader, _ = listeners()
    trader.switchboard.mute_account = True
    placed = trader.order("order.place", side="SELL", type="LIMIT_MAKER", price="100.10", quantity="1")
    assert placed["status"] == 200
    assert trader.events == []


def test_through_a_half_open_line_nothing_goes_either_way() -> None:
    trader, listener = listeners()
    trader.switchboard.half_open()
    assert trader.ask("ping") == {}
    trader.switchboard.play(tick("101.00", "101.10", at_s=1))
    trader.switchboard.exchange.by_hand().deposit("ETH", Decimal(1))
    trader.switchboard.deliver()
    assert (trader.events, listener.line.texts) == ([], [])
    assert (trader.line.closed, listener.line.closed) == (None, None)
    assert a_client(trader.switchboard).ask("ping")["status"] == 200


def test_a_closed_exchange_lets_nobody_in() -> None:
    trader, _ = listeners()
    trader.switchboard.closed = True
    with pytest.raises(NotServed, match="away"):
        a_client(trader.switchboard)
    assert trader.ask("ping")["status"] == 200  # who is in is in


@pytest.mark.parametrize("address", ["/ws-api/v3", "/ws/ethfdusd@bookTicker"])
def test_a_ban_closes_every_door_and_says_for_how_long(address: str) -> None:
    switchboard = a_switchboard()
    exchange = switchboard.exchange
    exchange.weights.ban(exchange.clock.unix_ms() + 90_000)
    with pytest.raises(NotServed) as refused:
        switchboard.admit(address)
    assert (refused.value.status, refused.value.retry_after_s) == (418, 90.0)


def test_a_banned_client_hears_it_and_is_cut_off() -> None:
    trader, _ = listeners()
    exchange = trader.switchboard.exchange
    until_ms = exchange.clock.unix_ms() + 90_000
    exchange.weights.ban(until_ms)
    answer = trader.ask("ping")
    assert (answer["status"], answer["error"]["code"], answer["error"]["data"]["retryAfter"]) == (418, -1003, until_ms)
    assert trader.line.closed == (1008, "disconnected")


def test_weight_that_others_used_up_is_missing_until_the_minute_is_over() -> None:
    trader, _ = listeners()
    exchange = trader.switchboard.exchange
    until_ms = exchange.weights.exhaust(exchange.clock.unix_ms())
    answer = trader.ask("ping")
    assert (answer["status"], answer["error"]["data"]["retryAfter"]) == (429, until_ms)
    assert exchange.weights.closed_until_ms == until_ms
    assert exchange.weights.bans == 0


@pytest.mark.parametrize(("streams", "api"), [(True, False), (False, True), (True, True)])
def test_a_shutdown_is_announced_to_those_it_means_and_comes_true(streams: bool, api: bool) -> None:
    agenda = Agenda()
    trader = a_trader(later=agenda)
    listener = a_client(trader.switchboard, "/stream?streams=ethfdusd@bookTicker")
    trader.switchboard.shut_down(streams, api, leave_s=5.0)
    newcomer = a_client(trader.switchboard)
    told = ["serverShutdown" in text for text in (trader.line.texts[-1], *listener.line.texts)]
    assert told == ([api, True] if streams else [api])
    assert (trader.line.closed, listener.line.closed) == (None, None)
    assert agenda.let_happen() == [5.0]
    assert (listener.line.closed is not None, trader.line.closed is not None) == (streams, api)
    assert newcomer.line.closed is None


def test_a_subscription_may_end_while_its_session_lives() -> None:
    trader, _ = listeners()
    trader.switchboard.terminate_subscriptions()
    assert trader.events[-1]["e"] == "eventStreamTerminated"
    assert trader.ask("session.status")["result"]["userDataStream"] is False
    assert trader.ask("userDataStream.subscribe")["status"] == 200


def test_the_journal_tells_requests_from_answers() -> None:
    trader, _ = listeners()
    trader.switchboard.misfortune.arrange("ping", "lose_reply")
    trader.ask("ping")
    trader.ask("time")
    told = [(entry.what, entry.details) for entry in trader.switchboard.exchange.journal.entries]
    assert told[-3:] == [("request", "ping"), ("request", "time"), ("answered", "time")]
