"""FillRecovery: fills without an event are found in the trade list and reported once."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import RequestRefused
from trailingedge.model.market import (
    ZERO,
    AccountTrade,
    ExecutionReport,
    ExecutionType,
    OrderRecord,
    OrderStatus,
    Side,
)
from trailingedge.model.market_state import MarketState
from trailingedge.websocket.account_stream import AccountStream
from trailingedge.websocket.fill_recovery import FillRecovery, to_reports

D = Decimal
ORDER = OrderRecord(
    order_id=501,
    client_order_id="TE-t-1",
    side=Side.SELL,
    status=OrderStatus.FILLED,
    price=D("10.5"),
    quantity=D(3),
    filled_quantity=D(3),
    filled_quote=D("31.5"),
    time_ms=900,
    order_type="LIMIT_MAKER",
)


def fill(trade_id: int, order_id: int = 501, quantity: int = 1) -> AccountTrade:
    return AccountTrade(
        trade_id=trade_id,
        order_id=order_id,
        side=Side.SELL,
        price=D("10.5"),
        quantity=D(quantity),
        quote_quantity=D("10.5") * quantity,
        commission=D("0.01"),
        commission_asset="FDUSD",
        time_ms=1000 + trade_id,
        is_maker=True,
    )


def event(trade_id: int) -> ExecutionReport:
    """Return the report of that fill as the stream sends it."""
    (report,) = to_reports("ETHFDUSD", ORDER, [fill(trade_id)])
    return replace(report, execution_id=trade_id)


class Account:
    """Fake of the account's queries, in pages of at most a thousand."""

    def __init__(self, trades: Sequence[AccountTrade] = (), orders: Sequence[OrderRecord] = (ORDER,)) -> None:
        self.trades = list(trades)
        self.orders = {order.order_id: order for order in orders}
        self.queries = 0
        self.lagging: dict[int, int] = {}  # by order id, how many more questions find no such order
        self.in_list = True  # the list of orders knows better

    async def all_orders(self, from_order_id: int | None = None) -> Sequence[OrderRecord]:
        self.queries += 1
        assert from_order_id is not None
        return [order for order in self.orders.values() if order.order_id >= from_order_id] if self.in_list else []

    async def order_status(self, order_id: int | None, client_order_id: str = "") -> OrderRecord:
        self.queries += 1
        assert order_id is not None
        assert client_order_id == ""
        if self.lagging.get(order_id):
            self.lagging[order_id] -= 1
            raise RequestRefused(-2013, "Order does not exist.")
        if order_id not in self.orders:
            raise RequestRefused(-2013, "Order does not exist.")
        return self.orders[order_id]

    async def my_trades(
        self, *, order_id: int | None = None, from_id: int | None = None, limit: int = 1000
    ) -> tuple[AccountTrade, ...]:
        self.queries += 1
        assert limit <= 1000
        rows = [trade for trade in self.trades if order_id in (None, trade.order_id)]
        if from_id is None:
            return tuple(rows[-limit:])
        return tuple([trade for trade in rows if trade.trade_id >= from_id][:limit])


class Bench:
    """A recovery that was started when the list had trade 1."""

    def __init__(self) -> None:
        self.reports: list[ExecutionReport] = []
        self.clock = ManualClock()
        self.stream = AccountStream("ETHFDUSD", MarketState(10), self.clock, on_report=self.reports.append)
        self.buffer = self.stream.open_buffer(lambda _: None)
        self.recovery = FillRecovery("ETHFDUSD", self.stream, self.clock)
        self.account = Account([fill(1)])

    async def found(self, after_s: float = 2.0) -> list[int]:
        """Return the trade ids that one call finds within `after_s`."""
        call = asyncio.ensure_future(self.recovery.find_missed(self.account, self.buffer))
        await self.clock.advance(after_s)
        return [report.trade_id for report in await call]

    def has_unresolved(self) -> bool:
        return self.recovery.has_unresolved


async def started() -> Bench:
    bench = Bench()
    await bench.recovery.start(bench.account)
    return bench


