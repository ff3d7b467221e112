"""Tests of the sums of decisions: each change has a line, and the whole decision stands where it leads elsewhere."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.strategy.strategy_harness import in_base

from trailingedge.eventlog.decision_sums import DECISION_FIELDS, DecisionSums
from trailingedge.strategy.decide import Decision

MADE = in_base().tick("2510").decision


def sums(*decisions: Decision, known: dict[str, list[str]] | None = None) -> list[list[list[object]]]:
    made = DecisionSums(DECISION_FIELDS if known is None else known)
    return [list(map(json.loads, made.lines(decision))) for decision in decisions]


def test_the_first_decision_is_written_in_full_and_an_equal_one_not_at_all() -> None:
    (first,), second, third = sums(MADE, MADE, MADE._replace())
    assert first[0] == "decision"
    assert len(first) == 3
    assert second == third == []


@pytest.mark.parametrize(
    ("change", "in_full"),
    [
        pytest.param(lambda made: made._replace(unit_value=2511.0), False, id="a number"),
        pytest.param(lambda made: made._replace(state=replace(made.state, high=2512.0)), False, id="one of the state"),
        pytest.param(lambda made: made._replace(trail=made.trail._replace(factor=0.123)), False, id="one of the trail"),
        pytest.param(lambda made: made._replace(halted=True), True, id="a halt"),
    ],
)
def test_a_change_has_another_sum(change: Callable[[Decision], Decision], in_full: bool) -> None:
    _, (line,) = sums(MADE, change(MADE))
    _, (same,) = sums(MADE, change(MADE))
    _, (other,) = sums(MADE, change(MADE)._replace(stop_distance=0.5))
    assert line == same
    assert line[1] != other[1]
    assert (len(line) == 3) is in_full


def test_a_field_that_the_header_does_not_name_changes_no_sum() -> None:
    known = DECISION_FIELDS | {"Decision": [name for name in DECISION_FIELDS["Decision"] if name != "squeezed"]}
    squeezed = MADE._replace(squeezed=not MADE.squeezed)
    assert sums(MADE, squeezed, known=known)[1] == []
    assert sums(MADE, squeezed._replace(unit_value=1.0), known=known) == sums(
        MADE, MADE._replace(unit_value=1.0), known=known
    )
    assert sums(MADE, squeezed)[1] != []
