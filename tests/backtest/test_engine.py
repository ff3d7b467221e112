"""Tests of the backtest engine: skipping ticks and splitting results change nothing."""

from dataclasses import replace
from decimal import Decimal
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


@pytest.mark.parametrize("kind", ["klines", "trades", "quotes"])
@pytest.mark.parametrize("seed", range(4))
def test_skipped_ticks_would_have_changed_nothing_at_the_edge_of_the_size_limits_either(kind: str, seed: int) -> None:
    dice = Random(f"edge {kind} {seed}")
    settings = replace(random_market.settings(dice), reserve_quote=Decimal(0), lot_size=None, start_paused=False)
    told = market(kind, dice)
    # Whether an order of about 5 FDUSD is possible changes with the price, and with the step that a BUY loses.
    amount = dice.choice(
        ({"ETH": Decimal("0.0020")}, {"FDUSD": Decimal("5.01")}, {"FDUSD": Decimal("5.26")}, {"ETH": Decimal("0.0021")})
    )
    limits = dice.choice(({}, {"max_quantity": Decimal("0.0020")}, {"max_notional": Decimal("5.2")}))
    swift, swiftly = random_market.replayed(settings, told, balances=amount, limits=limits)
    slow, _ = random_market.replayed(settings, told, balances=amount, limits=limits, thorough=True)
    assert swift == slow
    # No exit is armed that cannot place an order.
    assert all(exit_.base for exit_ in swift.exits)
    assert swiftly.cycles < 20_000


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
    replay.core.decision = replay.core.decision._replace(exit_blocks=blocks)
    replay._idle_cycles = 100_000
    assert (replay._next_timed_cycle_ms() is not None) is goes_on
