from random import Random

import pytest
from tests.replay import chance

from trailingedge.replay.columns import Columns


def market(kind: str, dice: Random) -> list[Columns]:
    if kind == "klines":
        return chance.klines(dice, 80, swing=dice.choice((8.0, 60.0)))
    return chance.ticks(dice, 400, swing=dice.choice((4.0, 25.0)), trades=kind == "trades")


@pytest.mark.parametrize("kind", ["klines", "trades", "quotes"])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_passed_over_would_have_changed_nothing(kind: str, seed: int) -> None:
    dice = Random(f"{kind} {seed}")
    settings, told = chance.settings(dice), market(kind, dice)
    swift, swiftly = chance.replayed(settings, told)
    slow, slowly = chance.replayed(settings, told, thorough=True)
    assert swift == slow
    assert swiftly.beats < slowly.beats
