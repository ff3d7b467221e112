import json
from dataclasses import replace

import pytest
from tests.notifications.status_views import BUYING, RULES, SELLING, D, blocked, view_of
from tests.strategy.strategy_harness import gated, in_base, in_quote

from trailingedge.notifications.status import QuoteObstacle, StatusView, as_data, gain_since, status
from trailingedge.risk.circuit_breakers import Breaker, BreakerTrip
from trailingedge.strategy.blocks import TradeBlock
from trailingedge.strategy.state import ReentryGate, ShutBy

IN_BASE = view_of(in_base(), "2510")
IN_QUOTE = view_of(in_quote(), "2490")
DAILY = BreakerTrip(Breaker.DAILY_LOSS, D("0.04"), D("0.03"))


def test_the_status_leaves_out_what_is_not_known() -> None:
    assert status(StatusView("sim", RULES, "unfunded")) == "sim ETHFDUSD | holding nothing tradable, unfunded"


def test_in_base_it_names_the_next_sale_and_the_stop() -> None:
    assert status(IN_BASE).split(" | ") == [
        "sim ETHFDUSD",
        "holding ETH, watching",
        "2510.00/2510.01 FDUSD",
        "value 2510.00 FDUSD",
        "anchor 2500.00 (+0.00 % in FDUSD)",
        "take-profit trails from 2525.00, +0.60 % from here",
        "hard stop 2487.50, -0.90 % from here",
    ]


def test_in_quote_a_close_shuts_the_gate_and_no_stop_sells() -> None:
    shown = status(replace(IN_QUOTE, trailing=True, take_profit=2446.05, kline_interval="15m"))
    assert shown.endswith(
        "(+0.00 % in ETH) | buys back at 2446.05, -1.8 % from here"
        " | no buy-back after a 15m close ≥ 2512.56, +0.91 % from here"
    )


def test_where_closes_alone_are_judged_each_trigger_says_so() -> None:
    shown = replace(IN_BASE, trailing=True, take_profit=2505.0, kline_interval="15m", closes_alone=True)
    assert status(shown).endswith(
        "sells at a 15m close ≤ 2505.00, -0.20 % from here | hard stop at a 15m close ≤ 2487.50, -0.90 % from here"
    )
    data = as_data(shown)
    assert isinstance(data["take_profit"], dict)
    assert isinstance(data["hard_stop"], dict)
    assert (data["take_profit"]["judged_by"], data["hard_stop"]["judged_by"]) == ("close", "close")


def test_a_gain_names_what_it_is_counted_in() -> None:
    assert [gain_since(view) for view in (IN_BASE, IN_QUOTE, replace(IN_BASE, gain_frac=None))] == [
        "+0.00 % in FDUSD",
        "+0.00 % in ETH",
        "",
    ]


def test_it_fits_a_phone() -> None:
    assert max(len(status(IN_BASE)), len(status(IN_QUOTE))) <= 240


@pytest.mark.parametrize(
    ("view", "part"),
    [
        pytest.param(replace(IN_BASE, mode="paper"), "PAPER ETHFDUSD | ", id="paper"),
        pytest.param(replace(IN_BASE, paused=True, trading_paused=True), " | paused | ", id="paused"),
        pytest.param(replace(IN_BASE, trips=(DAILY,), trading_paused=True), " | breaker: daily loss | ", id="breaker"),
        pytest.param(
            replace(IN_BASE, trading_paused=True), " | buying paused for a minute | ", id="paused for another reason"
        ),
        pytest.param(replace(IN_BASE, halted=True), " | halted | ", id="halted"),
        pytest.param(replace(IN_BASE, data_age_s=float("inf")), " | no market data", id="no data"),
        pytest.param(replace(IN_BASE, data_age_s=7.2), " | data 7 s old", id="old data"),
        pytest.param(replace(IN_BASE, account_proven=False), " | no account connection", id="account away"),
        pytest.param(
            replace(IN_BASE, account_proven=False),
            " | hard stop 2487.50, -0.90 % from here NOT CHECKED NOW | ",
            id="stop while away",
        ),
        pytest.param(
            replace(IN_BASE, data_age_s=12.0, without_price=True),
            " | hard stop 2487.50, -0.90 % from here NOT CHECKED NOW | no market data for 12 s",
            id="stop while silent",
        ),
        pytest.param(replace(IN_BASE, reconnects=3), " | reconnects 3", id="reconnects"),
        pytest.param(
            replace(IN_BASE, active_exit=replace(SELLING, price=None), reject_text="-2010 No."),
            ", 12 s | the exchange rejected the last order (-2010 No)",
            id="order refused",
        ),
        pytest.param(
            replace(IN_BASE, reject_text="-2010 No."),
            " | the exchange rejected the last order (-2010 No)",
            id="order refused, exit over",
        ),
        pytest.param(
            replace(IN_BASE, active_exit=SELLING),
            " | SELL 0.9000 ETH at 2500.12 (best 2510.01), 0.1000 ETH filled, 12 s",
            id="selling",
        ),
        pytest.param(
            replace(IN_QUOTE, active_exit=BUYING, top=None),
            " | BUY 0.9000 ETH at 2500.11, 0.1000 ETH filled, 12 s",
            id="buying, market unknown",
        ),
        pytest.param(
            replace(IN_QUOTE, active_exit=replace(BUYING, price=None)),
            " | BUY without an order, 0.1000 ETH filled, 12 s",
            id="no order",
        ),
        pytest.param(
            replace(IN_BASE, active_exit=SELLING), "holding ETH, selling (take-profit) | ", id="selling, position"
        ),
        pytest.param(
            replace(IN_QUOTE, gate=ReentryGate(ShutBy.HARD_STOP, 2475.0, 0), mid=2480.0, stop=None),
            "holding FDUSD, gate shut | ",
            id="gate shut",
        ),
        pytest.param(
            replace(IN_QUOTE, gate=ReentryGate(ShutBy.QUOTE_STOP, 2475.0, 0), mid=2480.0, stop=None),
            " | gate opens at a candle close below 2480.00, -0.40 % from here",
            id="gate opens",
        ),
    ],
)
def test_what_is_unusual_is_shown(view: StatusView, part: str) -> None:
    assert part in status(view)


