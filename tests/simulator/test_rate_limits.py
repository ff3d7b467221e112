import pytest

from trailingedge.core.time_units import DAY_MS
from trailingedge.simulator.errors import ExchangeError
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.rate_limits import OrderCounts, RateWindow, RequestWeightLimiter

NOON_MS = 1_783_000_000_000 - 1_783_000_000_000 % DAY_MS + DAY_MS // 2


def counts(counted: OrderCounts, now_ms: int) -> list[object]:
    return [limit.count for limit in counted.limits(now_ms)]


def test_a_window_restarts_at_its_multiple_not_after_its_length() -> None:
    window = RateWindow(10_000, limit=5)
    window.add(NOON_MS + 9_999, 3)
    assert window.count(NOON_MS + 9_999) == 3
    assert window.count(NOON_MS + 10_000) == 0
    assert window.end_ms(NOON_MS + 9_999) == NOON_MS + 10_000


def test_a_count_never_falls_below_zero() -> None:
    window = RateWindow(10_000, limit=5)
    window.add(NOON_MS, -5)
    assert window.count(NOON_MS) == 0


def test_one_order_too_many_in_ten_seconds_is_rejected_until_the_next_ten() -> None:
    counted = OrderCounts(ExchangeSpec(orders_per_10_s=2))
    counted.add(NOON_MS)
    assert counted.limit_error(NOON_MS) is None
    counted.add(NOON_MS)
    refusal = counted.limit_error(NOON_MS)
    assert refusal is not None
    assert (refusal.code, refusal.status) == (-1015, 429)
    assert refusal.text == "Too many new orders; current limit is 2 orders per 10 SECOND."
    assert refusal.data == {"serverTime": NOON_MS, "retryAfter": NOON_MS + 10_000}
    assert counted.limit_error(NOON_MS + 10_000) is None


def test_the_short_window_stops_rising_once_the_day_is_used_up() -> None:
    counted = OrderCounts(ExchangeSpec(orders_per_day=2))
    for _ in range(4):
        counted.add(NOON_MS)
    assert counts(counted, NOON_MS) == [2, 4]
    refusal = counted.limit_error(NOON_MS)
    assert refusal is not None
    assert refusal.text == "Too many new orders; current limit is 2 orders per 1 DAY."
    assert refusal.data == {"serverTime": NOON_MS, "retryAfter": NOON_MS + DAY_MS // 2}


def test_a_first_fill_lowers_the_windows_that_are_current_when_it_is_due() -> None:
    counted = OrderCounts(ExchangeSpec())
    for _ in range(8):
        counted.add(NOON_MS)
    counted.schedule_refund(NOON_MS + 100, 5)
    assert counts(counted, NOON_MS + 99) == [8, 8]
    assert counts(counted, NOON_MS + 100) == [3, 3]
    counted.add(NOON_MS + 10_000)
    counted.schedule_refund(NOON_MS + 10_100, 5)  # for an order of the window before
    assert counts(counted, NOON_MS + 10_100) == [0, 0]


def test_too_much_weight_is_rejected_with_the_end_of_the_window() -> None:
    weights = RequestWeightLimiter(ExchangeSpec(weight_per_minute=10))
    weights.charge(NOON_MS, 10)
    with pytest.raises(ExchangeError) as refusal:
        weights.charge(NOON_MS + 1, 1)
    assert (refusal.value.status, refusal.value.code) == (429, -1003)
    assert refusal.value.data == {"serverTime": NOON_MS + 1, "retryAfter": NOON_MS + 60_000}
    weights.charge(NOON_MS + 60_000, 1)


def test_a_client_that_ignores_429_is_banned_and_longer_the_next_time() -> None:
    weights = RequestWeightLimiter(ExchangeSpec(weight_per_minute=1))

    def ban_ms(now_ms: int) -> int:
        for _ in range(200):
            try:
                weights.charge(now_ms, 1)
            except ExchangeError as refusal:
                if refusal.status == 418 and refusal.data is not None:
                    return int(str(refusal.data["retryAfter"])) - now_ms
        raise AssertionError("never banned")

    assert ban_ms(NOON_MS) == 120_000
    assert ban_ms(NOON_MS + 120_000) == 240_000


def test_refunded_weight_can_be_charged_again() -> None:
    weights = RequestWeightLimiter(ExchangeSpec(weight_per_minute=1))
    weights.charge(NOON_MS, 1)
    weights.refund(NOON_MS, 1)
    weights.charge(NOON_MS, 1)
    assert weights.rate_limit(NOON_MS).count == 1
