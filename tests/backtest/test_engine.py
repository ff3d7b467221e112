"""Tests of the backtest engine: skipping ticks and splitting results change nothing."""

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from tests.backtest import random_market

from trailingedge.backtest.columns import Columns
from trailingedge.backtest.engine import Backtest
from trailingedge.config import Settings
from trailingedge.strategy.blocks import TradeBlock


def market(kind: str, dice: Random) -> list[Columns]:
    if kind == "klines":
        return random_market.klines(dice, 80, swing=dice.choice((8.0, 60.0)))
    return random_market.ticks(dice, 400, swing=dice.choice((4.0, 25.0)), trades=kind == "trades")


@pytest.mark.parametrize("kind", ["klines", "trades", "quotes"])
@pytest.mark.parametrize("seed", range(5))
def test_skipped_ticks_would_have_changed_nothing(kind: str, seed: int) -> None:
    dice = Random(f"{kind} {seed}")
    settings, told = random_market.settings(dice), market(kind, dice)
    swift, swiftly = random_market.replayed(settings, told)
    slow, slowly = random_market.replayed(settings, told, thorough=True)
    assert swift == slow
    assert swiftly.cycles < slowly.cycles


def test_a_backtest_in_parts_gives_the_same_result_as_in_one() -> None:
    dice = Random("parts")
    settings, told = random_market.settings(dice), random_market.klines(dice, 200, swing=30.0)
    whole, _ = random_market.replayed(settings, told)
    splits = [random_market.START_MS + minutes * 60_000 for minutes in (50, 51, 130)]
    replay = Backtest(random_market.standing(settings), splits=splits)
    replay.run(told)
    parts = replay.recorder.parts
    assert len(parts) == 4
    assert all(before.last_value == after.first_value for before, after in pairwise(parts))
    assert [part.to_ms for part in parts[:-1]] == splits
    assert (parts[0].first_value, parts[-1].last_value) == (whole.first_value, whole.last_value)
    assert sum(part.exits for part in parts) == len(whole.exits) > 0
    assert max(part.max_drawdown_frac for part in parts) <= whole.max_drawdown_frac + 1e-12


@pytest.mark.parametrize(
    ("blocks", "goes_on"),
    [
        pytest.param((TradeBlock.PAUSED,), True, id="until the pause after a failed buy is over"),
        pytest.param((TradeBlock.GATE_SHUT,), False, id="not for a gate"),
        pytest.param((), False, id="not without a reason"),
    ],
)
def test_cycles_without_a_market_tick_go_on_while_a_timed_block_holds(
    blocks: tuple[TradeBlock, ...], goes_on: bool
) -> None:
    told = random_market.klines(Random("waits"), 3, swing=8.0)
    _, replay = random_market.replayed(Settings(), told)
    assert replay.core.decision is not None
    replay.core.decision = replace(replay.core.decision, exit_blocks=blocks)
    replay._idle_cycles = 100_000
    assert (replay._next_timed_cycle_ms() is not None) is goes_on
