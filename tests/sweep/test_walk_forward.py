"""Tests of the walk-forward folds."""

import pytest

from trailingedge.core.errors import ConfigError
from trailingedge.sweep.walk_forward import split_folds

DAY_MS = 86_400_000
NOON_MS = 20_000 * DAY_MS + DAY_MS // 2


@pytest.mark.parametrize(
    ("days", "lengths"),
    [
        pytest.param(1, [1], id="a day is chosen on and not judged"),
        pytest.param(2, [1, 1], id="two"),
        pytest.param(5, [4, 1], id="five"),
        pytest.param(9, [5, 2, 2], id="nine"),
        pytest.param(14, [8, 2, 2, 2], id="a fortnight"),
        pytest.param(365, [125, 60, 60, 60, 60], id="a year"),
    ],
)
def test_parts_are_whole_days_and_the_first_is_the_longest(days: int, lengths: list[int]) -> None:
    cut = split_folds(20_000 * DAY_MS, (20_000 + days) * DAY_MS)
    edges = [cut.part_bounds(part) for part in range(cut.count + 1)]
    assert [(end - begin) // DAY_MS for begin, end in edges] == lengths
    assert cut.count == len(lengths) - 1


def test_partial_days_belong_to_the_part_beside_them() -> None:
    cut = split_folds(NOON_MS, NOON_MS + 3 * DAY_MS)
    assert cut.splits == (20_002 * DAY_MS,)
    assert cut.part_bounds(0)[0] == NOON_MS
    assert cut.part_bounds(1)[1] == NOON_MS + 3 * DAY_MS


def test_each_tested_part_is_after_those_chosen_on() -> None:
    for days in range(1, 60):
        cut = split_folds(NOON_MS, NOON_MS + days * DAY_MS)
        times = [cut.from_ms, *cut.splits, cut.to_ms]
        assert times == sorted(set(times))


def test_an_embargo_lies_between_the_days_chosen_on_and_those_tested_on() -> None:
    cut = split_folds(20_000 * DAY_MS, 20_015 * DAY_MS, 3, 1)
    assert cut.count == 3
    for fold, first in enumerate((6, 9, 12)):
        assert cut.part_bounds(cut.chosen_parts(fold))[0] == (20_000 + first) * DAY_MS
        tested = cut.part_bounds(cut.tested_part(fold))
        assert tested == ((20_001 + first) * DAY_MS, (20_003 + first) * DAY_MS)


@pytest.mark.parametrize(("folds", "embargo"), [(5, 0), (1, 2), (3, 1)])
def test_too_few_days_for_the_folds_are_refused(folds: int, embargo: int) -> None:
    with pytest.raises(ConfigError, match="too few"):
        split_folds(20_000 * DAY_MS, 20_005 * DAY_MS, folds, embargo)
    needed = (embargo + 1) * (folds + 2)
    assert split_folds(20_000 * DAY_MS, (20_000 + needed) * DAY_MS, folds, embargo).count == folds
