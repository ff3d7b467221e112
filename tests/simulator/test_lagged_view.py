"""Lagged views: queries see the account exactly as it was at that time."""

from decimal import Decimal

from tests.simulator.exchange_builders import an_exchange, buy, sell, tick

from trailingedge.core.clock import ManualClock
from trailingedge.model.market import OrderStatus
from trailingedge.simulator.orders import CancelOrder


async def test_a_lagged_view_stays_as_it_was_while_the_account_changes() -> None:
    clock = ManualClock()
    exchange = an_exchange(clock=clock)
    account, started_ms = exchange.account(), clock.unix_ms()
    await clock.advance(1)
    order, _ = exchange.order_entry.place(account, sell(client_order_id="one"))
    placed_ms = clock.unix_ms()
    await clock.advance(1)
    exchange.on_tick(tick("100.20", "100.30", at_s=2))
    filled_ms = clock.unix_ms()
    await clock.advance(1)
    exchange.order_entry.place(account, buy(client_order_id="two"))

    at_first = account.as_of(started_ms)
    assert (dict(at_first.orders), at_first.open_orders(), list(at_first.trades)) == ({}, [], [])
    assert at_first.find_newest_order("one") is None

    then = account.as_of(placed_ms)
    assert [each.status for each in then.open_orders()] == [OrderStatus.NEW]
    assert then.orders[order.order_id].filled == 0
    assert then.find_newest_order("one") == then.orders[order.order_id] != order
    assert list(then.trades) == []
    assert [(each.free, each.locked) for each in then.balances()] == [
        (Decimal(9), Decimal(1)),
        (Decimal(1000), Decimal(0)),
    ]

    later = account.as_of(filled_ms)
    assert later.open_orders() == []
    assert later.orders[order.order_id] is order
    assert len(later.trades) == 1
    assert later.find_newest_order("two") is None

    assert account.as_of(clock.unix_ms()) is account


async def test_a_deposit_makes_a_version_too() -> None:
    clock = ManualClock()
    exchange = an_exchange(clock=clock)
    account = exchange.account()
    await clock.advance(1)
    exchange.manual_trader().deposit("ETH", Decimal(5))
    assert account.as_of(clock.unix_ms() - 1).balances()[0].free == 10
    assert account.balances()[0].free == 15


async def test_only_the_versions_of_the_latest_seconds_are_kept() -> None:
    clock = ManualClock()
    exchange = an_exchange(clock=clock)
    account, started_ms = exchange.account(), clock.unix_ms()
    for _ in range(40):
        await clock.advance(1)
        order, _ = exchange.order_entry.place(account, sell())
        exchange.order_entry.cancel(account, CancelOrder(order_id=order.order_id))
    assert len(account.as_of(started_ms).orders) > 10  # the oldest version kept is newer than that
    assert len(account.as_of(clock.unix_ms() - 2000).orders) == 38
