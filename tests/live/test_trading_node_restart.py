"""Coming back to an account: what goes on, what is taken away, and what is written down for the next time."""

from decimal import Decimal

import pytest
from tests.daemon_harness import CASH, D, Stage, nothing, play

from trailingedge.core.errors import ExitCode
from trailingedge.model.client_order_ids import ClientOrderId, own_id
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Regime, Side
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.faults import RequestFault
from trailingedge.simulator.orders import OrderType
from trailingedge.strategy.state import ShutBy

OLD = ClientOrderId(ExitKind.MANUAL, 1_783_000_000_000)  # an exit of a quarter of a minute ago


def notes(exchange: Exchange) -> list[tuple[Side, Decimal]]:
    """Regime side and anchor price of the notes on record, oldest first."""
    found = []
    for order in exchange.account().orders.values():
        own = own_id(order.client_order_id)
        if own is not None and own.ticks is not None:
            found.append((order.side, own.ticks * D("0.01")))
    return found


def test_a_first_start_writes_its_anchor_down() -> None:
    end = play(nothing)
    assert notes(end.exchange) == [(Side.SELL, D(2500))]
    assert end.left == []
    end = play(nothing, balances=CASH)
    assert notes(end.exchange) == [(Side.BUY, D("2500.01"))]


def test_a_stop_in_the_middle_of_a_note_leaves_none() -> None:
    async def story(it: Stage) -> None:
        await it.until(lambda: it.heard("ready:"))

    end = play(story)
    assert (end.code, end.left) == (ExitCode.OK, [])


def test_an_order_of_the_last_session_is_adopted_and_chased_to_its_end() -> None:
    async def story(it: Stage) -> None:
        it.exchange.by_hand().place(Side.SELL, D(2600), D(1), client_order_id=str(OLD))
        await it.ready()
        assert it.heard("order adopted: SELL 1.0000 ETH at 2600.00 FDUSD (TE-m-")
        assert "jumpstart: left out, an exit goes on" in it.notes.lines
        await it.wait(1)
        assert (it.order.client_order_id, it.order.price) == (str(OLD), D("2500.01"))
        await it.price("2510")
        assert it.holds("ETH") == 0
        assert it.heard("manual flip filled: sold 1.0000 ETH for 2500.01 FDUSD")
        assert it.daemon.desk is not None
        assert it.daemon.desk.status(0).regime is Regime.QUOTE

    assert play(story).code is ExitCode.OK


def test_a_late_order_of_the_last_session_goes_on_where_nothing_else_does() -> None:
    async def story(it: Stage) -> None:
        await it.ready()
        it.by_hand(lambda hand: hand.place(Side.SELL, D(2600), D(1), client_order_id=str(OLD)))
        await it.wait(1)
        assert it.heard("order adopted: SELL 1.0000 ETH at 2600.00 FDUSD")
        assert (it.order.client_order_id, it.order.price) == (str(OLD), D("2500.01"))

    assert play(story).code is ExitCode.OK


def test_a_late_flush_that_fills_at_once_is_our_own_and_shuts_the_gate() -> None:
    async def story(it: Stage) -> None:
        await it.ready()
        await it.price("2495")
        flush = str(ClientOrderId(ExitKind.FLUSH, OLD.number))
        it.by_hand(lambda hand: hand.place(Side.SELL, D(2495), D(1), OrderType.LIMIT, flush))
        await it.wait(2)
        assert it.daemon.desk is not None
        memory = it.daemon.desk.trader.state
        assert (memory.regime, memory.anchor, memory.exit) == (Regime.QUOTE, 1 / 2495, None)
        assert memory.gate is not None
        assert memory.gate.shut_by is ShutBy.FLUSH

    assert play(story).code is ExitCode.OK


