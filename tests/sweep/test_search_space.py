"""Tests of the search space of a sweep."""

from argparse import ArgumentTypeError
from random import Random

import pytest

from trailingedge.config import Settings, changed_settings, settings_without_secrets
from trailingedge.core.errors import ConfigError
from trailingedge.sweep.search_space import Axis, build_search_space, parse_axis

SETTINGS = settings_without_secrets(Settings())


def test_lists_give_every_combination_and_the_unchanged_settings_come_first() -> None:
    found = build_search_space(
        [parse_axis("BUFFER=0.001,0.003"), parse_axis("DONCHIAN_WINDOW=20,30")], SETTINGS, None, 0
    )
    assert found.combinations[0] == {}
    assert [tuple(each.values()) for each in found.combinations[1:]] == [
        ("0.001", "20"),
        ("0.001", "30"),
        ("0.003", "20"),
        ("0.003", "30"),
    ]


def test_a_combination_without_a_change_is_tested_once() -> None:
    found = build_search_space([parse_axis("BUFFER=0.002,0.003")], SETTINGS, None, 0)  # the first is the default
    assert found.combinations == ({}, {"BUFFER": "0.003"})
    assert found.unchanged_point == {"BUFFER": "0.002"}


def test_invalid_combinations_are_left_out() -> None:
    found = build_search_space(
        [parse_axis("START_FACTOR=0.2,0.6"), parse_axis("MIN_FACTOR=0.1,0.4")], SETTINGS, None, 0
    )
    assert {"START_FACTOR": "0.2", "MIN_FACTOR": "0.4"} not in found.combinations
    (left_out,) = found.invalid
    assert left_out.combination == {"START_FACTOR": "0.2", "MIN_FACTOR": "0.4"}
    assert "MIN_FACTOR" in left_out.reason


def test_a_threshold_above_its_maximum_is_refused_and_told() -> None:
    found = build_search_space([parse_axis("HARD_STOP_THRESHOLD_FRAC=0.05,0.2,0.3")], SETTINGS, None, 0)
    assert found.combinations == ({}, {"HARD_STOP_THRESHOLD_FRAC": "0.05"})
    assert [each.combination["HARD_STOP_THRESHOLD_FRAC"] for each in found.invalid] == ["0.2", "0.3"]
    assert "above HARD_STOP_MAX_FRAC" in found.invalid[0].reason


def test_two_texts_of_one_value_are_tested_once() -> None:
    found = build_search_space([parse_axis("BUFFER=0.01,0.010")], SETTINGS, None, 0)
    assert found.combinations == ({}, {"BUFFER": "0.01"})


@pytest.mark.parametrize("draws", [None, 3])
def test_a_tied_setting_takes_the_value_of_the_other(draws: int | None) -> None:
    axes = [parse_axis(text) for text in ("GAIN_SCALE_FRAC_QUOTE=GAIN_SCALE_FRAC_BASE", "GAIN_SCALE_FRAC_BASE=0.1,0.2")]
    found = build_search_space(axes, SETTINGS, draws, 0).combinations[1:]
    assert sorted(tuple(each.values()) for each in found) == [("0.1", "0.1"), ("0.2", "0.2")]


def test_a_value_that_a_tied_setting_cannot_take_is_refused_as_a_point() -> None:
    axes = [parse_axis(text) for text in ("BUFFER=0.5", "DONCHIAN_WINDOW=BUFFER")]
    with pytest.raises(ConfigError, match="no combination is valid"):
        build_search_space(axes, SETTINGS, None, 0)


def test_a_range_in_factors_has_as_many_draws_in_each_power_of_ten() -> None:
    axis, rng = parse_axis("BUFFER=0.0001..0.01:log"), Random(1)
    drawn = [float(axis.draw(rng)) for _ in range(400)]
    assert all(0.0001 <= each <= 0.01 for each in drawn)
    assert 160 < sum(each < 0.001 for each in drawn) < 240
    whole = parse_axis("DONCHIAN_WINDOW=2..5:log")
    assert {whole.draw(rng) for _ in range(200)} == {"2", "3", "4", "5"}


def test_random_values_follow_from_the_seed_and_stay_in_range() -> None:
    axes = [
        parse_axis("BUFFER=0.001..0.01"),
        parse_axis("DONCHIAN_WINDOW=10..60"),
        parse_axis("EXIT_PRICING=join,improve"),
    ]
    first, again, other = (build_search_space(axes, SETTINGS, 30, seed) for seed in (1, 1, 2))
    assert first == again != other
    drawn = [changed_settings(Settings(), each) for each in first.combinations[1:]]
    assert len(drawn) == len(set(drawn)) == 30
    assert all(0.001 <= each.buffer <= 0.01 and 10 <= each.donchian_window <= 60 for each in drawn)


def test_a_small_space_is_tested_completely() -> None:
    assert len(build_search_space([parse_axis("DONCHIAN_WINDOW=20..23")], SETTINGS, 50, 0).combinations) == 5


@pytest.mark.parametrize(
    ("varied", "draws", "said"),
    [
        pytest.param(["BUFER=1,2"], None, "did you mean BUFFER?", id="misspelt"),
        pytest.param(["BUFFER=lots"], None, "not a number", id="no value"),
        pytest.param(["BUFFER=0.1,2"], None, "at least 0 and below 1", id="out of range"),
        pytest.param(["BUFFER=0.1..2"], 5, "at least 0 and below 1", id="a range out of range"),
        pytest.param(["BUFFER=0.1..0.2"], None, "--random", id="a range without a number of draws"),
        pytest.param(["EXIT_PRICING=1..2"], 5, "only numbers have ranges", id="a range of words"),
        pytest.param(["BUFFER=0.1", "BUFFER=0.2"], None, "twice", id="twice"),
        pytest.param(["BUFFER=MIN_FACTOR"], None, "no values of its own", id="tied to what is not varied"),
        pytest.param(["BUFFER=MIN_FACTR"], None, "did you mean MIN_FACTOR?", id="tied to what is not there"),
        pytest.param(["BUFFER=EXIT_PRICING", "EXIT_PRICING=join"], None, "does not take", id="tied to words"),
        pytest.param(["TELEGRAM_BOT_TOKEN=a,b"], None, "not part of the strategy", id="a secret"),
        pytest.param(["MIN_FACTOR=0.6,0.7"], None, "no combination is valid", id="nothing left"),
        pytest.param([f"{name}=1..2" for name in ("BUFFER",)], 10**6, "more than", id="too many"),
    ],
)
def test_settings_that_cannot_be_varied_are_refused(varied: list[str], draws: int | None, said: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        build_search_space([parse_axis(text) for text in varied], SETTINGS, draws, 0)
    assert any(said in problem for problem in wrong.value.problems)


@pytest.mark.parametrize("text", ["BUFFER", "BUFFER=", "BUFFER=2..1", "BUFFER=a..b", "BUFFER=,", "BUFFER=0..1:log"])
def test_an_unreadable_axis_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        parse_axis(text)


def test_integers_are_drawn_as_integers() -> None:
    drawn = {Axis("DONCHIAN_WINDOW", (), 20.0, 22.0).draw(Random(seed)) for seed in range(50)}
    assert drawn == {"20", "21", "22"}
