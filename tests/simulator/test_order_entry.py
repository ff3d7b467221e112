"""Cancel-replace, outcome by outcome, and the invariants under random actions."""

import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulator.exchange_builders import an_exchange, buy, sell, take_user_events, tick

from trailingedge.core.clock import ManualClock
from trailingedge.model.market import OrderStatus, Side
from trailingedge.simulator.errors import ExchangeError
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.order_entry import CancelReplaceRequest, RateLimitExceededMode, ReplaceMode
from trailingedge.simulator.orders import CancelOrder, NewOrder, OrderType, TimeInForce

STOP, ALLOW = ReplaceMode.STOP_ON_FAILURE, ReplaceMode.ALLOW_FAILURE
POSITION = ("outboundAccountPosition", "")
GOOD_CANCEL, BAD_CANCEL = CancelOrder(order_id=1001), CancelOrder(order_id=999)
GOOD_ORDER, BAD_ORDER = sell("100.20", client_order_id="mm-1"), sell("99.00", client_order_id="mm-1")


def an_exchange_with_an_order(**spec: Any) -> Exchange:
    exchange = an_exchange(**spec)
    exchange.order_entry.place(exchange.account(), sell("100.10", client_order_id="mm-1"))
    exchange.take_events()
    return exchange


def half(result: object) -> str:
    """The outcome of one half of a cancel-replace, as a word."""
    if isinstance(result, ExchangeError):
        return f"{result.code}"
    return "not tried" if result is None else "done"


@pytest.mark.parametrize(
    ("mode", "cancel", "new_order", "halves", "error"),
    [
        pytest.param(STOP, GOOD_CANCEL, GOOD_ORDER, ("done", "done"), None, id="stop: both succeed"),
        pytest.param(STOP, BAD_CANCEL, GOOD_ORDER, ("-2011", "not tried"), (400, -2022), id="stop: cancel fails"),
        pytest.param(STOP, GOOD_CANCEL, BAD_ORDER, ("done", "-2010"), (409, -2021), id="stop: order fails"),
        pytest.param(STOP, BAD_CANCEL, BAD_ORDER, ("-2011", "not tried"), (400, -2022), id="stop: both would fail"),
        pytest.param(ALLOW, GOOD_CANCEL, GOOD_ORDER, ("done", "done"), None, id="allow: both succeed"),
        pytest.param(
            ALLOW,
            BAD_CANCEL,
            sell("100.20", client_order_id="b"),
            ("-2011", "done"),
            (409, -2021),
            id="allow: cancel fails",
        ),
        pytest.param(ALLOW, GOOD_CANCEL, BAD_ORDER, ("done", "-2010"), (409, -2021), id="allow: order fails"),
        pytest.param(ALLOW, BAD_CANCEL, BAD_ORDER, ("-2011", "-2010"), (400, -2022), id="allow: both fail"),
    ],
)
def test_a_cancel_replace_within_the_limits(
    mode: ReplaceMode, cancel: CancelOrder, new_order: NewOrder, halves: tuple[str, str], error: tuple[int, int] | None
) -> None:
    exchange = an_exchange_with_an_order()
    outcome = exchange.order_entry.replace(exchange.account(), CancelReplaceRequest(cancel, new_order, mode))
    assert (half(outcome.cancel), half(outcome.place)) == halves
    assert (outcome.error[:2] if outcome.error else None) == error
    counted = exchange.account().order_counts.limits(exchange.clock.unix_ms())
    assert counted[0].count == 2  # one for the order, one for the replace, which failed


@pytest.mark.parametrize(
    ("mode", "cancel", "halves", "error"),
    [
        pytest.param(STOP, GOOD_CANCEL, ("done", "-1015"), (409, -2021), id="stop: cancel succeeds"),
        pytest.param(STOP, BAD_CANCEL, ("-2011", "not tried"), (429, -2022), id="stop: cancel fails"),
        pytest.param(ALLOW, GOOD_CANCEL, ("done", "-1015"), (409, -2021), id="allow: cancel succeeds"),
        pytest.param(ALLOW, BAD_CANCEL, ("-2011", "-1015"), (400, -2022), id="allow: cancel fails"),
    ],
)
def test_a_cancel_replace_beyond_the_limit_under_cancel_only(
    mode: ReplaceMode, cancel: CancelOrder, halves: tuple[str, str], error: tuple[int, int]
) -> None:
    exchange = an_exchange_with_an_order(orders_per_10_s=1)
    outcome = exchange.order_entry.replace(
        exchange.account(), CancelReplaceRequest(cancel, GOOD_ORDER, mode, RateLimitExceededMode.CANCEL_ONLY)
    )
    assert (half(outcome.cancel), half(outcome.place)) == halves
    assert outcome.error is not None
    assert outcome.error[:2] == error


