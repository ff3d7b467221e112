"""The want: how much of what, and for how long."""

from decimal import Decimal

import pytest
from tests.strategy.strategy_harness import StrategyRun, held, in_base, in_quote

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Side


@pytest.mark.parametrize(
    ("life", "funds"),
    [
        pytest.param(in_base(base="1.5", quote="7"), Decimal("1.5"), id="a sell: all base"),
        pytest.param(in_quote(), Decimal(2500), id="a buy: all quote"),
    ],
)
def test_all_of_the_side_held_is_wanted(life: StrategyRun, funds: Decimal) -> None:
    want = life.flip("2500").intent
    assert want is not None
    assert want.funds == funds


def test_fills_shrink_the_funds() -> None:
    life = in_base()
    life.flip("2500")
    life.fill("2500", "0.25")
    want = life.tick("2500").intent
    assert want is not None
    assert want.funds == Decimal("0.75")


@pytest.mark.parametrize(
    ("life", "filled", "left"),
    [
        pytest.param(in_base(), (Decimal("0.6"), Decimal(1500)), Decimal("0.4"), id="a sell"),
        pytest.param(in_quote(), (Decimal("0.6"), Decimal(1500)), Decimal(1000), id="a buy"),
    ],
)
def test_fills_count_before_the_balances_tell(
    life: StrategyRun, filled: tuple[Decimal, Decimal], left: Decimal
) -> None:
    life.flip("2500")
    life.report(filled_base=filled[0], filled_quote=filled[1])
    want = life.tick("2500", settled=False).intent
    assert want is not None
    assert want.funds == left


def test_fills_count_once_when_the_balances_tell() -> None:
    life = in_base()
    life.flip("2500")
    life.fill("2500", "0.5")
    life.tick("2500")
    want = life.tick("2500", settled=False).intent
    assert want is not None
    assert want.funds == Decimal("0.5")


def test_a_deposit_joins_the_exit() -> None:
    life = in_base()
    life.flip("2500")
    life.holdings = held("3")
    want = life.tick("2500").intent
    assert want is not None
    assert want.funds == 3


def test_numbers_are_the_time_and_never_repeat() -> None:
    life = in_base()
    first = life.flip("2500").intent
    assert first is not None
    assert first.number == life.market_ms
    life.cancel("2500")
    life.market_ms -= 5_000  # the server's clock was set back
    life.tick("2500")
    second = life.flip("2500").intent
    assert second is not None
    assert second.number == first.number + 1
    assert (second.side, second.kind) == (Side.SELL, ExitKind.MANUAL)
