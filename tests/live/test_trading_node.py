"""Trading node in hard cases: broken starts, errors that a person must correct, halts, and mistakes of our own."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest
from tests.daemon_harness import CASH, ONE_ETH, D, NodeHarness, only_start, run_scenario, with_settings
from tests.test_main_logic import crash, rally_and_turn, slump_and_recovery

from trailingedge.config import OnExit
from trailingedge.core.errors import (
    ConfigError,
    ExchangeUnreachable,
    ExitCode,
    LogonRefused,
    StartFailed,
)
from trailingedge.model.market import ExecutionReport, ExecutionType, OrderStatus, Side
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.exchange_spec import ExchangeSpec

EVERY_MOMENT_OF_A_START = [step * 0.026 for step in range(15)]


# --- The start --------------------------------------------------------------------------------


@pytest.mark.parametrize("balances", [pytest.param(ONE_ETH, id="base"), pytest.param(CASH, id="quote")])
def test_a_stop_at_any_moment_of_the_start_leaves_nothing(balances: dict[str, Decimal]) -> None:
    for moment_s in EVERY_MOMENT_OF_A_START:

        async def story(it: NodeHarness, moment_s: float = moment_s) -> None:
            await it.wait(moment_s)

        end = run_scenario(story, balances=balances)
        assert (end.code, end.left_orders) == (ExitCode.OK, []), moment_s
        assert end.shutdown_s < 5, moment_s


def test_a_stop_in_the_start_cancels_its_own_order_also_where_orders_are_to_be_left() -> None:
    async def story(it: NodeHarness) -> None:
        await it.until(lambda: it.own_orders)

    end = run_scenario(story, settings=with_settings(on_exit=OnExit.LEAVE))
    assert (end.code, end.left_orders) == (ExitCode.OK, [])


@pytest.mark.parametrize(
    ("api", "streams"),
    [
        pytest.param(True, False, id="account"),
        pytest.param(False, True, id="market"),
        pytest.param(True, True, id="both"),
    ],
)
def test_a_connection_may_break_at_any_moment_of_the_start(*, api: bool, streams: bool) -> None:
    for moment_s in EVERY_MOMENT_OF_A_START:

        async def story(it: NodeHarness, moment_s: float = moment_s) -> None:
            await it.wait(moment_s)
            it.cut(api=api, streams=streams)
            await it.ready()
            await it.wait(5)
            assert it.own_orders == []
            await it.price("2560")
            await it.price("2553", wait_s=5)
            assert it.own_order.side is Side.SELL

        assert run_scenario(story).code is ExitCode.OK, moment_s


def test_a_jumpstart_that_nobody_answered_is_looked_for_and_cancelled() -> None:
    for method, fate in (("order.place", "lose_reply"), ("order.place", "cut_after"), ("order.cancel", "cut_before")):

        async def story(it: NodeHarness, method: str = method, fate: str = fate) -> None:
            it.faults.schedule(method, fate)
            await it.until(lambda: it.alerts_starting_with("ready:") and not it.node.anchor_marker_pending, within_s=60)
            assert it.own_orders == []

        assert run_scenario(story, balances=CASH).code is ExitCode.OK, (method, fate)


def test_an_unfunded_account_is_a_state_and_not_an_error() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        assert it.alerts_starting_with(
            "ready: sim ETHFDUSD at ws://memory/ws-api/v3, holding nothing tradable, maker fee 0 %"
        )
        assert it.alerts_starting_with("unfunded: 0.0000 ETH and 2.00 FDUSD are too little to trade")
        it.trade_manually(lambda hand: hand.deposit("ETH", D(1)))
        await it.price("2510", wait_s=2)
        it.submit(OperatorCommand.FLIP)
        await it.wait(1)
        assert it.own_order.side is Side.SELL

    run_scenario(story, balances={"FDUSD": D(2)})


def test_orders_from_before_are_cancelled_and_named_and_foreign_ones_are_not() -> None:
    def leave_orders(exchange: Exchange) -> None:
        hand = exchange.manual_trader()
        hand.place(Side.SELL, D(2600), D("0.1"), client_order_id="TE-j-mr3k6cvh")
        hand.place(Side.SELL, D(2700), D("0.1"), client_order_id="TE-something-else")
        hand.place(Side.SELL, D(2800), D("0.1"), client_order_id="mine")

    async def story(it: NodeHarness) -> None:
        leave_orders(it.exchange)
        await it.ready()
        assert it.alerts_starting_with(
            "order of an earlier session cancelled: SELL 0.1000 ETH at 2600.00 FDUSD (TE-j-mr3k6cvh)"
        )
        still = [order.client_order_id for order in it.exchange.account().open_orders()]
        assert still == ["TE-something-else", "mine"]

    run_scenario(story)


def test_without_a_market_it_says_what_is_missing() -> None:
    end = run_scenario(only_start, shut=frozenset({"/stream"}))
    assert isinstance(end.error, StartFailed)
    assert "no best bid and ask of ETHFDUSD within 10 s" in str(end.error)


def test_operators_keys_in_the_start() -> None:
    async def story(it: NodeHarness) -> None:
        for instruction in OperatorCommand:
            if instruction is not OperatorCommand.QUIT:
                it.submit(instruction)
        assert it.alerts_starting_with("flip refused: still starting")
        assert it.alerts_starting_with("cancel refused: still starting")
        assert any(line.startswith("starting, not trading yet: connect and log on") for line in it.output.lines)
        it.submit(OperatorCommand.PAUSE)
        await it.ready()
        await it.price("2560")
        await it.price("2553", wait_s=2)
        assert it.own_orders == []

    run_scenario(story)


def test_q_ends_a_start_that_gets_nowhere() -> None:
    async def story(it: NodeHarness) -> None:
        await it.wait(300)
        it.submit(OperatorCommand.QUIT)
        await it.wait(3600)

    end = run_scenario(story, shut=frozenset({"ws-api"}))
    assert end.code is ExitCode.OK
    assert end.alert_texts[-1].startswith("shutdown: quit")


# --- What a person must mend ------------------------------------------------------------------


def test_all_that_the_exchange_does_not_allow_is_one_list() -> None:
    settings = with_settings(fee=D("0.0005"), lot_size=D("0.00015"), min_notional=D(1), price_tick=D("0.015"))
    end = run_scenario(only_start, settings=settings, terms=ExchangeSpec(maker_fee=D("0.001")))
    assert isinstance(end.error, ConfigError)
    named = [problem.split(" ")[0] for problem in end.error.problems]
    assert sorted(named) == ["FEE", "LOT_SIZE", "MIN_NOTIONAL", "PRICE_TICK"]
    assert "0.0005" in str(end.error)
    assert "0.001" in str(end.error)


def test_an_unknown_symbol_is_a_setting_to_mend() -> None:
    end = run_scenario(only_start, settings=with_settings(symbol="ETHFDUSDT"))
    assert isinstance(end.error, ConfigError)
    assert "the exchange does not list it" in str(end.error)


def test_a_key_that_is_refused_ends_it_with_the_remedy() -> None:
    end = run_scenario(only_start, key_is_known=False)
    assert isinstance(end.error, LogonRefused)
    assert "check" in str(end.error)


def test_an_exchange_out_of_reach_ends_it_once_the_attempts_are_used_up() -> None:
    end = run_scenario(only_start, settings=with_settings(reconnect_max_retries=3), shut=frozenset({"ws-api"}))
    assert isinstance(end.error, ExchangeUnreachable)


def test_a_market_out_of_reach_names_the_order_that_is_left() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        it.network.blocked.add("/stream")
        it.cut(streams=True)
        await it.wait(600)

    end = run_scenario(story, settings=with_settings(reconnect_max_retries=2))
    assert isinstance(end.error, ExchangeUnreachable)
    assert "order left on the exchange: SELL 1.0000 ETH at 2553.01 FDUSD" in str(end.alert_texts)


def test_a_key_revoked_while_running_names_the_order_that_is_left() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        it.exchange.keys._keys.clear()
        await it.price("2552")
        await it.wait(600)

    end = run_scenario(story)
    assert isinstance(end.error, LogonRefused)
    assert "order left on the exchange" in str(end.alert_texts)


# --- Halts and mistakes -----------------------------------------------------------------------


def impossible(it: NodeHarness) -> ExecutionReport:
    """A working order cannot be rejected."""
    order = it.own_order
    return ExecutionReport(
        symbol="ETHFDUSD",
        side=order.side,
        order_type="LIMIT_MAKER",
        client_order_id=order.client_order_id,
        order_id=order.order_id,
        execution_type=ExecutionType.REJECTED,
        status=OrderStatus.REJECTED,
        price=order.price,
        quantity=order.quantity,
        filled_quantity=D(0),
        filled_quote=D(0),
        time_ms=1,
        event_ms=1,
        execution_id=999_999,
    )


@pytest.mark.parametrize(
    ("phase", "balances"),
    [
        pytest.param(rally_and_turn, ONE_ETH, id="selling"),
        pytest.param(slump_and_recovery, CASH, id="buying"),
        pytest.param(crash, ONE_ETH, id="flushing"),
    ],
)
def test_a_broken_invariant_halts_until_the_operator_resumes(
    phase: Callable[[NodeHarness], Awaitable[None]], balances: dict[str, Decimal]
) -> None:
    async def story(it: NodeHarness) -> None:
        await phase(it)
        assert it.node.services is not None
        kind = it.own_order.client_order_id[:4]
        it.node.services.core.inbox.append(impossible(it))
        await it.wait(3)
        assert it.own_orders == []
        assert len(it.alerts_starting_with("halted: ")) == 1
        it.submit(OperatorCommand.FLIP)
        await it.price("2400", wait_s=5)
        assert it.own_orders == []
        assert it.alerts_starting_with("flip refused: trading is halted")
        assert it.node.services.queries.view(0).halted
        await it.price("2553" if kind == "TE-t" and balances is ONE_ETH else "2448", wait_s=3)
        it.submit(OperatorCommand.RESUME)
        await it.wait(3)
        assert it.own_order.client_order_id.startswith(kind)

    assert run_scenario(story, balances=balances).code is ExitCode.OK


def test_a_stop_while_halted_shuts_down_gracefully() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        assert it.node.services is not None
        it.node.services.core.inbox.append(impossible(it))

    end = run_scenario(story)
    assert (end.code, end.left_orders) == (ExitCode.OK, [])


def test_candles_received_in_a_tick_that_breaks_are_not_lost() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        desk = it.node.services
        assert desk is not None
        await it.wait(60 - it.clock.now_s() % 60 - 0.001)
        it.set_price("2553")
        await it.wait(0.05)
        desk.core.inbox.append(impossible(it))
        it.set_price("2553")
        await it.wait(3)
        assert desk.core.state.last_close_ms == it.node.market_state.klines[-1].close_ms

    run_scenario(story)


def test_a_mistake_of_ours_comes_out_as_it_is_and_leaves_no_order() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        assert it.node.services is not None
        it.node.services.core.inbox.append(None)  # type: ignore[arg-type]  # a mistake is what is wanted
        await it.wait(60)

    end = run_scenario(story)
    assert isinstance(end.error, AttributeError)
    assert end.left_orders == []


def test_an_order_is_told_to_be_cancelled_before_its_exit_is_told_to_have_ended() -> None:
    told: list[str] = []

    async def cancel_a_flip(harness: NodeHarness) -> None:
        await harness.ready()
        harness.submit(OperatorCommand.FLIP)
        await harness.wait(1.0)
        harness.submit(OperatorCommand.CANCEL)
        await harness.wait(1.0)

    # Without a latency, the order and its exit end in one tick.
    run_scenario(cancel_a_flip, latency_s=0.0, observe=lambda event, _: told.append(type(event).__name__))
    assert [name for name in told if name in ("OrderCancelled", "ExitEnded")] == ["OrderCancelled", "ExitEnded"]
