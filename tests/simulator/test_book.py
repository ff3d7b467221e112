"""The fill rule, case by case: SELLs at 100.10 in a market of 100.00 to 100.10, and BUYs mirrored."""

from decimal import Decimal

import pytest
from tests.simulator.exchange_builders import tick

from trailingedge.model.market import BookTop, Side
from trailingedge.simulator.book import Book
from trailingedge.simulator.feeds.ticks import Tick
from trailingedge.simulator.orders import NewOrder, OrderType, SimOrder


def a_book(*orders: SimOrder, first: Tick | None = None) -> Book:
    book = Book(Decimal("0.01"))
    book.apply_tick(first or tick())
    for order in orders:
        book.add(order)
    return book


def resting(price: str, quantity: str = "1", side: Side = Side.SELL, number: int = 1) -> SimOrder:
    request = NewOrder(side, OrderType.LIMIT_MAKER, Decimal(quantity), Decimal(price))
    return SimOrder(number, f"id-{number}", "owner", request, Decimal(price), Decimal(quantity), created_ms=0)


def filled(book: Book, moved: Tick) -> list[tuple[int, Decimal]]:
    """Order ids and quantities of the fills of a tick; the fills are booked."""
    hits = book.apply_tick(moved)
    for hit in hits:
        hit.order.filled += hit.quantity
    return [(hit.order.order_id, hit.quantity) for hit in hits]


@pytest.mark.parametrize(
    ("moved", "quantity"),
    [
        pytest.param(tick("100.11", "100.20"), "1", id="the market bids through it: all of it"),
        pytest.param(tick("100.10", "100.20"), None, id="the market bids its price: nothing"),
        pytest.param(tick("100.00", "100.20", last="100.11", traded="0.1", aggressor=Side.BUY), "1", id="print beyond"),
        pytest.param(tick(last="100.10", traded="3", aggressor=Side.BUY), None, id="only the queue ahead traded"),
        pytest.param(tick(last="100.10", traded="3.4", aggressor=Side.BUY), "0.4", id="a little more than the queue"),
        pytest.param(tick(last="100.10", traded="9", aggressor=Side.BUY), "1", id="far more than the queue"),
        pytest.param(tick(last="100.10", traded="9", aggressor=Side.SELL), None, id="sellers traded at its price"),
        pytest.param(tick(last="100.09", traded="9", aggressor=Side.BUY), None, id="trades at a better price"),
        pytest.param(tick("99.00", "99.10"), None, id="the market leaves it behind"),
    ],
)
def test_a_sell_with_three_ahead_in_the_queue_fills(moved: Tick, quantity: str | None) -> None:
    book = a_book(resting("100.10"))
    assert filled(book, moved) == ([(1, Decimal(quantity))] if quantity else [])


@pytest.mark.parametrize(
    ("moved", "quantity"),
    [
        pytest.param(tick("99.90", "99.99"), "1", id="the market offers through it: all of it"),
        pytest.param(tick("99.90", "100.00"), None, id="the market offers its price: nothing"),
        pytest.param(tick(last="99.99", traded="0.1", aggressor=Side.SELL), "1", id="print beyond"),
        pytest.param(tick(last="100.00", traded="2", aggressor=Side.SELL), None, id="only the queue ahead traded"),
        pytest.param(tick(last="100.00", traded="2.5", aggressor=Side.SELL), "0.5", id="more than the queue"),
        pytest.param(tick(last="100.00", traded="9", aggressor=Side.BUY), None, id="buyers traded at its price"),
    ],
)
def test_a_buy_with_two_ahead_in_the_queue_fills(moved: Tick, quantity: str | None) -> None:
    book = a_book(resting("100.00", side=Side.BUY))
    assert filled(book, moved) == ([(1, Decimal(quantity))] if quantity else [])


def test_an_order_that_improves_the_best_price_has_no_queue_ahead() -> None:
    book = a_book(resting("100.05"))
    assert filled(book, tick(last="100.05", traded="0.3", aggressor=Side.BUY)) == [(1, Decimal("0.3"))]


def test_the_queue_ahead_shrinks_by_trades_alone() -> None:
    book = a_book(resting("100.10"))
    assert filled(book, tick(ask_quantity="0.1")) == []  # a participant ahead cancelled: no fill by that
    assert filled(book, tick(last="100.10", traded="2", aggressor=Side.BUY)) == []
    assert filled(book, tick(last="100.10", traded="1.25", aggressor=Side.BUY)) == [(1, Decimal("0.25"))]


