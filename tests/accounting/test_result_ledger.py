"""Result ledger: growth, drawdown, days and transfers, in whatever order the exchange tells them."""

from decimal import Decimal

import pytest

from trailingedge.accounting.performance import measure
from trailingedge.accounting.result_ledger import ResultLedger
from trailingedge.model.market import Side

D = Decimal
MIDNIGHT_MS = 1_782_950_400_000
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


def begun(base: str = "0", quote: str = "2000") -> ResultLedger:
    ledger = ResultLedger("ETH", "FDUSD")
    ledger.mark_to_market(MIDNIGHT_MS, D(2000), D(base), D(quote))
    return ledger


def test_the_result_is_growth_beside_that_of_holding() -> None:
    ledger = begun("1", "0")
    ledger.on_fill(Side.SELL, D(1), D(2080), D(0), None, MIDNIGHT_MS + 1)
    ledger.mark_to_market(MIDNIGHT_MS + MINUTE_MS, D(1900), D(0), D(2080))
    found = measure(ledger.results())
    assert found.result == D(80)
    assert found.result_frac == pytest.approx(0.04)
    assert [found.hold_base_frac, found.hold_half_frac] == pytest.approx([-0.05, -0.025])


def test_an_account_with_nothing_has_no_growth() -> None:
    found = measure(begun("0", "0").results())
    assert (found.result_frac, found.max_drawdown_frac) == (0.0, 0.0)


def test_the_drawdown_is_the_deepest_and_the_longest_lasts_until_the_peak_is_reached_again() -> None:
    ledger = begun("1", "0")
    for minute, bid in enumerate((2100, 2000, 2100, 1890, 2000), 1):
        ledger.mark_to_market(MIDNIGHT_MS + minute * MINUTE_MS, D(bid), D(1), D(0))
    found = measure(ledger.results())
    assert found.max_drawdown_frac == pytest.approx(0.1)
    assert (found.max_drawdown_s, found.under_water_s) == (120.0, 240.0)
    assert found.under_water_frac == pytest.approx(240 / 300)
    assert found.exposure_frac == 1.0


# Transfers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["event first", "balance first", "event a minute late"])
@pytest.mark.parametrize("amount", ["3000", "-1500"])
def test_a_transfer_in_the_middle_is_no_result_however_it_becomes_known(order: str, amount: str) -> None:
    ledger = begun()
    ledger.mark_to_market(MIDNIGHT_MS + MINUTE_MS, D(2000), D(0), D(2000))
    if order == "event first":
        ledger.on_asset_transfer("FDUSD", D(amount), MIDNIGHT_MS + MINUTE_MS + 1)
        ledger.mark_to_market(MIDNIGHT_MS + 2 * MINUTE_MS, D(2000), D(0), D(2000))
    ledger.mark_to_market(MIDNIGHT_MS + 3 * MINUTE_MS, D(2000), D(0), D(2000) + D(amount))
    if order != "event first":
        ledger.on_asset_transfer("FDUSD", D(amount), MIDNIGHT_MS + 4 * MINUTE_MS)
    ledger.mark_to_market(MIDNIGHT_MS + 5 * MINUTE_MS, D(2000), D(0), D(2000) + D(amount))
    found = measure(ledger.results())
    assert (found.result_frac, found.max_drawdown_frac) == (0.0, 0.0)
    assert (found.transferred, found.result) == (D(amount), D(0))
    (transfer,) = ledger.results().transfers
    assert transfer.kind == ("deposit" if D(amount) > 0 else "withdrawal")


