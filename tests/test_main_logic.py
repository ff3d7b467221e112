"""Main loop: scenarios of prices that come in and orders that go out, from trigger to fill.

The whole node runs on the virtual event loop against the embedded exchange. The market is constant at 2500, with 100
quiet candles behind it, and moves only where a scenario moves it.
"""

from decimal import Decimal
from itertools import pairwise

import pytest
from tests.daemon_harness import CASH, D, NodeHarness, only_start, run_scenario, with_settings

from trailingedge.config import OnExit
from trailingedge.core.errors import ExitCode
from trailingedge.model.market import Side
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.simulator.faults import RequestFault


async def rally_and_turn(it: NodeHarness) -> None:
    """Up by 2.4 %, and down by enough of that for the take-profit, which then works at 2553.01."""
    await it.ready()
    await it.price("2560")
    await it.price("2553")


async def slump_and_recovery(it: NodeHarness) -> None:
    """The mirror image, from cash: the buy-back works at 2448.00."""
    await it.ready()
    await it.price("2440")
    await it.price("2448")


async def crash(it: NodeHarness) -> None:
    """Down by 2 %, for longer than the stop takes to be sure: the flush works at 2450.01."""
    await it.ready()
    await it.price("2450", wait_s=2.0)


# --- A snapshot in, an order out --------------------------------------------------------------


def test_it_starts_and_says_so_and_stops_and_leaves_nothing() -> None:
    end = run_scenario(only_start)
    assert end.code is ExitCode.OK
    ready, shutdown = end.alert_texts
    assert ready == "ready: sim ETHFDUSD at ws://memory/ws-api/v3, holding ETH, anchor 2500.00 FDUSD, maker fee 0 %"
    assert shutdown.startswith("shutdown: the scenario is over")
    assert end.left_orders == []


def test_a_gain_that_turns_is_sold_by_one_post_only_order() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        assert (it.own_order.side, it.own_order.price, it.own_order.quantity) == (Side.SELL, D("2553.01"), D(1))
        assert it.own_order.request.type.value == "LIMIT_MAKER"
        assert it.alerts_starting_with(
            "take-profit armed: gain +2.12 % in FDUSD since the anchor (best +2.40 %); "
            "selling all ETH now near 2553.00 FDUSD"
        )

    assert run_scenario(story).code is ExitCode.OK


def test_from_frame_to_order_nothing_is_waited_for() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        await it.price("2560")
        turned_s = it.clock.now_s()
        it.set_price("2553")
        await it.until(lambda: it.own_orders)
        assert it.clock.now_s() - turned_s <= 0.03  # twice the line's 10 ms, and the story's own glance

    run_scenario(story)


def test_the_order_follows_the_best_price() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        before = it.own_order
        await it.price("2551")
        assert it.own_order.price == D("2551.01")
        assert it.own_order.client_order_id == before.client_order_id
        assert it.own_order.order_id != before.order_id

    assert run_scenario(story).audit_log.max_open_orders == 1


def test_while_one_request_is_under_way_newer_prices_wait_and_the_newest_wins() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        replaced = it.exchange.audit_log.requests["order.cancelReplace"]
        for bid in ("2552", "2551", "2550", "2549"):
            await it.price(bid, wait_s=0.002)  # much faster than an answer comes back
        await it.wait(0.5)
        assert it.own_order.price == D("2549.01")
        assert 1 <= it.exchange.audit_log.requests["order.cancelReplace"] - replaced <= 2

    run_scenario(story, latency_s=0.1)


def test_a_fill_makes_us_the_other_side_at_its_average() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        await it.price("2560")
        assert it.total("ETH") == 0
        assert it.alerts_starting_with("take-profit filled: sold 1.0000 ETH for 2553.01 FDUSD, average 2553.01 FDUSD")
        assert it.node.services is not None
        assert it.node.services.queries.view(0).anchor == pytest.approx(2553.01)

    run_scenario(story)


def test_from_cash_a_fall_that_turns_is_bought_back() -> None:
    async def story(it: NodeHarness) -> None:
        await slump_and_recovery(it)
        assert (it.own_order.side, it.own_order.price) == (Side.BUY, D("2448.00"))
        await it.price("2440")
        assert it.total("ETH") > 1
        assert it.alerts_starting_with("take-profit filled: bought")

    run_scenario(story, balances=CASH)


def test_the_stop_is_confirmed_by_time_alone_when_the_market_falls_silent() -> None:
    settings = with_settings(loop_sleep_sec=5.0)

    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.set_price("2450")
        fell_s = it.clock.now_s()
        await it.until(lambda: it.own_orders)
        assert 1.0 <= it.clock.now_s() - fell_s <= 1.1

    run_scenario(story, settings=settings)


