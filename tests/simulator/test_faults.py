"""Each dish of the menu, seen from a client's side."""

from random import Random
from typing import Any

import pytest
from tests.simulator.exchange_builders import Agenda, ApiClient, a_client, a_trader, an_exchange, tick

from trailingedge.core.clock import ManualClock
from trailingedge.simulator.faults import (
    HUGE_FRAME_BYTES,
    MENU,
    NORMAL,
    REJECTS,
    DriftingClock,
    FaultInjector,
    Faults,
    FrameFaults,
)

SELL: dict[str, Any] = {"side": "SELL", "type": "LIMIT_MAKER", "price": "100.10", "quantity": "1"}


class NoChance(Random):
    def random(self) -> float:
        raise AssertionError("nothing is drawn while the menu is empty")


def test_an_empty_menu_disturbs_nothing_and_draws_nothing() -> None:
    misfortune = FaultInjector(Faults(), NoChance())
    assert misfortune.of_request("order.place") is NORMAL
    assert misfortune.of_frame("{}", FrameFaults()) == [("{}", 0.0)]
    assert misfortune.bite(5) == 0


@pytest.mark.parametrize(
    ("fate", "placed", "heard"),
    [
        pytest.param("lose_request", 0, None, id="the request is lost"),
        pytest.param("lose_reply", 1, None, id="the answer is lost"),
        pytest.param("late_reply", 1, (200, None), id="the answer is late"),
        pytest.param("timeout_undone", 0, (500, -1007), id="a timeout, not done"),
        pytest.param("timeout_done", 1, (500, -1007), id="a timeout, but done"),
        pytest.param("unexpected_response", 1, (500, -1006), id="an unexpected response"),
        pytest.param("busy", 0, (503, -1008), id="the exchange is busy"),
        pytest.param("reject", 0, (400, -2010), id="a refusal out of the blue"),
    ],
)
def test_a_request_meets_the_fate_arranged_for_it(fate: str, placed: int, heard: tuple[int, int | None] | None) -> None:
    trader = a_trader()
    trader.switchboard.misfortune.arrange("order.place", fate)
    answer = trader.order("order.place", **SELL)
    assert trader.switchboard.exchange.journal.placed == placed
    assert len(trader.events) == 2 * placed  # what was done is told as ever
    assert (answer.get("status"), answer.get("error", {}).get("code")) == (heard or (None, None))
    assert trader.order("order.status", orderId=1001)["status"] == (200 if placed else 400)


@pytest.mark.parametrize(("fate", "placed"), [("cut_before", 0), ("cut_after", 1)])
def test_a_line_is_cut_before_or_after_the_deed(fate: str, placed: int) -> None:
    trader = a_trader()
    trader.switchboard.misfortune.arrange("order.place", fate)
    assert trader.order("order.place", **SELL) == {}
    assert trader.line.closed == (1006, "")
    assert trader.switchboard.exchange.journal.placed == placed
    assert trader.order("order.place", **SELL) == {}  # who was cut off is not heard
    assert trader.switchboard.exchange.journal.placed == placed


def patient() -> tuple[ApiClient, Agenda]:
    """A trader, and what is still to happen to him."""
    agenda = Agenda()
    return a_trader(later=agenda), agenda


def test_a_late_answer_is_held_back_its_events_are_not() -> None:
    trader, agenda = patient()
    trader.switchboard.misfortune.arrange("order.place", "late_reply")
    assert trader.order("order.place", **SELL) == {}
    assert [event["e"] for event in trader.events] == ["executionReport", "outboundAccountPosition"]
    assert agenda.let_happen() == [2.0]
    assert trader.line.frames[-1]["status"] == 200


@pytest.mark.parametrize(
    ("fate", "told_at_once", "told_then"),
    [
        pytest.param("slow_request", None, 200, id="and answered then"),
        pytest.param("timeout_done_late", -1007, None, id="after a timeout was told"),
        pytest.param("lose_reply_done_late", None, None, id="and nobody hears of it"),
    ],
)
def test_an_order_is_placed_late(fate: str, told_at_once: int | None, told_then: int | None) -> None:
    trader, agenda = patient()
    trader.switchboard.misfortune.arrange("order.place", fate)
    answer = trader.order("order.place", **SELL)
    assert answer.get("error", {}).get("code") == told_at_once
    assert trader.switchboard.exchange.journal.placed == 0
    heard = len(trader.line.frames)
    agenda.let_happen()
    assert trader.switchboard.exchange.journal.placed == 1
    answers = [frame["status"] for frame in trader.line.frames[heard:] if "status" in frame]
    assert answers == ([told_then] if told_then else [])


async def test_a_request_that_is_stuck_for_too_long_is_too_old() -> None:
    agenda, clock = Agenda(), ManualClock()
    trader = a_trader(an_exchange(clock=clock), later=agenda)
    trader.switchboard.misfortune.arrange("order.place", "stuck_request")
    trader.order("order.place", **SELL)
    await clock.advance(8.0)
    agenda.let_happen()
    assert trader.line.frames[-1]["error"]["code"] == -1021
    assert trader.switchboard.exchange.journal.placed == 0


async def test_a_query_is_answered_from_old_records() -> None:
    clock = ManualClock()
    trader = a_trader(an_exchange(clock=clock))
    await clock.advance(10.0)
    order_id = trader.order("order.place", **SELL)["result"]["orderId"]
    for fate, code in (("lag", -2013), (NORMAL, None)):
        trader.switchboard.misfortune.arrange("order.status", fate)
        assert trader.order("order.status", orderId=order_id).get("error", {}).get("code") == code
    await clock.advance(10.0)
    trader.order("order.cancel", orderId=order_id)
    for fate, status in (("lag", "NEW"), (NORMAL, "CANCELED")):
        trader.switchboard.misfortune.arrange("order.status", fate)
        assert trader.order("order.status", orderId=order_id)["result"]["status"] == status


