"""Account events reach the snapshots and the keeper of orders: in order, and each execution once."""

from dataclasses import replace
from decimal import Decimal

import pytest

from trailingedge.clock import HandClock
from trailingedge.errors import SessionLost
from trailingedge.market import Balance, ExecutionReport, ExecutionType, OrderStatus, Side
from trailingedge.snapshots import Snapshots
from trailingedge.websocket.account_stream import AccountStream
from trailingedge.websocket.messages import (
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
        self.snapshots = Snapshots(klines_maxlen=10)
        self.reports: list[ExecutionReport] = []
        self.changes: list[BalanceUpdate | ExternalLockUpdate] = []
        self.stream = AccountStream(
            "ETHFDUSD",
            self.snapshots,
            HandClock(),
            on_report=self.reports.append,
            on_outside_change=self.changes.append,
        )


def test_balances_and_time_reach_the_snapshots() -> None:
    bench = Bench()
    bench.stream.hear(AccountPosition((Balance("ETH", Decimal(1)),), 1001))
    assert bench.snapshots.balances["ETH"].free == 1
    assert bench.snapshots.balances_ms == 1001
    assert bench.snapshots.market_ms(0.0) == 1001


def test_each_execution_is_passed_on_once() -> None:
    bench = Bench()
    for report in (REPORT, REPORT, FILL, FILL):
        bench.stream.hear(report)
    assert bench.reports == [REPORT, FILL]


def test_a_fill_counts_once_even_under_another_execution_id() -> None:
    bench = Bench()
    bench.stream.hear(FILL)
    bench.stream.hear(replace(FILL, execution_id=9999))
    assert bench.reports == [FILL]


def test_refused_orders_have_no_execution_id_and_are_all_passed_on() -> None:
    bench = Bench()
    refused = replace(REPORT, execution_type=ExecutionType.REJECTED, execution_id=-1, order_id=-1)
    bench.stream.hear(refused)
    bench.stream.hear(refused)
    assert len(bench.reports) == 2


def test_memory_is_bounded_and_forgets_the_oldest_first() -> None:
    bench = Bench()
    for number in range(10_001):
        bench.stream.hear(replace(REPORT, execution_id=number))
    bench.stream.hear(replace(REPORT, execution_id=10_000))
    assert len(bench.reports) == 10_001
    bench.stream.hear(replace(REPORT, execution_id=0))
    assert len(bench.reports) == 10_002


def test_other_symbols_only_tell_the_time() -> None:
    bench = Bench()
    bench.stream.hear(replace(REPORT, symbol="BTCUSDT"))
    assert bench.reports == []
    assert bench.snapshots.market_ms(0.0) == 1001


def test_changes_from_outside_are_told() -> None:
    bench = Bench()
    deposit, lock = BalanceUpdate("ETH", Decimal(1), 5), ExternalLockUpdate("ETH", Decimal(1), 6)
    bench.stream.hear(deposit)
    bench.stream.hear(lock)
    assert bench.changes == [deposit, lock]


def test_what_is_not_known_is_ignored() -> None:
    bench = Bench()
    bench.stream.hear(Unrecognized("listStatus"))
    assert bench.reports == []


def test_the_end_of_the_stream_is_a_lost_session_also_while_events_are_held() -> None:
    bench = Bench()
    bench.stream.hold()
    with pytest.raises(SessionLost, match="terminated"):
        bench.stream.hear(StreamTerminated(5))


def test_held_events_wait_and_come_in_order() -> None:
    bench = Bench()
    bench.stream.hold()
    bench.stream.hear(REPORT)
    bench.stream.hear(FILL)
    assert bench.reports == []
    bench.stream.release()
    assert bench.reports == [REPORT, FILL]
    bench.stream.hear(replace(REPORT, execution_id=9003))
    assert len(bench.reports) == 3


def test_what_an_earlier_connection_left_held_is_dropped() -> None:
    bench = Bench()
    bench.stream.hold()
    bench.stream.hear(REPORT)
    bench.stream.hold()
    bench.stream.release()
    assert bench.reports == []
