"""Tests of the heat map of a sweep."""

import re

from tests.sweep.test_ranking import FORTNIGHT, outcome

from trailingedge.report.page_assets import hash_source
from trailingedge.sweep.heatmap import heatmap_page
from trailingedge.sweep.objective import Judgement, Objective
from trailingedge.sweep.ranking import rank_trials


def page_of(growths: list[float], pricings: tuple[str, ...] = ("join",)) -> str:
    points = [
        {"BUFFER": buffer, "MIN_FACTOR": factor, "EXIT_PRICING": pricing}
        for buffer in ("0.01", "0.1")
        for factor in ("0.2", "0.3")
        for pricing in pricings
    ]
    outcomes = {number: outcome(growth, 1, 1, 1) for number, growth in enumerate((1.0, *growths))}
    result = rank_trials([{}, *points], outcomes, FORTNIGHT, (), Judgement(Objective.RESULT))
    return heatmap_page(result, ("BUFFER", "MIN_FACTOR"), "A<B", "how", "when")


def test_each_cell_has_its_value_and_a_shade_from_worst_to_best() -> None:
    cells = re.findall(r'<td class="(shade-.)">([^<]*)</td>', page_of([1.1, 1.2, 1.3, 1.4]))
    assert cells[:4] == [
        ("shade-0", "+10.00 %"),
        ("shade-2", "+20.00 %"),
        ("shade-4", "+30.00 %"),
        ("shade-6", "+40.00 %"),
    ]
    assert cells[4:] == [("shade-3", "+0.00 %")] * 4  # on the days tested on all are equal


def test_other_settings_are_averaged_and_counted() -> None:
    told = page_of([1.1, 1.2, 1.2, 1.3, 1.3, 1.4, 1.4, 1.5], ("join", "peg"))
    assert '+15.00 % <span class="unit">(2)</span>' in told


def test_the_page_allows_only_its_own_style() -> None:
    told = page_of([1.1, 1.2, 1.3, 1.4])
    (style,) = re.findall(r"<style>(.*?)</style>", told, re.DOTALL)
    assert f"default-src 'none'; style-src {hash_source(style)}" in told
    assert not re.search(r'<script|style="|https?:|A<B', told)
    assert "A&lt;B" in told