@pytest.mark.parametrize("mode", [STOP, ALLOW])
def test_a_cancel_replace_beyond_the_limit_does_nothing_by_default(mode: ReplaceMode) -> None:
    exchange = an_exchange_with_an_order(orders_per_10_s=1)
    with pytest.raises(ExchangeError) as refusal:
        exchange.order_entry.replace(exchange.account(), CancelReplaceRequest(GOOD_CANCEL, GOOD_ORDER, mode))
    assert (refusal.value.status, refusal.value.code) == (429, -1015)
    assert set(refusal.value.data or {}) == {"serverTime", "retryAfter"}  # and nothing of two halves
    assert take_user_events(exchange) == []


@pytest.mark.parametrize(
    ("new_order", "spec", "code", "text"),
    [
        pytest.param(sell("100.001"), {}, -1013, "Filter failure: PRICE_FILTER", id="a filter"),
        pytest.param(GOOD_ORDER, {"max_open_orders": 1}, -2010, "Filter failure: MAX_NUM_ORDERS", id="count of orders"),
    ],
)
def test_a_failed_check_before_either_half_leaves_the_old_order_alone(
    new_order: NewOrder, spec: dict[str, int], code: int, text: str
) -> None:
    exchange = an_exchange_with_an_order(**spec)
    with pytest.raises(ExchangeError) as refusal:
        exchange.order_entry.replace(exchange.account(), CancelReplaceRequest(GOOD_CANCEL, new_order, STOP))
    assert (refusal.value.code, refusal.value.text, refusal.value.data) == (code, text, None)
    assert [order.order_id for order in exchange.account().open_orders()] == [1001]


@pytest.mark.parametrize(
    ("new_order", "events"),
    [
        pytest.param(GOOD_ORDER, [("CANCELED", "CANCELED"), ("NEW", "NEW"), POSITION], id="both succeed"),
        pytest.param(
            BAD_ORDER, [("CANCELED", "CANCELED"), ("REJECTED", "REJECTED"), POSITION], id="the order is rejected"
        ),
    ],
)
def test_a_cancel_replace_publishes_reports_and_then_the_balances(
    new_order: NewOrder, events: list[tuple[str, str]]
) -> None:
    exchange = an_exchange_with_an_order()
    exchange.order_entry.replace(exchange.account(), CancelReplaceRequest(GOOD_CANCEL, new_order, STOP))
    assert take_user_events(exchange) == events


def test_the_cancelled_orders_funds_are_free_for_the_new_one() -> None:
    exchange = an_exchange(base="1")
    exchange.order_entry.place(exchange.account(), sell("100.10", "1"))
    outcome = exchange.order_entry.replace(
        exchange.account(), CancelReplaceRequest(GOOD_CANCEL, sell("100.20", "1"), STOP)
    )
    assert outcome.error is None


def test_a_filter_failure_counts_no_order_but_a_rejection_by_the_engine_does() -> None:
    exchange = an_exchange()
    for price in ("100.001", "99.00"):
        with pytest.raises(ExchangeError):
            exchange.order_entry.place(exchange.account(), sell(price))
    assert exchange.account().order_counts.limits(exchange.clock.unix_ms())[0].count == 1


def test_the_audit_log_separates_would_match_from_filters() -> None:
    exchange = an_exchange_with_an_order()
    exchange.order_entry.replace(exchange.account(), CancelReplaceRequest(GOOD_CANCEL, BAD_ORDER, STOP))
    with pytest.raises(ExchangeError) as refusal:
        exchange.order_entry.check_order(sell("100.001"))
    exchange.record_error("owner", refusal.value)
    assert (exchange.audit_log.would_take_rejections, exchange.audit_log.filter_failures) == (1, 1)


