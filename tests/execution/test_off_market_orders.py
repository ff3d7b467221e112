"""Probe orders: far from the market, as small as possible, and inside every filter.

What becomes of one on the book is told with the jumpstart and the note, which live by them.
"""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.execution.order_builders import RULES, D, top

from trailingedge.execution.off_market_orders import ProbeOrder, probe_order
from trailingedge.model.market import BookTop, Side

BOOK = top("2500.00", "2500.01")


def test_it_is_ten_percent_away_and_as_small_as_may_be() -> None:
    assert probe_order(Side.BUY, BOOK, RULES) == ProbeOrder(Side.BUY, D("2250.00"), D("0.0023"))
    assert probe_order(Side.SELL, BOOK, RULES) == ProbeOrder(Side.SELL, D("2750.02"), D("0.0019"))


def test_it_stays_inside_a_tight_percent_price_filter() -> None:
    tight = replace(
        RULES,
        bid_multiplier_up=D("1.1"),
        bid_multiplier_down=D("0.95"),
        ask_multiplier_up=D("1.05"),
        ask_multiplier_down=D("0.9"),
    )
    buy, sell = probe_order(Side.BUY, BOOK, tight), probe_order(Side.SELL, BOOK, tight)
    assert BOOK.mid * D("0.95") < buy.price < BOOK.bid
    assert BOOK.ask < sell.price < BOOK.mid * D("1.05")


@given(
    ticks=st.integers(20, 10**9),
    spread=st.integers(1, 50),
    tick=st.sampled_from(["0.00000001", "0.01", "0.05", "1"]),
    step=st.sampled_from(["0.00001", "0.0001", "0.1", "1"]),
    least=st.sampled_from(["0.0001", "5", "10"]),
    side=st.sampled_from(Side),
)
def test_it_passes_the_filters_and_never_takes(
    ticks: int, spread: int, tick: str, step: str, least: str, side: Side
) -> None:
    rules = replace(
        RULES,
        tick_size=D(tick),
        step_size=D(step),
        min_quantity=D(step),
        min_price=D(tick),
        max_price=None,
        min_notional=D(least),
        bid_multiplier_up=D(5),
        bid_multiplier_down=D("0.2"),
        ask_multiplier_up=D(5),
        ask_multiplier_down=D("0.2"),
    )
    book = BookTop(ticks * D(tick), (ticks + spread) * D(tick))
    order = probe_order(side, book, rules)
    assert rules.failed_filter(order.price, order.quantity) is None
    low, high = rules.percent_bounds(side, book.mid)
    assert low <= order.price <= (high or order.price)
    assert order.price < book.ask if side is Side.BUY else order.price > book.bid
