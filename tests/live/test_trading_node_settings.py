"""Trading node with unusual settings, and on an exchange that changes its rules."""

import dataclasses
from collections.abc import Mapping
from decimal import Decimal

import pytest
from tests.daemon_harness import CASH, D, NodeHarness, run_scenario, with_settings
from tests.test_main_logic import rally_and_turn, slump_and_recovery

from trailingedge.core.errors import ExitCode
from trailingedge.execution.trading_core import TradingCore
from trailingedge.model.market import Side
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.model.pricing_mode import Pricing
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.faults import Faults, RequestFault


def test_a_halted_symbol_is_waited_for_and_the_exit_stays() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        it.exchange.engine.symbol_status = "HALT"
        for bid in ("2552", "2551.5", "2551", "2550.5"):
            await it.price(bid, wait_s=60)
        asked = it.exchange.audit_log.requests["exchangeInfo"]
        assert 4 <= asked <= 12
        assert len(it.alerts_starting_with("order rejected by the exchange: -2010 Market is closed")) <= 1
        it.exchange.engine.symbol_status = "TRADING"
        await it.price("2550", wait_s=130)
        await it.price("2549")
        assert it.own_order.price == D("2549.01")
        assert len(it.alerts_starting_with("ETHFDUSD is trading again")) == 1

    run_scenario(story)


def test_a_symbol_that_does_not_trade_at_the_start_is_waited_for() -> None:
    async def story(it: NodeHarness) -> None:
        it.exchange.engine.symbol_status = "BREAK"
        await it.ready()
        assert it.alerts_starting_with("ETHFDUSD is not trading (BREAK)")
        assert it.exchange.audit_log.placed == 0
        await it.price("2450", wait_s=60)
        assert it.own_orders == []
        it.exchange.engine.symbol_status = "TRADING"
        await it.price("2449", wait_s=130)
        assert it.own_order.client_order_id.startswith("TE-f-")

    run_scenario(story)


def test_a_symbol_taken_off_the_list_is_waited_for_like_any_halt() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        it.exchange.engine.symbol_status = "HALT"
        for _ in range(5):
            it.faults.schedule("exchangeInfo", RequestFault(executed=False, error=(400, -1121, "Invalid symbol.")))
        await it.price("2552", wait_s=3)
        assert it.node.services is not None
        assert it.node.services.rules.status == "not listed any more"

    run_scenario(story)


def test_rules_that_change_are_learned() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        changed = dataclasses.replace(it.exchange.spec, tick_size=D("0.05"), min_notional=D(50))
        it.exchange.spec = it.exchange.engine.spec = changed
        await it.price("2551.02", wait_s=5)
        await it.price("2549.02", wait_s=5)
        assert it.own_order.price == D("2549.05")
        assert it.node.services is not None
        assert it.node.services.rules.min_notional == 50

    run_scenario(story)


def test_too_little_for_the_new_least_notional_is_unfunded_and_not_a_row_of_exits() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        changed = dataclasses.replace(it.exchange.spec, tick_size=D("0.05"), min_notional=D(5000))
        it.exchange.spec = it.exchange.engine.spec = changed
        await it.price("2551.02", wait_s=5)
        await it.price("2549.02", wait_s=60)
        assert len(it.alerts_starting_with("take-profit armed")) <= 2
        assert len(it.alerts_starting_with("take-profit ended")) <= 2

    run_scenario(story)


def test_funds_at_the_edge_of_the_least_notional_make_no_row_of_exits() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        await it.price("2399.99", "2400.00")
        await it.price("2439.99", "2440.00", wait_s=30)
        await it.price("2439.98", "2439.99", wait_s=30)
        assert len(it.alerts_starting_with("take-profit armed")) <= 2

    run_scenario(story, balances={"FDUSD": D("5.124")}, settings=with_settings(min_gain_trigger_frac_quote=0.001))


@pytest.mark.parametrize(
    "balances", [pytest.param({"ETH": D(1)}, id="base"), pytest.param({"FDUSD": D(2500)}, id="quote")]
)
def test_where_the_largest_order_is_below_the_least_notional_nothing_is_armed_and_the_reason_told(
    balances: Mapping[str, Decimal],
) -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.submit(OperatorCommand.FLIP)
        for price in ("2600", "2550", "2400", "2450", "2300"):
            await it.price(price, wait_s=2)
        assert it.alerts_starting_with("unfunded")
        why = await it.node.submit(OperatorCommand.WHY)
        assert "the largest order that the exchange allows (0.0010 ETH) is worth less" in why.text

    end = run_scenario(story, balances=balances, terms=ExchangeSpec(max_quantity=D("0.001")))
    assert end.code is ExitCode.OK
    assert end.audit_log.requests["order.place"] == 0
    assert not any(text.startswith("take-profit armed") for text in end.alert_texts)


def test_ticks_that_ask_for_another_one_without_end_neither_block_the_daemon_nor_its_end() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        assert it.node.services is not None
        it.node.services.core.__class__ = _NeverDone  # the node holds it already
        before = it.node.ticks
        it.node.wake()
        await it.wait(10)
        assert it.node.ticks - before < 200  # a tenth of a second apart, after the first few
        assert (await it.node.submit(OperatorCommand.BALANCE)).text
        it.node.stop("SIGTERM")

    assert run_scenario(story).code is ExitCode.OK