def grown(deposit: str) -> tuple[float, float, tuple[float, ...]]:
    """A purchase, a rise of a tenth and a sale; before it, so much quote came in. Return, drawdown and days."""
    ledger = begun()
    quote = D(2000)
    if D(deposit):
        quote += D(deposit)
        ledger.on_asset_transfer("FDUSD", D(deposit), MIDNIGHT_MS + HOUR_MS)
    ledger.mark_to_market(MIDNIGHT_MS + HOUR_MS, D(2000), D(0), quote)
    ledger.on_fill(Side.BUY, quote / 2000, quote, D(0), None, MIDNIGHT_MS + 2 * HOUR_MS)
    ledger.mark_to_market(MIDNIGHT_MS + 2 * HOUR_MS, D(1900), quote / 2000, D(0))
    ledger.mark_to_market(MIDNIGHT_MS + DAY_MS, D(2200), quote / 2000, D(0))
    ledger.on_fill(Side.SELL, quote / 2000, quote / 2000 * 2200, D(0), None, MIDNIGHT_MS + DAY_MS + 1)
    ledger.mark_to_market(MIDNIGHT_MS + DAY_MS + HOUR_MS, D(2100), D(0), quote / 2000 * 2200)
    results = ledger.results()
    found = measure(results)
    return found.result_frac, found.max_drawdown_frac, tuple(day.result_frac for day in results.days())


def test_a_deposit_in_the_middle_changes_no_return() -> None:
    plain, funded = grown("0"), grown("3000")
    assert funded[:2] == pytest.approx(plain[:2])
    assert funded[2] == pytest.approx(plain[2])
    assert plain[0] == pytest.approx(0.1)


def test_a_foreign_fill_is_no_result() -> None:
    ledger = begun()
    ledger.on_foreign_fill(D("0.5"), D(-1100), D(1), "FDUSD", MIDNIGHT_MS + 1)
    ledger.mark_to_market(MIDNIGHT_MS + MINUTE_MS, D(2000), D("0.5"), D(899))
    assert measure(ledger.results()).result_frac == 0.0
    (transfer,) = ledger.results().transfers
    assert (transfer.amounts, transfer.value) == ({"ETH": D("0.5"), "FDUSD": D(-1101)}, D(-101))


def test_an_account_that_was_emptied_and_filled_again_keeps_its_growth() -> None:
    ledger = begun()
    ledger.on_fill(Side.BUY, D(1), D(2000), D(0), None, MIDNIGHT_MS + 1)
    ledger.mark_to_market(MIDNIGHT_MS + MINUTE_MS, D(2200), D(1), D(0))
    ledger.mark_to_market(MIDNIGHT_MS + 2 * MINUTE_MS, D(2200), D(0), D(0))
    ledger.mark_to_market(MIDNIGHT_MS + 3 * MINUTE_MS, D(2200), D(0), D(500))
    assert measure(ledger.results()).result_frac == pytest.approx(0.1)


def test_an_asset_outside_of_the_pair_is_listed_without_a_value() -> None:
    ledger = begun()
    ledger.on_asset_transfer("BNB", D(1), MIDNIGHT_MS + 1)
    assert ledger.results().transfers[0].value is None


# Spans ---------------------------------------------------------------------------------------


def test_days_weeks_and_months_multiply_to_the_whole_and_an_empty_stretch_is_one_entry() -> None:
    ledger = begun("1", "0")
    bid = 2000
    for day in (0, 1, 2, 9, 10, 40, 41):
        bid += 13 - day
        ledger.mark_to_market(MIDNIGHT_MS + day * DAY_MS + HOUR_MS, D(bid), D(1), D(0))
    results = ledger.results()
    for spans in (results.days(), results.weeks(), results.months()):
        product = 1.0
        for span in spans:
            product *= 1.0 + span.result_frac
        assert product == pytest.approx(1.0 + results.whole.result_frac)
    empty = [(span.from_ms - MIDNIGHT_MS) // DAY_MS for span in results.days() if not span.has_market]
    assert empty == [3, 11]
    assert len(results.months()) == 2
    assert [(week.from_ms // DAY_MS + 3) % 7 for week in results.weeks()[1:]] == [0] * (len(results.weeks()) - 1)
