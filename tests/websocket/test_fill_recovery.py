"""Fills that no event told are found in the list of trades and told like any other, each once."""

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
    """The same fill as the stream tells it."""
    (report,) = to_reports("ETHFDUSD", ORDER, [fill(trade_id)])
    return replace(report, execution_id=trade_id)


class Account:
    """The exchange's books, in pages of at most a thousand."""

    def __init__(self, trades: Sequence[AccountTrade] = (), orders: Sequence[OrderRecord] = (ORDER,)) -> None:
        self.trades = list(trades)
        self.orders = {order.order_id: order for order in orders}
        self.asked = 0
        self.hidden: dict[int, int] = {}  # by order id, how many more questions find no such order
        self.lists = True  # the list of orders knows better

    async def all_orders(self, from_order_id: int | None = None) -> Sequence[OrderRecord]:
        self.asked += 1
        assert from_order_id is not None
        return [order for order in self.orders.values() if order.order_id >= from_order_id] if self.lists else []

    async def order_status(self, order_id: int | None, client_order_id: str = "") -> OrderRecord:
        self.asked += 1
        assert order_id is not None
        assert client_order_id == ""
        if self.hidden.get(order_id):
            self.hidden[order_id] -= 1
            raise RequestRefused(-2013, "Order does not exist.")
        if order_id not in self.orders:
            raise RequestRefused(-2013, "Order does not exist.")
        return self.orders[order_id]

    async def my_trades(
        self, *, order_id: int | None = None, from_id: int | None = None, limit: int = 1000
    ) -> tuple[AccountTrade, ...]:
        self.asked += 1
        assert limit <= 1000
        rows = [trade for trade in self.trades if order_id in (None, trade.order_id)]
        if from_id is None:
            return tuple(rows[-limit:])
        return tuple([trade for trade in rows if trade.trade_id >= from_id][:limit])


class Bench:
    """A list that was read when it held trade 1."""

    def __init__(self) -> None:
        self.reports: list[ExecutionReport] = []
        self.clock = ManualClock()
        self.stream = AccountStream("ETHFDUSD", MarketState(10), self.clock, on_report=self.reports.append)
        self.ear = self.stream.open_buffer(lambda _: None)
        self.missed = FillRecovery("ETHFDUSD", self.stream, self.clock)
        self.account = Account([fill(1)])

    async def found(self, after_s: float = 2.0) -> list[int]:
        """The trades of a look that may take so long."""
        look = asyncio.ensure_future(self.missed.find_missed(self.account, self.ear))
        await self.clock.advance(after_s)
        return [report.trade_id for report in await look]

    def waits(self) -> bool:
        return self.missed.has_unresolved


async def begun() -> Bench:
    bench = Bench()
    await bench.missed.start(bench.account)
    return bench


def test_reports_of_all_fills_say_what_the_events_would_have() -> None:
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


def test_a_pegged_orders_price_is_where_it_rested() -> None:
    (report,) = to_reports("ETHFDUSD", replace(ORDER, price=ZERO, pegged_price=D("10.4")), [fill(7)])
    assert report.price == D("10.4")


async def test_what_was_there_at_the_beginning_is_history() -> None:
    bench = await begun()
    assert await bench.found() == []


async def test_an_account_without_trades_begins_with_the_first() -> None:
    bench = Bench()
    bench.account.trades.clear()
    await bench.missed.start(bench.account)
    bench.account.trades = [fill(0)]
    assert await bench.found() == [0]


async def test_without_a_beginning_nothing_counts_as_missed() -> None:
    bench = Bench()
    begun = [bench.missed.is_started]
    assert await bench.found() == []
    assert [*begun, bench.missed.is_started] == [False, True]
    bench.account.trades.append(fill(2))
    assert await bench.found() == [2]


async def test_what_no_event_told_is_found_and_what_one_told_is_not() -> None:
    bench = await begun()
    bench.account.trades += [fill(2), fill(3), fill(4)]
    bench.ear.release()
    bench.ear.on_event(event(3))
    reports = await bench.missed.find_missed(bench.account, bench.ear)
    assert [(report.trade_id, report.filled_quantity) for report in reports] == [(2, D(1)), (4, D(3))]


async def test_a_fill_whose_event_waits_is_not_missed() -> None:
    bench = await begun()
    bench.account.trades += [fill(2), fill(3)]
    bench.ear.on_event(event(3))
    assert await bench.found() == [2]


async def test_what_was_found_is_not_found_again() -> None:
    bench = await begun()
    bench.account.trades.append(fill(2))
    assert await bench.found() == [2]
    assert await bench.found() == []


async def test_a_look_that_failed_is_repeated_in_full() -> None:
    bench = await begun()
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


