"""Trade blocks: what keeps an exit, a flip and the stop from happening, told alike by rules and decision."""

from dataclasses import replace
from typing import Any, Final

import pytest
from tests.strategy.strategy_harness import StrategyRun, gated, in_base, in_quote, kline

from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Regime, Side
from trailingedge.strategy.blocks import TradeBlock, exit_blocks, flip_block, stop_blocks, stop_ends
from trailingedge.strategy.decide import Rule
from trailingedge.strategy.state import ActiveExit, ReentryGate, ShutBy, StrategyState

FREE: Final = StrategyState(regime=Regime.QUOTE, funded=True)
BLOCKED: Final = StrategyState(
    regime=Regime.QUOTE,
    funded=False,
    exit=ActiveExit(ExitKind.MANUAL, Side.BUY, 1, 0),
    gate=ReentryGate(ShutBy.HARD_STOP, 2500.0, 0),
)
FACTS: Final = {"halted": False, "has_book": True, "paused": False, "settled": True}


@pytest.mark.parametrize(
    ("field", "block"),
    [
        ("exit", TradeBlock.EXIT_IN_PROGRESS),
        ("funded", TradeBlock.UNFUNDED),
        ("gate", TradeBlock.GATE_SHUT),
    ],
)
def test_each_fact_of_the_state_alone_blocks_an_exit(field: str, block: TradeBlock) -> None:
    assert exit_blocks(FREE, **FACTS) == ()
    assert exit_blocks(replace(FREE, **{field: getattr(BLOCKED, field)}), **FACTS) == (block,)


@pytest.mark.parametrize(
    ("fact", "block"),
    [
        ("halted", TradeBlock.HALTED),
        ("has_book", TradeBlock.NO_BOOK),
        ("settled", TradeBlock.UNSETTLED),
        ("paused", TradeBlock.PAUSED),
    ],
)
def test_each_fact_of_the_inputs_alone_blocks_an_exit(fact: str, block: TradeBlock) -> None:
    assert exit_blocks(FREE, **FACTS | {fact: not FACTS[fact]}) == (block,)


def test_all_blocks_are_named_the_most_severe_first() -> None:
    assert exit_blocks(BLOCKED, **{fact: not value for fact, value in FACTS.items()}) == tuple(TradeBlock)


@pytest.mark.parametrize(
    ("kind", "side", "ending", "ends"),
    [
        pytest.param(ExitKind.TAKE_PROFIT, Side.SELL, None, True, id="a sale for profit"),
        pytest.param(ExitKind.MANUAL, Side.SELL, None, True, id="a sale on command"),
        pytest.param(ExitKind.FLUSH, Side.SELL, None, False, id="the stop's own sale"),
        pytest.param(ExitKind.TAKE_PROFIT, Side.BUY, None, True, id="a buy-back for profit"),
        pytest.param(ExitKind.MANUAL, Side.BUY, None, False, id="a buy on command"),
        pytest.param(ExitKind.BREAKOUT, Side.BUY, None, False, id="a buy on a breakout"),
        pytest.param(ExitKind.TAKE_PROFIT, Side.SELL, ExitEndReason.CANCELLED, False, id="a sale being cancelled"),
    ],
)
def test_the_stop_ends_some_exits(kind: ExitKind, side: Side, ending: ExitEndReason | None, ends: bool) -> None:
    exit_ = ActiveExit(kind, side, 1, 0, ending=ending)
    assert stop_ends(exit_) is ends
    assert stop_blocks(exit_, halted=False, funded=True) == (() if ends else (TradeBlock.EXIT_IN_PROGRESS,))
    assert stop_blocks(None, halted=True, funded=False) == (TradeBlock.HALTED, TradeBlock.UNFUNDED)


def test_a_flip_is_blocked_by_a_halt_no_funds_and_a_paused_buy() -> None:
    base, quote = in_base().state, in_quote().state
    assert flip_block(base, halted=True, has_holdings=True, paused=False) is TradeBlock.HALTED
    assert flip_block(base, halted=False, has_holdings=False, paused=False) is TradeBlock.UNFUNDED
    assert flip_block(StrategyState(), halted=False, has_holdings=True, paused=False) is TradeBlock.UNFUNDED
    assert flip_block(base, halted=False, has_holdings=True, paused=True) is None
    assert flip_block(quote, halted=False, has_holdings=True, paused=True) is TradeBlock.PAUSED


def due(run: StrategyRun) -> StrategyRun:
    """A run whose trail is due at the next tick at 2580."""
    run.tick("2600", trading_paused=True)
    return run


@pytest.mark.parametrize(
    ("given", "block"),
    [
        pytest.param({"trading_paused": True}, TradeBlock.PAUSED, id="paused"),
        pytest.param({"halted": True}, TradeBlock.HALTED, id="halted"),
    ],
)
def test_a_decision_carries_the_block_that_stopped_the_rule(given: dict[str, Any], block: TradeBlock) -> None:
    run = due(in_base())
    blocked = run.tick("2580", **given).decision
    assert blocked.trail is not None
    assert blocked.trail.due
    assert blocked.acted is not Rule.TAKE_PROFIT
    assert blocked.exit_blocks == (block,)
    freed = run.tick("2580").decision
    assert freed.acted is Rule.TAKE_PROFIT
    assert freed.exit_blocks == (TradeBlock.EXIT_IN_PROGRESS,)


def test_gate_book_and_funds_are_blocks_of_a_decision() -> None:
    assert gated().tick("2470").decision.exit_blocks == (TradeBlock.GATE_SHUT,)
    assert in_base().tick(None).decision.exit_blocks == (TradeBlock.NO_BOOK,)
    assert StrategyRun(base="0").tick("2500").decision.exit_blocks[0] is TradeBlock.UNFUNDED
    assert in_base().tick("2500", closes=[kline(0, 2500)]).decision.exit_blocks == ()