def test_a_deeper_order_learns_its_queue_when_the_markets_best_reaches_it() -> None:
    book = a_book(resting("100.20"))
    arrives = tick("100.10", "100.20", last="100.20", traded="50", aggressor=Side.BUY, ask_quantity="4")
    assert filled(book, arrives) == []
    trades = tick("100.10", "100.20", last="100.20", traded="4.5", aggressor=Side.BUY)
    assert filled(book, trades) == [(1, Decimal("0.5"))]


def test_a_trade_fills_orders_of_one_price_oldest_first_and_only_once() -> None:
    book = a_book(resting("100.10", number=1), resting("100.10", number=2))
    moved = tick(last="100.10", traded="4.5", aggressor=Side.BUY)
    assert filled(book, moved) == [(1, Decimal(1)), (2, Decimal("0.5"))]


@pytest.mark.parametrize(
    ("order", "moved", "shown"),
    [
        pytest.param(
            resting("100.05", "1.5"),
            tick(),
            BookTop(Decimal("100.00"), Decimal("100.05"), Decimal(2), Decimal("1.5")),
            id="an improving order is the best by itself",
        ),
        pytest.param(
            resting("100.10", "1.5"),
            tick(),
            BookTop(Decimal("100.00"), Decimal("100.10"), Decimal(2), Decimal("4.5")),
            id="a joining order adds its quantity",
        ),
        pytest.param(
            resting("100.20"),
            tick(),
            BookTop(Decimal("100.00"), Decimal("100.10"), Decimal(2), Decimal(3)),
            id="a deeper order is not seen",
        ),
        pytest.param(
            resting("100.10"),
            tick("100.10", "100.30"),
            BookTop(Decimal("100.09"), Decimal("100.10"), Decimal(2), Decimal(1)),
            id="a market that touches it is published a tick behind",
        ),
        pytest.param(
            resting("100.00", side=Side.BUY),
            tick("99.90", "100.00"),
            BookTop(Decimal("100.00"), Decimal("100.01"), Decimal(1), Decimal(3)),
            id="and so on the other side",
        ),
    ],
)
def test_the_published_top_merges_orders_and_market_and_never_locks(
    order: SimOrder, moved: Tick, shown: BookTop
) -> None:
    book = a_book(order)
    book.apply_tick(moved)
    assert book.published_top() == shown


@pytest.mark.parametrize(
    ("side", "price", "reaches"),
    [
        pytest.param(Side.SELL, "100.01", False, id="a sell above the bid rests"),
        pytest.param(Side.SELL, "100.00", True, id="a sell at the bid takes"),
        pytest.param(Side.BUY, "100.09", False, id="a buy below the ask rests"),
        pytest.param(Side.BUY, "100.10", True, id="a buy at the ask takes"),
    ],
)
def test_an_order_would_match_from_the_opposite_best_price_on(side: Side, price: str, reaches: bool) -> None:
    assert a_book().would_match(side, Decimal(price)) is reaches


def test_an_order_would_match_a_resting_order_too() -> None:
    book = a_book(resting("100.05"))
    assert book.would_match(Side.BUY, Decimal("100.05"))
    assert not book.would_match(Side.BUY, Decimal("100.04"))


def test_a_taker_finds_prices_in_order_and_the_markets_level_once_per_tick() -> None:
    book = a_book(resting("100.05", "1", number=1), resting("100.10", "1", number=2))
    found = [
        (take.resting_order.order_id if take.resting_order else None, take.quantity)
        for take in book.match_taker(Side.BUY, Decimal("100.10"), Decimal("4.5"))
    ]
    assert found == [(1, Decimal(1)), (None, Decimal(3)), (2, Decimal("0.5"))]
    book.consume_best(Side.BUY, Decimal(3))
    assert all(take.resting_order is not None for take in book.match_taker(Side.BUY, None, Decimal(9)))
    book.apply_tick(tick())
    assert any(take.resting_order is None for take in book.match_taker(Side.BUY, None, Decimal(9)))


def test_a_consumed_level_is_published_one_tick_deeper_until_it_refills() -> None:
    book = a_book()
    book.consume_best(Side.BUY, Decimal(3))
    assert book.published_top() == BookTop(Decimal("100.00"), Decimal("100.11"), Decimal(2), Decimal(3))
    book.apply_tick(tick())
    assert book.published_top().ask == Decimal("100.10")


def test_before_the_market_opens_there_is_no_book() -> None:
    with pytest.raises(ValueError, match="not opened"):
        Book(Decimal("0.01")).published_top()
