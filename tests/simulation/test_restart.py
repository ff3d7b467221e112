"""Killed at any moment, it comes back to where a twin is that was never killed."""

import pytest
from tests.simulation.restarts import compare_restarts


@pytest.mark.parametrize("life", range(2))
def test_who_is_killed_comes_back_as_if_nothing_had_happened(life: int) -> None:
    fate = compare_restarts(life)
    assert fate.problems == [], f'uv run python -c "from tests.simulation.restarts import tell; print(tell({life}))"'
    # Most deaths can be held against the twin, or all this says nothing.
    assert fate.compared >= 2
    assert fate.in_exits >= 1
