"""Trading node after a restart: exits that continue, orders that are cancelled, anchor markers that are written."""

from decimal import Decimal

import pytest
from tests.daemon_harness import CASH, D, NodeHarness, only_start, run_scenario

from trailingedge.core.errors import ExitCode
from trailingedge.model.client_order_ids import ClientOrderId, own_id
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Regime, Side
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.faults import NO_FAULT, RequestFault
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
    end = run_scenario(only_start)
    assert notes(end.exchange) == [(Side.SELL, D(2500))]
    assert end.left_orders == []
    end = run_scenario(only_start, balances=CASH)
    assert notes(end.exchange) == [(Side.BUY, D("2500.01"))]


def test_a_stop_in_the_middle_of_a_note_leaves_none() -> None:
    async def story(it: NodeHarness) -> None:
        await it.until(lambda: it.alerts_starting_with("ready:"))

    end = run_scenario(story)
    assert (end.code, end.left_orders) == (ExitCode.OK, [])


def test_an_order_of_the_last_session_is_adopted_and_chased_to_its_end() -> None:
    async def story(it: NodeHarness) -> None:
        it.exchange.manual_trader().place(Side.SELL, D(2600), D(1), client_order_id=str(OLD))
        await it.ready()
        assert it.alerts_starting_with(
            "order adopted: SELL 1.0000 ETH at 2600.00 FDUSD, 0.0000 ETH filled so far (TE-m-"
        )
        assert "own open orders: 1 adopted" in it.output.lines
        assert "jumpstart: skipped, an exit is in progress" in it.output.lines
        await it.wait(1)
        assert (it.own_order.client_order_id, it.own_order.price) == (str(OLD), D("2500.01"))
        await it.price("2510")
        assert it.total("ETH") == 0
        assert it.alerts_starting_with("manual flip filled: sold 1.0000 ETH for 2500.01 FDUSD")
        assert it.node.services is not None
        assert it.node.services.queries.view(0).regime is Regime.QUOTE

    assert run_scenario(story).code is ExitCode.OK


def test_all_own_open_orders_are_counted_at_the_start() -> None:
    async def story(it: NodeHarness) -> None:
        older = ClientOrderId(ExitKind.MANUAL, OLD.number - 60_000)
        it.exchange.manual_trader().place(Side.SELL, D(2600), D("0.1"), client_order_id=str(OLD))
        it.exchange.manual_trader().place(Side.SELL, D(2601), D("0.1"), client_order_id=str(older))
        it.exchange.manual_trader().place(Side.SELL, D(2602), D("0.1"), client_order_id="a-person")
        await it.ready()
        assert "own open orders: 1 adopted, 1 cancelled" in it.output.lines

    run_scenario(story)


def test_a_late_order_of_the_last_session_goes_on_where_nothing_else_does() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.trade_manually(lambda hand: hand.place(Side.SELL, D(2600), D(1), client_order_id=str(OLD)))
        await it.wait(1)
        assert it.alerts_starting_with("order adopted: SELL 1.0000 ETH at 2600.00 FDUSD")
        assert (it.own_order.client_order_id, it.own_order.price) == (str(OLD), D("2500.01"))

    assert run_scenario(story).code is ExitCode.OK


def test_a_late_flush_that_fills_at_once_is_our_own_and_shuts_the_gate() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        await it.price("2495")
        flush = str(ClientOrderId(ExitKind.FLUSH, OLD.number))
        it.trade_manually(lambda hand: hand.place(Side.SELL, D(2495), D(1), OrderType.LIMIT, flush))
        await it.wait(2)
        assert it.node.services is not None
        memory = it.node.services.core.state
        assert (memory.regime, memory.anchor, memory.exit) == (Regime.QUOTE, 1 / 2495, None)
        assert memory.gate is not None
        assert memory.gate.shut_by is ShutBy.HARD_STOP

    assert run_scenario(story).code is ExitCode.OK


