"""The rate budget: requotes are spread over the window and never use the reserve."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.model.market import RateLimit

START_MS = 1_783_000_000_000  # a boundary of ten seconds, of a minute and more
TEN_SECONDS = RateLimit("ORDERS", 10, 100)


def budget(*limits: RateLimit, reserve: float = 0.2) -> OrderRateBudget:
    learned = OrderRateBudget(reserve)
    learned.update_limits(limits, START_MS)
    return learned


def test_without_a_known_limit_every_move_is_allowed() -> None:
    assert OrderRateBudget(0.2).may_requote(START_MS)


def test_limits_of_other_kinds_do_not_count() -> None:
    assert budget(RateLimit("REQUEST_WEIGHT", 60, 1, count=6000)).may_requote(START_MS)


def test_the_first_half_of_a_window_is_spent_freely() -> None:
    spent = budget(TEN_SECONDS)
    for _ in range(40):
        assert spent.next_requote_ms(START_MS) == START_MS
        spent.spend(START_MS)
    assert not spent.may_requote(START_MS)


def test_what_is_left_of_a_window_is_spread_evenly_over_what_is_left_of_it() -> None:
    spent = budget(RateLimit("ORDERS", 10, 100, count=76), reserve=0.2)
    moves = []
    now_ms = START_MS
    while now_ms < START_MS + 10_000:
        now_ms = spent.next_requote_ms(now_ms)
        moves.append(now_ms - START_MS)
        spent.spend(now_ms)
    assert moves == [2000, 4000, 6000, 8000, 10_000]


def test_the_reserve_is_never_spent_by_moves() -> None:
    spent = budget(RateLimit("ORDERS", 10, 100, count=80), reserve=0.2)
    assert spent.next_requote_ms(START_MS + 1) == START_MS + 10_000
    assert spent.may_requote(START_MS + 10_000)


def test_the_time_told_is_the_earliest_at_which_a_move_is_allowed() -> None:
    spent = budget(RateLimit("ORDERS", 10, 100, count=70))
    told_ms = spent.next_requote_ms(START_MS)
    assert not spent.may_requote(told_ms - 1)
    assert spent.may_requote(told_ms)


def test_a_count_told_by_the_exchange_replaces_our_own() -> None:
    spent = budget(TEN_SECONDS)
    for _ in range(80):
        spent.spend(START_MS)
    spent.update_limits([RateLimit("ORDERS", 10, 100, count=3)], START_MS)  # fills give counts back
    assert spent.may_requote(START_MS)


def test_a_limit_told_without_a_count_leaves_the_count_alone() -> None:
    spent = budget(RateLimit("ORDERS", 10, 100, count=80))
    spent.update_limits([TEN_SECONDS], START_MS)
    assert not spent.may_requote(START_MS)


def test_a_limit_that_was_lowered_counts_at_once() -> None:
    spent = budget(RateLimit("ORDERS", 10, 100, count=30))
    spent.update_limits([RateLimit("ORDERS", 10, 30)], START_MS)
    assert not spent.may_requote(START_MS)


def test_the_tightest_of_several_windows_decides() -> None:
    spent = budget(TEN_SECONDS, RateLimit("ORDERS", 86_400, 200_000, count=160_000))
    assert spent.next_requote_ms(START_MS) % 86_400_000 == 0


def test_a_clock_set_back_opens_no_new_window() -> None:
    spent = budget(RateLimit("ORDERS", 10, 100, count=80))
    assert not spent.may_requote(START_MS - 5)
    assert not spent.may_requote(START_MS)


@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=300),
    st.integers(5, 120),
    st.sampled_from([0.0, 0.1, 0.2, 0.5]),
)
def test_moves_never_use_more_of_a_window_than_is_not_reserved(
    pauses_ms: list[int], limit: int, reserve: float
) -> None:
    spent = budget(RateLimit("ORDERS", 10, limit), reserve=reserve)
    used: dict[int, int] = {}
    now_ms = START_MS
    for pause_ms in pauses_ms:
        now_ms += pause_ms
        if spent.may_requote(now_ms):
            spent.spend(now_ms)
            used[now_ms // 10_000] = used.get(now_ms // 10_000, 0) + 1
    assert max(used.values(), default=0) <= limit * (1 - reserve)


@given(st.integers(0, 9999), st.integers(0, 79))
def test_there_is_always_a_time_to_move_before_the_window_after_this_ends(offset_ms: int, count: int) -> None:
    spent = budget(RateLimit("ORDERS", 10, 100, count=count))
    told_ms = spent.next_requote_ms(START_MS + offset_ms)
    assert START_MS + offset_ms <= told_ms <= START_MS + 10_000
    assert spent.may_requote(told_ms)


def test_without_reserve_the_whole_window_may_be_used() -> None:
    spent = budget(RateLimit("ORDERS", 10, 2), reserve=0.0)
    spent.spend(START_MS)
    assert spent.next_requote_ms(START_MS) == START_MS + 5000
    spent.spend(START_MS + 5000)
    assert spent.next_requote_ms(START_MS + 5000) == START_MS + 10_000


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_tiny_limit_still_lets_the_next_window_move(limit: int) -> None:
    spent = budget(RateLimit("ORDERS", 10, limit), reserve=0.2)
    for _ in range(limit):
        spent.spend(START_MS)
    assert spent.next_requote_ms(START_MS) == START_MS + 10_000
