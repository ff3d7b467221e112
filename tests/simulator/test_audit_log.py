from decimal import Decimal

from tests.simulator.exchange_builders import an_exchange, sell, tick

from trailingedge.model.market import Side
from trailingedge.simulator.audit_log import MAX_KINDS, AuditEntry, AuditLog, KindCounts
from trailingedge.simulator.orders import CancelOrder, NewOrder, OrderType


def test_orders_are_tallied_by_the_kind_in_their_id() -> None:
    exchange = an_exchange(maker_fee=Decimal("0.001"))
    exchange.place(exchange.account(), sell("100.10", "1", "TE-t-abc"))
    exchange.place(exchange.account(), sell("100.20", "2", "TE-t-def"))
    exchange.place(exchange.account(), sell("109.00", "1", "TE-j-abc"))
    exchange.engine.on_tick(tick("101.00", "101.10", at_s=1))
    assert exchange.audit_log.counts_by_kind == {
        ("TE-t", Side.SELL): KindCounts(placed=2, filled=2, base=Decimal(3), quote=Decimal("300.50")),
        ("TE-j", Side.SELL): KindCounts(placed=1),
    }
    assert (exchange.audit_log.maker_fills, exchange.audit_log.taker_fills) == (2, 0)
    assert exchange.audit_log.fees == {"FDUSD": Decimal("0.3005")}


def test_takers_are_counted_apart() -> None:
    exchange = an_exchange()
    exchange.place(exchange.account(), NewOrder(Side.SELL, OrderType.MARKET, Decimal(1)))
    assert (exchange.audit_log.maker_fills, exchange.audit_log.taker_fills) == (0, 1)


def test_the_most_orders_open_at_once_leave_out_those_by_hand() -> None:
    exchange = an_exchange()
    exchange.manual_trader().place(Side.SELL, Decimal("100.50"), Decimal(1))
    first, _ = exchange.place(exchange.account(), sell("100.10"))
    exchange.cancel(exchange.account(), CancelOrder(first.order_id))
    exchange.place(exchange.account(), sell("100.20"))
    assert exchange.audit_log.max_open_orders == 1
    exchange.place(exchange.account(), sell("100.30"))
    assert exchange.audit_log.max_open_orders == 2


def test_entries_tell_the_course_of_things_in_order() -> None:
    exchange = an_exchange()
    order, _ = exchange.place(exchange.account(), sell("100.10", "1", "mm-1"))
    exchange.cancel(exchange.account(), CancelOrder(order.order_id))
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


def test_a_journal_stays_small_however_much_happens() -> None:
    exchange = an_exchange(base="100000")
    journal = AuditLog()
    order, _ = exchange.place(exchange.account(), sell())
    for number in range(5000):
        order.client_order_id = f"kind{number}-1"
        journal.record_placement(number, number, order, 1)
    assert len(journal.entries) == 2000
    assert len(journal.counts_by_kind) == MAX_KINDS + 1


def test_what_is_done_by_hand_is_tallied_apart() -> None:
    exchange = an_exchange(taker_fee=Decimal("0.001"))
    hand = exchange.manual_trader()
    hand.place(Side.SELL, Decimal("100.00"), Decimal(1), OrderType.MARKET)
    hand.deposit("ETH", Decimal(3))
    hand.withdraw("ETH", Decimal(1))
    journal = exchange.audit_log
    assert journal.manual_counts[Side.SELL] == KindCounts(base=Decimal(1), quote=Decimal("100.00"))
    assert journal.manual_fees == {"FDUSD": Decimal("0.1")}
    assert journal.transfers == {"ETH": Decimal(2)}
    assert (journal.taker_fills, journal.counts_by_kind, journal.fees) == (0, {}, {})


def test_each_entry_is_heard_as_it_is_made() -> None:
    exchange = an_exchange()
    heard: list[AuditEntry] = []
    exchange.audit_log.on_entry = heard.append
    exchange.place(exchange.account(), sell())
    assert [entry.what for entry in heard] == ["placed"]