def scramble(exchange: Exchange, chance: random.Random, steps: int) -> None:
    """Random actions of two accounts and of the owner by hand, while the market moves."""
    accounts = [exchange.account(), exchange.account("other")]
    at_s, price = 1.0, 10_000
    for _ in range(steps):
        account = chance.choice(accounts)
        side = chance.choice([Side.BUY, Side.SELL])
        ticks = Decimal(price + chance.randint(-30, 30)) / 100
        quantity = Decimal(chance.randint(1, 30_000)) / 10_000
        new_order = NewOrder(
            side,
            chance.choice([OrderType.LIMIT, OrderType.LIMIT_MAKER, OrderType.LIMIT_MAKER]),
            quantity,
            ticks,
            client_order_id=chance.choice([None, "a", "b"]),
        )
        if new_order.type is OrderType.LIMIT:
            new_order = NewOrder(side, new_order.type, quantity, ticks, chance.choice(list(TimeInForce)))
        target = CancelOrder(order_id=1000 + chance.randint(1, 60))
        try:
            match chance.randint(0, 6):
                case 0 | 1 | 2:
                    exchange.order_entry.place(account, new_order)
                case 3:
                    exchange.order_entry.cancel(account, target)
                case 4:
                    exchange.order_entry.replace(
                        account, CancelReplaceRequest(target, new_order, chance.choice([STOP, ALLOW]))
                    )
                case 5:
                    market = NewOrder(side, OrderType.MARKET, quantity)
                    exchange.order_entry.place(account, market)
                case _:
                    price += chance.randint(-40, 40)
                    at_s += chance.random() * 20
                    bid, ask = Decimal(price) / 100, Decimal(price + chance.randint(1, 9)) / 100
                    aggressor = chance.choice([None, Side.BUY, Side.SELL])
                    traded = str(Decimal(chance.randint(1, 50_000)) / 10_000) if aggressor else "0"
                    last = str(chance.choice([bid, ask]))
                    exchange.on_tick(tick(str(bid), str(ask), at_s=at_s, last=last, traded=traded, aggressor=aggressor))
        except ExchangeError as refusal:
            exchange.record_error(account.name, refusal)


def a_scrambled_exchange(seed: int, steps: int = 150) -> Exchange:
    exchange = an_exchange(clock=ManualClock(), maker_fee=Decimal("0.0007"))
    exchange.open_account("other", {"ETH": Decimal(5), "FDUSD": Decimal(500)})
    scramble(exchange, random.Random(seed), steps)
    return exchange


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_whatever_happens_no_asset_is_lost_and_every_fill_is_within_its_order_and_its_limit(seed: int) -> None:
    exchange = a_scrambled_exchange(seed)
    assert_no_asset_was_created_or_lost(exchange)
    assert_every_fill_is_within_its_order_and_its_limit(exchange)


def assert_no_asset_was_created_or_lost(exchange: Exchange) -> None:
    treasury = exchange.engine.accounts
    assert (treasury.total("ETH"), treasury.total("FDUSD")) == (Decimal(15), Decimal(1500))
    for account in treasury:
        locked = {"ETH": Decimal(0), "FDUSD": Decimal(0)}
        for order in account.open_orders():
            locked["FDUSD" if order.side is Side.BUY else "ETH"] += order.locked
        for asset, amount in locked.items():
            assert account.balance(asset).locked == amount
            assert account.balance(asset).free >= 0


def assert_every_fill_is_within_its_order_and_its_limit(exchange: Exchange) -> None:
    for account in exchange.engine.accounts:
        for order in account.orders.values():
            trades = [trade for trade in account.trades if trade.order_id == order.order_id]
            assert sum(trade.quantity for trade in trades) == order.filled <= order.quantity
            used_up = order.status in {OrderStatus.FILLED, OrderStatus.EXPIRED_IN_MATCH}
            assert used_up == (order.remaining == 0)
            for trade in trades:
                if order.request.type is OrderType.LIMIT_MAKER:
                    assert trade.is_maker
                    assert trade.price == order.price
                elif order.request.type is OrderType.LIMIT:
                    assert trade.price <= order.price if order.side is Side.BUY else trade.price >= order.price


@pytest.mark.parametrize("seed", range(5))
def test_the_same_seed_leaves_the_same_audit_log(seed: int) -> None:
    first, second = a_scrambled_exchange(seed), a_scrambled_exchange(seed)
    assert first.audit_log.digest == second.audit_log.digest
    assert first.take_events() == second.take_events()
    assert a_scrambled_exchange(seed + 100).audit_log.digest != first.audit_log.digest


def test_a_bought_unit_can_be_sold_again() -> None:
    exchange = an_exchange(base="0", quote="100")
    exchange.order_entry.place(exchange.account(), buy("100.00", "1"))
    exchange.on_tick(tick("99.80", "99.90", at_s=1))
    exchange.order_entry.place(exchange.account(), sell("99.90", "1"))
    exchange.on_tick(tick("100.00", "100.10", at_s=2))
    assert exchange.account().balance("FDUSD").free == Decimal("99.90")
