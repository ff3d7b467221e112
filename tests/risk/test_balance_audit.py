"""The balance audit: fills and commissions explain balances; anything else is published once."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.execution.order_builders import NUMBER, D
from tests.reconciliation.fill_builders import fill_report, trade

from trailingedge.model.market import AccountTrade, Balance, Side
from trailingedge.risk.balance_audit import BalanceAudit, BalanceMoved

SELL, BUY = Side.SELL, Side.BUY


def account(base: str | Decimal, quote: str | Decimal, locked: str = "0") -> dict[str, Balance]:
    return {"ETH": Balance("ETH", D(base) - D(locked), D(locked)), "FDUSD": Balance("FDUSD", D(quote))}


def audit(base: str = "1", quote: str = "100") -> BalanceAudit:
    """One that has seen the account once."""
    begun = BalanceAudit("ETH", "FDUSD", grace_s=2.0)
    assert begun.compare(account(base, quote), 0.0, balances_current=True) == ()
    return begun


def lasting(audited: BalanceAudit, balances: dict[str, Balance]) -> tuple[BalanceMoved, ...]:
    """What is found when the balances stay like this."""
    assert audited.compare(balances, 10.0, balances_current=True) == ()
    return audited.compare(balances, 12.0, balances_current=True)


@pytest.mark.parametrize(
    ("fill", "base", "quote"),
    [
        pytest.param(trade(1, SELL, "0.5", "100", "0.05"), "0.5", "149.95", id="sold, fee in quote"),
        pytest.param(trade(1, BUY, "0.5", "100", "0.0005", "ETH"), "1.4995", "50", id="bought, fee in base"),
        pytest.param(trade(1, BUY, "0.5", "100", "0.0001", "BNB"), "1.5", "50", id="fee in a third asset"),
    ],
)
def test_fills_and_commissions_explain_a_change(fill: AccountTrade, base: str, quote: str) -> None:
    audited = audit()
    audited.on_report(fill_report(fill, NUMBER))
    audited.on_trade(fill)  # told twice, it counts once
    assert lasting(audited, account(base, quote)) == ()


def test_a_change_that_nothing_explains_is_told_once() -> None:
    audited = audit()
    moved = lasting(audited, account("1", "60"))
    assert moved == (BalanceMoved("FDUSD", D(100), D(60)),)
    assert lasting(audited, account("1", "60")) == ()


def test_a_fill_that_the_balances_never_show_is_told() -> None:
    audited, same = audit(), account("1", "100")
    assert lasting(audited, same) == ()
    audited.on_trade(trade(1, SELL, "0.5", "100"))
    assert [moved.asset for moved in lasting(audited, same)] == ["ETH", "FDUSD"]


def test_locking_moves_nothing() -> None:
    assert lasting(audit(), account("1", "100", locked="0.7")) == ()


def test_the_balance_may_come_before_the_fill_that_explains_it() -> None:
    audited = audit()
    after = account("0.5", "150")
    assert audited.compare(after, 10.0, balances_current=True) == ()
    assert audited.compare(after, 11.9, balances_current=True) == ()
    audited.on_report(fill_report(trade(1, SELL, "0.5", "100"), NUMBER))
    assert audited.compare(after, 12.1, balances_current=True) == ()


def test_each_difference_has_its_own_grace() -> None:
    audited = audit()
    audited.compare(account("1", "60"), 10.0, balances_current=True)
    audited.compare(account("1", "100"), 11.0, balances_current=True)
    assert audited.compare(account("1", "60"), 12.5, balances_current=True) == ()


def test_unsettled_balances_are_not_looked_at() -> None:
    audited = audit()
    assert audited.compare(account("1", "60"), 10.0, balances_current=True) == ()
    assert audited.compare(account("1", "60"), 12.0, balances_current=False) == ()
    assert audited.compare(account("1", "60"), 13.0, balances_current=True) == ()
    assert audited.compare(account("1", "60"), 15.0, balances_current=True) != ()


def test_a_deposit_explains_itself() -> None:
    audited = audit()
    audited.on_transfer("FDUSD", D(40))
    audited.on_transfer("BNB", D(1))
    assert lasting(audited, account("1", "140")) == ()


def test_a_lock_of_another_product_is_accepted_with_any_total() -> None:
    audited = audit()
    audited.accept_change("FDUSD")
    assert lasting(audited, account("1", "60")) == ()
    assert lasting(audited, account("1", "100")) != ()


def test_an_asset_that_was_never_told_of_is_not_missed() -> None:
    assert BalanceAudit("ETH", "FDUSD").compare({}, 0.0, balances_current=True) == ()


amounts = st.integers(1, 10_000).map(lambda n: str(Decimal(n) / 1000))
fills = st.lists(st.tuples(st.sampled_from([BUY, SELL]), amounts, amounts, st.sampled_from(["ETH", "FDUSD", "BNB"])))


@given(drawn=fills)
def test_any_trade_is_predicted_to_the_last_digit(drawn: list[tuple[Side, str, str, str]]) -> None:
    audited = audit("1000", "100000")
    base, quote = D(1000), D(100_000)
    for index, (side, quantity, price, fee_asset) in enumerate(drawn):
        fill = trade(index, side, quantity, price, "0.001", fee_asset)
        audited.on_report(fill_report(fill, NUMBER))
        sign = 1 if side is BUY else -1
        base += sign * fill.quantity - (fill.commission if fee_asset == "ETH" else 0)
        quote -= sign * fill.quote_quantity + (fill.commission if fee_asset == "FDUSD" else 0)
    assert lasting(audited, account(base, quote)) == ()
