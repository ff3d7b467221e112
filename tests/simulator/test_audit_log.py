from decimal import Decimal

from tests.simulator.exchange_builders import an_exchange, sell, tick

from trailingedge.model.market import ExecutionType, Side
from trailingedge.simulator.audit_log import MAX_KINDS, AuditEntry, AuditLog, KindCounts
from trailingedge.simulator.engine_events import OrderReport
from trailingedge.simulator.orders import CancelOrder, NewOrder, OrderType


def test_orders_are_counted_by_the_kind_in_their_id() -> None:
    exchange = an_exchange(maker_fee=Decimal("0.001"))
    exchange.order_entry.place(exchange.account(), sell("100.10", "1", "TE-t-abc"))
    exchange.order_entry.place(exchange.account(), sell("100.20", "2", "TE-t-def"))
    exchange.order_entry.place(exchange.account(), sell("109.00", "1", "TE-j-abc"))
    exchange.on_tick(tick("101.00", "101.10", at_s=1))
    assert exchange.audit_log.counts_by_kind == {
        ("TE-t", Side.SELL): KindCounts(placed=2, filled=2, base=Decimal(3), quote=Decimal("300.50")),
        ("TE-j", Side.SELL): KindCounts(placed=1),
    }
    assert (exchange.audit_log.maker_fills, exchange.audit_log.taker_fills) == (2, 0)
    assert exchange.audit_log.fees == {"FDUSD": Decimal("0.3005")}


def test_taker_fills_are_counted_separately() -> None:
    exchange = an_exchange()
    exchange.order_entry.place(exchange.account(), NewOrder(Side.SELL, OrderType.MARKET, Decimal(1)))
    assert (exchange.audit_log.maker_fills, exchange.audit_log.taker_fills) == (0, 1)


def test_the_maximum_of_open_orders_leaves_out_manual_ones() -> None:
    exchange = an_exchange()
    exchange.manual_trader().place(Side.SELL, Decimal("100.50"), Decimal(1))
    first, _ = exchange.order_entry.place(exchange.account(), sell("100.10"))
    exchange.order_entry.cancel(exchange.account(), CancelOrder(first.order_id))
    exchange.order_entry.place(exchange.account(), sell("100.20"))
    assert exchange.audit_log.max_open_orders == 1
    exchange.order_entry.place(exchange.account(), sell("100.30"))
    assert exchange.audit_log.max_open_orders == 2


def test_entries_are_in_the_order_of_events() -> None:
    exchange = an_exchange()
    order, _ = exchange.order_entry.place(exchange.account(), sell("100.10", "1", "mm-1"))
    exchange.order_entry.cancel(exchange.account(), CancelOrder(order.order_id))
    assert [(entry.what, entry.details) for entry in exchange.audit_log.entries] == [
        ("placed", "1001 mm-1 LIMIT_MAKER SELL 1 at 100.10"),
        ("finished", "1001 mm-1 LIMIT_MAKER SELL 1 at 100.10 CANCELED"),
    ]


def test_the_digest_depends_on_everything_that_happened() -> None:
    first, second = AuditLog(), AuditLog()
    assert first.digest == second.digest
    first.record_request(1, 2, "owner", "ping")
    assert first.digest != second.digest
    second.record_request(1, 2, "owner", "ping")
    assert first.digest == second.digest


def test_the_audit_log_stays_small_however_much_happens() -> None:
    exchange = an_exchange(base="100000")
    audit_log = AuditLog()
    order, _ = exchange.order_entry.place(exchange.account(), sell())
    for number in range(5000):
        order.client_order_id = f"kind{number}-1"
        audit_log.record_report(number, OrderReport(exchange.account(), order, ExecutionType.NEW, number, number))
    assert len(audit_log.entries) == 2000
    assert len(audit_log.counts_by_kind) == MAX_KINDS + 1


def test_manual_orders_are_counted_separately() -> None:
    exchange = an_exchange(taker_fee=Decimal("0.001"))
    owner = exchange.manual_trader()
    owner.place(Side.SELL, Decimal("100.00"), Decimal(1), OrderType.MARKET)
    owner.deposit("ETH", Decimal(3))
    owner.withdraw("ETH", Decimal(1))
    audit_log = exchange.audit_log
    assert audit_log.manual_counts[Side.SELL] == KindCounts(base=Decimal(1), quote=Decimal("100.00"))
    assert audit_log.manual_fees == {"FDUSD": Decimal("0.1")}
    assert audit_log.transfers == {"ETH": Decimal(2)}
    assert (audit_log.taker_fills, audit_log.counts_by_kind, audit_log.fees) == (0, {}, {})


def test_on_entry_is_called_with_each_entry() -> None:
    exchange = an_exchange()
    received: list[AuditEntry] = []
    exchange.audit_log.on_entry = received.append
    exchange.order_entry.place(exchange.account(), sell())
    assert [entry.what for entry in received] == ["placed"]
