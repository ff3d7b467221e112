from decimal import Decimal
from functools import partial

import pytest
from tests.simulator.exchange_builders import buy, sell

from trailingedge.model.market import Balance, OrderStatus
from trailingedge.simulator import accounts
from trailingedge.simulator.accounts import AccountRegistry, SimAccount
from trailingedge.simulator.errors import ExchangeError
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.orders import NewOrder, SimOrder


def account(**balances: str) -> SimAccount:
    return AccountRegistry(ExchangeSpec()).open_account(
        "owner", {asset: Decimal(amount) for asset, amount in balances.items()}
    )


def order(request: NewOrder, number: int = 1) -> SimOrder:
    price, quantity = request.price or Decimal(0), request.quantity or Decimal(0)
    return SimOrder(number, request.client_order_id or f"id-{number}", "owner", request, price, quantity, created_ms=0)


def test_locked_funds_are_not_free_until_released() -> None:
    owner = account(ETH="3")
    owner.lock_funds("ETH", Decimal(2))
    assert owner.balance("ETH") == Balance("ETH", Decimal(1), Decimal(2))
    owner.release_locked("ETH", Decimal(2))
    assert owner.balance("ETH") == Balance("ETH", Decimal(3), Decimal(0))


def test_more_than_there_is_cannot_be_locked_or_withdrawn() -> None:
    owner = account(ETH="3")
    for overdraw in (partial(owner.lock_funds, "ETH", Decimal("3.1")), partial(owner.credit, "ETH", Decimal("-3.1"))):
        with pytest.raises(ExchangeError) as refusal:
            overdraw()
        assert refusal.value.code == -2010
        assert refusal.value.text == "Account has insufficient balance for requested action."
    assert owner.balance("ETH").free == Decimal(3)


def test_a_fill_of_a_sell_brings_quote_less_the_commission() -> None:
    treasury = AccountRegistry(ExchangeSpec())
    owner = treasury.open_account("owner", {"ETH": Decimal(1)})
    owner.lock_funds("ETH", Decimal(1))
    commission, asset = treasury.settle_fill(order(sell("100.10")), Decimal("100.10"), Decimal(1), Decimal("0.001"))
    assert (commission, asset) == (Decimal("0.10010000"), "FDUSD")
    assert owner.balance("ETH").total == 0
    assert owner.balance("FDUSD").free == Decimal("99.9999")


def test_a_buy_filled_below_its_limit_gets_the_difference_back() -> None:
    treasury = AccountRegistry(ExchangeSpec())
    owner = treasury.open_account("owner", {"FDUSD": Decimal(101)})
    owner.lock_funds("FDUSD", Decimal(101))
    treasury.settle_fill(order(buy("101.00")), Decimal("100.50"), Decimal(1), Decimal(0))
    assert owner.balance("FDUSD") == Balance("FDUSD", Decimal("0.50"), Decimal(0))
    assert owner.balance("ETH").free == Decimal(1)


def test_commission_is_rounded_half_up_to_eight_decimals() -> None:
    treasury = AccountRegistry(ExchangeSpec())
    owner = treasury.open_account("owner", {"ETH": Decimal(1)})
    owner.lock_funds("ETH", Decimal(1))
    commission, _ = treasury.settle_fill(order(sell()), Decimal("40.229875"), Decimal(1), Decimal("0.001"))
    assert commission == Decimal("0.04022988")


def test_a_fill_conserves_every_asset() -> None:
    treasury = AccountRegistry(ExchangeSpec())
    owner = treasury.open_account("owner", {"ETH": Decimal(1), "FDUSD": Decimal(7)})
    owner.lock_funds("ETH", Decimal(1))
    treasury.settle_fill(order(sell()), Decimal("100.13"), Decimal("0.3337"), Decimal("0.00123"))
    assert (treasury.total("ETH"), treasury.total("FDUSD")) == (Decimal(1), Decimal(7))


def test_a_client_order_id_finds_the_open_order_else_the_newest() -> None:
    owner = account()
    first, second = order(sell(client_order_id="a"), 1), order(sell(client_order_id="a"), 2)
    for each in (first, second):
        owner.add_order(each)
    second.status = OrderStatus.CANCELED
    owner.close_order(second)
    assert owner.find_newest_order("a") is first
    owner.close_order(first)
    assert owner.find_newest_order("a") is second
    assert owner.find_open_order("a") is None


def test_old_finished_orders_are_forgotten_open_ones_never() -> None:
    owner = account()
    for number in range(accounts.MAX_KEPT_RECORDS + 50):
        each = order(sell(), number)
        owner.add_order(each)
        if number != 3:
            owner.close_order(each)
    assert len(owner.orders) == accounts.MAX_KEPT_RECORDS
    assert 3 in owner.orders
    assert 4 not in owner.orders


def test_two_accounts_cannot_share_a_name() -> None:
    treasury = AccountRegistry(ExchangeSpec())
    treasury.open_account("owner", {})
    with pytest.raises(ValueError, match="owner"):
        treasury.open_account("owner", {})
