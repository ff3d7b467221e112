"""Run statistics: counts, and the comparison with having done nothing."""

from dataclasses import replace

import pytest
from tests.execution.order_builders import NUMBER, D, own, report
from tests.reconciliation.fill_builders import trade

from trailingedge.accounting.results import FinishedExit
from trailingedge.accounting.statistics import DailyResults, RunStatistics
from trailingedge.core.time_units import DAY_MS, MINUTE_MS
from trailingedge.execution.order_events import OrderPlaced, OrderRejected, OrderReplaced
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import ExecutionReport, OrderStatus, Regime, Side
from trailingedge.model.order_outcomes import RejectReason
from trailingedge.reconciliation.exit_ledger import ExitTotals
from trailingedge.strategy.state import ShutBy
from trailingedge.strategy.strategy_events import ExitEnded, GateOpened, Origin, RegimeSet

START_MS = 1_783_000_000_000


def tally(anchor: float = 2500.0) -> RunStatistics:
    made = RunStatistics("ETH", "FDUSD")
    made.on_event(RegimeSet(None, Regime.BASE, anchor, Origin.MARKET), START_MS)
    return made


def fill(commission: str = "0", asset: str | None = None, client_order_id: str | None = None) -> ExecutionReport:
    told = report(7, filled="1", status=OrderStatus.FILLED, client_order_id=client_order_id)
    return replace(told, commission=D(commission), commission_asset=asset, last_quantity=D(1), last_quote=D(2550))


def ended(side: Side = Side.SELL, base: str = "1", quote: str = "2550", mid: str | None = "2551") -> ExitEnded:
    return ExitEnded(
        kind=ExitKind.TAKE_PROFIT,
        side=side,
        number=NUMBER,
        cause=ExitEndReason.FILLED,
        filled_base=D(base),
        filled_quote=D(quote),
        average=D(quote) / D(base) if D(base) else None,
        regime=Regime.QUOTE,
        started_ms=START_MS,
        mid_price=None if mid is None else D(mid),
    )


def finish(made: RunStatistics, news: ExitEnded) -> FinishedExit:
    finished = made.on_event(news, START_MS + 12_000)
    assert finished is not None
    return finished


def test_a_finished_exit_carries_its_numbers() -> None:
    made = tally()
    made.on_event(OrderPlaced(own(), 1, Side.SELL, D(2552), D(1)), START_MS)
    for price in (D(2551), D(2550)):
        made.on_event(OrderReplaced(own(), 2, Side.SELL, D(2552), price, D(1)), START_MS)
    made.on_report(fill("2.55", "FDUSD"))
    done = finish(made, ended())
    assert (done.average, done.age_s, done.replaces, done.fees) == (D(2550), 12.0, 2, {"FDUSD": D("2.55")})
    assert done.slippage_frac == pytest.approx(1 / 2551)
    assert done.anchor_gain_frac == pytest.approx((2550 - 2.55) / 2500 - 1)
    assert (made.placed, made.replaces, made.fills, made.exits) == (1, 2, 1, [done])


def test_a_buy_back_gains_what_it_buys_more_and_pays_in_base() -> None:
    made = tally(2500.0)
    made.on_report(fill("0.001", "ETH"))
    done = finish(made, ended(Side.BUY, "1.02", "2499", "2449"))
    assert done.anchor_gain_frac == pytest.approx(2500 / (2499 / 1.019) - 1)
    assert done.slippage_frac == pytest.approx((2450 - 2449) / 2449)


def test_a_fee_in_a_third_asset_is_counted_and_not_converted() -> None:
    made = tally()
    made.on_report(fill("0.01", "BNB"))
    done = finish(made, ended())
    assert done.fees == {"BNB": D("0.01")}
    assert done.anchor_gain_frac == pytest.approx(0.02)


def test_an_exit_without_a_fill_has_nothing_to_compare() -> None:
    done = finish(tally(), ended(base="0", quote="0"))
    assert (done.average, done.slippage_frac, done.anchor_gain_frac) == (None, None, None)


def test_an_exit_begun_without_a_book_has_no_slippage() -> None:
    assert finish(tally(), ended(mid=None)).slippage_frac is None


def test_a_gate_that_opens_is_a_new_anchor() -> None:
    made = tally(2450.0)
    made.on_event(GateOpened(ShutBy.HARD_STOP, 2502.0, 2500.0), START_MS)
    assert finish(made, ended(Side.BUY, "1", "2502")).anchor_gain_frac == pytest.approx(0.0)


def test_fees_and_replaces_stay_with_their_exit() -> None:
    made = tally()
    made.on_report(fill("1", "FDUSD", own(number=NUMBER - 1)))
    made.on_event(OrderReplaced(own(number=NUMBER - 1), 2, Side.SELL, D(2552), D(2551), D(1)), START_MS)
    assert (finish(made, ended()).fees, made.exits[0].replaces) == ({}, 0)
    assert made.fees == {"FDUSD": D(1)}


