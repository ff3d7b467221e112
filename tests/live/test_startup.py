"""Startup: the order of the steps, what is tried again, and what ends the start."""

import pytest
from tests.daemon_harness import CASH, D, NodeHarness, only_start, run_scenario, with_settings

from trailingedge.core.errors import ConfigError, ExitCode, StartFailed
from trailingedge.model.market import Side
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.faults import RequestFault

BUSY = RequestFault(executed=False, error=(503, -1008, "Server is currently overloaded with other requests."))


def steps(lines: list[str]) -> list[str]:
    return [line.split(": ")[0] for line in lines if not line[0].isdigit()]


def test_the_steps_come_in_their_order_each_with_its_result() -> None:
    end = run_scenario(only_start, terms=ExchangeSpec(maker_fee=D("0.00075")))
    assert steps(end.output.lines) == [
        "connect and log on",
        "rules and fee",
        "candles",
        "market streams",
        "own open orders",
        "restart",
        "jumpstart",
    ]
    assert end.output.lines[1:] == [
        "rules and fee: tick 0.01, lot 0.0001, maker fee 0.075 %",
        "candles: 100 of 1440, 1m each",
        "market streams: bid 2500.00 FDUSD, ask 2500.01 FDUSD",
        "own open orders: none",
        "restart: first start, no earlier trades of this bot found",
        "jumpstart: ok, the stream sent the balances",
    ]


def test_an_account_without_funds_is_asked_instead() -> None:
    end = run_scenario(only_start, balances={"FDUSD": D(2)})
    assert end.output.lines[-1] == "jumpstart: the stream sent no balances, so a query read them"
    assert end.audit_log.placed == 0


@pytest.mark.parametrize(
    "method", ["exchangeInfo", "account.commission", "klines", "openOrders.status", "account.status"]
)
def test_trouble_that_passes_is_tried_again(method: str) -> None:
    async def story(it: NodeHarness) -> None:
        it.faults.schedule(method, BUSY)
        it.faults.schedule(method, RequestFault(disconnects=True))
        await it.ready()

    assert run_scenario(story).code is ExitCode.OK


def test_trouble_that_stays_ends_the_start_with_its_reason() -> None:
    async def story(it: NodeHarness) -> None:
        for _ in range(9):
            it.faults.schedule("klines", BUSY)
        await it.wait(120)

    end = run_scenario(story)
    assert isinstance(end.error, StartFailed)
    assert "5 times in a row: klines: status 503: -1008 Server is currently overloaded" in str(end.error)


def test_the_fee_is_the_exchanges_unless_it_is_set_higher() -> None:
    dearer = run_scenario(
        only_start, settings=with_settings(fee=D("0.001")), terms=ExchangeSpec(maker_fee=D("0.00075"))
    )
    assert "maker fee 0.1 %" in dearer.output.lines[1]
    assert "maker fee 0.1 %" in dearer.alert_texts[0]
    cheaper = run_scenario(
        only_start, settings=with_settings(fee=D("0.0005")), terms=ExchangeSpec(maker_fee=D("0.00075"))
    )
    assert isinstance(cheaper.error, ConfigError)
    assert "FEE is 0.0005" in str(cheaper.error)
    assert "0.00075" in str(cheaper.error)


def test_a_tick_larger_than_the_hard_stop_is_warned_of_at_the_start() -> None:
    settings = with_settings(hard_stop_threshold_frac=0.000001)
    end = run_scenario(only_start, settings=settings)
    assert end.code is ExitCode.OK
    (warned,) = [text for text in end.alert_texts if "a single tick may trigger the hard stop" in text]
    assert "0.01" in warned


def test_a_stricter_rule_of_ours_is_in_force() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        assert it.node.services is not None
        assert (it.node.services.rules.step_size, it.node.services.rules.tick_size) == (D("0.01"), D("0.05"))

    settings = with_settings(lot_size=D("0.01"), price_tick=D("0.05"))
    assert run_scenario(story, settings=settings).code is ExitCode.OK


def test_a_fee_that_eats_the_gain_is_warned_of_once_it_is_known() -> None:
    end = run_scenario(only_start, terms=ExchangeSpec(maker_fee=D("0.01")))
    (base, quote) = [text for text in end.alert_texts if text.startswith("MIN_GAIN_TRIGGER_FRAC_")]
    assert base == (
        "MIN_GAIN_TRIGGER_FRAC_BASE is 0.01, too little for the smallest take-profit to pay its fees: of this "
        "gain, 0.019692 of the anchor is left after the trail has given back its share, but fees and buffer "
        "(2·FEE + BUFFER, with FEE=0.01) need 0.022; raise MIN_GAIN_TRIGGER_FRAC_BASE"
    )
    assert quote.startswith("MIN_GAIN_TRIGGER_FRAC_QUOTE is ")


def test_values_that_only_the_exchange_can_judge_are_one_list() -> None:
    settings = with_settings(lot_size=D("0.00015"), price_tick=D("0.015"), min_notional=D("0.5"))
    end = run_scenario(only_start, settings=settings)
    assert isinstance(end.error, ConfigError)
    assert [problem.split()[0] for problem in end.error.problems] == ["LOT_SIZE", "PRICE_TICK", "MIN_NOTIONAL"]


def test_the_history_is_not_repeated_by_the_stream() -> None:
    async def story(it: NodeHarness) -> None:
        it.keep_klines()
        await it.ready()
        await it.minute("2501")
        await it.minute("2502")
        opened = [kline.open_ms for kline in it.node.market_state.klines]
        assert len(opened) == len(set(opened)) == 102

    run_scenario(story)


def test_the_jumpstart_pushes_both_balances_before_the_first_tick() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        assert set(it.node.market_state.balances) == {"ETH", "FDUSD"}
        assert it.exchange.audit_log.counts_by_kind["TE-j", Side.BUY].placed == 1

    run_scenario(story, balances=CASH)