def test_a_loss_that_lasts_is_flushed_and_the_gate_shuts() -> None:
    async def story(it: NodeHarness) -> None:
        await crash(it)
        assert it.alerts_starting_with("hard stop: loss -2.00 % (limit -")
        assert it.own_order.client_order_id.startswith("TE-f-")
        await it.price("2455")
        assert it.alerts_starting_with("hard stop filled: sold 1.0000 ETH")
        assert it.alerts_starting_with("gate shut: the hard stop sold at 2450.01 FDUSD")

    run_scenario(story)


def test_a_loss_that_is_over_at_once_is_not() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        await it.price("2450", wait_s=0.5)
        await it.price("2499", wait_s=5.0)
        assert it.own_orders == []

    run_scenario(story)


def test_the_gate_opens_when_a_candle_closes_above_the_middle() -> None:
    async def story(it: NodeHarness) -> None:
        await crash(it)
        await it.price("2455")
        await it.minute("2460")
        assert not it.alerts_starting_with("gate open")
        await it.minute("2502")
        assert it.alerts_starting_with(
            "gate open: a candle closed at 2502.00 FDUSD, across the channel's middle 2500.00 FDUSD"
        )

    run_scenario(story)


def test_three_candles_missed_while_away_are_fetched_and_none_is_lost() -> None:
    async def story(it: NodeHarness) -> None:
        it.keep_klines()
        await it.ready()
        known = len(it.node.market_state.klines)
        it.cut(streams=True)
        for bid in ("2501", "2502", "2503"):
            it.set_price(bid)
            await it.wait(60)
        await it.price("2504")
        await it.wait(10)
        opened = [kline.open_ms for kline in it.node.market_state.klines]
        assert len(opened) >= known + 3
        assert {after - before for before, after in pairwise(opened)} == {60_000}

    run_scenario(story)


# --- Bad or stale data is no data -------------------------------------------------------------


def test_a_book_that_does_not_move_is_proven_and_not_stale() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        await it.wait(60)
        assert it.own_orders
        assert not it.alerts_starting_with("no market data for")

    run_scenario(story)


def test_without_news_a_sell_stays_and_a_buy_goes() -> None:
    async def selling(it: NodeHarness) -> None:
        await rally_and_turn(it)
        it.mute_market()
        await it.wait(15)
        assert it.own_orders
        assert len(it.alerts_starting_with("no market data for 10 s; no new orders until it returns")) == 1

    async def buying(it: NodeHarness) -> None:
        await slump_and_recovery(it)
        it.mute_market()
        await it.wait(15)
        assert it.own_orders == []

    run_scenario(selling)
    run_scenario(buying, balances=CASH)


def test_a_breach_is_told_once_and_its_end_once_and_the_chase_goes_on() -> None:
    async def story(it: NodeHarness) -> None:
        await slump_and_recovery(it)
        it.mute_market()
        await it.wait(60)
        assert it.own_orders == []
        assert len(it.alerts_starting_with("no market data for")) == 1
        it.unmute_market()
        await it.price("2446")
        await it.wait(2)
        assert len(it.alerts_starting_with("market data is back")) == 1
        assert it.own_order.price == D("2446.00")

    run_scenario(story, balances=CASH)


def test_nothing_is_sold_in_a_silence_and_the_first_price_after_it_decides_on_the_stop() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        await it.price("2450", wait_s=5)
        it.mute_market()
        await it.wait(60)
        assert not it.alerts_starting_with("hard stop")
        it.unmute_market()
        await it.price("2451", wait_s=1)
        assert it.alerts_starting_with("hard stop")

    run_scenario(story, settings=with_settings(hard_stop_confirm_sec=20.0))


def test_a_market_connection_that_is_back_at_once_wakes_nobody() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        for _ in range(5):
            it.cut(streams=True)
            await it.wait(65)
        assert it.own_orders
        assert not it.alerts_starting_with("market")

    run_scenario(story)


# --- The account's connection -----------------------------------------------------------------


def test_an_account_connection_lost_in_the_chase_doubles_nothing() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        for bid in ("2552", "2551.5", "2551", "2550.5"):
            it.cut(api=True)
            await it.price(bid, wait_s=3)
        assert it.own_order.price == D("2550.51")

    end = run_scenario(story)
    assert (end.code, end.audit_log.max_open_orders) == (ExitCode.OK, 1)
    assert not [text for text in end.alert_texts if text.startswith("account")]  # each was over in a second


