"""Order prices: on the tick, never taking, never outbidding ourselves."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.execution.order_builders import D, top

from trailingedge.execution.quote_prices import RestingOrder, escape_price, resting_price
from trailingedge.model.market import BookTop, Side
from trailingedge.model.pricing_mode import Pricing

TICK = D("0.01")
WIDE = top("100.00", "100.10")
TIGHT = top("100.09", "100.10")


@st.composite
def books(draw: st.DrawFn, tick: Decimal = TICK) -> BookTop:
    bid = draw(st.integers(1, 10**7))
    spread = draw(st.integers(1, 50))
    quantities = st.decimals("0", "20", places=4)
    return BookTop(bid * tick, (bid + spread) * tick, draw(quantities), draw(quantities))


def near(book: BookTop) -> st.SearchStrategy[Decimal]:
    """Prices on the tick about the book."""
    return st.integers(-5, 60).map(lambda ticks: max(TICK, book.bid + ticks * TICK))


@pytest.mark.parametrize(
    ("pricing", "side", "book", "price"),
    [
        pytest.param(Pricing.OPPOSITE, Side.SELL, WIDE, "100.01", id="opposite sells one tick above the bid"),
        pytest.param(Pricing.OPPOSITE, Side.BUY, WIDE, "100.09", id="opposite buys one tick below the ask"),
        pytest.param(Pricing.OPPOSITE, Side.SELL, TIGHT, "100.10", id="opposite joins in a tight book"),
        pytest.param(Pricing.IMPROVE, Side.SELL, WIDE, "100.09", id="improve undercuts the best ask"),
        pytest.param(Pricing.IMPROVE, Side.BUY, WIDE, "100.01", id="improve outbids the best bid"),
        pytest.param(Pricing.IMPROVE, Side.SELL, TIGHT, "100.10", id="improve joins the ask of a tight book"),
        pytest.param(Pricing.IMPROVE, Side.BUY, TIGHT, "100.09", id="improve joins the bid of a tight book"),
        pytest.param(Pricing.JOIN, Side.SELL, WIDE, "100.10", id="join sells at the best ask"),
        pytest.param(Pricing.JOIN, Side.BUY, WIDE, "100.00", id="join buys at the best bid"),
        pytest.param(Pricing.PEG, Side.SELL, WIDE, "100.10", id="peg compares with the best ask"),
        pytest.param(Pricing.PEG, Side.BUY, WIDE, "100.00", id="peg compares with the best bid"),
    ],
)
def test_each_pricing_has_its_place_in_the_book(pricing: Pricing, side: Side, book: BookTop, price: str) -> None:
    assert resting_price(pricing, side, book, TICK, own=None) == D(price)


@given(st.data(), st.sampled_from(Pricing), st.sampled_from(Side), books())
def test_no_order_ever_takes_and_each_sits_on_the_tick(
    data: st.DataObject, pricing: Pricing, side: Side, book: BookTop
) -> None:
    left = [RestingOrder(price, D(5)) for price in data.draw(st.sets(near(book), max_size=3))]
    price = resting_price(pricing, side, book, TICK, own=None, left_orders=left)
    assert price % TICK == 0
    assert price < book.ask if side is Side.BUY else price > book.bid


@given(st.sampled_from([Pricing.IMPROVE, Pricing.JOIN, Pricing.PEG]), st.sampled_from(Side), books())
def test_the_best_of_others_is_improved_by_one_tick_at_most(pricing: Pricing, side: Side, book: BookTop) -> None:
    price = resting_price(pricing, side, book, TICK, own=None)
    better = price - book.best(side) if side is Side.BUY else book.best(side) - price
    assert better in ((0, TICK) if pricing is Pricing.IMPROVE else (0,))


@given(st.sampled_from(Pricing), st.sampled_from(Side), books(), st.decimals("0.0001", "20", places=4))
def test_who_stands_alone_at_the_best_price_stays(
    pricing: Pricing, side: Side, book: BookTop, quantity: Decimal
) -> None:
    if pricing is Pricing.OPPOSITE:
        pricing = Pricing.IMPROVE  # opposite looks at the other side only
    shown = book.bid_quantity if side is Side.BUY else book.ask_quantity
    own = RestingOrder(book.best(side), max(quantity, shown))
    assert resting_price(pricing, side, book, TICK, own) == own.price


@given(st.sampled_from(Pricing), st.sampled_from(Side), books())
def test_a_book_off_the_tick_is_answered_on_the_tick_and_behind(pricing: Pricing, side: Side, book: BookTop) -> None:
    coarse = D("0.05")
    price = resting_price(pricing, side, book, coarse, own=None)
    assert price % coarse == 0
    assert price < book.ask if side is Side.BUY else price > book.bid


def resting(price: str, quantity: str) -> RestingOrder:
    return RestingOrder(D(price), D(quantity))


@pytest.mark.parametrize(
    ("own", "left", "price"),
    [
        pytest.param(resting("100.10", "5"), (), "100.10", id="the best is all ours"),
        pytest.param(resting("100.10", "9"), (), "100.10", id="the frame came after a fill of ours"),
        pytest.param(resting("100.10", "2"), (), "100.09", id="others joined us"),
        pytest.param(resting("100.12", "2"), (), "100.09", id="others outbid us"),
        pytest.param(resting("100.07", "5"), (resting("100.10", "5"),), "100.07", id="the frame shows where we were"),
        pytest.param(resting("100.07", "5"), (resting("100.10", "9"),), "100.07", id="and a part of what we had there"),
        pytest.param(
            resting("100.07", "5"),
            (resting("100.20", "5"), resting("100.10", "5")),
            "100.07",
            id="where we were two moves ago",
        ),
        pytest.param(None, (resting("100.10", "5"),), "100.10", id="we have just gone from the best"),
        pytest.param(None, (resting("100.20", "5"),), "100.09", id="we have just gone from elsewhere"),
    ],
)
def test_we_never_outbid_ourselves(own: RestingOrder | None, left: tuple[RestingOrder, ...], price: str) -> None:
    assert resting_price(Pricing.IMPROVE, Side.SELL, WIDE, TICK, own, left) == D(price)


@pytest.mark.parametrize(
    ("own", "left", "price"),
    [
        pytest.param(resting("100.07", "4.9"), (resting("100.10", "4.9"),), "100.09", id="others are where we were"),
        pytest.param(
            resting("100.07", "4"),
            (resting("100.10", "4"), resting("100.10", "3")),
            "100.09",
            id="where we were twice: the rests do not add up, for we had one order at a time",
        ),
        pytest.param(None, (resting("100.10", "4.9"),), "100.09", id="and we have just gone"),
    ],
)
def test_more_than_our_rest_at_a_price_that_we_left_is_others(
    own: RestingOrder | None, left: tuple[RestingOrder, ...], price: str
) -> None:
    assert resting_price(Pricing.IMPROVE, Side.SELL, WIDE, TICK, own, left) == D(price)


@given(st.sampled_from(Side), books(), st.decimals("0", "0.1", places=4))
def test_an_escape_reaches_the_other_side_and_is_never_worse_than_allowed(
    side: Side, book: BookTop, slippage: Decimal
) -> None:
    price = escape_price(side, book, TICK, slippage)
    best = book.best(side.opposite)
    worst = best * (1 + slippage) if side is Side.BUY else best * (1 - slippage)
    assert price % TICK == 0
    if side is Side.BUY:
        assert best <= price <= worst
    else:
        assert best >= price >= worst
