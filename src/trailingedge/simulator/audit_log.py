"""Audit log of the simulated exchange: every request, order, fill and error, with counts.

Tests judge the daemon by this log alone, never by what the daemon says about itself.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trailingedge.model.market import ZERO, ExecutionType, Side
from trailingedge.simulator.engine_events import OrderReport
from trailingedge.simulator.errors import WOULD_TAKE, ExchangeError
from trailingedge.simulator.orders import SimOrder, SimTrade

MAX_KEPT_ENTRIES: Final = 2000  # the newest entries, unless all are kept
# The number of kinds of client order id that are counted separately. All further kinds share one count, so that a
# client with random ids cannot fill the memory.
MAX_KINDS: Final = 100


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One event of one account. The fields are the keys of the JSON lines that `--journal` writes."""

    unix_ms: int  # wall clock
    market_ms: int  # market time, which runs at another speed
    # "request", "answered", "placed", "amended", "filled", "finished", "refused", "cancelled by another" or "moved"
    what: str
    account: str
    details: str


@dataclass(slots=True)
class KindCounts:
    """Totals of the orders of one kind.

    The kind is the client order id up to its second dash, such as `TE-t`.
    """

    placed: int = 0
    filled: int = 0  # orders filled in full
    base: Decimal = ZERO
    quote: Decimal = ZERO