def test_what_was_filled_meanwhile_is_found_out_afterwards() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        it.cut(api=True)
        it.set_price("2560")
        await it.wait(5)
        assert it.alerts_starting_with("take-profit filled: sold 1.0000 ETH for 2553.01 FDUSD")
        assert it.own_orders == []

    run_scenario(story)


def test_an_answer_that_got_lost_is_asked_for_and_nothing_is_sent_twice() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        await it.price("2560")
        it.faults.schedule("order.place", RequestFault(replied=False))
        await it.price("2553", wait_s=8)
        assert it.own_order.price == D("2553.01")

    end = run_scenario(story)
    placed = end.audit_log.counts_by_kind["TE-t", Side.SELL].placed
    assert placed == 1


def test_a_long_absence_is_told_once_and_its_end_once() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.network.blocked.add("ws-api")
        it.cut(api=True)
        await it.wait(30)
        assert len(it.alerts_starting_with("no account connection for")) == 1
        it.network.blocked.clear()
        await it.wait(61)
        assert len(it.alerts_starting_with("account connection is back")) == 1

    run_scenario(story)


# --- Commands ---------------------------------------------------------------------------------


def test_x_sells_in_base_and_buys_in_quote() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        sides = []
        for bid in ("2510", "2500"):
            it.submit(OperatorCommand.FLIP)
            await it.wait(0.5)
            sides.append(it.own_order.side)
            await it.price(bid)
        assert sides == [Side.SELL, Side.BUY]
        assert len(it.alerts_starting_with("manual flip: ")) == 2

    run_scenario(story)


def test_x_twice_is_once() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.submit(OperatorCommand.FLIP)
        it.submit(OperatorCommand.FLIP)
        await it.wait(0.5)
        assert it.own_order.side is Side.SELL
        assert it.alerts_starting_with("flip refused: already under way")

    run_scenario(story)


def test_x_trades_under_a_shut_gate() -> None:
    async def story(it: NodeHarness) -> None:
        await crash(it)
        await it.price("2455")
        assert it.alerts_starting_with("gate shut")
        it.submit(OperatorCommand.FLIP)
        await it.wait(0.5)
        assert it.own_order.side is Side.BUY
        await it.price("2450")
        assert it.alerts_starting_with("manual flip filled")

    run_scenario(story)


def test_x_with_nothing_to_trade_is_refused() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.submit(OperatorCommand.FLIP)
        await it.wait(1)
        assert it.alerts_starting_with("flip refused: there is nothing to trade")

    run_scenario(story, balances={"FDUSD": D(2)})


def test_x_without_fresh_data_waits_for_it_and_expires() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.mute_market()
        await it.wait(15)
        it.submit(OperatorCommand.FLIP)
        await it.wait(29)
        assert not it.alerts_starting_with("manual flip ended")
        await it.wait(3)
        assert it.alerts_starting_with("manual flip ended: no order could be placed in time; nothing filled")
        it.unmute_market()
        await it.price("2501", wait_s=3)
        assert it.own_orders == []

    run_scenario(story)


def test_x_upgrades_no_flush_and_relabels_a_take_profit() -> None:
    async def flushing(it: NodeHarness) -> None:
        await crash(it)
        it.submit(OperatorCommand.FLIP)
        await it.wait(1)
        assert it.own_order.client_order_id.startswith("TE-f-")

    async def exiting(it: NodeHarness) -> None:
        await rally_and_turn(it)
        it.submit(OperatorCommand.FLIP)
        await it.price("2552")
        assert it.alerts_starting_with("manual flip: the take-profit in progress now counts as your flip")
        assert it.own_order.client_order_id.startswith("TE-m-")

    run_scenario(flushing)
    run_scenario(exiting)


def test_c_cancels_an_exit_and_sets_a_new_anchor() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        it.submit(OperatorCommand.CANCEL)
        await it.wait(1)
        assert it.own_orders == []
        assert it.alerts_starting_with("take-profit ended: cancelled by the operator; nothing filled")
        (anew,) = it.alerts_starting_with("holding ETH: anchor ")
        assert anew.endswith("(market price); take-profit and hard stop are measured from it now")
        await it.wait(30)
        assert it.own_orders == []

    run_scenario(story)


def test_c_cancels_a_hard_stop_without_shutting_the_gate() -> None:
    async def story(it: NodeHarness) -> None:
        await crash(it)
        it.submit(OperatorCommand.CANCEL)
        await it.wait(1)
        assert it.own_orders == []
        assert not it.alerts_starting_with("gate shut")

    run_scenario(story)


