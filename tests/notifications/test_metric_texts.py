"""Each metric has a name, a value with its unit, and a sentence that says what it means."""

from dataclasses import replace

import pytest
from tests.report.report_builders import a_quiet_story, a_story

from trailingedge.core.time_units import DAY_MS
from trailingedge.notifications.metric_texts import NO_VALUE, metrics, seconds
from trailingedge.notifications.result_messages import risk


def test_each_metric_says_what_it_means_in_one_sentence() -> None:
    for told in metrics(a_story().rules, a_story().results).values():
        assert told.name
        assert told.value
        assert len(told.meaning) > 20
        assert not told.meaning.endswith(".")  # pages and terminals end it as they like


def test_values_have_their_units() -> None:
    told = metrics(a_story().rules, a_story().results)
    shown = {name: told[name].value for name in ("won", "drawdown", "longest_drawdown", "exposure", "rejected")}
    assert shown == {
        "won": "1 of 1 (100 %)",
        "drawdown": "-1.23 %",
        "longest_drawdown": "1 h",
        "exposure": "10 % of the time",
        "rejected": "-2010: 2, -1013: 1",
    }


def test_what_is_not_defined_is_a_dash() -> None:
    told = metrics(a_quiet_story().rules, a_quiet_story().results)
    assert {told[name].value for name in ("won", "profit_factor", "sharpe", "average_held")} == {"–"}


def test_figures_of_a_year_say_from_how_few_days_they_are_and_two_days_have_none() -> None:
    report = a_story()
    first, *rest = report.results.marks
    results = replace(report.results, marks=(first, *(replace(mark, growth=1.6) for mark in rest)))
    short = metrics(report.rules, results)
    assert {short[key].value for key in ("sharpe", "sortino", "calmar", "annualised")} == {NO_VALUE}
    later = replace(results.last, market_ms=results.first.market_ms + 14 * DAY_MS)
    longer = replace(results, marks=(*results.marks[:-1], later))
    assert metrics(report.rules, longer)["annualised"].value == "over +10000 % (from 14 days)"


def test_the_terminal_has_the_same_values() -> None:
    report = a_story()
    lines = ", ".join(risk(report.rules, report.results))
    told = metrics(report.rules, report.results)
    for key in ("sharpe", "annualised", "exposure", "under_water", "average_trade", "average_held"):
        assert f"{told[key].name} {told[key].value}" in lines


@pytest.mark.parametrize(
    ("lasted_s", "text"),
    [(59.4, "59 s"), (3599, "59 min 59 s"), (6706, "1 h 52 min"), (499_373, "5 d 19 h"), (None, "–")],
)
def test_a_duration_is_rounded_to_what_matters(lasted_s: float | None, text: str) -> None:
    assert seconds(lasted_s) == text