@pytest.mark.parametrize("number", [2**80, 1_783_000_020_000 + 2 * 86_400_000], ids=["out of any time", "in two days"])
def test_an_order_of_a_number_that_cannot_be_stops_nobody(number: int) -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.submit(OperatorCommand.FLIP)
        await it.wait(1)
        absurd = str(ClientOrderId(ExitKind.TAKE_PROFIT, number))
        it.trade_manually(lambda hand: hand.place(Side.BUY, D(2400), D("0.01"), client_order_id=absurd))
        it.cut(api=True)
        await it.wait(5)
        await it.price("2499", wait_s=1)
        assert [order.price for order in it.own_orders if order.side is Side.SELL] == [D("2499.01")]
        assert not it.alerts_starting_with("halted")

    assert run_scenario(story, balances={"ETH": D(1), "FDUSD": D(100)}).code is ExitCode.OK


def test_a_late_order_that_does_not_fit_is_taken_away() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.trade_manually(lambda hand: hand.place(Side.BUY, D(2400), D("0.01"), client_order_id=str(OLD)))
        await it.wait(1)
        assert it.alerts_starting_with("late order of the last session cancelled: BUY 0.0100 ETH at 2400.00 FDUSD")
        assert it.own_orders == []

    assert run_scenario(story, balances={"ETH": D(1), "FDUSD": D(100)}).code is ExitCode.OK


def test_a_late_order_that_comes_while_an_exit_is_under_way_goes_and_the_exit_goes_on() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.submit(OperatorCommand.FLIP)
        await it.wait(1)
        mine = it.own_order.client_order_id
        it.trade_manually(lambda hand: hand.place(Side.BUY, D(2400), D("0.01"), client_order_id=str(OLD)))
        await it.price("2499")
        assert it.alerts_starting_with("late order of the last session cancelled: BUY 0.0100 ETH at 2400.00 FDUSD")
        assert (it.own_order.client_order_id, it.own_order.price) == (mine, D("2499.01"))
        assert not it.alerts_starting_with("halted")

    assert run_scenario(story, balances={"ETH": D(1), "FDUSD": D(100)}).code is ExitCode.OK


def test_a_late_order_whose_end_nobody_tells_is_asked_for() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.faults.schedule("order.cancel", RequestFault(replied=False))
        it.trade_manually(lambda hand: hand.place(Side.BUY, D(2400), D("0.01"), client_order_id=str(OLD)))
        it.cut(api=True)
        await it.wait(15)
        assert len(it.alerts_starting_with("late order of the last session cancelled")) == 1
        it.submit(OperatorCommand.FLIP)
        await it.wait(2)
        assert it.own_order.side is Side.SELL

    assert run_scenario(story, balances={"ETH": D(1), "FDUSD": D(100)}).code is ExitCode.OK


def test_a_cancelled_exit_is_recorded_for_the_next_session() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        await it.price("2505")
        it.submit(OperatorCommand.FLIP)
        await it.wait(1)
        it.submit(OperatorCommand.CANCEL)
        await it.wait(1)

    assert notes(run_scenario(story).exchange) == [(Side.SELL, D(2500)), (Side.SELL, D(2505))]


def test_an_exit_that_begins_while_a_note_is_written_still_sells_everything() -> None:
    async def story(it: NodeHarness) -> None:
        await it.until(lambda: it.alerts_starting_with("ready:"))
        await it.until(lambda: it.own_orders)
        it.submit(OperatorCommand.FLIP)
        await it.wait(0.5)
        assert it.own_order.quantity == 1

    end = run_scenario(story)
    assert end.audit_log.errors_by_code[-2010] == 0


def test_a_note_that_is_refused_is_told() -> None:
    async def story(it: NodeHarness) -> None:
        # Scheduled from the start: at "ready" the note may be on its way. The first order is the jumpstart's.
        it.faults.schedule("order.place", NO_FAULT)
        it.faults.schedule("order.place", RequestFault(executed=False, error=(400, -2010, "MAX_NUM_ORDERS")))
        await it.until(lambda: it.alerts_starting_with("ready:"))
        await it.wait(1)
        assert len(it.alerts_starting_with("anchor not stored on the exchange: ")) == 1
        assert "MAX_NUM_ORDERS" in it.alerts_starting_with("anchor not stored on the exchange: ")[0]

    end = run_scenario(story)
    assert end.code is ExitCode.OK
    assert notes(end.exchange) == []