def test_recovered_reports_equal_the_missed_ones() -> None:
    first, second = to_reports("ETHFDUSD", ORDER, [fill(7), fill(8, quantity=2)])
    assert first == ExecutionReport(
        symbol="ETHFDUSD",
        side=Side.SELL,
        order_type="LIMIT_MAKER",
        client_order_id="TE-t-1",
        order_id=501,
        execution_type=ExecutionType.TRADE,
        status=OrderStatus.PARTIALLY_FILLED,
        price=D("10.5"),
        quantity=D(3),
        filled_quantity=D(1),
        filled_quote=D("10.5"),
        time_ms=1007,
        event_ms=1007,
        execution_id=-1,
        trade_id=7,
        last_price=D("10.5"),
        last_quantity=D(1),
        last_quote=D("10.5"),
        commission=D("0.01"),
        commission_asset="FDUSD",
        is_maker=True,
    )
    assert (second.status, second.filled_quantity, second.filled_quote) == (OrderStatus.FILLED, D(3), D("31.5"))


def test_a_pegged_order_has_the_price_at_which_it_rested() -> None:
    (report,) = to_reports("ETHFDUSD", replace(ORDER, price=ZERO, pegged_price=D("10.4")), [fill(7)])
    assert report.price == D("10.4")


async def test_fills_before_the_start_are_history() -> None:
    bench = await started()
    assert await bench.found() == []


async def test_on_an_account_without_trades_the_first_fill_counts() -> None:
    bench = Bench()
    bench.account.trades.clear()
    await bench.recovery.start(bench.account)
    bench.account.trades = [fill(0)]
    assert await bench.found() == [0]


async def test_the_first_call_starts_and_finds_nothing() -> None:
    bench = Bench()
    started = [bench.recovery.is_started]
    assert await bench.found() == []
    assert [*started, bench.recovery.is_started] == [False, True]
    bench.account.trades.append(fill(2))
    assert await bench.found() == [2]


async def test_only_fills_without_an_event_are_found() -> None:
    bench = await started()
    bench.account.trades += [fill(2), fill(3), fill(4)]
    bench.buffer.release()
    bench.buffer.on_event(event(3))
    reports = await bench.recovery.find_missed(bench.account, bench.buffer)
    assert [(report.trade_id, report.filled_quantity) for report in reports] == [(2, D(1)), (4, D(3))]


async def test_a_fill_whose_event_is_held_is_not_missed() -> None:
    bench = await started()
    bench.account.trades += [fill(2), fill(3)]
    bench.buffer.on_event(event(3))
    assert await bench.found() == [2]


async def test_a_fill_is_found_once() -> None:
    bench = await started()
    bench.account.trades.append(fill(2))
    assert await bench.found() == [2]
    assert await bench.found() == []


async def test_a_failed_call_is_repeated_in_full() -> None:
    bench = await started()
    bench.account.trades.append(fill(2))
    bench.account.orders.clear()
    bench.account.orders[501] = ORDER
    answer = bench.account.order_status

    async def refuse(order_id: int | None, client_order_id: str = "") -> OrderRecord:
        raise RequestRefused(-1003, f"too much weight {order_id} {client_order_id}")

    bench.account.order_status = refuse  # type: ignore[method-assign]
    with pytest.raises(RequestRefused, match="-1003"):
        await bench.found()
    bench.account.order_status = answer  # type: ignore[method-assign]
    assert await bench.found() == [2]


async def test_an_unknown_order_does_not_delay_the_others() -> None:
    bench = await started()
    bench.account.trades += [fill(2, order_id=404), fill(3)]
    assert await bench.found() == [3]


async def test_an_order_that_is_not_found_is_looked_for_in_the_list() -> None:
    bench = await started()
    bench.account.trades.append(fill(2))
    bench.account.lagging[501] = 1
    assert await bench.found(after_s=0.0) == [2]
    assert not bench.has_unresolved()


async def test_an_order_is_queried_again_while_the_database_lags() -> None:
    bench = await started()
    bench.account.trades.append(fill(2))
    bench.account.in_list = False
    bench.account.lagging[501] = 2
    assert await bench.found(after_s=2.0) == [2]


