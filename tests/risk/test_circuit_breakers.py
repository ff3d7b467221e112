"""Circuit breakers: round trips, limits, resets, and the same state after a restart."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.execution.order_builders import NUMBER, D
from tests.reconciliation.fill_builders import MIDNIGHT_MS, fill_report, finished, trade

from trailingedge.core.time_units import DAY_MS, HOUR_MS
from trailingedge.model.lots import OpenBuy
from trailingedge.model.market import Side
from trailingedge.reconciliation.exit_ledger import ExitTotals, exit_totals
from trailingedge.risk.circuit_breakers import (
    Breaker,
    BreakerLifted,
    BreakerLimits,
    BreakerState,
    BreakerTrip,
    BreakerTripped,
    CircuitBreakers,
    FeeUnpriced,
    apply_exit,
    recompute,
    resumed,
    start_day,
)

SELL, BUY = Side.SELL, Side.BUY


def limits(daily: str = "0", drawdown: str = "0", losses: int = 0) -> BreakerLimits:
    return BreakerLimits("ETH", "FDUSD", D(daily), D(drawdown), losses)


def after(*exits: ExitTotals, given: BreakerLimits | None = None, state: BreakerState | None = None) -> BreakerState:
    """The live state after these exits, from nothing unless told otherwise."""
    state = state or BreakerState()
    for ended in exits:
        state = apply_exit(state, ended, given or limits())
    return state


def round_trip(
    bought: str, sold: str, ended_ms: int = MIDNIGHT_MS + HOUR_MS, base: str = "1"
) -> tuple[ExitTotals, ...]:
    return finished(BUY, base, bought, ended_ms), finished(SELL, base, sold, ended_ms)


# What a round trip is ------------------------------------------------------------------------


def test_a_sale_of_what_we_never_bought_is_not_counted() -> None:
    state = after(finished(SELL, "1", "90"), given=limits("0.01", "0.01", 1))
    assert not state.trading_paused
    assert state.losses == 0
    assert state.equity == 1


def test_a_round_trip_is_measured_by_what_it_cost() -> None:
    state = after(*round_trip("2500", "2400"))
    assert state.measured(Breaker.DAILY_LOSS) == D("0.04")
    assert state.measured(Breaker.DRAWDOWN) == D("0.04")
    assert state.measured(Breaker.LOSSES) == 1
    assert state.lots == ()


def test_round_trips_compound_as_the_account_does() -> None:
    state = after(*round_trip("100", "90"), *round_trip("100", "120", base="0.9"))
    assert state.equity == D("1.08")
    assert state.measured(Breaker.DRAWDOWN) == 0
    assert state.losses == 0


@pytest.mark.parametrize(
    ("exits", "worth"),
    [
        pytest.param(
            (finished(BUY, "1", "100", fees={"ETH": "0.01"}), finished(SELL, "0.99", "100")), "0.99", id="base, bought"
        ),
        pytest.param(
            (finished(BUY, "1", "100"), finished(SELL, "1", "100", fees={"FDUSD": "1"})), "0.99", id="quote, sold"
        ),
        pytest.param(
            (finished(BUY, "1", "99", fees={"FDUSD": "1"}), finished(SELL, "1", "99")), "0.99", id="quote, bought"
        ),
        pytest.param(
            (finished(BUY, "1", "100"), finished(SELL, "1", "100", fees={"ETH": "0.01"})), "0.99", id="base, sold"
        ),
    ],
)
def test_results_are_net_of_commission(exits: tuple[ExitTotals, ...], worth: str) -> None:
    state = BreakerState()
    for ended in exits:
        state = apply_exit(state, ended, limits())
    assert state.equity == D(worth)


def test_a_commission_without_a_price_counts_as_nothing_and_is_named() -> None:
    state = after(finished(BUY, "1", "100"), finished(SELL, "1", "100", fees={"BNB": "9"}))
    assert state.equity == 1
    assert state.unpriced == {"BNB"}


def test_a_sale_takes_what_was_bought_last() -> None:
    """What was bought before may long have left by another hand."""
    state = after(finished(BUY, "1", "5000"), finished(BUY, "1", "2400"), finished(SELL, "1", "2448"))
    assert state.equity == D("1.02")
    assert state.lots == (OpenBuy(D(1), D(5000), stake=D(5000)),)


def test_a_small_part_sold_at_a_loss_is_a_small_loss_and_no_round_trip_yet() -> None:
    state = after(finished(BUY, "1", "100"), finished(SELL, "0.01", "90"))
    assert state.measured(Breaker.DAILY_LOSS) == D("0.001")
    assert state.losses == 0
    assert after(finished(SELL, "0.99", "100"), state=state).losses == 1  # the loss of the part was carried over


def test_two_halves_of_one_round_trip_are_one_loss() -> None:
    state = after(finished(BUY, "1", "100"), finished(SELL, "0.4", "90"), finished(SELL, "0.6", "90"))
    assert state.losses == 1
    assert state.measured(Breaker.DAILY_LOSS) == D("0.1")


def test_what_is_left_of_a_round_trip_that_is_over_is_the_stake_of_the_next() -> None:
    state = after(finished(BUY, "1", "100"), finished(SELL, "0.6", "100"), finished(SELL, "0.4", "90"))
    assert state.equity == D("0.9")
    assert state.losses == 1


def test_dust_of_ours_among_what_was_deposited_is_no_round_trip() -> None:
    state = after(finished(BUY, "1.0001", "100"), finished(SELL, "1", "100"), finished(SELL, "1", "50"))
    assert state.equity == 1
    assert state.losses == 0
    assert state.lots == ()


def test_an_exit_that_filled_nothing_changes_nothing() -> None:
    assert after(finished(SELL, "0", "1"), finished(BUY, "0", "1")) == BreakerState()


# When they hold ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "breaker", "measured"),
    [
        pytest.param(limits(daily="0.04"), Breaker.DAILY_LOSS, "0.04", id="the day"),
        pytest.param(limits(drawdown="0.04"), Breaker.DRAWDOWN, "0.04", id="the drawdown"),
        pytest.param(limits(losses=1), Breaker.LOSSES, "1", id="the row"),
    ],
)
def test_a_breaker_holds_from_its_limit_on(given: BreakerLimits, breaker: Breaker, measured: str) -> None:
    state = after(*round_trip("2500", "2400"), given=given)
    assert state.trips == (BreakerTrip(breaker, D(measured), given.limit_of(breaker)),)
    assert state.trading_paused
    assert state.tripped == {breaker}


def test_just_below_the_limit_nothing_holds() -> None:
    assert not after(*round_trip("2500", "2400.01"), given=limits("0.04", "0.04", 2)).trading_paused


def test_off_is_off() -> None:
    assert not after(*round_trip("2500", "1"), given=limits()).trading_paused


def test_gains_of_the_day_make_up_for_losses() -> None:
    state = after(*round_trip("100", "110"), *round_trip("100", "92"), given=limits(daily="0.03"))
    assert not state.trading_paused
    assert after(*round_trip("100", "90"), given=limits(daily="0.03"), state=state).trading_paused


def test_a_gain_ends_a_row_of_losses() -> None:
    lost, won = round_trip("100", "99"), round_trip("100", "101")
    assert not after(*lost, *lost, *won, *lost, *lost, given=limits(losses=3)).trading_paused
    assert after(*lost, *lost, *won, *lost, *lost, *lost, given=limits(losses=3)).trading_paused


def test_the_drawdown_counts_from_the_best() -> None:
    state = after(*round_trip("100", "150"), *round_trip("150", "140"), given=limits(drawdown="0.1"))
    assert not state.trading_paused
    assert after(*round_trip("140", "134"), given=limits(drawdown="0.1"), state=state).trading_paused


# When they let go ----------------------------------------------------------------------------


def test_midnight_lifts_the_daily_breaker_and_no_other() -> None:
    state = after(*round_trip("100", "90"), given=limits("0.05", "0.05", 1))
    assert start_day(state, MIDNIGHT_MS + DAY_MS - 1) == state
    turned = start_day(state, MIDNIGHT_MS + DAY_MS)
    assert turned.tripped == {Breaker.DRAWDOWN, Breaker.LOSSES}
    assert turned.equity_today == 1


def test_the_loss_of_yesterday_does_not_count_today() -> None:
    lost = round_trip("100", "97")
    tomorrow = round_trip("100", "97", MIDNIGHT_MS + DAY_MS)
    assert not after(*lost, *tomorrow, given=limits(daily="0.05")).trading_paused
    assert after(*lost, *lost, given=limits(daily="0.05")).trading_paused


def test_the_operator_lifts_the_others_and_not_the_daily_one() -> None:
    state = resumed(after(*round_trip("100", "90"), given=limits("0.05", "0.05", 1)))
    assert state.tripped == {Breaker.DAILY_LOSS}


def test_after_a_resume_the_count_begins_again() -> None:
    given = limits(drawdown="0.1", losses=2)
    state = resumed(after(*round_trip("100", "90"), *round_trip("100", "95"), given=given))
    assert state.measured(Breaker.DRAWDOWN) == 0
    assert state.losses == 0
    assert not after(*round_trip("100", "91"), given=given, state=state).trading_paused
    assert after(*round_trip("100", "89"), given=given, state=state).tripped == {Breaker.DRAWDOWN}


def test_a_resume_without_a_breaker_forgives_nothing() -> None:
    given = limits(drawdown="0.1", losses=2)
    state = resumed(after(*round_trip("100", "95"), given=given))
    assert (state.measured(Breaker.DRAWDOWN), state.losses) == (D("0.05"), 1)


# After a restart -----------------------------------------------------------------------------


def test_a_restart_does_not_forget_a_halt() -> None:
    exits = round_trip("100", "90")
    state = recompute(exits, limits("0.05", "0.05", 1), MIDNIGHT_MS + 2 * HOUR_MS)
    assert state == after(*exits, given=limits("0.05", "0.05", 1))
    assert state.tripped == set(Breaker)


def test_a_restart_on_the_next_day_forgives_the_day() -> None:
    state = recompute(round_trip("100", "90"), limits("0.05", "0.05", 1), MIDNIGHT_MS + DAY_MS)
    assert state.tripped == {Breaker.DRAWDOWN, Breaker.LOSSES}


def test_a_purchase_after_a_halt_proves_that_the_operator_resumed() -> None:
    given = limits(drawdown="0.05", losses=1)
    state = recompute((*round_trip("100", "90"), finished(BUY, "1", "90")), given, MIDNIGHT_MS)
    assert not state.trading_paused
    assert not recompute((*round_trip("100", "90"), *round_trip("90", "91")), given, MIDNIGHT_MS).trading_paused


prices = st.integers(90, 110)
trips = st.lists(st.tuples(prices, prices, st.integers(0, 30), st.booleans()), max_size=25)
some_limits = st.builds(
    lambda daily, drawdown, losses: limits(str(Decimal(daily) / 100), str(Decimal(drawdown) / 100), losses),
    st.integers(0, 10),
    st.integers(0, 15),
    st.integers(0, 4),
)


@given(trips=trips, given_limits=some_limits)
def test_recomputed_is_what_it_was_live(trips: list[tuple[int, int, int, bool]], given_limits: BreakerLimits) -> None:
    """A life under its own breakers: buying waits until the operator resumes and the day is over."""
    live, exits, now_ms = CircuitBreakers(given_limits), [], MIDNIGHT_MS
    rows = []
    for index, (bought, sold, hours, ends_held) in enumerate(trips):
        now_ms += hours * HOUR_MS + 1
        live.tick(now_ms)
        live.resume()
        if live.trading_paused:
            continue  # by the daily one
        for side, price, number in ((BUY, bought, 2 * index + 1), (SELL, sold, 2 * index + 2)):
            if side is SELL and ends_held:
                continue  # sold by hand
            fill = trade(number, side, "1", str(price), "0.1", time_ms=now_ms)
            rows.append((number, fill))
            live.on_report(fill_report(fill, number))
            live.on_exit_ended(number)
        exits = list(exit_totals(rows))
        restarted = CircuitBreakers(given_limits)
        restarted.restore(exits, now_ms)
        assert restarted.state == live.state


@given(trips=trips, given_limits=some_limits)
def test_a_breaker_holds_exactly_while_its_measure_says_so(
    trips: list[tuple[int, int, int, bool]], given_limits: BreakerLimits
) -> None:
    state = BreakerState()
    for bought, sold, hours, _ in trips:
        before = state.tripped
        ended_ms = MIDNIGHT_MS + hours * HOUR_MS
        state = after(*round_trip(str(bought), str(sold), ended_ms), given=given_limits, state=state)
        over = {breaker for breaker in Breaker if 0 < given_limits.limit_of(breaker) <= state.measured(breaker)}
        assert over <= state.tripped <= over | before


# What the trader holds -----------------------------------------------------------------------


def test_each_change_is_told_once() -> None:
    breakers = CircuitBreakers(limits(daily="0.05", losses=1))
    breakers.on_report(fill_report(trade(1, BUY, "1", "100"), NUMBER))
    breakers.on_exit_ended(NUMBER)
    breakers.on_trade(NUMBER + 1, trade(2, SELL, "1", "90", "0.01", "BNB"))
    breakers.on_exit_ended(NUMBER + 1)
    assert breakers.trading_paused
    assert breakers.events == [
        BreakerTripped(BreakerTrip(Breaker.DAILY_LOSS, D("0.1"), D("0.05"))),
        BreakerTripped(BreakerTrip(Breaker.LOSSES, D(1), D(1))),
        FeeUnpriced("BNB"),
    ]
    breakers.events.clear()
    breakers.resume()
    breakers.resume()
    breakers.tick(MIDNIGHT_MS + HOUR_MS)
    breakers.tick(MIDNIGHT_MS + DAY_MS)
    assert breakers.events == [BreakerLifted(Breaker.LOSSES), BreakerLifted(Breaker.DAILY_LOSS)]
    assert breakers.state.tripped == set()


def test_an_exit_that_outlives_a_restart_is_counted_whole() -> None:
    breakers = CircuitBreakers(limits(losses=1))
    breakers.restore([finished(BUY, "1", "100")], MIDNIGHT_MS)
    breakers.continue_exit(SELL, [(NUMBER, trade(1, SELL, "0.9", "90"))])
    breakers.on_report(fill_report(trade(2, SELL, "0.1", "90"), NUMBER))
    breakers.on_exit_ended(NUMBER)
    assert breakers.state.measured(Breaker.DRAWDOWN) == D("0.1")
    assert breakers.trading_paused


def test_a_purchase_that_outlives_a_restart_proves_that_the_operator_resumed() -> None:
    breakers = CircuitBreakers(limits(losses=1))
    breakers.restore(round_trip("100", "90"), MIDNIGHT_MS)
    breakers.continue_exit(BUY, [])
    assert breakers.events[-1] == BreakerLifted(Breaker.LOSSES)
    assert not breakers.trading_paused


def test_a_fill_learned_of_after_its_exit_was_closed_counts_all_the_same_and_once() -> None:
    breakers = CircuitBreakers(limits(losses=1))
    breakers.on_report(fill_report(trade(1, BUY, "1", "100"), NUMBER))
    breakers.on_exit_ended(NUMBER)
    breakers.on_exit_ended(NUMBER + 1)  # nothing is known of its fill yet
    assert breakers.state.losses == 0
    for _ in range(2):
        breakers.on_report(fill_report(trade(2, SELL, "1", "90"), NUMBER + 1))
    assert breakers.trading_paused
    assert breakers.state.measured(Breaker.LOSSES) == 1


def test_a_fill_of_before_our_start_was_counted_by_the_recomputation() -> None:
    breakers = CircuitBreakers(limits(losses=1))
    breakers.restore(round_trip("100", "110"), MIDNIGHT_MS)
    breakers.on_exit_ended(NUMBER + 5)
    breakers.on_report(fill_report(trade(2, SELL, "1", "90"), NUMBER))
    assert breakers.state.losses == 0
