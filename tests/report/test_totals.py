"""What follows from a story: days that add up to the whole, and curves that begin where it began."""

import dataclasses
import math

import pytest
from tests.report.report_builders import MIDNIGHT_MS, D, a_one_sided_story, a_quiet_story, a_story, moment

from trailingedge.accounting.statistics import WinRate, win_rate
from trailingedge.core.time_units import DAY_MS
from trailingedge.model.intent import ExitKind
from trailingedge.report.model import RunReport
from trailingedge.report.totals import days, equity, exit_ids, rules, totals

STORIES = pytest.mark.parametrize(
    "report", [a_story(), a_quiet_story(), a_one_sided_story()], ids=["usual", "quiet", "one"]
)


def test_the_totals_count_every_fill_and_every_finished_exit() -> None:
    told = totals(a_story())
    assert (told.exits, told.fills, told.replaces, told.rejected) == (3, 4, 4, {-2010: 2, -1013: 1})
    assert told.fees == {"BNB": D("0.0012"), "FDUSD": D("1.91253"), "ETH": D("0.0000001")}
    assert told.result_frac == pytest.approx(0.0188)
    assert (told.hold_base_frac, told.hold_quote_frac, told.max_drawdown_frac) == (0.0, 0.0, 0.0123)


def test_a_win_is_a_result_above_nothing_and_what_nobody_knows_is_not_judged() -> None:
    assert win_rate(a_story().exits) == WinRate(wins=1, known=2)
    nothing = dataclasses.replace(a_story().exits[0], result_frac=0.0)
    assert win_rate([nothing]).frac == 0.0
    assert win_rate([]).frac is None


@STORIES
def test_the_days_add_up_to_the_whole(report: RunReport) -> None:
    told, found = totals(report), days(report)
    assert sum(day.exits for day in found) == told.exits
    assert (sum(day.win_rate.wins for day in found), sum(day.win_rate.known for day in found)) == (
        told.win_rate.wins,
        told.win_rate.known,
    )
    assert sum(day.fills for day in found) == told.fills
    assert {asset: sum(day.fees.get(asset, D(0)) for day in found) for asset in told.fees} == told.fees
    assert math.prod(1 + day.result_frac for day in found) == pytest.approx(1 + told.result_frac)
    assert math.prod(1 + day.hold_base_frac for day in found) == pytest.approx(1 + told.hold_base_frac)
    assert found[-1].value == report.last_value == told.value


def test_a_day_begins_where_the_one_before_it_ended() -> None:
    first, second = days(a_story())
    assert (first.from_ms, first.to_ms, second.to_ms) == (MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS, a_story().to_ms)
    assert first.value == 2550
    assert first.result_frac == pytest.approx(0.02)
    assert second.result_frac == pytest.approx(2547 / 2550 - 1)
    assert (first.win_rate, second.win_rate) == (WinRate(1, 1), WinRate(0, 1))


def test_what_is_dated_outside_of_the_story_is_not_lost() -> None:
    report = dataclasses.replace(a_story(), to_ms=MIDNIGHT_MS + 3600_000)
    (only,) = days(report)
    assert (only.exits, only.fills) == (3, 4)


def test_a_quiet_day_between_two_others_is_told_too() -> None:
    report = dataclasses.replace(a_story(), to_ms=MIDNIGHT_MS + 3 * DAY_MS + 1)
    report = dataclasses.replace(report, samples=(*report.samples, moment(2 * 1440 + 5, 2500, 2547)))
    assert [(day.fills, day.has_market) for day in days(report)] == [(2, True), (2, True), (0, True), (0, True)]


def test_days_without_a_market_stand_together_and_change_nothing() -> None:
    report = dataclasses.replace(a_story(), to_ms=MIDNIGHT_MS + 40 * DAY_MS + 1)
    first, second, away, last = days(report)
    assert [day.has_market for day in (first, second, away, last)] == [True, True, False, True]
    assert (away.from_ms, away.to_ms) == (MIDNIGHT_MS + 2 * DAY_MS, MIDNIGHT_MS + 40 * DAY_MS)
    assert (away.result_frac, away.hold_base_frac, away.value) == (0.0, 0.0, second.value)


def test_an_exit_that_was_upgraded_is_called_what_it_became() -> None:
    report = a_story()
    flushed = dataclasses.replace(report.exits[0], kind=ExitKind.FLUSH)
    ids = exit_ids(dataclasses.replace(report, exits=(flushed,)))
    assert ids[flushed.number] == flushed.id != report.exits[0].id
    assert ids[report.fills[-1].number].startswith("TE-m-")  # under way


def test_the_curves_compare_the_account_with_what_it_began_with() -> None:
    curves = equity(a_story())
    assert curves.account == (2500.0, 2550.0, 2548.0, 2547.0)
    assert curves.hold_base == pytest.approx((2500, 2550, 2501, 2500))
    assert set(curves.hold_quote) == {2500.0}
    assert curves.drawdown == pytest.approx((0, 0, 2548 / 2550 - 1, 2547 / 2550 - 1))


def test_the_lot_is_as_fine_as_any_fill_shows() -> None:
    assert rules(a_story()).step_size == D("0.0001")
    assert rules(a_quiet_story()).step_size == D(1)
