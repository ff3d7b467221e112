"""Account events reach the snapshots and the keeper of orders: in order, and each execution once."""

from dataclasses import replace
from decimal import Decimal

import pytest

from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import SessionLost
from trailingedge.model.market import Balance, ExecutionReport, ExecutionType, OrderStatus, Side
from trailingedge.model.market_state import MarketState
from trailingedge.websocket.account_stream import AccountStream, EventBuffer
from trailingedge.websocket.event_parser import (
    AccountPosition,
    BalanceUpdate,
    ExternalLockUpdate,
    StreamTerminated,
    Unrecognized,
)

REPORT = ExecutionReport(
    symbol="ETHFDUSD",
    side=Side.BUY,
    order_type="LIMIT_MAKER",
    client_order_id="TE-t-1",
    order_id=501,
    execution_type=ExecutionType.NEW,
    status=OrderStatus.NEW,
    price=Decimal(2500),
    quantity=Decimal(1),
    filled_quantity=Decimal(0),
    filled_quote=Decimal(0),
    time_ms=1000,
    event_ms=1001,
    execution_id=9001,
)
FILL = replace(REPORT, execution_type=ExecutionType.TRADE, status=OrderStatus.FILLED, execution_id=9002, trade_id=7)


class Bench:
    """A stream with everything it passed on."""

    def __init__(self) -> None:
        self.snapshots = MarketState(klines_maxlen=10)
        self.reports: list[ExecutionReport] = []
        self.changes: list[BalanceUpdate | ExternalLockUpdate] = []
        self.stream = AccountStream(
            "ETHFDUSD",
            self.snapshots,
            ManualClock(),
            on_report=self.reports.append,
            on_outside_change=self.changes.append,
        )
        self.ends: list[str] = []
        self.ear = self.connect()
        self.ear.release()

    def connect(self) -> EventBuffer:
        """Another connection."""
        return self.stream.open_buffer(self.ends.append)


def test_balances_and_time_reach_the_snapshots() -> None:
    bench = Bench()
    bench.ear.on_event(AccountPosition((Balance("ETH", Decimal(1)),), 1001))
    assert bench.snapshots.balances["ETH"].free == 1
    assert bench.snapshots.balances_ms == 1001
    assert bench.snapshots.market_ms(0.0) == 1001


def test_an_event_from_far_ahead_moves_no_clock_and_is_not_believed() -> None:
    bench = Bench()
    bench.snapshots.on_event_time(1_000_000, 0.0)
    bench.ear.on_event(AccountPosition((Balance("ETH", Decimal(1)),), 5_000_000))
    bench.ear.on_event(BalanceUpdate("BNB", Decimal(1), event_ms=5_000_000))
    assert bench.snapshots.market_ms(0.0) == 1_000_000
    assert "ETH" not in bench.snapshots.balances
    assert bench.snapshots.balances_in_doubt


def test_each_execution_is_passed_on_once() -> None:
    bench = Bench()
    for report in (REPORT, REPORT, FILL, FILL):
        bench.ear.on_event(report)
    assert bench.reports == [REPORT, FILL]


def test_a_fill_counts_once_even_under_another_execution_id() -> None:
    bench = Bench()
    bench.ear.on_event(FILL)
    bench.ear.on_event(replace(FILL, execution_id=9999))
    assert bench.reports == [FILL]


def test_refused_orders_have_no_execution_id_and_are_all_passed_on() -> None:
    bench = Bench()
    refused = replace(REPORT, execution_type=ExecutionType.REJECTED, execution_id=-1, order_id=-1)
    bench.ear.on_event(refused)
    bench.ear.on_event(refused)
    assert len(bench.reports) == 2


def test_memory_is_bounded_and_forgets_the_oldest_first() -> None:
    bench = Bench()
    for number in range(10_001):
        bench.ear.on_event(replace(REPORT, execution_id=number))
    bench.ear.on_event(replace(REPORT, execution_id=10_000))
    assert len(bench.reports) == 10_001
    bench.ear.on_event(replace(REPORT, execution_id=0))
    assert len(bench.reports) == 10_002


def test_other_symbols_only_tell_the_time() -> None:
    bench = Bench()
    bench.ear.on_event(replace(REPORT, symbol="BTCUSDT"))
    assert bench.reports == []
    assert bench.snapshots.market_ms(0.0) == 1001