class AuditLog:
    """Counts events and keeps their entries: the newest `MAX_KEPT_ENTRIES`, or all of them with `keep_all`.

    Manual orders (see `ManualTrader`) are counted separately: neither `placed` nor the fills contain them.
    `foreign_cancels` counts the manual orders that a session cancelled. `on_entry` is called with each new entry.
    """

    def __init__(self, keep_all: bool = False, on_entry: Callable[[AuditEntry], None] = lambda _: None) -> None:
        self.on_entry = on_entry
        self.entries: deque[AuditEntry] = deque(maxlen=None if keep_all else MAX_KEPT_ENTRIES)
        self.requests: Counter[str] = Counter()  # by method
        self.errors_by_code: Counter[int] = Counter()  # by code
        self.errors_by_text: Counter[str] = Counter()
        self.counts_by_kind: dict[tuple[str, Side], KindCounts] = {}  # by kind of client order id, and side
        self.placed = 0
        self.maker_fills = 0
        self.taker_fills = 0
        self.foreign_cancels = 0
        self.max_open_orders = 0  # of one account at one time, without manual orders
        self.fees: dict[str, Decimal] = {}  # by asset
        self.manual_counts: dict[Side, KindCounts] = {side: KindCounts() for side in Side}
        self.manual_fees: dict[str, Decimal] = {}
        self.transfers: dict[str, Decimal] = {}  # by asset, deposits less withdrawals
        # The digest runs along, so that it covers all entries even when only the newest are kept.
        self._digest = hashlib.sha256()

    @property
    def filter_failures(self) -> int:
        """The number of requests that failed a filter. Some filters are checked in the engine, others before it."""
        return sum(count for text, count in self.errors_by_text.items() if text.startswith("Filter failure"))

    @property
    def would_take_rejections(self) -> int:
        """How many post-only orders were rejected because they would have matched at once."""
        return self.errors_by_text[WOULD_TAKE]

    @property
    def digest(self) -> str:
        """SHA-256 over all entries: equal for two runs with the same events at the same times."""
        return self._digest.hexdigest()

    def record_request(self, unix_ms: int, market_ms: int, account: str, method: str) -> None:
        """Record a request. The session calls this before the request's handler runs.

        For an account method it is called after the signature has been verified.
        """
        self.requests[method] += 1
        self._append(AuditEntry(unix_ms, market_ms, "request", account, method))

    def record_reply(self, unix_ms: int, market_ms: int, account: str, method: str) -> None:
        """Record that the reply to a request is sent. If a fault withholds the reply, this is never called."""
        self._append(AuditEntry(unix_ms, market_ms, "answered", account, method))

    def record_error(self, unix_ms: int, market_ms: int, account: str, refusal: ExchangeError) -> None:
        """Record that a request, or one half of a cancel-replace, ended with an error."""
        self.errors_by_code[refusal.code] += 1
        self.errors_by_text[refusal.text] += 1
        self._append(AuditEntry(unix_ms, market_ms, "refused", account, f"{refusal.code} {refusal.text}"))

    def record_report(self, unix_ms: int, report: OrderReport) -> None:
        """Record what an execution report says: an order was accepted, amended, filled or ended."""
        order, trade = report.order, report.trade
        details = describe_order(order)
        match report.execution:
            case ExecutionType.NEW:
                what = "placed"
                self._count_placement(report)
            case ExecutionType.TRADE if trade is not None:
                what = "filled"
                self._count_fill(order, trade)
                details += f" {'maker' if trade.is_maker else 'taker'} {trade.quantity} at {trade.price}"
            case ExecutionType.REPLACED:
                what = "amended"
                details += f", before {order.amendments[-1].orig_quantity}"
            case ExecutionType.CANCELED | ExecutionType.EXPIRED | ExecutionType.TRADE_PREVENTION if order.status.final:
                # A session cancelled an order that the account's owner placed by hand. The daemon must never do that.
                foreign = order.is_manual and not report.by_hand
                self.foreign_cancels += foreign
                what = "cancelled by another" if foreign else "finished"
                details += f" {order.status.value}"
            case _:
                return  # a rejection is recorded with its error reply; a prevented part of an order changes no count
        self._append(AuditEntry(unix_ms, report.event_ms, what, order.account, details))

    def record_transfer(self, unix_ms: int, market_ms: int, account: str, asset: str, amount: Decimal) -> None:
        """Record a deposit, or with a negative `amount` a withdrawal."""
        self.transfers[asset] = self.transfers.get(asset, ZERO) + amount
        self._append(AuditEntry(unix_ms, market_ms, "moved", account, f"{amount} {asset}"))

    def _count_placement(self, report: OrderReport) -> None:
        if not report.order.is_manual:
            self.placed += 1
            self._counts_of(report.order).placed += 1
            by_session = sum(not each.is_manual for each in report.account.open_orders())
            self.max_open_orders = max(self.max_open_orders, by_session)

    def _count_fill(self, order: SimOrder, trade: SimTrade) -> None:
        if not order.is_manual:
            self.maker_fills += trade.is_maker
            self.taker_fills += not trade.is_maker
            counts, fees = self._counts_of(order), self.fees
            # Counted at the last fill of an order; a partial fill that ends in a cancel is not a filled order.
            counts.filled += not order.remaining
        else:
            counts, fees = self.manual_counts[order.side], self.manual_fees
        counts.base += trade.quantity
        counts.quote += trade.quote_volume
        fees[trade.commission_asset] = fees.get(trade.commission_asset, ZERO) + trade.commission

    def _counts_of(self, order: SimOrder) -> KindCounts:
        kind = "-".join(order.client_order_id.split("-")[:2])
        if (kind, order.side) not in self.counts_by_kind and len(self.counts_by_kind) >= MAX_KINDS:
            kind = "other"
        return self.counts_by_kind.setdefault((kind, order.side), KindCounts())

    def _append(self, entry: AuditEntry) -> None:
        self.entries.append(entry)
        self.on_entry(entry)
        line = f"{entry.unix_ms} {entry.market_ms} {entry.what} {entry.account} {entry.details}\n"
        self._digest.update(line.encode())


def describe_order(order: SimOrder) -> str:
    """Ids, type, side, quantity and price of `order` in one line."""
    return (
        f"{order.order_id} {order.client_order_id} {order.request.type.value} {order.side.value} "
        f"{order.quantity} at {order.price}"
    )
