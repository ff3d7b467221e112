from decimal import Decimal

import pytest
from tests.simulator.exchange_builders import ListTape

from trailingedge.simulator.terms import Terms, padded


def test_terms_take_pair_and_grid_from_the_tape() -> None:
    tape = ListTape([], "XRPETH", "XRP", "ETH", Decimal("0.00000001"), Decimal(1))
    terms = Terms().of_tape(tape)
    assert (terms.symbol, terms.base_asset, terms.quote_asset) == ("XRPETH", "XRP", "ETH")
    assert (terms.tick_size, terms.min_price, terms.step_size) == (tape.tick_size, tape.tick_size, Decimal(1))
    assert terms.min_notional == Decimal("0.001")


@pytest.mark.parametrize(
    ("amount", "text"),
    [("1", "1.00000000"), ("0.1234567891", "0.12345678"), ("0.999999999", "0.99999999"), ("1E-8", "0.00000001")],
)
def test_amounts_are_shown_with_eight_decimals_and_never_as_more_than_there_is(amount: str, text: str) -> None:
    assert padded(Decimal(amount)) == text
