"""Online checks: the steps of a start one by one; a failed step skips only those that need it."""

import dataclasses

import pytest
from tests.commands.virtual_exchange import GOOD_KEY, CheckHarness, D, names_with_status, orders_of, run_online_checks
from tests.daemon_harness import URL, with_settings

from trailingedge.auth.api_key_permissions import Permissions
from trailingedge.commands.checks.result import CheckStatus
from trailingedge.commands.checks.short_session import background
from trailingedge.config import TradingMode
from trailingedge.core.errors import ExitCode, OutcomeUnknown
from trailingedge.model.market import Side
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.server import LoopbackExchange

LIVE = with_settings(trading_mode=TradingMode.LIVE)


def test_every_step_of_a_good_start_comes_true() -> None:
    found, exchange = run_online_checks()
    assert names_with_status(found, CheckStatus.SKIPPED) == ["key permissions"]
    assert len(names_with_status(found, CheckStatus.OK)) == len(found) - 1 == 10
    assert "tick 0.01, lot 0.0001, least order 5.00 FDUSD" in found["rules"].text
    assert "the bot would start with ETH" in found["funds"].text
    assert "100 of 1440" in found["candles"].text
    assert "reported by an account event, and cancelled" in found["canary order"].text
    assert orders_of(exchange) == []


def test_to_look_is_not_to_touch() -> None:
    found, exchange = run_online_checks(thorough=False)
    assert set(found) == {
        "connection",
        "clock",
        "logon",
        "key permissions",
        "rules",
        "fee",
        "funds",
        "own orders",
    }
    assert exchange.audit_log.requests["order.place"] == 0


def test_an_exchange_that_is_away_leaves_everything_else_out() -> None:
    found, _ = run_online_checks(shut="ws-api")
    assert found["connection"].code is ExitCode.UNREACHABLE
    assert found["connection"].text == f"{URL.ws_api_url}: connection refused"
    assert names_with_status(found, CheckStatus.FAILED) == ["connection"]
    assert names_with_status(found, CheckStatus.OK) == []
    assert found["logon"].text == "needs a check that failed above: connection"


def test_a_key_that_nobody_knows_leaves_the_account_out() -> None:
    found, _ = run_online_checks(key_is_known=False)
    assert found["logon"].code is ExitCode.CONFIG
    assert "logon refused: -2015" in found["logon"].text
    assert names_with_status(found, CheckStatus.SKIPPED) == [
        "key permissions",
        "fee",
        "funds",
        "own orders",
        "canary order",
    ]
    assert found["market stream"].status is CheckStatus.OK


@pytest.mark.parametrize(
    ("settings", "name", "said"),
    [
        pytest.param({"symbol": "NOSUCH"}, "rules", "the exchange does not list it", id="no such symbol"),
        pytest.param({"price_tick": D("0.003")}, "rules", "PRICE_TICK is 0.003", id="a tick off the grid"),
        pytest.param({"fee": D("0.0001")}, "fee", "FEE is 0.0001", id="a fee below the exchange's"),
    ],
)
def test_settings_that_the_exchange_does_not_allow_are_named(settings: dict[str, object], name: str, said: str) -> None:
    found, _ = run_online_checks(settings=with_settings(**settings), terms=ExchangeSpec(maker_fee=D("0.001")))
    assert found[name].code is ExitCode.CONFIG
    assert said in found[name].text


def test_a_fee_that_eats_the_gain_is_warned_of() -> None:
    found, _ = run_online_checks(terms=ExchangeSpec(maker_fee=D("0.02")))
    assert found["fee"].status is CheckStatus.WARNING


def test_a_tick_larger_than_the_hard_stop_is_warned_of() -> None:
    found, _ = run_online_checks(settings=with_settings(hard_stop_threshold_frac=0.000001))
    assert found["tick size"].status is CheckStatus.WARNING
    assert "a single tick may trigger the hard stop" in found["tick size"].text
    assert found["funds"].status is CheckStatus.OK


def test_what_is_reserved_does_not_count() -> None:
    found, _ = run_online_checks(settings=with_settings(reserve_base=D(1)))
    assert found["funds"].status is CheckStatus.WARNING


def test_a_symbol_that_does_not_trade_is_warned_of() -> None:
    def halt(loopback: LoopbackExchange) -> None:
        loopback.exchange.engine.symbol_status = "HALT"

    found, _ = run_online_checks(prepare=halt)
    assert "status HALT" in found["rules"].text
    assert found["rules"].status is CheckStatus.WARNING
    assert found["canary order"].status is CheckStatus.SKIPPED


def test_open_orders_are_told_ours_from_others() -> None:
    def place(loopback: LoopbackExchange) -> None:
        hand = loopback.exchange.manual_trader()
        hand.place(Side.SELL, D(2600), D("0.1"), client_order_id="TE-t-abc123")
        hand.place(Side.SELL, D(2600), D("0.1"), client_order_id="mine")

    found, exchange = run_online_checks(prepare=place)
    assert found["own orders"].status is CheckStatus.WARNING
    assert "TE-t-abc123 open, 1 of other programs" in found["own orders"].text
    assert orders_of(exchange) == ["TE-t-abc123", "mine"]


def test_a_wrong_clock_is_warned_of_and_corrected_for() -> None:
    found, _ = run_online_checks(clock_off_ms=-5000)
    assert found["clock"].status is CheckStatus.WARNING
    assert "exchange's clock minus ours: +5000 ms" in found["clock"].text
    assert found["canary order"].status is CheckStatus.OK


@pytest.mark.parametrize(
    ("permissions", "verdict", "said"),
    [
        pytest.param(GOOD_KEY, CheckStatus.OK, "the key may trade, may not withdraw", id="good"),
        pytest.param(
            dataclasses.replace(GOOD_KEY, withdrawals=True), CheckStatus.FAILED, "may withdraw", id="it may withdraw"
        ),
        pytest.param(
            dataclasses.replace(GOOD_KEY, ip_restricted=False),
            CheckStatus.WARNING,
            "every IP address",
            id="from everywhere",
        ),
        pytest.param(OutcomeUnknown("no answer"), CheckStatus.WARNING, "not known: no answer", id="not told"),
    ],
)
def test_what_a_live_key_may_do_is_asked(permissions: Permissions | Exception, verdict: CheckStatus, said: str) -> None:
    found, _ = run_online_checks(settings=LIVE, permissions=permissions, place=False)
    assert found["key permissions"].status is verdict
    assert said in found["key permissions"].text
    assert found["canary order"].status is CheckStatus.OK


def test_another_exchange_is_not_asked_what_a_key_may_do() -> None:
    found, _ = run_online_checks(settings=dataclasses.replace(LIVE, binance_ws_api_url="ws://memory"))
    assert found["key permissions"].status is CheckStatus.SKIPPED


def test_a_connection_that_breaks_is_told_by_each_step_after() -> None:
    async def cut(stage: CheckHarness) -> None:
        async def fall() -> None:
            await stage.clock.sleep(0.09)
            stage.loopback.hub.disconnect(api=True)

        async with background(fall()):
            await stage.checks.run()

    found, _ = run_online_checks(cut)
    assert found["connection"].status is CheckStatus.OK
    assert {finding.code for finding in found.values()} == {ExitCode.OK, ExitCode.UNREACHABLE}
    assert found["canary order"].status is CheckStatus.SKIPPED
