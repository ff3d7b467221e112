from decimal import Decimal
from pathlib import Path

import pytest
from tests.strategy.strategy_harness import in_quote

from trailingedge.model.market import Side, SymbolRules
from trailingedge.notifications import risk_messages
from trailingedge.risk.circuit_breakers import Breaker, BreakerTrip
from trailingedge.strategy.inputs import StrategyCommand
from trailingedge.strategy.signals import CommandRefused

RULES = SymbolRules("ETHFDUSD", "ETH", "FDUSD", tick_size=Decimal("0.01"), step_size=Decimal("0.0001"))
OWN = "TE-t-lx3k9"
DAILY = BreakerTrip(Breaker.DAILY_LOSS, Decimal("0.0312"), Decimal("0.03"))
ROW = BreakerTrip(Breaker.LOSSES, Decimal(4), Decimal(4))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            risk_messages.breaker_tripped(RULES, DAILY),
            (
                "breaker: -3.12 % on today's round trips (MAX_DAILY_LOSS_FRAC is 0.03); no take-profit, no breakout, "
                "nothing bought until 00:00 UTC; the hard stop keeps watching while ETH is held"
            ),
        ),
        (
            risk_messages.breaker_tripped(RULES, BreakerTrip(Breaker.DRAWDOWN, Decimal("0.1"), Decimal("0.1"))),
            (
                "breaker: -10.00 % from the best of all round trips (MAX_DRAWDOWN_FRAC is 0.1); no take-profit, "
                "no breakout, nothing bought until you resume ('r' or /resume); the hard stop keeps watching while "
                "ETH is held"
            ),
        ),
        (
            risk_messages.breaker_tripped(RULES, ROW),
            (
                "breaker: 4 round trips in a row lost (MAX_CONSECUTIVE_LOSSES is 4); no take-profit, no breakout, "
                "nothing bought until you resume ('r' or /resume); the hard stop keeps watching while ETH is held"
            ),
        ),
        (
            risk_messages.measured(BreakerTrip(Breaker.LOSSES, Decimal(1), Decimal(1))),
            "1 round trip in a row lost",
        ),
        (
            risk_messages.breaker_lifted(Breaker.DAILY_LOSS),
            "breaker lifted: daily loss (MAX_DAILY_LOSS_FRAC) holds nothing back any more",
        ),
        (risk_messages.still_paused([DAILY]), "still held by a breaker: daily loss until 00:00 UTC"),
        (
            risk_messages.fee_unpriced("BNB", "FDUSD"),
            "breakers: fees paid in BNB are left out of the count, its price in FDUSD is not known",
        ),
        (
            risk_messages.balance_moved("FDUSD", Decimal("100.00"), Decimal(60)),
            (
                "balance moved: 60 FDUSD, where fills and fees leave 100; reading the account again (a deposit, "
                "a withdrawal or another hand's order would explain it)"
            ),
        ),
        (
            risk_messages.second_instance(OWN, 7),
            (
                "second instance: order 7 was given by another process that trades this account; stopping, "
                "look which one should run (TE-t-lx3k9)"
            ),
        ),
        (
            risk_messages.late_order_adopted(RULES, Side.SELL, Decimal("0.5"), Decimal(2500), OWN),
            "late order adopted: SELL 0.5000 ETH at 2500.00 FDUSD, from an earlier run (TE-t-lx3k9)",
        ),
        (
            risk_messages.late_order_cancelled(RULES, Side.BUY, Decimal("0.5"), Decimal(2500), OWN),
            "late order cancelled: BUY 0.5000 ETH at 2500.00 FDUSD, from an earlier run (TE-t-lx3k9)",
        ),
        (risk_messages.frames_saved(Path("logs/frames.txt")), "last frames saved: logs/frames.txt"),
        (risk_messages.frames_lost("disk full"), "last frames not saved: disk full"),
        (
            risk_messages.breaker_limits(Decimal("0.03"), Decimal("0.1"), 4),
            "3 % a day, 10 % from the best, 4 losses in a row",
        ),
        (risk_messages.breaker_limits(Decimal(0), Decimal(0), 0), "off"),
    ],
)
def test_each_change_is_one_line_with_its_numbers(text: str, line: str) -> None:
    assert text == line


@pytest.mark.parametrize(
    ("trips", "paused", "said"),
    [
        pytest.param([ROW], True, "paused; resume first ('r' or /resume)", id="paused"),
        pytest.param(
            [DAILY], False, "nothing is bought while a breaker holds: daily loss until 00:00 UTC", id="breaker"
        ),
        pytest.param(
            [],
            False,
            "the funds only just make up an order, and the last try came to nothing; try again in a minute",
            id="funds at the edge",
        ),
    ],
)
def test_a_flip_refused_while_held_tells_what_holds(trips: list[BreakerTrip], paused: bool, said: str) -> None:
    refused = in_quote().tick("2500", command=StrategyCommand.FLIP, trading_paused=True).events[-1]
    assert isinstance(refused, CommandRefused)
    assert risk_messages.refusal_reason(refused.reason, trips, paused=paused) == said


def test_any_other_refusal_keeps_its_reason() -> None:
    assert risk_messages.refusal_reason("already under way", [ROW], paused=True) == "already under way"
