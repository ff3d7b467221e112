"""Tests of the robustness of a backtest."""

import json
import statistics

from hypothesis import given
from hypothesis import strategies as st

from trailingedge.report.robustness import (
    PathFigures,
    Robustness,
    Walk,
    median_path,
    robustness_from_json,
    robustness_json,
    robustness_texts,
)


def figures(number: int, result: float) -> PathFigures:
    return PathFigures(number, result, result / 2, abs(result), number, 1, 2, 1, 0)


def robustness(results: list[float], planned: int | None = None) -> Robustness:
    told = tuple(figures(number, result) for number, result in enumerate(results, 1))
    return Robustness(Walk.RANDOM, 500, planned or len(told), median_path(told).number, told, ("a weakness",))


results = st.lists(st.floats(-1, 10), min_size=2, max_size=40)


@given(results)
def test_the_band_is_that_of_the_standard_library_widened(
    values: list[float],
) -> None:
    band = robustness(values).band("result_frac")
    twentieths = statistics.quantiles(values, n=20, method="inclusive")
    assert band.median == statistics.median(values)
    for found, quantile in ((band.p5, twentieths[0]), (band.p95, twentieths[-1])):
        assert abs(abs(found - band.median) - max(1.25 * abs(quantile - band.median), 0.0025)) < 1e-9


@given(results)
def test_the_listed_path_is_one_in_the_middle(values: list[float]) -> None:
    told = robustness(values)
    listed = told.figures[told.listed - 1].result_frac
    assert sorted(values)[(len(values) - 1) // 2] == listed


@given(results)
def test_its_json_is_read_back(values: list[float]) -> None:
    told = robustness(values)
    assert robustness_from_json(json.loads(json.dumps(robustness_json(told))), str) == told


def test_paths_that_were_not_run_and_weaknesses_are_told() -> None:
    lines = robustness_texts(robustness([0.01, -0.02], planned=16))
    assert lines[0].startswith("2 random paths within the candles, latency 500 ms each way")
    assert "  14 paths of 16 not done" in lines
    assert lines[-1] == "  a weakness"


def test_an_account_that_only_held_has_no_band() -> None:
    told = tuple(PathFigures(number, -0.009, -0.0045, 0.02, 0, 0, 0, 0, 0) for number in range(1, 4))
    band = Robustness(Walk.RANDOM, 500, 3, 2, told).band("result_frac")
    assert (band.p5, band.median, band.p95) == (-0.009, -0.009, -0.009)
