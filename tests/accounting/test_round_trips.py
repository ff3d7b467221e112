"""Round trips and buy-backs: what counts as one, and what each brought."""

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.reconciliation.fill_builders import finished

from trailingedge.accounting.round_trips import RoundTripLedger
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Side
from trailingedge.reconciliation.exit_ledger import ExitTotals
from trailingedge.risk.circuit_breakers import Breaker, BreakerLimits, BreakerState, apply_exit

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


def ledger_of(*exits: ExitTotals, opening: tuple[str, str] | None = None) -> RoundTripLedger:
    """The ledger after these exits. `opening` are base and quote held at first, at a bid of 100."""
    made = RoundTripLedger("ETH", "FDUSD")
    if opening is not None:
        made.open(D(opening[0]), D(opening[1]), D(100), 1)
    for each in exits:
        made.on_exit(each, ExitKind.TAKE_PROFIT)
    return made


def brought(made: RoundTripLedger, exit_: ExitTotals) -> float | None:
    return made.on_exit(exit_, ExitKind.TAKE_PROFIT)


def test_a_round_trip_is_what_the_sale_brought_less_what_the_buy_cost() -> None:
    (trip,) = ledger_of(finished(BUY, "1", "100"), finished(SELL, "1", "103")).trips
    assert (trip.cost, trip.proceeds, trip.result, trip.won) == (D(100), D(103), D(3), True)
    assert trip.result_frac == pytest.approx(0.03)


def test_what_is_held_at_first_counts_as_bought_at_the_first_bid() -> None:
    (trip,) = ledger_of(finished(SELL, "1", "98"), opening=("1", "0")).trips
    assert (trip.result, trip.buys, trip.won) == (D(-2), (), False)


def test_a_position_that_is_not_sold_is_no_round_trip() -> None:
    assert ledger_of(finished(BUY, "1", "100")).trips == []


@pytest.mark.parametrize(
    ("exits", "result"),
    [
        pytest.param((finished(BUY, "1", "99", fees={"FDUSD": "1"}), finished(SELL, "1", "101")), "1", id="quote"),
        pytest.param(
            (finished(BUY, "1", "100", fees={"ETH": "0.01"}), finished(SELL, "0.99", "102")), "0.98", id="base, bought"
        ),
    ],
)
def test_a_round_trip_is_net_of_commission_in_either_asset(exits: tuple[ExitTotals, ...], result: str) -> None:
    (trip,) = ledger_of(*exits).trips
    assert trip.result == D(result)


def test_a_commission_without_a_price_is_named() -> None:
    assert ledger_of(finished(BUY, "1", "100", fees={"BNB": "0.001"})).unpriced == {"BNB"}


def test_a_position_sold_in_parts_is_one_round_trip() -> None:
    (trip,) = ledger_of(
        finished(BUY, "1", "100"), finished(SELL, "0.25", "104"), finished(SELL, "0.75", "96", number=9)
    ).trips
    assert (trip.result, trip.base, len(trip.sales)) == (D(-2), D(1), 2)


def test_a_deposit_counts_as_bought_at_its_bid() -> None:
    made = ledger_of(finished(BUY, "1", "100"))
    made.on_transfer(D(1), D(110), 5)
    made.on_exit(finished(SELL, "2", "110"), ExitKind.FLUSH)
    (trip,) = made.trips
    assert (trip.cost, trip.result, trip.kind) == (D(210), D(10), ExitKind.FLUSH)


def test_what_was_withdrawn_is_not_sold() -> None:
    made = ledger_of(finished(BUY, "2", "100"))
    made.on_transfer(D(-1), D(110), 5)
    made.on_exit(finished(SELL, "1", "105"), ExitKind.MANUAL)
    assert made.trips[0].result == D(5)


# Buy-backs -----------------------------------------------------------------------------------


def test_a_buy_back_is_told_as_base_bought_against_base_last_sold() -> None:
    made = ledger_of(finished(SELL, "1", "100"), opening=("1", "0"))
    assert brought(made, finished(BUY, "0.947", "105.5")) == pytest.approx(-0.053)


def test_a_buy_back_in_quote_from_the_start_is_compared_with_the_first_bid() -> None:
    assert brought(ledger_of(opening=("0", "100")), finished(BUY, "1.025", "97.56")) == pytest.approx(0.025)


def test_a_part_bought_back_is_compared_with_its_part_of_the_sale() -> None:
    made = ledger_of(finished(SELL, "1", "100"), opening=("1", "0"))
    assert brought(made, finished(BUY, "0.5", "98")) == pytest.approx(1 / 0.98 - 1)
    assert brought(made, finished(BUY, "0.5", "102")) == pytest.approx(1 / 1.02 - 1)


def test_a_deposit_of_quote_is_no_gain_of_a_buy_back() -> None:
    made = ledger_of(finished(SELL, "1", "100"), opening=("1", "0"))
    assert brought(made, finished(BUY, "4", "100")) == pytest.approx(0.0)


def test_a_buy_without_a_sale_before_has_nothing_to_be_compared_with() -> None:
    assert brought(ledger_of(), finished(BUY, "1", "100")) is None


# The breakers --------------------------------------------------------------------------------

AMOUNTS = st.integers(1, 40).map(lambda number: str(D(number) / 10))
EXITS = st.lists(st.tuples(st.sampled_from(Side), AMOUNTS, st.integers(80, 120)), max_size=12)


@given(EXITS)
@example([(BUY, "0.3", 80), (SELL, "0.1", 80), (BUY, "0.1", 80), (SELL, "0.1", 80)])  # a carried loss above the stake
def test_the_breakers_count_the_same_round_trips(drawn: list[tuple[Side, str, int]]) -> None:
    """Without what was held at first, which the breakers do not know the price of."""
    made, state, streak = RoundTripLedger("ETH", "FDUSD"), BreakerState(), 0
    for number, (side, base, price) in enumerate(drawn, 1):
        exit_ = finished(side, base, str(D(base) * price), number=number)
        before = len(made.trips)
        made.on_exit(exit_, ExitKind.TAKE_PROFIT)
        state = apply_exit(state, exit_, BreakerLimits("ETH", "FDUSD"))
        if len(made.trips) > before:
            streak = streak + 1 if made.trips[-1].result < 0 else 0
        assert state.measured(Breaker.LOSSES) == streak
