"""Market values: checks, filters and rounding."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.execution.order_builders import RULES, D, record

from trailingedge.model.market import (
    FINAL_STATUSES,
    Balance,
    BookTop,
    Kline,
    OrderStatus,
    Regime,
    Side,
    floor_to_step,
    format_on_grid,
    format_plain,
    round_to_passive_tick,
)

PRICES = st.decimals("0.00000001", "100000000", places=8)
GRIDS = st.sampled_from([D("0.00000001"), D("0.01"), D("0.05"), D("0.5"), D("1"), D("10"), D("0.00250")])


def test_each_side_and_each_regime_has_its_other() -> None:
    for side in Side:
        assert side.opposite is not side
        assert side.opposite.opposite is side
    for regime in Regime:
        assert regime.other is not regime
        assert regime.other.other is regime


def test_base_is_left_by_a_sell_and_quote_by_a_buy() -> None:
    assert (Regime.BASE.exit_side, Regime.QUOTE.exit_side) == (Side.SELL, Side.BUY)


def test_a_status_is_final_when_the_order_can_change_no_more() -> None:
    assert {status for status in OrderStatus if status.final} == FINAL_STATUSES
    assert not OrderStatus.UNRECOGNIZED.final


@pytest.mark.parametrize(
    ("bid", "ask", "quantity"),
    [
        pytest.param("100", "99", "1", id="crossed"),
        pytest.param("100", "100", "1", id="locked"),
        pytest.param("0", "100", "1", id="no bid"),
        pytest.param("-1", "100", "1", id="negative"),
        pytest.param("NaN", "100", "1", id="not a number"),
        pytest.param("99", "100", "-1", id="negative quantity"),
    ],
)
def test_what_is_no_book_is_refused(bid: str, ask: str, quantity: str) -> None:
    with pytest.raises((ValueError, ArithmeticError)):
        BookTop(D(bid), D(ask), D(quantity), D(quantity))


def test_a_book_knows_its_middle_its_spread_and_its_best() -> None:
    book = BookTop(D("99.98"), D("100.04"))
    assert (book.mid, book.spread) == (D("100.01"), D("0.06"))
    assert (book.best(Side.BUY), book.best(Side.SELL)) == (D("99.98"), D("100.04"))


@pytest.mark.parametrize(
    ("open_", "high", "low", "close"),
    [
        pytest.param("1", "2", "1.5", "1.7", id="opens below its low"),
        pytest.param("3", "2", "1", "2", id="opens above its high"),
        pytest.param("1", "2", "1", "2.5", id="closes above its high"),
        pytest.param("1", "1", "0", "1", id="falls to nothing"),
    ],
)
def test_a_kline_that_contradicts_itself_is_refused(open_: str, high: str, low: str, close: str) -> None:
    with pytest.raises(ValueError, match="not a kline"):
        Kline(0, 59_999, D(open_), D(high), D(low), D(close))


def test_a_kline_does_not_close_before_it_opens() -> None:
    with pytest.raises(ValueError, match="opens 60000"):
        Kline(60_000, 59_999, D("1"), D("1"), D("1"), D("1"))


def test_a_balance_is_free_and_locked_together() -> None:
    assert Balance("ETH", D("1.5"), D("0.5")).total == D("2")


def test_what_remains_of_an_order_is_what_was_not_filled() -> None:
    assert record(7, filled="0.4").remaining == D("0.6")


@given(PRICES, GRIDS)
def test_a_quantity_is_floored_to_the_largest_step_not_above_it(quantity: Decimal, step: Decimal) -> None:
    floored = floor_to_step(quantity, step)
    assert floored % step == 0
    assert floored <= quantity < floored + step


@given(PRICES, GRIDS)
def test_a_passive_price_is_on_the_tick_and_never_closer_to_the_other_side(price: Decimal, tick: Decimal) -> None:
    buy, sell = round_to_passive_tick(price, Side.BUY, tick), round_to_passive_tick(price, Side.SELL, tick)
    assert buy % tick == sell % tick == 0
    assert buy <= price <= sell
    assert price - buy < tick
    assert sell - price < tick


@given(PRICES)
def test_a_plain_number_reads_back_and_has_no_exponent(number: Decimal) -> None:
    text = format_plain(number)
    assert Decimal(text) == number
    assert set(text) <= set("0123456789.")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1E+3", "1000"),
        ("1E-8", "0.00000001"),
        ("2501.5000", "2501.5"),
        ("100", "100"),
        ("0.000", "0"),
        ("1000.", "1000"),
    ],
)
def test_a_number_is_written_as_the_exchange_reads_it(number: str, text: str) -> None:
    assert format_plain(D(number)) == text


@pytest.mark.parametrize(
    ("number", "grid", "text"),
    [
        ("2501.5", "0.01", "2501.50"),
        ("2501.5", "0.01000000", "2501.50"),
        ("2501.5", "1", "2502"),
        ("2500.5", "10", "2500"),
        ("0.1", "0.0001", "0.1000"),
    ],
)
def test_a_number_is_shown_with_the_decimals_of_its_grid(number: str, grid: str, text: str) -> None:
    assert format_on_grid(D(number), D(grid)) == text


@pytest.mark.parametrize(
    ("price", "quantity", "breach"),
    [
        pytest.param("100.09", "1", None, id="fine"),
        pytest.param("100.095", "1", "PRICE_FILTER", id="between ticks"),
        pytest.param("0.001", "100000", "PRICE_FILTER", id="below the lowest price"),
        pytest.param("1000000.01", "1", "PRICE_FILTER", id="above the highest price"),
        pytest.param("100.09", "0", "LOT_SIZE", id="nothing"),
        pytest.param("100.09", "1.00005", "LOT_SIZE", id="between steps"),
        pytest.param("100.09", "20", "LOT_SIZE", id="above the largest quantity"),
        pytest.param("100.09", "0.0499", "NOTIONAL", id="below the least notional"),
        pytest.param("100.00", "0.05", None, id="the least notional exactly"),
        pytest.param("100.09", "10", "NOTIONAL", id="above the most notional"),
    ],
)
def test_the_first_filter_that_an_order_fails_is_named(price: str, quantity: str, breach: str | None) -> None:
    rules = replace(RULES, max_quantity=D("10"), max_notional=D("1000"))
    assert rules.failed_filter(D(price), D(quantity)) == breach


def test_a_symbol_trades_only_while_its_status_says_so() -> None:
    assert RULES.trading
    assert not replace(RULES, status="CANCEL_ONLY").trading


def test_percent_bounds_multiply_the_reference_by_side() -> None:
    rules = replace(
        RULES,
        bid_multiplier_down=D("0.8"),
        bid_multiplier_up=D("1.1"),
        ask_multiplier_down=D("0.9"),
        ask_multiplier_up=None,
    )
    assert rules.percent_bounds(Side.BUY, D("100")) == (D("80"), D("110"))
    assert rules.percent_bounds(Side.SELL, D("100")) == (D("90"), None)
    assert RULES.percent_bounds(Side.BUY, D("100")) == (D("0"), None)