def test_c_with_nothing_under_way_is_refused() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.submit(OperatorCommand.CANCEL)
        await it.wait(1)
        assert it.alerts_starting_with("cancel refused: no exit is in progress")

    run_scenario(story)


def test_a_pause_arms_nothing_but_the_stop_and_a_resume_goes_on() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.submit(OperatorCommand.PAUSE)
        await it.price("2560")
        await it.price("2553", wait_s=2)
        assert it.own_orders == []
        it.submit(OperatorCommand.RESUME)
        await it.wait(0.5)
        assert it.own_order.side is Side.SELL

    async def stop(it: NodeHarness) -> None:
        await it.ready()
        it.submit(OperatorCommand.PAUSE)
        await it.price("2450", wait_s=2.0)
        assert it.own_order.client_order_id.startswith("TE-f-")

    run_scenario(story)
    run_scenario(stop)


def test_a_pause_takes_a_buy_back_and_lets_a_sell_finish() -> None:
    async def buying(it: NodeHarness) -> None:
        await slump_and_recovery(it)
        it.submit(OperatorCommand.PAUSE)
        await it.wait(1)
        assert it.own_orders == []

    async def selling(it: NodeHarness) -> None:
        await rally_and_turn(it)
        it.submit(OperatorCommand.PAUSE)
        await it.price("2551")
        assert it.own_order.price == D("2551.01")

    run_scenario(buying, balances=CASH)
    run_scenario(selling)


def test_while_paused_the_operator_may_sell_and_not_buy() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.submit(OperatorCommand.PAUSE)
        it.submit(OperatorCommand.FLIP)
        await it.wait(1)
        await it.price("2510")
        assert it.alerts_starting_with("manual flip filled: sold")
        it.submit(OperatorCommand.FLIP)
        await it.wait(1)
        assert it.alerts_starting_with("flip refused: ")

    run_scenario(story)


def test_it_can_start_paused_and_says_so() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        assert it.alerts_starting_with("paused: no take-profit")
        await it.price("2560")
        await it.price("2553", wait_s=2)
        assert it.own_orders == []

    run_scenario(story, settings=with_settings(start_paused=True))


def test_s_shows_how_things_stand() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        it.submit(OperatorCommand.STATUS)
        await it.wait(0.1)
        assert "SELL 1.0000 ETH at 2553.01" in it.output.lines[-1]

    run_scenario(story)


def test_q_ends_it() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        it.submit(OperatorCommand.QUIT)
        await it.wait(3600)

    end = run_scenario(story)
    assert (end.code, end.left_orders) == (ExitCode.OK, [])
    assert end.alert_texts[-1].startswith("shutdown: quit")


# --- Shutdown ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "balances"),
    [
        pytest.param(only_start, {"ETH": D(1)}, id="watching"),
        pytest.param(only_start, {"FDUSD": D(2)}, id="unfunded"),
        pytest.param(rally_and_turn, {"ETH": D(1)}, id="selling"),
        pytest.param(slump_and_recovery, {"FDUSD": D(2500)}, id="buying"),
        pytest.param(crash, {"ETH": D(1)}, id="flushing"),
    ],
)
def test_a_stop_leaves_nothing_behind_in_any_phase(phase: object, balances: dict[str, Decimal]) -> None:
    end = run_scenario(phase, balances=balances)  # type: ignore[arg-type]
    assert (end.code, end.left_orders) == (ExitCode.OK, [])
    assert end.shutdown_s < 1


def test_a_stop_while_a_request_is_under_way_leaves_nothing_behind() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        await it.price("2560")
        it.set_price("2553")
        await it.until(lambda: it.exchange.audit_log.requests["order.place"] > 1)

    end = run_scenario(story)
    assert (end.code, end.left_orders) == (ExitCode.OK, [])


def test_an_order_that_cannot_be_cancelled_is_named() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        it.network.blocked.add("ws-api")
        it.cut(api=True)

    end = run_scenario(story)
    assert end.code is ExitCode.UNREACHABLE
    assert end.shutdown_s < 5
    (order,) = end.left_orders
    assert f"order left on the exchange: SELL 1.0000 ETH at 2553.01 FDUSD ({order.client_order_id})" in str(
        end.alert_texts
    )


def test_on_request_the_order_is_left_and_named() -> None:
    end = run_scenario(rally_and_turn, settings=with_settings(on_exit=OnExit.LEAVE))
    assert end.code is ExitCode.OK
    assert len(end.left_orders) == 1
    assert "order left on the exchange: SELL 1.0000 ETH at 2553.01 FDUSD" in str(end.alert_texts)