def test_any_reject_is_one_of_many_and_does_nothing() -> None:
    trader = a_trader(faults=Faults({"reject_any": 1.0}, methods=("order.place",)))
    codes = {trader.order("order.place", **SELL)["error"]["code"] for _ in range(200)}
    assert codes == {code for _, code, _ in REJECTS}
    assert trader.switchboard.exchange.journal.placed == 0


def test_times_are_drawn_up_to_those_of_the_menu() -> None:
    misfortune = FaultInjector(Faults({"late_reply": 1.0}), Random(2))
    drawn = [misfortune.of_request("order.place").late_s for _ in range(500)]
    assert 0.0 <= min(drawn) < 0.1 < 1.9 < max(drawn) <= MENU["late_reply"].late_s


def test_faults_befall_the_methods_named_as_often_as_they_should() -> None:
    misfortune = FaultInjector(Faults({"lose_reply": 0.25}), Random(1))
    lost = sum(not misfortune.of_request("order.place").answered for _ in range(4000))
    assert 900 < lost < 1100
    assert all(misfortune.of_request("klines") is NORMAL for _ in range(100))


def test_faults_may_change_at_any_time() -> None:
    misfortune = FaultInjector(Faults(), Random(1))
    misfortune.faults = Faults({"cut_before": 1.0})
    assert misfortune.of_request("order.place").cut


def test_what_is_not_on_the_menu_cannot_be_ordered() -> None:
    with pytest.raises(ValueError, match="not on the menu: soup"):
        Faults({"soup": 1.0})


TWICE = FrameFaults(twice=1.0)
TORN = FrameFaults(torn=1.0)
HUGE = FrameFaults(huge=1.0)
CUT = FrameFaults(cut=1.0)


@pytest.mark.parametrize(
    ("mishaps", "heard"),
    [
        pytest.param(TWICE, ["whole", "whole"], id="every frame twice"),
        pytest.param(TORN, ["whole", "garbage"], id="a torn copy after every frame"),
        pytest.param(HUGE, ["whole", "huge"], id="a huge copy after every frame"),
        pytest.param(CUT, [], id="the line is cut"),
    ],
)
def test_frames_suffer_too(mishaps: FrameFaults, heard: list[str]) -> None:
    trader = a_trader()
    listener = a_client(trader.switchboard, "/ws/ethfdusd@bookTicker")
    trader.switchboard.misfortune.faults = Faults(market=mishaps)
    trader.switchboard.play(tick("101.00", "101.10", at_s=1))
    assert [kind_of(text) for text in listener.line.texts] == heard
    assert (listener.line.closed is not None) == (not heard)
    assert trader.line.closed is None


@pytest.mark.parametrize(
    ("mishaps", "heard"),
    [
        pytest.param(TWICE, ["whole"] * 4, id="every event twice"),
        pytest.param(TORN, ["whole", "garbage"] * 2, id="a torn copy after every event"),
        pytest.param(CUT, [], id="the line is cut"),
    ],
)
def test_events_of_an_account_suffer_too(mishaps: FrameFaults, heard: list[str]) -> None:
    trader = a_trader(faults=Faults(account=mishaps))
    before = len(trader.line.texts)
    trader.order("order.place", **SELL)
    told = trader.line.texts[before + 1 :]  # after the answer
    assert [kind_of(text) for text in told] == heard
    assert (trader.line.closed is not None) == (not heard)


def test_later_events_overtake_a_late_one() -> None:
    trader, agenda = patient()
    trader.switchboard.misfortune.faults = Faults(account=FrameFaults(late=1.0, late_s=0.5))
    trader.order("order.place", **SELL)
    assert trader.events == []
    trader.switchboard.misfortune.faults = Faults()
    trader.order("order.cancel", orderId=1001)
    assert all(0.0 <= late_s <= 0.5 for late_s in agenda.let_happen())
    told = [event["x"] for event in trader.events if event["e"] == "executionReport"]
    assert told == ["CANCELED", "NEW"]


def test_strangers_nibble_at_what_rests_at_the_best_price() -> None:
    trader = a_trader(faults=Faults(nibble=1.0))
    for price in ("100.10", "100.50"):
        trader.order("order.place", **{**SELL, "price": price})
    for second in range(1, 200):
        trader.switchboard.play(tick(at_s=second))
    near, far = (trader.order("order.status", orderId=order_id)["result"] for order_id in (1001, 1002))
    assert near["status"] == "FILLED"
    fills = [event for event in trader.events if event.get("x") == "TRADE" and event["i"] == 1001]
    assert len(fills) > 1
    assert all(event["m"] for event in fills)
    assert far["status"] == "NEW" or float(near["executedQty"]) == 1.0


def kind_of(text: str) -> str:
    if len(text) >= HUGE_FRAME_BYTES:
        return "huge"
    return "whole" if text.endswith("}") and text.count("{") == text.count("}") else "garbage"


async def test_a_clock_steps_and_drifts_and_its_ages_stay_true() -> None:
    inner = ManualClock()
    clock = DriftingClock(inner)
    assert clock.unix_ms() == inner.unix_ms()
    clock.step(1500)
    assert clock.unix_ms() - inner.unix_ms() == 1500
    clock.drift(-10)
    await inner.advance(60)
    assert clock.unix_ms() - inner.unix_ms() == 900
    clock.drift(0)
    await inner.advance(60)
    assert (clock.unix_ms() - inner.unix_ms(), clock.now_s()) == (900, inner.now_s())
