"""A story for machines has the one shape, whichever way the run was counted."""

import json

from tests.accounting.summary_shape import SHAPE
from tests.report.report_builders import D, a_long_story, a_quiet_story, a_story

from trailingedge.report.json_output import as_data


def test_the_shape_is_the_one_of_a_summary() -> None:
    told = json.loads(json.dumps(as_data(a_story()), allow_nan=False))
    assert list(told) == SHAPE
    assert list(told["totals"])[:6] == ["orders", "fills", "replaces", "round_trips", "won", "fees"]
    assert (told["from"], told["gaps"]) == ("2026-07-02T00:00:00.000+00:00", ["2026-07-02 01:00: an hour is missing"])
    assert told["totals"]["rejected"] == {"-2010": 2, "-1013": 1}
    assert told["totals"]["fees"] == {"BNB": "0.0012", "FDUSD": "1.91253", "ETH": "0.0000001"}


def test_an_exit_without_a_fill_has_no_average() -> None:
    told = json.loads(json.dumps(as_data(a_story())))["orders"][1]
    assert (told["base"], told["average"], told["anchor_gain_frac"], told["cause"]) == ("0", None, None, "expired")


def test_a_story_in_which_nothing_happened_is_whole() -> None:
    told = json.loads(json.dumps(as_data(a_quiet_story()), allow_nan=False))
    assert (told["orders"], told["totals"]["fees"], told["totals"]["result_frac"]) == ([], {}, 0.0)


def test_an_average_is_not_rounded() -> None:
    told = as_data(a_long_story())["orders"]
    assert isinstance(told, list)
    assert all(D(each["average"]) == D(each["quote"]) / D(each["base"]) for each in told if each["average"])
