from argparse import ArgumentTypeError
from random import Random

import pytest

from trailingedge.config import Settings
from trailingedge.core.errors import ConfigError
from trailingedge.sweep.search_space import Axis, apply_combination, build_search_space, parse_axis

SETTINGS = Settings()


def test_lists_are_tried_in_every_combination_and_what_was_set_comes_first() -> None:
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


def test_a_combination_that_changes_nothing_is_tried_once() -> None:
    found = build_search_space([parse_axis("BUFFER=0.002,0.003")], SETTINGS, None, 0)  # the first is the default
    assert found.combinations == ({}, {"BUFFER": "0.003"})


def test_contradictions_are_left_out_and_named() -> None:
    found = build_search_space(
        [parse_axis("START_FACTOR=0.2,0.6"), parse_axis("MIN_FACTOR=0.1,0.4")], SETTINGS, None, 0
    )
    assert {"START_FACTOR": "0.2", "MIN_FACTOR": "0.4"} not in found.combinations
    (left_out,) = found.invalid
    assert left_out.combination == {"START_FACTOR": "0.2", "MIN_FACTOR": "0.4"}
    assert "MIN_FACTOR" in left_out.reason


def test_chance_is_the_seeds_and_stays_in_its_range() -> None:
    axes = [
        parse_axis("BUFFER=0.001..0.01"),
        parse_axis("DONCHIAN_WINDOW=10..60"),
        parse_axis("EXIT_PRICING=join,improve"),
    ]
    first, again, other = (build_search_space(axes, SETTINGS, 30, seed) for seed in (1, 1, 2))
    assert first == again != other
    drawn = [apply_combination(SETTINGS, each) for each in first.combinations[1:]]
    assert len(drawn) == len(set(drawn)) == 30
    assert all(0.001 <= each.buffer <= 0.01 and 10 <= each.donchian_window <= 60 for each in drawn)


def test_a_space_smaller_than_what_is_drawn_is_tried_whole() -> None:
    assert len(build_search_space([parse_axis("DONCHIAN_WINDOW=20..23")], SETTINGS, 50, 0).combinations) == 5


@pytest.mark.parametrize(
    ("varied", "draws", "said"),
    [
        pytest.param(["BUFER=1,2"], None, "no setting", id="misspelt"),
        pytest.param(["BUFFER=lots"], None, "not a number", id="no value"),
        pytest.param(["BUFFER=0.1,2"], None, "at least 0 and below 1", id="out of range"),
        pytest.param(["BUFFER=0.1..2"], 5, "at least 0 and below 1", id="a range out of range"),
        pytest.param(["BUFFER=0.1..0.2"], None, "--random", id="a range without a number of draws"),
        pytest.param(["EXIT_PRICING=1..2"], 5, "only numbers have ranges", id="a range of words"),
        pytest.param(["BUFFER=0.1", "BUFFER=0.2"], None, "twice", id="twice"),
        pytest.param(["TELEGRAM_BOT_TOKEN=a,b"], None, "not a matter of strategy", id="a secret"),
        pytest.param(["MIN_FACTOR=0.6,0.7"], None, "no combination is left", id="nothing left"),
        pytest.param([f"{name}=1..2" for name in ("BUFFER",)], 10**6, "more than", id="too many"),
    ],
)
def test_what_cannot_be_varied_is_said(varied: list[str], draws: int | None, said: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        build_search_space([parse_axis(text) for text in varied], SETTINGS, draws, 0)
    assert any(said in problem for problem in wrong.value.problems)


@pytest.mark.parametrize("text", ["BUFFER", "BUFFER=", "BUFFER=2..1", "BUFFER=a..b", "BUFFER=,"])
def test_what_is_no_axis_is_a_wrong_use(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        parse_axis(text)


def test_whole_numbers_are_drawn_whole() -> None:
    drawn = {Axis("DONCHIAN_WINDOW", (), 20.0, 22.0).draw(Random(seed)) for seed in range(50)}
    assert drawn == {"20", "21", "22"}
