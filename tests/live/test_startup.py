"""From connected to ready: the steps in their order, what is tried again, and what ends it."""

import pytest
from tests.daemon_harness import CASH, D, Stage, nothing, play, with_settings

from trailingedge.core.errors import ConfigError, ExitCode, StartFailed
from trailingedge.model.market import Side
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.faults import RequestFault

BUSY = RequestFault(done=False, error=(503, -1008, "Server is currently overloaded with other requests."))


def steps(lines: list[str]) -> list[str]:
    return [line.split(": ")[0] for line in lines if not line[0].isdigit()]


def test_the_steps_come_in_their_order_each_with_its_result() -> None:
    end = play(nothing, terms=ExchangeSpec(maker_fee=D("0.00075")))
    assert steps(end.notes.lines) == [
        "connect and log on",
        "rules and fee",
        "candles",
        "market streams",
        "own open orders",
        "restart",
        "jumpstart",
    ]
    assert end.notes.lines[1:] == [
        "rules and fee: tick 0.01, lot 0.0001, maker fee 0.075 %",
        "candles: 100 of 1440, 1m each",
        "market streams: bid 2500.00 FDUSD, ask 2500.01 FDUSD",
        "own open orders: none",
        "restart: first start, nothing on record",
        "jumpstart: ok, balances pushed",
    ]


def test_an_account_without_funds_is_asked_instead() -> None:
    end = play(nothing, balances={"FDUSD": D(2)})
    assert end.notes.lines[-1] == "jumpstart: balances asked for"
    assert end.journal.placed == 0


@pytest.mark.parametrize(
    "method", ["exchangeInfo", "account.commission", "klines", "openOrders.status", "account.status"]
)
def test_trouble_that_passes_is_tried_again(method: str) -> None:
    async def story(it: Stage) -> None:
        it.fate.arrange(method, BUSY)
        it.fate.arrange(method, RequestFault(cut=True))
        await it.ready()

    assert play(story).code is ExitCode.OK


def test_trouble_that_stays_ends_the_start_with_its_reason() -> None:
    async def story(it: Stage) -> None:
        for _ in range(9):
            it.fate.arrange("klines", BUSY)
        await it.wait(120)

    end = play(story)
    assert isinstance(end.error, StartFailed)
    assert "5 times in a row: klines: status 503: -1008 Server is currently overloaded" in str(end.error)


def test_the_fee_is_the_exchanges_unless_it_is_set_higher() -> None:
    dearer = play(nothing, settings=with_settings(fee=D("0.001")), terms=ExchangeSpec(maker_fee=D("0.00075")))
    assert "maker fee 0.1 %" in dearer.notes.lines[1]
    assert "maker fee 0.1 %" in dearer.said[0]
    cheaper = play(nothing, settings=with_settings(fee=D("0.0005")), terms=ExchangeSpec(maker_fee=D("0.00075")))
    assert isinstance(cheaper.error, ConfigError)
    assert "FEE is 0.0005" in str(cheaper.error)
    assert "0.00075" in str(cheaper.error)


def test_a_stricter_rule_of_ours_is_in_force() -> None:
    async def story(it: Stage) -> None:
        await it.ready()
        assert it.daemon.desk is not None
        assert (it.daemon.desk.rules.step_size, it.daemon.desk.rules.tick_size) == (D("0.01"), D("0.05"))

    settings = with_settings(lot_size=D("0.01"), price_tick=D("0.05"))
    assert play(story, settings=settings).code is ExitCode.OK


def test_a_fee_that_eats_the_gain_is_warned_of_once_it_is_known() -> None:
    end = play(nothing, terms=ExchangeSpec(maker_fee=D("0.01")))
    assert [text for text in end.said if "the smallest take-profit keeps" in text]


def test_the_history_is_not_repeated_by_the_stream() -> None:
    async def story(it: Stage) -> None:
        it.keep_the_history()
        await it.ready()
        await it.minute("2501")
        await it.minute("2502")
        opened = [kline.open_ms for kline in it.daemon.snapshots.klines]
        assert len(opened) == len(set(opened)) == 102

    play(story)


def test_the_jumpstart_tells_both_balances_before_the_first_beat() -> None:
    async def story(it: Stage) -> None:
        await it.ready()
        assert set(it.daemon.snapshots.balances) == {"ETH", "FDUSD"}
        assert it.exchange.journal.tallies["TE-j", Side.BUY].placed == 1

    play(story, balances=CASH)
