from random import Random
from typing import Any

import pytest
from tests.simulator.exchange_builders import a_client, a_trader, tick

from trailingedge.simulator.faults import MENU, NORMAL, Faults, Misfortune

SELL: dict[str, Any] = {"side": "SELL", "type": "LIMIT_MAKER", "price": "100.10", "quantity": "1"}


class NoChance(Random):
    def random(self) -> float:
        raise AssertionError("nothing is drawn while the menu is empty")


def test_an_empty_menu_disturbs_nothing_and_draws_nothing() -> None:
    misfortune = Misfortune(Faults(), NoChance())
    assert misfortune.of_request("order.place") is NORMAL
    assert misfortune.of_frame("{}") == ["{}"]


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


def test_a_late_answer_is_held_back_its_events_are_not() -> None:
    trader = a_trader()
    trader.switchboard.misfortune.arrange("order.place", "late_reply")
    trader.order("order.place", **SELL)
    assert trader.line.late[-3:] == [2.0, 0.0, 0.0]


def test_faults_befall_the_methods_named_as_often_as_they_should() -> None:
    misfortune = Misfortune(Faults({"lose_reply": 0.25}), Random(1))
    lost = sum(misfortune.of_request("order.place") is MENU["lose_reply"] for _ in range(4000))
    assert 900 < lost < 1100
    assert all(misfortune.of_request("klines") is NORMAL for _ in range(100))


def test_what_is_not_on_the_menu_cannot_be_ordered() -> None:
    with pytest.raises(ValueError, match="not on the menu: soup"):
        Faults({"soup": 1.0})


@pytest.mark.parametrize(
    ("faults", "heard"),
    [
        pytest.param(Faults(duplicate_frame=1.0), ["whole", "whole"], id="every frame twice"),
        pytest.param(Faults(garbage_frame=1.0), ["whole", "garbage"], id="garbage after every frame"),
        pytest.param(Faults(cut_stream=1.0), [], id="the stream is cut"),
    ],
)
def test_market_frames_suffer_too(faults: Faults, heard: list[str]) -> None:
    trader = a_trader(faults=faults)
    listener = a_client(trader.switchboard, "/ws/ethfdusd@bookTicker")
    trader.switchboard.play(tick("101.00", "101.10", at_s=1))
    assert ["garbage" if "garbage" in each else "whole" for each in listener.line.frames] == heard
    assert (listener.line.closed is not None) == (not heard)
