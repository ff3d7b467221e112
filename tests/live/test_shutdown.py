"""However a session ends, our order leaves the book, or a person is told that it may be there; within five seconds."""

import pytest
from tests.daemon_harness import CASH, D, Stage, play
from tests.test_main_logic import crash, rally_and_turn

from trailingedge.core.errors import ExitCode
from trailingedge.model.client_order_ids import ClientOrderId
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Side
from trailingedge.simulator.faults import RequestFault

FATES = [
    "lose_request",
    "lose_reply",
    "timeout_done",
    "timeout_undone",
    "busy",
    "cut_before",
    "cut_after",
    "late_reply",
]


@pytest.mark.parametrize("fate", FATES)
def test_one_cancel_that_goes_wrong_is_made_good(fate: str) -> None:
    async def story(it: Stage) -> None:
        await rally_and_turn(it)
        it.fate.arrange("order.cancel", fate)

    end = play(story)
    assert end.lasted_s < 5
    assert (end.code, end.left) == (ExitCode.OK, [])


@pytest.mark.parametrize("out_s", [0.0, 0.5, 1.0, 1.2, 1.4])
def test_a_connection_that_dies_with_the_session_is_followed_by_another_in_time(out_s: float) -> None:
    async def story(it: Stage) -> None:
        await rally_and_turn(it)
        it.doors.shut.add("/ws-api")
        it.cut(api=True)
        it.clock.call_later(out_s, it.doors.shut.clear)

    end = play(story)
    assert (end.code, end.left) == (ExitCode.OK, [])
    assert end.lasted_s < 5


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("step", ["connect and log on", "rules and fee", "candles", "market streams"])
def test_a_stop_in_the_start_takes_away_what_an_earlier_session_has_left(step: str, cut: bool) -> None:
    old = str(ClientOrderId(ExitKind.MANUAL, 1_783_000_000_000))

    async def story(it: Stage) -> None:
        it.exchange.by_hand().place(Side.SELL, D(2600), D(1), client_order_id=old)
        await it.until(lambda: any(line.startswith(step) for line in it.notes.lines))
        if cut:
            it.cut(api=True)

    end = play(story)
    assert (end.code, end.left) == (ExitCode.OK, [])
    assert end.lasted_s < 5


def test_an_exchange_that_says_nothing_any_more_is_not_waited_for() -> None:
    async def story(it: Stage) -> None:
        await rally_and_turn(it)
        for method in ("order.cancel", "openOrders.status", "order.status", "session.logout"):
            for _ in range(10):
                it.fate.arrange(method, RequestFault(done=False, answered=False))

    end = play(story)
    assert end.code is ExitCode.UNREACHABLE
    assert end.lasted_s < 5
    assert "order left on the exchange: SELL 1.0000 ETH at 2553.01 FDUSD" in str(end.said)
    assert end.said[-1].startswith("shutdown: the story is told")


def test_a_first_order_that_nobody_answered_is_looked_for() -> None:
    for fate in ("lose_reply", "late_reply", "timeout_done"):

        async def story(it: Stage, fate: str = fate) -> None:
            await it.ready()
            await it.price("2560")
            it.fate.arrange("order.place", fate)
            await it.price("2553", wait_s=0.1)

        end = play(story)
        assert (end.code, end.left) == (ExitCode.OK, []), fate
        assert end.lasted_s < 5


def test_one_that_may_still_arrive_is_named() -> None:
    async def story(it: Stage) -> None:
        await it.ready()
        await it.price("2560")
        it.fate.arrange("order.place", "lose_request")
        await it.price("2553", wait_s=0.1)

    end = play(story)
    assert end.code is ExitCode.UNREACHABLE
    assert "order left on the exchange: SELL 1.0000 ETH at 2553.01 FDUSD" in str(end.said)


def test_a_jumpstart_that_cannot_be_cancelled_is_named() -> None:
    async def story(it: Stage) -> None:
        for _ in range(30):
            it.fate.arrange("order.cancel", RequestFault(done=False, answered=False))
        await it.until(lambda: it.own)

    end = play(story, balances=CASH)
    assert end.code is ExitCode.UNREACHABLE
    assert "order left on the exchange: BUY 0.0023 ETH at 2250.00 FDUSD (TE-j-" in str(end.said)


def test_a_fill_that_wins_the_race_is_told() -> None:
    async def story(it: Stage) -> None:
        await crash(it)
        it.jump("2460")

    end = play(story)
    assert (end.code, end.left) == (ExitCode.OK, [])


def test_what_the_owner_placed_by_hand_stays() -> None:
    async def story(it: Stage) -> None:
        it.by_hand(lambda hand: hand.place(Side.SELL, D(2900), D("0.3")))
        await rally_and_turn(it)

    end = play(story)
    assert end.left == []
    assert len(end.exchange.account().open_orders()) == 1
