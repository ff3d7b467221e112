"""Average true range against values worked out by hand."""

from decimal import Decimal
from math import inf, isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailingedge.indicators.atr import Method, compute_atr, compute_atr_from_rows

HIGH = [10.0, 12.0, 11.0, 15.0, 14.0]
LOW = [8.0, 9.0, 10.0, 12.0, 9.0]
CLOSE = [9.0, 11.0, 10.0, 13.0, 10.0]
# True ranges: 2 (no close before), 3, 1, 5 (from the close at 10), 5.

METHODS: list[Method] = ["wilder", "ema", "sma"]


@pytest.mark.parametrize(
    ("method", "by_hand"),
    [
        pytest.param("wilder", [2.0, (2 * 2 + 5) / 3, (3 * 2 + 5) / 3], id="wilder: 2, 3, 11/3"),
        pytest.param("ema", [2.0, 2 + (5 - 2) / 2, 3.5 + (5 - 3.5) / 2], id="ema: 2, 3.5, 4.25"),
        pytest.param("sma", [2.0, 3.0, 11 / 3], id="sma: 2, 3, 11/3"),
    ],
)
def test_three_rows_at_a_time(method: Method, by_hand: list[float]) -> None:
    series = compute_atr(HIGH, LOW, CLOSE, 3, method)
    assert all(isnan(value) for value in series[:2])
    assert series[2:] == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("method", "by_hand"),
    [
        pytest.param("wilder", [2.5, 1.75, 3.375, 4.1875], id="wilder"),
        pytest.param("ema", [2.5, 1.5, 1.5 + 3.5 * 2 / 3, 23 / 6 + (5 - 23 / 6) * 2 / 3], id="ema"),
        pytest.param("sma", [2.5, 2.0, 3.0, 5.0], id="sma"),
    ],
)
def test_two_rows_at_a_time_tell_the_methods_apart(method: Method, by_hand: list[float]) -> None:
    assert compute_atr(HIGH, LOW, CLOSE, 2, method)[1:] == pytest.approx(by_hand)


@pytest.mark.parametrize("method", METHODS)
def test_a_period_of_one_is_the_true_range_itself(method: Method) -> None:
    assert compute_atr(HIGH, LOW, CLOSE, 1, method) == [2, 3, 1, 5, 5]


@pytest.mark.parametrize("method", METHODS)
def test_the_last_value_is_the_last_of_the_series(method: Method) -> None:
    assert compute_atr(HIGH, LOW, CLOSE, 3, method, last=True) == compute_atr(HIGH, LOW, CLOSE, 3, method)[-1]


def test_a_gap_counts_from_the_close_before() -> None:
    assert compute_atr([10, 20, 5], [9, 19, 4], [9, 19, 5], 1) == [1, 11, 15]


@pytest.mark.parametrize("rows", [pytest.param(0, id="no rows"), pytest.param(2, id="fewer rows than the period")])
def test_too_few_rows_are_not_a_number(rows: int) -> None:
    series = compute_atr(HIGH[:rows], LOW[:rows], CLOSE[:rows], 3)
    assert len(series) == rows
    assert all(isnan(value) for value in series)
    assert isnan(compute_atr(HIGH[:rows], LOW[:rows], CLOSE[:rows], 3, last=True))


def test_rows_of_the_exchange_give_the_same() -> None:
    rows: list[list[str | float]] = [
        [1_499_040_000_000 + minute * 60_000, str(low), str(high), str(low), str(close), "1.5", 1_499_040_059_999]
        for minute, (high, low, close) in enumerate(zip(HIGH, LOW, CLOSE, strict=True))
    ]
    assert compute_atr_from_rows(rows, 2, "ema") == pytest.approx(compute_atr(HIGH, LOW, CLOSE, 2, "ema"), nan_ok=True)
    assert compute_atr_from_rows(rows, 3, last=True) == compute_atr(HIGH, LOW, CLOSE, 3, last=True)


def test_decimals_are_welcome() -> None:
    assert compute_atr([Decimal("2.5")], [Decimal("1.25")], [Decimal(2)], 1) == [1.25]


@pytest.mark.parametrize(
    ("high", "low", "close", "period", "method"),
    [
        pytest.param([1.0], [1.0], [1.0], 0, "wilder", id="no period"),
        pytest.param([1.0], [1.0], [1.0], 1, "median", id="an unknown method"),
        pytest.param([1.0, 2.0], [1.0], [1.0], 1, "sma", id="unequal lengths"),
        pytest.param([nan], [1.0], [1.0], 1, "sma", id="not a number"),
        pytest.param([inf], [1.0], [1.0], 1, "sma", id="infinite"),
        pytest.param([1.0], [2.0], [1.5], 1, "sma", id="high below low"),
        pytest.param([3.0], [2.0], [4.0], 1, "sma", id="close outside the range"),
    ],
)
def test_bad_input_is_refused(
    high: list[float], low: list[float], close: list[float], period: int, method: Method
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        compute_atr(high, low, close, period, method)


@pytest.mark.parametrize(
    "row", [pytest.param([0, "1", "2", "1"], id="too short"), pytest.param([0, "1", "two", "1", "2"], id="no number")]
)
def test_bad_rows_are_refused(row: list[str | float]) -> None:
    with pytest.raises(ValueError, match=r"no close|could not convert"):
        compute_atr_from_rows([row], 1)


@given(
    rows=st.lists(st.tuples(st.floats(1, 100), st.floats(0, 10), st.floats(0, 1)), min_size=5, max_size=40),
    period=st.integers(1, 5),
    method=st.sampled_from(METHODS),
)
def test_the_average_stays_between_the_extremes(
    rows: list[tuple[float, float, float]], period: int, method: Method
) -> None:
    low = [row[0] for row in rows]
    high = [row[0] + row[1] for row in rows]
    close = [min(high[i], max(low[i], row[0] + row[1] * row[2])) for i, row in enumerate(rows)]
    ranges = compute_atr(high, low, close, 1)
    for value in compute_atr(high, low, close, period, method)[period - 1 :]:
        assert min(ranges) - 1e-9 <= value <= max(ranges) + 1e-9
