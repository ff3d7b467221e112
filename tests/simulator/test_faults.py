"""Each fault as a client sees it."""

from random import Random
from typing import Any

import pytest
from tests.simulator.exchange_builders import ApiClient, ManualScheduler, a_client, a_trader, an_exchange, tick

from trailingedge.core.clock import ManualClock
from trailingedge.simulator.faults import (
    HUGE_FRAME_BYTES,
    NO_FAULT,
    REQUEST_ERRORS,
    REQUEST_FAULTS,
    DriftingClock,
    FaultInjector,
    Faults,
    FrameFaults,
)

SELL: dict[str, Any] = {"side": "SELL", "type": "LIMIT_MAKER", "price": "100.10", "quantity": "1"}


class NoChance(Random):
    def random(self) -> float:
        raise AssertionError("nothing is drawn while the menu is empty")


def test_without_faults_nothing_changes_and_no_random_number_is_drawn() -> None:
    misfortune = FaultInjector(Faults(), NoChance())
    assert misfortune.request_fault("order.place") is NO_FAULT
    assert misfortune.frame_deliveries("{}", FrameFaults()) == [("{}", 0.0)]
    assert misfortune.partial_fill_steps(5) == 0


@pytest.mark.parametrize(
    ("fault", "placed", "received"),
    [
        pytest.param("lose_request", 0, None, id="the request is lost"),
        pytest.param("lose_reply", 1, None, id="the answer is lost"),
        pytest.param("late_reply", 1, (200, None), id="the answer is late"),
        pytest.param("timeout_undone", 0, (500, -1007), id="a timeout, not done"),
        pytest.param("timeout_done", 1, (500, -1007), id="a timeout, but done"),
        pytest.param("unexpected_response", 1, (500, -1006), id="an unexpected response"),
        pytest.param("busy", 0, (503, -1008), id="the exchange is busy"),
        pytest.param("reject", 0, (400, -2010), id="an error without a cause"),
    ],
)
def test_a_request_gets_the_fault_scheduled_for_it(
    fault: str, placed: int, received: tuple[int, int | None] | None
) -> None:
    trader = a_trader()
    trader.hub.fault_injector.schedule("order.place", fault)
    answer = trader.order_request("order.place", **SELL)
    assert trader.hub.exchange.audit_log.placed == placed
    assert len(trader.events) == 2 * placed  # an executed request publishes its events
    assert (answer.get("status"), answer.get("error", {}).get("code")) == (received or (None, None))
    assert trader.order_request("order.status", orderId=1001)["status"] == (200 if placed else 400)


@pytest.mark.parametrize(("fault", "placed"), [("cut_before", 0), ("cut_after", 1)])
def test_a_connection_drops_before_or_after_the_execution(fault: str, placed: int) -> None:
    trader = a_trader()
    trader.hub.fault_injector.schedule("order.place", fault)
    assert trader.order_request("order.place", **SELL) == {}
    assert trader.connection.closed == (1006, "")
    assert trader.hub.exchange.audit_log.placed == placed
    assert trader.order_request("order.place", **SELL) == {}  # frames of a disconnected client are ignored
    assert trader.hub.exchange.audit_log.placed == placed


def trader_and_scheduler() -> tuple[ApiClient, ManualScheduler]:
    """A trader, and the scheduler with the delayed calls."""
    scheduler = ManualScheduler()
    return a_trader(call_later=scheduler), scheduler


def test_a_late_reply_is_delayed_but_its_events_are_not() -> None:
    trader, scheduler = trader_and_scheduler()
    trader.hub.fault_injector.schedule("order.place", "late_reply")
    assert trader.order_request("order.place", **SELL) == {}
    assert [event["e"] for event in trader.events] == ["executionReport", "outboundAccountPosition"]
    assert scheduler.run_all() == [2.0]
    assert trader.connection.frames[-1]["status"] == 200