def test_the_replaces_of_an_exit_in_progress_are_counted_until_it_ends() -> None:
    made = tally()
    assert made.replaces_of(NUMBER) == 0
    made.on_event(OrderReplaced(own(), 2, Side.SELL, D(2552), D(2551), D(1)), START_MS)
    assert made.replaces_of(NUMBER) == 1
    finish(made, ended())
    assert made.replaces_of(NUMBER) == 0


def test_a_foreign_fill_is_a_transfer_and_not_ours_to_count() -> None:
    made = tally()
    made.on_report(fill("1", "FDUSD", "mine"))
    assert (made.fills, dict(made.fees)) == (0, {})
    (transfer,) = made.transfers
    assert (transfer.kind, transfer.amounts["ETH"]) == ("foreign fill", D(-1))


def test_takers_are_counted_apart() -> None:
    made = tally()
    made.on_report(replace(fill(), is_maker=False))
    made.on_report(fill())
    assert (made.fills, made.taker_fills) == (2, 1)


def test_what_was_never_sent_was_not_rejected() -> None:
    made = tally()
    made.on_event(
        OrderRejected(own(), RejectReason.WOULD_TAKE, -2010, "Order would immediately match and take.", 1), START_MS
    )
    made.on_event(OrderRejected(own(), RejectReason.BUSY, 0, "not sent: not connected", 1), START_MS)
    assert dict(made.rejected) == {-2010: 1}


def test_what_a_restart_tells_is_what_the_next_exit_is_compared_with() -> None:
    bought = ExitTotals(7, Side.BUY, D(1), D(2400), {}, START_MS)
    made = RunStatistics("ETH", "FDUSD")
    made.resume(2400.0, [(bought, ExitKind.TAKE_PROFIT)])
    made.mark_to_market(START_MS, D(2500), D(1), D(0))
    finish(made, ended())
    (trip,) = made.round_trips
    assert (trip.cost, trip.result, trip.buys) == (D(2400), D(150), (7,))
    assert trip == made.round_trip_of(made.exits[0])


def test_the_fees_of_an_exit_that_goes_on_after_a_restart_are_all_counted() -> None:
    made = RunStatistics("ETH", "FDUSD")
    made.resume(2500.0, (), [(NUMBER, trade(NUMBER, Side.SELL, "0.5", "2550", fee="1"))])
    made.on_report(fill("1.5", "FDUSD"))
    assert finish(made, ended()).fees == {"FDUSD": D("2.5")}


# Days ----------------------------------------------------------------------------------------

MIDNIGHT_MS = 1_782_950_400_000
HOUR_MS = 3_600_000


def test_a_day_is_published_once_in_its_last_minute() -> None:
    made = tally()
    calendar = DailyResults(made)
    told = []
    for minute in range(22 * 60, 26 * 60):
        market_ms = MIDNIGHT_MS + minute * 60_000
        made.mark_to_market(market_ms, D(2500), D(1), D(0))
        told += [day.to_ms for day in (calendar.day_result_due(market_ms),) if day is not None]
    assert told == [MIDNIGHT_MS + 24 * HOUR_MS - 60_000]


def test_a_new_day_begins_with_nothing_done() -> None:
    made = tally()
    calendar = DailyResults(made)
    made.mark_to_market(MIDNIGHT_MS, D(2500), D(1), D(0))
    calendar.day_result_due(MIDNIGHT_MS)
    made.on_report(fill("2.5", "FDUSD"))
    finish(made, ended())
    made.mark_to_market(MIDNIGHT_MS + HOUR_MS, D(2525), D(0), D("2547.5"))
    first = calendar.today()
    assert first is not None
    assert (len(first.exits), first.fills, first.fees, first.value) == (1, 1, {"FDUSD": D("2.5")}, D("2547.5"))
    assert first.result_frac == pytest.approx(0.019)
    made.mark_to_market(MIDNIGHT_MS + 24 * HOUR_MS, D(2500), D(0), D("2547.5"))
    calendar.day_result_due(MIDNIGHT_MS + 24 * HOUR_MS)
    second = calendar.today()
    assert second is not None
    assert (second.exits, second.fills, second.fees, second.result_frac) == ((), 0, {}, 0.0)


def test_the_course_of_a_day_has_its_result_every_quarter_of_an_hour_and_the_newest_without_transfers() -> None:
    made = RunStatistics("ETH", "FDUSD")
    calendar = DailyResults(made)
    assert calendar.curve() == ()
    for minute in range(31):
        deposited = D(1000 if minute > 20 else 0)
        made.mark_to_market(DAY_MS + minute * MINUTE_MS, D(2500 + minute), D(1), deposited)
        calendar.day_result_due(DAY_MS + minute * MINUTE_MS)
    newest = 2521 / 2500 * 3530 / 3521 - 1  # the deposit comes at 2521
    assert calendar.curve() == pytest.approx((0.0, 15 / 2500, newest, newest))
    made.mark_to_market(2 * DAY_MS, D(2600), D(1), D(1000))
    calendar.day_result_due(2 * DAY_MS)
    assert calendar.curve() == (0.0, 0.0)


def test_nothing_is_known_of_a_day_before_the_first_look() -> None:
    assert DailyResults(tally()).today() is None
