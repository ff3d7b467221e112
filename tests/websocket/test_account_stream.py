"""AccountStream and EventBuffer: events take effect in order, each execution once."""

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
    """An account stream with a connection, and everything that it passed on."""

    def __init__(self) -> None:
        self.market_state = MarketState(klines_maxlen=10)
        self.reports: list[ExecutionReport] = []
        self.changes: list[BalanceUpdate | ExternalLockUpdate] = []
        self.stream = AccountStream(
            "ETHFDUSD",
            self.market_state,
            ManualClock(),
            on_report=self.reports.append,
            on_outside_change=self.changes.append,
        )
        self.ends: list[str] = []
        self.buffer = self.connect()
        self.buffer.release()

    def connect(self) -> EventBuffer:
        """Return the buffer of another connection."""
        return self.stream.open_buffer(self.ends.append)


def test_balances_and_time_reach_the_market_state() -> None:
    bench = Bench()
    bench.buffer.on_event(AccountPosition((Balance("ETH", Decimal(1)),), 1001))
    assert bench.market_state.balances["ETH"].free == 1
    assert bench.market_state.balances_ms == 1001
    assert bench.market_state.market_ms(0.0) == 1001


def test_an_event_from_the_far_future_changes_neither_time_nor_balances() -> None:
    bench = Bench()
    bench.market_state.on_event_time(1_000_000, 0.0)
    bench.buffer.on_event(AccountPosition((Balance("ETH", Decimal(1)),), 5_000_000))
    bench.buffer.on_event(BalanceUpdate("BNB", Decimal(1), event_ms=5_000_000))
    assert bench.market_state.market_ms(0.0) == 1_000_000
    assert "ETH" not in bench.market_state.balances
    assert bench.market_state.balances_in_doubt


def test_each_execution_is_passed_on_once() -> None:
    bench = Bench()
    for report in (REPORT, REPORT, FILL, FILL):
        bench.buffer.on_event(report)
    assert bench.reports == [REPORT, FILL]


def test_a_fill_counts_once_even_under_another_execution_id() -> None:
    bench = Bench()
    bench.buffer.on_event(FILL)
    bench.buffer.on_event(replace(FILL, execution_id=9999))
    assert bench.reports == [FILL]


def test_rejected_orders_have_no_execution_id_and_are_all_passed_on() -> None:
    bench = Bench()
    refused = replace(REPORT, execution_type=ExecutionType.REJECTED, execution_id=-1, order_id=-1)
    bench.buffer.on_event(refused)
    bench.buffer.on_event(refused)
    assert len(bench.reports) == 2


def test_remembered_ids_are_bounded_and_the_oldest_drop_out_first() -> None:
    bench = Bench()
    for number in range(10_001):
        bench.buffer.on_event(replace(REPORT, execution_id=number))
    bench.buffer.on_event(replace(REPORT, execution_id=10_000))
    assert len(bench.reports) == 10_001
    bench.buffer.on_event(replace(REPORT, execution_id=0))
    assert len(bench.reports) == 10_002


def test_events_of_other_symbols_only_update_the_time() -> None:
    bench = Bench()
    bench.buffer.on_event(replace(REPORT, symbol="BTCUSDT"))
    assert bench.reports == []
    assert bench.market_state.market_ms(0.0) == 1001


def test_outside_changes_are_passed_on() -> None:
    bench = Bench()
    deposit, lock = BalanceUpdate("ETH", Decimal(1), 5), ExternalLockUpdate("ETH", Decimal(1), 6)
    bench.buffer.on_event(deposit)
    bench.buffer.on_event(lock)
    assert bench.changes == [deposit, lock]


def test_unknown_events_are_ignored() -> None:
    bench = Bench()
    bench.buffer.on_event(Unrecognized("listStatus"))
    assert bench.reports == []


def test_the_end_of_the_stream_is_reported() -> None:
    bench = Bench()
    bench.buffer.on_event(StreamTerminated(5))
    assert bench.ends == ["the user data stream was terminated"]


def test_a_stream_that_ends_before_the_release_loses_the_session() -> None:
    bench = Bench()
    with pytest.raises(SessionLost, match="terminated"):
        bench.connect().on_event(StreamTerminated(5))
    assert bench.ends == []


def test_held_events_are_passed_on_in_order_at_the_release() -> None:
    bench = Bench()
    buffer = bench.connect()
    buffer.on_event(REPORT)
    buffer.on_event(FILL)
    assert bench.reports == []
    buffer.release()
    assert bench.reports == [REPORT, FILL]
    buffer.on_event(replace(REPORT, execution_id=9003))
    assert len(bench.reports) == 3


def test_held_events_of_a_lost_connection_are_dropped() -> None:
    bench = Bench()
    bench.connect().on_event(REPORT)
    bench.connect().release()
    assert bench.reports == []


@pytest.mark.parametrize("first", [0, 1], ids=["old", "new"])
def test_events_of_two_connections_are_passed_on_once(first: int) -> None:
    bench = Bench()
    ears = [bench.buffer, bench.connect()]
    ears[1].release()
    deposit = BalanceUpdate("ETH", Decimal(1), 5)
    for buffer in (ears[first], ears[1 - first]):
        for event in (REPORT, FILL, deposit):
            buffer.on_event(event)
    assert (bench.reports, bench.changes) == ([REPORT, FILL], [deposit])


def test_executions_of_two_orders_are_two_even_under_one_id() -> None:
    bench = Bench()
    bench.buffer.on_event(REPORT)
    bench.buffer.on_event(replace(REPORT, order_id=502))
    assert len(bench.reports) == 2


def position(free: int, account_ms: int) -> AccountPosition:
    return AccountPosition((Balance("ETH", Decimal(free)),), account_ms)


def test_balances_come_from_the_newest_connection_alone() -> None:
    bench = Bench()
    bench.buffer.on_event(position(1, 5))
    new = bench.connect()
    new.on_event(position(1, 5))
    new.on_event(position(2, 5))
    new.release()
    bench.buffer.on_event(position(1, 5))  # late, and of the same millisecond
    assert bench.market_state.balances["ETH"].free == 2


def test_held_balances_older_than_the_query_are_dropped() -> None:
    bench = Bench()
    bench.market_state.on_queried_balances([Balance("ETH", Decimal(3))], 7, 0, 0)
    buffer = bench.connect()
    buffer.on_event(position(2, 6))
    buffer.release(balances_ms=7)
    assert bench.market_state.balances["ETH"].free == 3


def test_a_recovered_fill_is_passed_on_once() -> None:
    bench = Bench()
    missed = replace(FILL, execution_id=-1)
    assert bench.stream.on_recovered_fill(missed)
    assert not bench.stream.on_recovered_fill(missed)
    bench.buffer.on_event(FILL)
    assert bench.reports == [missed]


def test_a_fill_stays_known_after_it_was_passed_on() -> None:
    bench = Bench()
    assert not bench.stream.knows_trade(7)
    for trade_id in range(7, 10_008):
        bench.buffer.on_event(replace(FILL, execution_id=trade_id, trade_id=trade_id))
    assert bench.stream.knows_trade(7)
    assert bench.stream.knows_trade(10_007)
    assert not bench.stream.knows_trade(10_008)


def test_the_buffer_knows_the_fills_it_holds() -> None:
    bench = Bench()
    buffer = bench.connect()
    buffer.on_event(FILL)
    assert (buffer.has_trade(7), buffer.has_trade(8)) == (True, False)
    assert not bench.stream.knows_trade(7)