@pytest.mark.parametrize(
    ("fault", "told_at_once", "told_then"),
    [
        pytest.param("slow_request", None, 200, id="and answered then"),
        pytest.param("timeout_done_late", -1007, None, id="after a timeout reply"),
        pytest.param("lose_reply_done_late", None, None, id="and no reply is sent"),
    ],
)
def test_an_order_is_placed_late(fault: str, told_at_once: int | None, told_then: int | None) -> None:
    trader, scheduler = trader_and_scheduler()
    trader.hub.fault_injector.schedule("order.place", fault)
    answer = trader.order_request("order.place", **SELL)
    assert answer.get("error", {}).get("code") == told_at_once
    assert trader.hub.exchange.audit_log.placed == 0
    received = len(trader.connection.frames)
    scheduler.run_all()
    assert trader.hub.exchange.audit_log.placed == 1
    answers = [frame["status"] for frame in trader.connection.frames[received:] if "status" in frame]
    assert answers == ([told_then] if told_then else [])


async def test_a_request_delayed_too_long_is_outside_its_recv_window() -> None:
    scheduler, clock = ManualScheduler(), ManualClock()
    trader = a_trader(an_exchange(clock=clock), call_later=scheduler)
    trader.hub.fault_injector.schedule("order.place", "stuck_request")
    trader.order_request("order.place", **SELL)
    await clock.advance(8.0)
    scheduler.run_all()
    assert trader.connection.frames[-1]["error"]["code"] == -1021
    assert trader.hub.exchange.audit_log.placed == 0


async def test_a_query_is_answered_from_old_records() -> None:
    clock = ManualClock()
    trader = a_trader(an_exchange(clock=clock))
    await clock.advance(10.0)
    order_id = trader.order_request("order.place", **SELL)["result"]["orderId"]
    for fault, code in (("lag", -2013), (NO_FAULT, None)):
        trader.hub.fault_injector.schedule("order.status", fault)
        assert trader.order_request("order.status", orderId=order_id).get("error", {}).get("code") == code
    await clock.advance(10.0)
    trader.order_request("order.cancel", orderId=order_id)
    for fault, status in (("lag", "NEW"), (NO_FAULT, "CANCELED")):
        trader.hub.fault_injector.schedule("order.status", fault)
        assert trader.order_request("order.status", orderId=order_id)["result"]["status"] == status


def test_reject_any_is_one_of_many_errors_and_executes_nothing() -> None:
    trader = a_trader(faults=Faults({"reject_any": 1.0}, methods=("order.place",)))
    codes = {trader.order_request("order.place", **SELL)["error"]["code"] for _ in range(200)}
    assert codes == {code for _, code, _ in REQUEST_ERRORS}
    assert trader.hub.exchange.audit_log.placed == 0


def test_times_are_drawn_up_to_those_of_the_fault() -> None:
    misfortune = FaultInjector(Faults({"late_reply": 1.0}), Random(2))
    drawn = [misfortune.request_fault("order.place").reply_delay_s for _ in range(500)]
    assert 0.0 <= min(drawn) < 0.1 < 1.9 < max(drawn) <= REQUEST_FAULTS["late_reply"].reply_delay_s


def test_faults_occur_for_the_named_methods_as_often_as_configured() -> None:
    misfortune = FaultInjector(Faults({"lose_reply": 0.25}), Random(1))
    lost = sum(not misfortune.request_fault("order.place").replied for _ in range(4000))
    assert 900 < lost < 1100
    assert all(misfortune.request_fault("klines") is NO_FAULT for _ in range(100))


def test_faults_may_change_at_any_time() -> None:
    misfortune = FaultInjector(Faults(), Random(1))
    misfortune.faults = Faults({"cut_before": 1.0})
    assert misfortune.request_fault("order.place").disconnects


def test_an_unknown_fault_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown faults: soup"):
        Faults({"soup": 1.0})


TWICE = FrameFaults(duplicate=1.0)
TORN = FrameFaults(truncated=1.0)
HUGE = FrameFaults(oversized=1.0)
CUT = FrameFaults(disconnect=1.0)


