"""Market state: ages, klines and balances from two sources."""

import math

import pytest
from tests.execution.order_builders import D, top

from trailingedge.model.market import Balance, Kline
from trailingedge.model.market_state import MarketState

BOOK = top("100.00", "100.10")


def kline(minute: int, *, closed: bool = True) -> Kline:
    return Kline(minute * 60_000, minute * 60_000 + 59_999, D("1"), D("1"), D("1"), D("1"), closed=closed)


class Woken:
    """Counts how often the main loop would have been woken."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def test_before_the_first_message_the_view_is_empty_and_infinitely_old() -> None:
    view = MarketState(10).view(5.0)
    assert (view.top, view.top_age_s, view.market_ms) == (None, math.inf, 0)
    assert (dict(view.balances), view.closed_klines, view.account_proven) == ({}, (), False)


def test_a_book_ages_until_it_is_received_or_confirmed_again() -> None:
    snapshots = MarketState(10)
    snapshots.on_top(BOOK, 1.0)
    assert (snapshots.view(4.0).top, snapshots.view(4.0).top_age_s) == (BOOK, 3.0)
    snapshots.confirm_top(5.0)
    assert snapshots.view(6.0).top_age_s == 1.0


def test_a_book_of_a_stream_that_is_down_is_stale() -> None:
    snapshots = MarketState(10)
    snapshots.on_top(BOOK, 1.0)
    snapshots.invalidate_top()
    assert (snapshots.view(1.0).top, snapshots.view(1.0).top_age_s) == (BOOK, math.inf)


def test_after_the_history_is_released_a_gap_is_still_recognized() -> None:
    snapshots = MarketState(klines_maxlen=100)
    snapshots.load_klines([kline(1), kline(2), kline(3)])
    snapshots.release_history()
    assert list(snapshots.klines) == [kline(3)]
    snapshots.on_kline(kline(3), 0, 1.0)
    snapshots.on_kline(kline(4), 0, 1.0)
    assert list(snapshots.klines) == [kline(4)]
    assert snapshots.view(1.0).closed_klines == (kline(4),)


def test_a_view_does_not_change_when_the_snapshots_do() -> None:
    snapshots = MarketState(10)
    snapshots.on_balances([Balance("ETH", D("1"))], 100)
    view = snapshots.view(0.0)
    snapshots.on_balances([Balance("ETH", D("2"))], 200)
    assert view.balances["ETH"].free == D("1")
    with pytest.raises(TypeError):
        view.balances["ETH"] = Balance("ETH", D("3"))  # type: ignore[index]


def test_each_closed_kline_is_handed_over_once() -> None:
    snapshots = MarketState(10)
    for minute in (1, 1, 2):
        snapshots.on_kline(kline(minute), 1, 0.0)
    assert snapshots.view(0.0).closed_klines == (kline(1), kline(2))
    assert snapshots.view(0.0).closed_klines == ()
    assert list(snapshots.klines) == [kline(1), kline(2)]


def test_an_older_kline_than_the_newest_is_ignored() -> None:
    snapshots = MarketState(10)
    snapshots.load_klines([kline(1), kline(2)])
    snapshots.on_kline(kline(1), 1, 0.0)
    assert snapshots.view(0.0).closed_klines == ()


def test_a_forming_kline_is_kept_beside_the_closed_ones() -> None:
    snapshots = MarketState(10)
    snapshots.on_kline(kline(3, closed=False), 1, 2.0)
    assert (snapshots.forming, list(snapshots.klines)) == (kline(3, closed=False), [])
    assert snapshots.kline_received_s == 2.0


def test_loaded_history_counts_as_known_and_not_as_fresh() -> None:
    snapshots = MarketState(2)
    snapshots.load_klines([kline(1), kline(2), kline(3)])
    assert list(snapshots.klines) == [kline(2), kline(3)]
    assert snapshots.view(0.0).closed_klines == ()


@pytest.mark.parametrize(
    ("heard", "loaded", "known"),
    [
        pytest.param([4, 5], [1, 2, 3], [1, 2, 3, 4, 5], id="follows"),
        pytest.param([2, 3, 4], [1, 2, 3], [1, 2, 3, 4], id="overlaps"),
        pytest.param([1, 2], [1, 2, 3], [1, 2, 3], id="is known already"),
        pytest.param([5, 6], [1, 2, 3], [1, 2, 3], id="behind a gap"),
        pytest.param([4, 6], [1, 2, 3], [1, 2, 3, 4], id="a gap of its own"),
        pytest.param([4, 5], [], [4, 5], id="no history"),
    ],
)
def test_klines_received_before_the_history_join_it_where_they_follow(
    heard: list[int], loaded: list[int], known: list[int]
) -> None:
    snapshots = MarketState(10)
    for minute in heard:
        snapshots.on_kline(kline(minute), 1, 0.0)
    snapshots.load_klines([kline(minute) for minute in loaded])
    assert list(snapshots.klines) == [kline(minute) for minute in known]
    assert snapshots.view(0.0).closed_klines == ()


def test_balances_are_updated_asset_by_asset_and_never_by_an_older_event() -> None:
    snapshots = MarketState(10)
    snapshots.on_balances([Balance("ETH", D("1")), Balance("FDUSD", D("5"))], 100)
    snapshots.on_balances([Balance("ETH", D("2"))], 200)
    snapshots.on_balances([Balance("ETH", D("9"))], 150)
    view = snapshots.view(0.0)
    assert (view.balances["ETH"].free, view.balances["FDUSD"].free, view.balances_ms) == (D("2"), D("5"), 200)


def test_an_answer_about_balances_accounts_for_all_that_was_settled_before_it_was_asked_for() -> None:
    snapshots = MarketState(10)
    snapshots.on_balances([Balance("ETH", D("1"))], 100)
    snapshots.on_queried_balances([Balance("ETH", D("2"))], 90, pushes_before=snapshots.balance_updates, settled_ms=300)
    view = snapshots.view(0.0)
    assert (view.balances["ETH"].free, view.balances_ms) == (D("2"), 300)


def test_an_answer_about_balances_that_an_event_overtook_is_ignored() -> None:
    snapshots = MarketState(10)
    asked = snapshots.balance_updates
    snapshots.on_balances([Balance("ETH", D("1"))], 200)
    snapshots.on_queried_balances([Balance("ETH", D("2"))], 100, pushes_before=asked, settled_ms=300)
    view = snapshots.view(0.0)
    assert (view.balances["ETH"].free, view.balances_ms) == (D("1"), 200)


def test_the_exchanges_time_is_carried_on_by_our_own_clock_and_never_goes_back() -> None:
    snapshots = MarketState(10)
    snapshots.on_event_time(10_000, 1.0)
    assert snapshots.market_ms(1.5) == 10_500
    snapshots.on_event_time(9_000, 1.2)
    assert snapshots.market_ms(1.5) == 10_500
    assert snapshots.market_ms(0.0) == 10_000


def test_a_change_that_the_main_loop_should_see_wakes_it() -> None:
    woken = Woken()
    snapshots = MarketState(10, woken)
    snapshots.on_top(BOOK, 0.0)
    snapshots.confirm_top(0.0)
    snapshots.invalidate_top()
    snapshots.on_balances([], 1)
    snapshots.on_queried_balances([], 1, 1, 1)
    snapshots.set_account_proven(True)
    snapshots.on_kline(kline(1), 1, 0.0)
    assert woken.times == 7
    snapshots.on_kline(kline(2, closed=False), 1, 0.0)
    snapshots.on_event_time(5, 0.0)
    snapshots.load_klines([])
    assert woken.times == 7


def test_the_account_is_unproven_until_it_is_set() -> None:
    snapshots = MarketState(10)
    snapshots.set_account_proven(True)
    assert snapshots.view(0.0).account_proven
    snapshots.set_account_proven(False)
    assert not snapshots.view(0.0).account_proven


def test_balances_older_than_the_last_ones_leave_a_doubt_that_a_query_ends() -> None:
    snapshots = MarketState(10)
    snapshots.on_balances([Balance("ETH", D(1))], account_ms=60_000)
    snapshots.on_balances([Balance("ETH", D(2))], account_ms=5_000)
    assert snapshots.view(0.0).balances["ETH"].free == 1
    assert snapshots.view(0.0).balances_in_doubt
    snapshots.on_queried_balances(
        [Balance("ETH", D(2))], account_ms=5_000, pushes_before=snapshots.balance_updates, settled_ms=0
    )
    assert snapshots.view(0.0).balances["ETH"].free == 2
    assert not snapshots.view(0.0).balances_in_doubt
    snapshots.on_balances([Balance("ETH", D(3))], account_ms=6_000)
    assert snapshots.view(0.0).balances["ETH"].free == 3


def test_a_candle_that_claims_to_come_from_the_future_does_not_carry_the_time_away() -> None:
    snapshots = MarketState(10)
    kline = Kline(0, 59_999, D(1), D(1), D(1), D(1), closed=False)
    snapshots.on_kline(kline, event_ms=3_600_000, now_s=0.0)
    assert snapshots.market_ms(0.0) <= 70_000
