from decimal import Decimal
from pathlib import Path

import pytest
from tests.strategy.strategy_harness import in_quote

from trailingedge.model.market import SymbolRules
from trailingedge.notifications import risk_messages
from trailingedge.risk.circuit_breakers import Breaker, BreakerTrip
from trailingedge.strategy.inputs import StrategyCommand
from trailingedge.strategy.strategy_events import CommandRefused

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
                "breaker: daily loss -3.12 % (limit -3.00 %), set by MAX_DAILY_LOSS_FRAC; no take-profit, no "
                "breakout, no buy until 00:00 UTC; the hard stop stays active while ETH is held"
            ),
        ),
        (
            risk_messages.breaker_tripped(RULES, BreakerTrip(Breaker.DRAWDOWN, Decimal("0.1"), Decimal("0.1"))),
            (
                "breaker: drawdown -10.00 % (limit -10.00 %), set by MAX_DRAWDOWN_FRAC; no take-profit, no "
                "breakout, no buy until you resume with 'r', /resume or trailing-edge resume; the hard stop "
                "stays active while ETH "
                "is held"
            ),
        ),
        (
            risk_messages.breaker_tripped(RULES, ROW),
            (
                "breaker: 4 lost round trips in a row (limit 4), set by MAX_CONSECUTIVE_LOSSES; no take-profit, no"
                " breakout, no buy until you resume with 'r', /resume or trailing-edge resume; the hard stop "
                "stays active while ETH"
                " is held"
            ),
        ),
        (
            risk_messages.measured(BreakerTrip(Breaker.LOSSES, Decimal(1), Decimal(1))),
            "1 lost round trip in a row (limit 1)",
        ),
        (
            risk_messages.breaker_lifted(Breaker.DAILY_LOSS),
            "breaker lifted: daily loss (MAX_DAILY_LOSS_FRAC) no longer pauses trading",
        ),
        (risk_messages.still_paused([DAILY]), "still paused by a breaker: daily loss until 00:00 UTC"),
        (
            risk_messages.fee_unpriced("BNB", "FDUSD"),
            "breakers: fees paid in BNB are not counted, because the price of BNB in FDUSD is unknown",
        ),
        (
            risk_messages.balance_moved("FDUSD", Decimal("100.00"), Decimal(60)),
            (
                "unexpected balance: 60 FDUSD instead of 100 after all fills and fees; the balances are queried "
                "again (a deposit, a withdrawal or an order by hand would explain the difference)"
            ),
        ),
        (
            risk_messages.second_instance(OWN, 7),
            (
                "second instance: another process sent order 7 on this account; this process "
                "stops trading and ends; run only one of the two (TE-t-lx3k9)"
            ),
        ),
        (risk_messages.frames_saved(Path("logs/frames.txt")), "last messages of the exchange saved to logs/frames.txt"),
        (risk_messages.frames_lost("disk full"), "last messages of the exchange not saved: disk full"),
    ],
)
def test_each_change_is_one_line_with_its_numbers(text: str, line: str) -> None:
    assert text == line


@pytest.mark.parametrize(
    ("trips", "paused", "said"),
    [
        pytest.param(
            [ROW], True, "trading is paused; resume first with 'r', /resume or trailing-edge resume", id="paused"
        ),
        pytest.param([DAILY], False, "a breaker pauses buying: daily loss until 00:00 UTC", id="breaker"),
        pytest.param(
            [],
            False,
            "the balance is only just enough for an order, and the last attempt failed; try again in a minute",
            id="funds at the edge",
        ),
    ],
)
def test_a_flip_refused_while_paused_names_what_pauses(trips: list[BreakerTrip], paused: bool, said: str) -> None:
    refused = in_quote().tick("2500", command=StrategyCommand.FLIP, trading_paused=True).events[-1]
    assert isinstance(refused, CommandRefused)
    assert risk_messages.refusal_reason(refused.reason, trips, paused=paused) == said


def test_any_other_refusal_keeps_its_reason() -> None:
    assert risk_messages.refusal_reason("already under way", [ROW], paused=True) == "already under way"