@pytest.mark.parametrize(
    ("frame_faults", "received"),
    [
        pytest.param(TWICE, ["whole", "whole"], id="every frame twice"),
        pytest.param(TORN, ["whole", "garbage"], id="a torn copy after every frame"),
        pytest.param(HUGE, ["whole", "huge"], id="a huge copy after every frame"),
        pytest.param(CUT, [], id="the connection drops"),
    ],
)
def test_frame_faults_change_the_frames_of_a_stream(frame_faults: FrameFaults, received: list[str]) -> None:
    trader = a_trader()
    listener = a_client(trader.hub, "/ws/ethfdusd@bookTicker")
    trader.hub.fault_injector.faults = Faults(market=frame_faults)
    trader.hub.on_tick(tick("101.00", "101.10", at_s=1))
    assert [kind_of(text) for text in listener.connection.texts] == received
    assert (listener.connection.closed is not None) == (not received)
    assert trader.connection.closed is None


@pytest.mark.parametrize(
    ("frame_faults", "received"),
    [
        pytest.param(TWICE, ["whole"] * 4, id="every event twice"),
        pytest.param(TORN, ["whole", "garbage"] * 2, id="a torn copy after every event"),
        pytest.param(CUT, [], id="the connection drops"),
    ],
)
def test_frame_faults_change_the_events_of_an_account(frame_faults: FrameFaults, received: list[str]) -> None:
    trader = a_trader(faults=Faults(account=frame_faults))
    before = len(trader.connection.texts)
    trader.order_request("order.place", **SELL)
    sent = trader.connection.texts[before + 1 :]  # after the reply
    assert [kind_of(text) for text in sent] == received
    assert (trader.connection.closed is not None) == (not received)


def test_later_events_overtake_a_late_one() -> None:
    trader, scheduler = trader_and_scheduler()
    trader.hub.fault_injector.faults = Faults(account=FrameFaults(delay=1.0, max_delay_s=0.5))
    trader.order_request("order.place", **SELL)
    assert trader.events == []
    trader.hub.fault_injector.faults = Faults()
    trader.order_request("order.cancel", orderId=1001)
    assert all(0.0 <= late_s <= 0.5 for late_s in scheduler.run_all())
    sent = [event["x"] for event in trader.events if event["e"] == "executionReport"]
    assert sent == ["CANCELED", "NEW"]


def test_partial_fills_take_from_orders_at_the_best_price() -> None:
    trader = a_trader(faults=Faults(partial_fill=1.0))
    for price in ("100.10", "100.50"):
        trader.order_request("order.place", **{**SELL, "price": price})
    for second in range(1, 200):
        trader.hub.on_tick(tick(at_s=second))
    near, far = (trader.order_request("order.status", orderId=order_id)["result"] for order_id in (1001, 1002))
    assert near["status"] == "FILLED"
    fills = [event for event in trader.events if event.get("x") == "TRADE" and event["i"] == 1001]
    assert len(fills) > 1
    assert all(event["m"] for event in fills)
    assert far["status"] == "NEW" or float(near["executedQty"]) == 1.0


def kind_of(text: str) -> str:
    if len(text) >= HUGE_FRAME_BYTES:
        return "huge"
    return "whole" if text.endswith("}") and text.count("{") == text.count("}") else "garbage"


async def test_a_clock_steps_and_drifts_while_ages_stay_right() -> None:
    inner = ManualClock()
    clock = DriftingClock(inner)
    assert clock.unix_ms() == inner.unix_ms()
    clock.step(1500)
    assert clock.unix_ms() - inner.unix_ms() == 1500
    clock.set_drift(-10)
    await inner.advance(60)
    assert clock.unix_ms() - inner.unix_ms() == 900
    clock.set_drift(0)
    await inner.advance(60)
    assert (clock.unix_ms() - inner.unix_ms(), clock.now_s()) == (900, inner.now_s())