@pytest.mark.parametrize("number", [2**80, 1_783_000_020_000 + 2 * 86_400_000], ids=["out of any time", "in two days"])
def test_an_order_of_a_number_that_cannot_be_stops_nobody(number: int) -> None:
    async def story(it: Stage) -> None:
        await it.ready()
        it.press(OperatorCommand.FLIP)
        await it.wait(1)
        absurd = str(ClientOrderId(ExitKind.TAKE_PROFIT, number))
        it.by_hand(lambda hand: hand.place(Side.BUY, D(2400), D("0.01"), client_order_id=absurd))
        it.cut(api=True)
        await it.wait(5)
        await it.price("2499", wait_s=1)
        assert [order.price for order in it.own if order.side is Side.SELL] == [D("2499.01")]
        assert not it.heard("halted")

    assert play(story, balances={"ETH": D(1), "FDUSD": D(100)}).code is ExitCode.OK


def test_a_late_order_that_does_not_fit_is_taken_away() -> None:
    async def story(it: Stage) -> None:
        await it.ready()
        it.by_hand(lambda hand: hand.place(Side.BUY, D(2400), D("0.01"), client_order_id=str(OLD)))
        await it.wait(1)
        assert it.heard("late order of the last session cancelled: BUY 0.0100 ETH at 2400.00 FDUSD")
        assert it.own == []

    assert play(story, balances={"ETH": D(1), "FDUSD": D(100)}).code is ExitCode.OK


def test_a_late_order_that_comes_while_an_exit_is_under_way_goes_and_the_exit_goes_on() -> None:
    async def story(it: Stage) -> None:
        await it.ready()
        it.press(OperatorCommand.FLIP)
        await it.wait(1)
        mine = it.order.client_order_id
        it.by_hand(lambda hand: hand.place(Side.BUY, D(2400), D("0.01"), client_order_id=str(OLD)))
        await it.price("2499")
        assert it.heard("late order of the last session cancelled: BUY 0.0100 ETH at 2400.00 FDUSD")
        assert (it.order.client_order_id, it.order.price) == (mine, D("2499.01"))
        assert not it.heard("halted")

    assert play(story, balances={"ETH": D(1), "FDUSD": D(100)}).code is ExitCode.OK


def test_a_late_order_whose_end_nobody_tells_is_asked_for() -> None:
    async def story(it: Stage) -> None:
        await it.ready()
        it.fate.arrange("order.cancel", RequestFault(answered=False))
        it.by_hand(lambda hand: hand.place(Side.BUY, D(2400), D("0.01"), client_order_id=str(OLD)))
        it.cut(api=True)
        await it.wait(15)
        assert len(it.heard("late order of the last session cancelled")) == 1
        it.press(OperatorCommand.FLIP)
        await it.wait(2)
        assert it.order.side is Side.SELL

    assert play(story, balances={"ETH": D(1), "FDUSD": D(100)}).code is ExitCode.OK


def test_a_withdrawn_exit_is_written_down_and_the_next_session_knows() -> None:
    async def story(it: Stage) -> None:
        await it.ready()
        await it.price("2505")
        it.press(OperatorCommand.FLIP)
        await it.wait(1)
        it.press(OperatorCommand.WITHDRAW)
        await it.wait(1)

    assert notes(play(story).exchange) == [(Side.SELL, D(2500)), (Side.SELL, D(2505))]


def test_an_exit_that_begins_while_a_note_is_written_still_sells_everything() -> None:
    async def story(it: Stage) -> None:
        await it.until(lambda: it.heard("ready:"))
        await it.until(lambda: it.own)
        it.press(OperatorCommand.FLIP)
        await it.wait(0.5)
        assert it.order.quantity == 1

    end = play(story)
    assert end.journal.refusals[-2010] == 1  # the jumpstart's, which has no cash


def test_a_note_that_is_refused_is_told() -> None:
    async def story(it: Stage) -> None:
        await it.until(lambda: it.heard("ready:"))
        it.fate.arrange("order.place", RequestFault(done=False, error=(400, -2010, "MAX_NUM_ORDERS")))
        await it.wait(1)
        assert len(it.heard("anchor note not written: ")) == 1
        assert "MAX_NUM_ORDERS" in it.heard("anchor note not written: ")[0]

    assert play(story).code is ExitCode.OK