async def test_an_unresolved_fill_is_found_by_the_next_call_and_the_others_only_once() -> None:
    bench = await started()
    bench.account.orders[502] = replace(ORDER, order_id=502, filled_quantity=D(1))
    bench.account.trades += [fill(2, order_id=502), fill(3), fill(4, order_id=502)]
    bench.account.in_list = False
    bench.account.lagging[501] = 3
    assert await bench.found() == [2, 4]
    assert bench.has_unresolved()
    bench.account.trades.append(fill(5))
    assert await bench.found() == [3, 5]
    assert not bench.has_unresolved()
    assert await bench.found() == []


async def test_very_many_orders_are_queried_once_per_call() -> None:
    bench = await started()
    bench.account.trades += [fill(2 + number, order_id=1000 + number) for number in range(50)]
    bench.account.queries = 0
    assert await bench.found(after_s=0.0) == []
    assert bench.account.queries == 51
    bench.account.orders |= {1000 + number: replace(ORDER, order_id=1000 + number) for number in range(50)}
    assert await bench.found(after_s=0.0) == list(range(2, 52))


async def test_a_fill_is_given_up_after_ten_seconds_without_its_order(caplog: pytest.LogCaptureFixture) -> None:
    bench = await started()
    bench.account.trades += [fill(2, order_id=404), fill(3)]
    assert await bench.found() == [3]
    await bench.clock.advance(7.9)
    assert await bench.found() == []  # ten seconds later, said six times
    assert "fills ignored" in caplog.text
    assert not bench.has_unresolved()
    bench.account.queries = 0
    assert await bench.found() == []
    assert bench.account.queries == 1


async def test_a_fill_is_not_given_up_before_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    bench = await started()
    bench.account.trades.append(fill(2, order_id=404))
    for _ in range(3):
        assert await bench.found() == []
    assert bench.has_unresolved()
    assert "fills ignored" not in caplog.text


async def test_one_fill_is_given_up_while_others_are_still_unresolved() -> None:
    bench = await started()
    bench.account.trades.append(fill(2, order_id=404))
    await bench.found()
    await bench.clock.advance(5)
    bench.account.trades.append(fill(3, order_id=405))
    await bench.found()
    await bench.clock.advance(3)
    await bench.found()
    bench.account.queries = 0
    await bench.found()
    assert bench.account.queries == 7  # the list, and three times the one that is still waited for


async def test_a_fill_held_by_a_lost_connection_is_found_by_the_next_call() -> None:
    bench = await started()
    bench.account.trades += [fill(2), fill(3)]
    bench.buffer.on_event(event(2))
    assert await bench.found() == [3]
    bench.buffer = bench.stream.open_buffer(lambda _: None)
    assert await bench.found() == [2]


async def test_long_lists_are_read_to_the_end() -> None:
    bench = await started()
    bench.account.trades += [fill(trade_id) for trade_id in range(2, 2502)]
    assert await bench.found() == list(range(2, 2502))


async def test_an_order_whose_fills_are_all_in_the_list_costs_one_query() -> None:
    bench = await started()
    bench.account.orders[502] = replace(ORDER, order_id=502)
    bench.account.trades += [fill(2, order_id=502, quantity=1), fill(3, order_id=502, quantity=2)]
    bench.account.queries = 0
    reports = await bench.recovery.find_missed(bench.account, bench.buffer)
    assert [report.filled_quantity for report in reports] == [D(1), D(3)]
    assert bench.account.queries == 2


async def test_of_very_many_orders_only_the_newest_are_queried() -> None:
    bench = await started()
    orders = [replace(ORDER, order_id=1000 + number, filled_quantity=D(1)) for number in range(500)]
    bench.account.orders = {order.order_id: order for order in orders}
    bench.account.trades += [fill(2 + number, order_id=1000 + number) for number in range(500)]
    bench.account.queries = 0
    assert await bench.found() == list(range(202, 502))
    assert bench.account.queries == 301