@pytest.mark.parametrize(
    "view",
    [
        replace(IN_BASE, active_exit=SELLING, decision=blocked(TradeBlock.EXIT_IN_PROGRESS)),
        replace(IN_BASE, trading_paused=True),
        replace(IN_BASE, halted=True),
        replace(IN_BASE, without_price=True),
    ],
    ids=["exit under way", "held", "halted", "market silent"],
)
def test_no_profit_is_promised_while_none_is_taken(view: StatusView) -> None:
    assert "trails from" not in status(view)


def test_the_data_is_plain_json_with_amounts_on_the_grid_as_strings() -> None:
    view = replace(IN_BASE, market_ms=1_783_000_000_250, lower=2480.0, mid=2490.5, upper=2501.0, base=None, quote=None)
    assert json.loads(json.dumps(as_data(view))) == {
        "version": 1,
        "mode": "sim",
        "symbol": "ETHFDUSD",
        "time": "2026-07-02T13:46:40.250+00:00",
        "phase": "watching",
        "holding": "ETH",
        "bid": "2510.00",
        "ask": "2510.01",
        "anchor": "2500.00",
        "high": "2500.00",
        "gain_frac": 0.0,
        "value": "2510.00",
        "balances": {},
        "take_profit": {"armed": False, "arms_at": "2525.00", "exits_at": None, "judged_by": "bid"},
        "hard_stop": {"price": "2487.50", "distance_frac": 0.005, "judged_by": "bid"},
        "channel": {"lower": "2480.00", "mid": "2490.50", "upper": "2501.00", "squeezed": False},
        "gate": None,
        "exit": None,
        "paused": False,
        "breakers": [],
        "halted": False,
        "halt_reason": None,
        "refusal": None,
        "data_age_s": 0.1,
        "account_connected": True,
        "reconnects": 0,
        "results": None,
        "uptime_s": None,
    }


def test_the_data_of_an_exit_names_its_order_and_what_it_waits_for() -> None:
    data = as_data(replace(IN_BASE, active_exit=replace(SELLING, obstacle=QuoteObstacle.BUDGET)))["exit"]
    assert data == {
        "kind": "take_profit",
        "side": "SELL",
        "age_s": 12.0,
        "filled": "0.1000",
        "filled_quote": "0",
        "order": {"client_order_id": "TE-t-1", "price": "2500.12", "remaining": "0.9000"},
        "waits_for": "budget",
        "refusal": None,
        "ending": None,
    }


def test_the_data_of_a_gate_says_what_opens_it() -> None:
    shut = view_of(gated(), "2470")
    assert as_data(shut)["gate"] == {
        "open": False,
        "shut_by": "flush",
        "shut_at": "2475.00",
        "shut_time": as_data(shut)["time"],
        "opens_at_close": "above",
        "opens_at": None,
    }
    assert as_data(IN_QUOTE)["gate"] == {"open": True}


def test_what_is_not_known_is_null() -> None:
    data = as_data(StatusView("live", RULES, "unfunded", data_age_s=float("inf"), anchor=float("inf")))
    assert [data[name] for name in ("time", "holding", "bid", "anchor", "data_age_s")] == [None] * 5