class _NeverDone(TradingCore):
    """A core whose every tick asks for another one."""

    @property
    def needs_another_tick(self) -> bool:
        return True


@pytest.mark.parametrize("events_first", [False, True])
def test_whether_answer_or_event_comes_first_does_not_matter(*, events_first: bool) -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        it.submit(OperatorCommand.CANCEL)
        await it.wait(1)
        it.submit(OperatorCommand.FLIP)
        await it.wait(1)
        await it.price("2551")
        assert it.own_order.price == D("2551.01")
        await it.price("2560")
        assert it.alerts_starting_with("manual flip filled: sold 1.0000 ETH for 2551.01 FDUSD")

    assert run_scenario(story, events_first=events_first).code is ExitCode.OK


@pytest.mark.parametrize("name", ["lose_request", "lose_reply", "timeout_done", "timeout_undone", "busy", "cut_after"])
def test_a_line_that_fails_now_and_then_doubles_nothing(name: str) -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        for step in range(40):
            await it.price(D(2553) - step, wait_s=2)
        await it.price("2600", wait_s=20)

    end = run_scenario(story, faults=Faults(requests={name: 0.2}, methods=("order.cancelReplace", "order.cancel")))
    assert end.audit_log.max_open_orders == 1
    assert end.audit_log.taker_fills == 0
    assert end.exchange.account().balance("ETH").total == 0


def test_the_clock_is_measured_again_now_and_then() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        before = it.exchange.audit_log.requests["time"]
        await it.wait(3700)
        assert it.exchange.audit_log.requests["time"] - before == 6

    run_scenario(story)


# --- Settings that shape the trade ------------------------------------------------------------


def test_a_reserve_is_never_traded() -> None:
    async def selling(it: NodeHarness) -> None:
        await rally_and_turn(it)
        assert it.own_order.quantity == D("0.7")

    async def buying(it: NodeHarness) -> None:
        await slump_and_recovery(it)
        assert it.own_order.quantity * it.own_order.price <= 2000

    run_scenario(selling, settings=with_settings(reserve_base=D("0.3")))
    run_scenario(buying, balances=CASH, settings=with_settings(reserve_quote=D(500)))


def test_a_first_start_measures_from_the_anchor_price_that_is_set() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        assert it.alerts_starting_with("ready: ")[0].find("anchor 2480.00 FDUSD") > 0

    run_scenario(story, settings=with_settings(anchor_price=D(2480)))


def test_an_exit_larger_than_the_largest_order_goes_out_in_parts() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        assert it.own_order.quantity == D("0.3916")
        for bid in range(2560, 2600, 10):
            await it.price(D(bid), wait_s=3)
        assert it.total("ETH") < D("0.001")
        assert len(it.alerts_starting_with("take-profit filled")) == 1

    run_scenario(story, terms=ExchangeSpec(max_notional=D(1000)))


def test_a_pegged_order_rests_on_our_side_and_is_moved_by_us() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        assert it.own_order.request.peg is not None
        assert it.own_order.price == D("2553.01")
        await it.price("2551")
        assert it.own_order.price == D("2551.01")

    run_scenario(story, settings=with_settings(exit_pricing=Pricing.PEG))


def test_the_taker_escape_is_one_order_at_the_age_allowed() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        await it.wait(15)
        assert it.total("ETH") == 0

    end = run_scenario(story, settings=with_settings(taker_escape_after_sec=10.0))
    assert end.audit_log.counts_by_kind["TE-e", Side.SELL].placed == 1
    assert end.audit_log.taker_fills == 1
    assert len([text for text in end.alert_texts if text.startswith("taker escape: SELL ")]) == 1
    assert [line for line in end.output.lines if line.startswith("taker escape")] == [
        "taker escape: after 10 s, fee 0.1 %"
    ]


def test_an_exit_that_takes_long_is_told_once() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        await it.wait(300)
        assert len(it.alerts_starting_with("take-profit slow: 0.0000 ETH filled after 1 min")) == 1

    run_scenario(story)


def test_an_exchange_that_does_not_tell_the_past_is_traded_on_afresh() -> None:
    async def story(it: NodeHarness) -> None:
        for _ in range(20):
            it.faults.schedule(
                "allOrders", RequestFault(executed=False, error=(400, -1100, "Illegal characters found."))
            )
        await it.ready()
        assert it.alerts_starting_with("restart: the account's history cannot be read")
        await it.price("2450", wait_s=2.0)
        assert it.own_order.client_order_id.startswith("TE-f-")

    run_scenario(story)


def test_a_stop_while_leftovers_are_cancelled_leaves_none_of_them() -> None:
    async def story(it: NodeHarness) -> None:
        hand = it.exchange.manual_trader()
        hand.place(Side.SELL, D("2900.00"), D("0.01"), client_order_id="TE-j-mwq00000")
        it.faults.schedule("order.cancel", "lose_request")
        await it.until(lambda: it.exchange.audit_log.requests["order.cancel"])

    end = run_scenario(story)
    assert (end.left_orders, end.code) == ([], ExitCode.OK)