def test_changes_from_outside_are_told() -> None:
    bench = Bench()
    deposit, lock = BalanceUpdate("ETH", Decimal(1), 5), ExternalLockUpdate("ETH", Decimal(1), 6)
    bench.ear.on_event(deposit)
    bench.ear.on_event(lock)
    assert bench.changes == [deposit, lock]


def test_what_is_not_known_is_ignored() -> None:
    bench = Bench()
    bench.ear.on_event(Unrecognized("listStatus"))
    assert bench.reports == []


def test_the_end_of_the_stream_is_told_for_the_connection_lives_on() -> None:
    bench = Bench()
    bench.ear.on_event(StreamTerminated(5))
    assert bench.ends == ["the user data stream was terminated"]


def test_a_stream_that_ends_before_it_was_of_use_is_a_lost_session() -> None:
    bench = Bench()
    with pytest.raises(SessionLost, match="terminated"):
        bench.connect().on_event(StreamTerminated(5))
    assert bench.ends == []


def test_held_events_wait_and_come_in_order() -> None:
    bench = Bench()
    ear = bench.connect()
    ear.on_event(REPORT)
    ear.on_event(FILL)
    assert bench.reports == []
    ear.release()
    assert bench.reports == [REPORT, FILL]
    ear.on_event(replace(REPORT, execution_id=9003))
    assert len(bench.reports) == 3


def test_what_an_earlier_connection_left_held_is_dropped() -> None:
    bench = Bench()
    bench.connect().on_event(REPORT)
    bench.connect().release()
    assert bench.reports == []


@pytest.mark.parametrize("first", [0, 1], ids=["old", "new"])
def test_what_two_connections_tell_is_passed_on_once(first: int) -> None:
    bench = Bench()
    ears = [bench.ear, bench.connect()]
    ears[1].release()
    deposit = BalanceUpdate("ETH", Decimal(1), 5)
    for ear in (ears[first], ears[1 - first]):
        for event in (REPORT, FILL, deposit):
            ear.on_event(event)
    assert (bench.reports, bench.changes) == ([REPORT, FILL], [deposit])


def test_executions_of_two_orders_are_two_even_under_one_id() -> None:
    bench = Bench()
    bench.ear.on_event(REPORT)
    bench.ear.on_event(replace(REPORT, order_id=502))
    assert len(bench.reports) == 2


def position(free: int, account_ms: int) -> AccountPosition:
    return AccountPosition((Balance("ETH", Decimal(free)),), account_ms)


def test_balances_come_from_the_newest_connection_alone() -> None:
    bench = Bench()
    bench.ear.on_event(position(1, 5))
    new = bench.connect()
    new.on_event(position(1, 5))
    new.on_event(position(2, 5))
    new.release()
    bench.ear.on_event(position(1, 5))  # late, and of the same millisecond
    assert bench.snapshots.balances["ETH"].free == 2


def test_held_balances_of_before_those_that_were_read_are_left_out() -> None:
    bench = Bench()
    bench.snapshots.on_queried_balances([Balance("ETH", Decimal(3))], 7, 0, 0)
    ear = bench.connect()
    ear.on_event(position(2, 6))
    ear.release(balances_ms=7)
    assert bench.snapshots.balances["ETH"].free == 3


def test_a_fill_that_no_event_told_is_passed_on_once() -> None:
    bench = Bench()
    missed = replace(FILL, execution_id=-1)
    assert bench.stream.on_recovered_fill(missed)
    assert not bench.stream.on_recovered_fill(missed)
    bench.ear.on_event(FILL)
    assert bench.reports == [missed]


def test_a_fill_is_known_once_it_was_passed_on_and_for_ever() -> None:
    bench = Bench()
    assert not bench.stream.knows_trade(7)
    for trade_id in range(7, 10_008):
        bench.ear.on_event(replace(FILL, execution_id=trade_id, trade_id=trade_id))
    assert bench.stream.knows_trade(7)
    assert bench.stream.knows_trade(10_007)
    assert not bench.stream.knows_trade(10_008)


def test_a_fill_that_waits_is_held() -> None:
    bench = Bench()
    ear = bench.connect()
    ear.on_event(FILL)
    assert (ear.has_trade(7), ear.has_trade(8)) == (True, False)
    assert not bench.stream.knows_trade(7)
