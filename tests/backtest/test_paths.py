"""Tests of the paths of a backtest: the band of the account over them."""

import dataclasses
from decimal import Decimal

from tests.report.report_builders import a_story

from trailingedge.accounting.results import EquityPoint
from trailingedge.backtest.paths import equity_band, figures_of
from trailingedge.report.robustness import PathFigures, Robustness, Walk

MARKS = tuple(EquityPoint(86_400_000 * day, Decimal(2500), Decimal(2500)) for day in range(3))
LISTED = dataclasses.replace(a_story().results, marks=MARKS)


def path(number: int, *changes: float) -> PathFigures:
    return dataclasses.replace(figures_of(number, LISTED), result_frac=changes[-1], changes=changes)


def test_the_band_begins_with_one_account_and_ends_with_that_of_the_result() -> None:
    figures = tuple(path(number, 0.0, 0.01 * number, 0.02 * number) for number in range(1, 8))
    band = equity_band(figures, LISTED)
    assert band is not None
    assert band.times_ms == (0, 86_400_000, 172_800_000)
    assert (band.p5[0], band.median[0], band.p95[0]) == (0.0, 0.0, 0.0)
    result = Robustness(Walk.RANDOM, 500, 7, 4, figures).band("result_frac")
    assert (band.p5[-1], band.median[-1], band.p95[-1]) == (result.p5, result.median, result.p95)


def test_a_single_path_has_no_band_and_one_with_other_valuations_is_left_out() -> None:
    assert equity_band((path(1, 0.0, 0.1, 0.2),), LISTED) is None
    two = (path(1, 0.0, 0.1, 0.2), path(2, 0.0, 0.1, 0.2))
    assert equity_band((*two, path(3, 0.0, 0.9)), LISTED) == equity_band(two, LISTED)
