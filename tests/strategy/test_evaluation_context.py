"""The order intent: side, funds, and for how long."""

from decimal import Decimal

import pytest
from tests.strategy.strategy_harness import StrategyRun, held, in_base, in_quote

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Side


@pytest.mark.parametrize(
    ("run", "funds"),
    [
        pytest.param(in_base(base="1.5", quote="7"), Decimal("1.5"), id="a sell: all base"),
        pytest.param(in_quote(), Decimal(2500), id="a buy: all quote"),
    ],
)
def test_all_of_the_side_held_is_wanted(run: StrategyRun, funds: Decimal) -> None:
    want = run.flip("2500").intent
    assert want is not None
    assert want.funds == funds


def test_fills_shrink_the_funds() -> None:
    run = in_base()
    run.flip("2500")
    run.fill("2500", "0.25")
    want = run.tick("2500").intent
    assert want is not None
    assert want.funds == Decimal("0.75")


@pytest.mark.parametrize(
    ("run", "filled", "left"),
    [
        pytest.param(in_base(), (Decimal("0.6"), Decimal(1500)), Decimal("0.4"), id="a sell"),
        pytest.param(in_quote(), (Decimal("0.6"), Decimal(1500)), Decimal(1000), id="a buy"),
    ],
)
def test_fills_count_before_the_balances_arrive(
    run: StrategyRun, filled: tuple[Decimal, Decimal], left: Decimal
) -> None:
    run.flip("2500")
    run.report(filled_base=filled[0], filled_quote=filled[1])
    want = run.tick("2500", settled=False).intent
    assert want is not None
    assert want.funds == left


def test_fills_count_once_when_the_balances_arrive() -> None:
    run = in_base()
    run.flip("2500")
    run.fill("2500", "0.5")
    run.tick("2500")
    want = run.tick("2500", settled=False).intent
    assert want is not None
    assert want.funds == Decimal("0.5")


def test_a_deposit_joins_the_exit() -> None:
    run = in_base()
    run.flip("2500")
    run.holdings = held("3")
    want = run.tick("2500").intent
    assert want is not None
    assert want.funds == 3


def test_numbers_are_the_time_and_never_repeat() -> None:
    run = in_base()
    first = run.flip("2500").intent
    assert first is not None
    assert first.number == run.market_ms
    run.cancel("2500")
    run.market_ms -= 5_000  # the server's clock was set back
    run.tick("2500")
    second = run.flip("2500").intent
    assert second is not None
    assert second.number == first.number + 1
    assert (second.side, second.kind) == (Side.SELL, ExitKind.MANUAL)