async def test_an_order_nobody_knows_does_not_keep_the_others() -> None:
    bench = await begun()
    bench.account.trades += [fill(2, order_id=404), fill(3)]
    assert await bench.found() == [3]


async def test_an_order_said_not_to_exist_is_looked_for_in_the_list() -> None:
    bench = await begun()
    bench.account.trades.append(fill(2))
    bench.account.hidden[501] = 1
    assert await bench.found(after_s=0.0) == [2]
    assert not bench.waits()


async def test_it_is_asked_for_again_while_the_exchanges_books_lag() -> None:
    bench = await begun()
    bench.account.trades.append(fill(2))
    bench.account.lists = False
    bench.account.hidden[501] = 2
    assert await bench.found(after_s=2.0) == [2]


async def test_what_could_not_be_told_is_told_by_the_next_look_and_the_rest_only_once() -> None:
    bench = await begun()
    bench.account.orders[502] = replace(ORDER, order_id=502, filled_quantity=D(1))
    bench.account.trades += [fill(2, order_id=502), fill(3), fill(4, order_id=502)]
    bench.account.lists = False
    bench.account.hidden[501] = 3
    assert await bench.found() == [2, 4]
    assert bench.waits()
    bench.account.trades.append(fill(5))
    assert await bench.found() == [3, 5]
    assert not bench.waits()
    assert await bench.found() == []


async def test_where_very_many_orders_are_absent_each_look_asks_once_about_each() -> None:
    bench = await begun()
    bench.account.trades += [fill(2 + number, order_id=1000 + number) for number in range(50)]
    bench.account.asked = 0
    assert await bench.found(after_s=0.0) == []
    assert bench.account.asked == 51
    bench.account.orders |= {1000 + number: replace(ORDER, order_id=1000 + number) for number in range(50)}
    assert await bench.found(after_s=0.0) == list(range(2, 52))


async def test_an_absence_is_believed_when_it_is_repeated_and_old(caplog: pytest.LogCaptureFixture) -> None:
    bench = await begun()
    bench.account.trades += [fill(2, order_id=404), fill(3)]
    assert await bench.found() == [3]
    await bench.clock.advance(7.9)
    assert await bench.found() == []  # ten seconds later, said six times
    assert "left out" in caplog.text
    assert not bench.waits()
    bench.account.asked = 0
    assert await bench.found() == []
    assert bench.account.asked == 1


async def test_a_young_absence_is_not_believed(caplog: pytest.LogCaptureFixture) -> None:
    bench = await begun()
    bench.account.trades.append(fill(2, order_id=404))
    for _ in range(3):
        assert await bench.found() == []
    assert bench.waits()
    assert "left out" not in caplog.text


async def test_one_absence_given_up_does_not_wait_for_the_others() -> None:
    bench = await begun()
    bench.account.trades.append(fill(2, order_id=404))
    await bench.found()
    await bench.clock.advance(5)
    bench.account.trades.append(fill(3, order_id=405))
    await bench.found()
    await bench.clock.advance(3)
    await bench.found()
    bench.account.asked = 0
    await bench.found()
    assert bench.account.asked == 7  # the list, and three times the one that is still waited for


async def test_a_fill_that_waited_in_an_ear_that_went_is_found_by_the_next_look() -> None:
    bench = await begun()
    bench.account.trades += [fill(2), fill(3)]
    bench.ear.on_event(event(2))
    assert await bench.found() == [3]
    bench.ear = bench.stream.open_buffer(lambda _: None)
    assert await bench.found() == [2]


async def test_long_lists_are_read_to_the_end() -> None:
    bench = await begun()
    bench.account.trades += [fill(trade_id) for trade_id in range(2, 2502)]
    assert await bench.found() == list(range(2, 2502))


async def test_an_order_whose_fills_are_all_in_the_list_costs_one_question() -> None:
    bench = await begun()
    bench.account.orders[502] = replace(ORDER, order_id=502)
    bench.account.trades += [fill(2, order_id=502, quantity=1), fill(3, order_id=502, quantity=2)]
    bench.account.asked = 0
    reports = await bench.missed.find_missed(bench.account, bench.ear)
    assert [report.filled_quantity for report in reports] == [D(1), D(3)]
    assert bench.account.asked == 2


async def test_fills_of_very_many_orders_are_not_all_asked_about() -> None:
    bench = await begun()
    orders = [replace(ORDER, order_id=1000 + number, filled_quantity=D(1)) for number in range(500)]
    bench.account.orders = {order.order_id: order for order in orders}
    bench.account.trades += [fill(2 + number, order_id=1000 + number) for number in range(500)]
    bench.account.asked = 0
    assert await bench.found() == list(range(202, 502))
    assert bench.account.asked == 301
