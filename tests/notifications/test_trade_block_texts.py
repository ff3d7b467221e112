"""Tests of the texts of trade blocks: each block has words, and the most severe one speaks."""

from dataclasses import replace

import pytest
from tests.notifications.status_views import blocked, view_of
from tests.strategy.strategy_harness import in_base

from trailingedge.notifications.trade_block_texts import BLOCK_TEXTS, brief_reason
from trailingedge.strategy.blocks import TradeBlock

IN_BASE = view_of(in_base(), "2510")


def test_each_block_that_a_decision_can_have_is_put_into_words() -> None:
    assert [*BLOCK_TEXTS] == [block for block in TradeBlock if block is not TradeBlock.UNSETTLED]


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        pytest.param((TradeBlock.HALTED, TradeBlock.PAUSED), "off while halted", id="halted and paused"),
        pytest.param((TradeBlock.EXIT_IN_PROGRESS,), "–", id="an exit"),
        pytest.param((TradeBlock.UNFUNDED, TradeBlock.PAUSED), "off while unfunded", id="unfunded and paused"),
        pytest.param((TradeBlock.NO_BOOK,), "not checked, no market data", id="no book"),
        pytest.param((TradeBlock.GATE_SHUT, TradeBlock.PAUSED), "off while the gate is shut", id="gate and pause"),
        pytest.param((TradeBlock.PAUSED,), "off while paused", id="paused"),
        pytest.param((), None, id="free"),
    ],
)
def test_the_most_severe_block_is_the_brief_reason(blocks: tuple[TradeBlock, ...], words: str | None) -> None:
    assert brief_reason(replace(IN_BASE, decision=blocked(*blocks))) == words


def test_a_connection_lost_since_the_decision_is_named() -> None:
    assert brief_reason(replace(IN_BASE, account_proven=False)) == "not checked, no account connection"
