import itertools
import random

import pytest

from trailingedge.simulator.feeds.market_phases import OPENING_SCENARIO, PhaseKind, random_phases


@pytest.mark.parametrize("seed", range(20))
def test_every_kind_of_phase_occurs_within_a_hundred(seed: int) -> None:
    assert {episode.kind for episode in itertools.islice(random_phases(random.Random(seed)), 100)} == set(PhaseKind)


@pytest.mark.parametrize("seed", range(20))
def test_a_market_that_has_fallen_tends_to_rise(seed: int) -> None:
    drifts = [episode.drift_frac for episode in itertools.islice(random_phases(random.Random(seed)), 2000)]
    levels = list(itertools.accumulate(drifts))
    assert -0.4 < min(levels) < 0 < max(levels) < 0.4


@pytest.mark.parametrize("seed", range(5))
def test_the_kinds_differ_in_noise(seed: int) -> None:
    for episode in itertools.islice(random_phases(random.Random(seed)), 500):
        match episode.kind:
            case PhaseKind.CALM | PhaseKind.SQUEEZE:
                assert abs(episode.drift_frac) <= 0.003
                assert episode.noise_frac <= 0.0003
            case PhaseKind.TREND:
                assert 0.005 <= abs(episode.drift_frac) <= 0.018
            case PhaseKind.CRASH:
                assert episode.drift_frac <= -0.02
            case PhaseKind.RALLY:
                assert episode.drift_frac >= 0.02


@pytest.mark.parametrize("seed", range(5))
def test_every_phase_has_at_least_eight_ticks_a_minute(seed: int) -> None:
    for episode in itertools.chain(OPENING_SCENARIO, itertools.islice(random_phases(random.Random(seed)), 200)):
        shortest_s, longest_s = episode.tick_interval_s
        assert 0 < shortest_s <= longest_s <= 7.0
