"""Tests of the panel's content: results, counts and the words for what holds trading up."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.notifications.status_views import RULES

from trailingedge.accounting.session_results import SessionResults
from trailingedge.model.market import BookTop, Regime
from trailingedge.notifications.level_history import LevelSample
from trailingedge.notifications.panel_content import PanelCell, TextStyle, panel_content, rough_duration
from trailingedge.notifications.status import StatusView
from trailingedge.risk.circuit_breakers import Breaker, BreakerTrip

D = Decimal
RESULTS = SessionResults(
    D("12.3"), 0.00492, D("-3.001"), -0.0012, trades=3, wins=2, replaces=17, fees={"FDUSD": D("1.5")}
)
VIEW = StatusView(
    "sim",
    RULES,
    "watching",
    regime=Regime.BASE,
    top=BookTop(D("2500.1"), D("2500.11")),
    data_age_s=0.1,
    market_ms=1_783_000_020_000,
    results=RESULTS,
    uptime_s=100_000.0,
)


def cells(view: StatusView) -> dict[str, PanelCell]:
    content = panel_content(view)
    found = [cell for pair in content.pairs for cell in pair]
    return {cell.label: cell for cell in (*found, *content.rows)}


def test_results_are_told_in_money_and_percent_with_the_colour_of_gain_and_loss() -> None:
    shown = cells(VIEW)
    assert shown["today"] == PanelCell("today", "+12.30 FDUSD, +0.49 %", TextStyle.GOOD)
    assert shown["since start"] == PanelCell("since start", "-3.00 FDUSD, -0.12 %", TextStyle.BAD)
    assert shown["trades"].text == "3 trades, 2 won"
    assert shown["fees"].text == "1.50 FDUSD"
    assert shown["running for"].text == "1 d 3 h"


def test_a_loss_too_small_to_show_is_no_loss() -> None:
    tiny = replace(RESULTS, today=D("-0.004"), today_frac=-0.000001)
    assert cells(replace(VIEW, results=tiny))["today"] == PanelCell("today", "+0.00 FDUSD, +0.00 %")


def test_a_hard_stop_that_the_price_has_reached_says_what_it_waits_for() -> None:
    reached = replace(VIEW, stop=D("2500.1"), stop_confirm_s=600.0)
    words = "reached 2500.10, sells if it stays for 10 min"
    assert cells(reached)["hard stop"] == PanelCell("hard stop", words, TextStyle.BAD)
    assert cells(replace(reached, closes_alone=True))["hard stop"].text.startswith("sells at")


def test_the_chart_ends_with_the_present_price() -> None:
    samples = (LevelSample(VIEW.market_ms - 60_000, D(2498)), LevelSample(VIEW.market_ms - 50_000, D(2499)))
    newest = (VIEW.market_ms, 2500.1)
    assert panel_content(replace(VIEW, samples=samples)).samples[1:] == ((VIEW.market_ms - 50_000, 2499.0), newest)
    assert panel_content(replace(VIEW, samples=samples, top=None)).samples[-1][1] == 2499.0
    assert panel_content(VIEW).samples == ()


def test_the_market_has_a_clock_of_its_own_in_a_simulation_alone() -> None:
    assert cells(VIEW)["market time"].text == "07-02 13:47"
    real = cells(replace(VIEW, mode="paper"))
    assert "market time" not in real
    assert real["replaces"].text == "17"


@pytest.mark.parametrize(
    ("view", "title"),
    [
        pytest.param(VIEW, "sim ETHFDUSD", id="nothing"),
        pytest.param(replace(VIEW, mode="live"), "LIVE ETHFDUSD", id="real money"),
        pytest.param(replace(VIEW, paused=True), "sim ETHFDUSD · PAUSED", id="paused"),
        pytest.param(
            replace(VIEW, trips=(BreakerTrip(Breaker.DAILY_LOSS, D("0.04"), D("0.03")),)),
            "sim ETHFDUSD · PAUSED BY A BREAKER",
            id="held",
        ),
        pytest.param(replace(VIEW, paused=True, halted=True), "sim ETHFDUSD · HALTED", id="halted"),
    ],
)
def test_the_shortest_title_names_the_money_and_what_holds_trading_up(view: StatusView, title: str) -> None:
    assert panel_content(view).titles[-1] == title


def test_levels_for_the_chart_are_those_in_force() -> None:
    levels = panel_content(replace(VIEW, anchor=2490.0, take_profit=float("inf"), stop=D("2477.5"))).levels
    assert [(level.name, level.price) for level in levels] == [("anchor", 2490.0), ("stop", 2477.5)]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0 s"), (61.0, "1 min 1 s"), (3600.0, "1 h"), (273_600.0 + 61, "3 d 4 h")]
)
def test_a_long_time_is_told_in_two_units(seconds: float, text: str) -> None:
    assert rough_duration(seconds) == text
