"""The exchange's own ledger: what was asked, done and refused, and by whom. It judges; nobody's word counts here."""

import hashlib
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trailingedge.model.market import ZERO, Side
from trailingedge.simulator.errors import WOULD_TAKE, ExchangeError
from trailingedge.simulator.orders import SimOrder, SimTrade

MAX_KEPT_ENTRIES: Final = 2000  # entries, unless all are kept
MAX_KINDS: Final = 100  # tallied apart; strangers' ids beyond that share one tally


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line: what happened to which account's order, in words. Times are wall and market."""

    unix_ms: int
    market_ms: int
    what: str  # "request", "answered", "placed", "filled", "finished", "refused", "cancelled by another", "moved"
    account: str
    details: str


@dataclass(slots=True)
class KindCounts:
    """What orders of one kind came to; the kind is the first two words of the client order id."""

    placed: int = 0
    filled: int = 0  # orders filled to the end
    base: Decimal = ZERO
    quote: Decimal = ZERO


class AuditLog:
    """Counts for the judge, and the entries behind them: the newest, or all of them with `keep_all`.

    Orders by hand are the owner's own: they are tallied apart and count as neither placed nor filled, only as
    foreign where a session cancels one. `heard` is given each entry as it is made.
    """

    def __init__(self, keep_all: bool = False, heard: Callable[[AuditEntry], None] = lambda _: None) -> None:
        self.on_entry = heard
        self.entries: deque[AuditEntry] = deque(maxlen=None if keep_all else MAX_KEPT_ENTRIES)
        self.requests: Counter[str] = Counter()  # by method
        self.errors_by_code: Counter[int] = Counter()  # by code
        self.errors_by_text: Counter[str] = Counter()
        self.counts_by_kind: dict[tuple[str, Side], KindCounts] = {}  # by kind of client order id, and side
        self.placed = 0
        self.maker_fills = 0
        self.taker_fills = 0
        self.foreign_cancels = 0
        self.max_open_orders = 0  # of one account at one time, those by hand apart
        self.fees: dict[str, Decimal] = {}  # by asset
        self.manual_counts: dict[Side, KindCounts] = {side: KindCounts() for side in Side}
        self.manual_fees: dict[str, Decimal] = {}
        self.transfers: dict[str, Decimal] = {}  # by asset, deposits less withdrawals
        self._digest = hashlib.sha256()

    @property
    def filter_failures(self) -> int:
        """Refused for a filter, in the engine or before it."""
        return sum(count for text, count in self.errors_by_text.items() if text.startswith("Filter failure"))

    @property
    def would_take_rejections(self) -> int:
        """Post-only orders that would have matched at once."""
        return self.errors_by_text[WOULD_TAKE]

    @property
    def digest(self) -> str:
        """The same for two runs that took the same course."""
        return self._digest.hexdigest()

    def record_request(self, unix_ms: int, market_ms: int, account: str, method: str) -> None:
        self.requests[method] += 1
        self._append(AuditEntry(unix_ms, market_ms, "request", account, method))

    def record_reply(self, unix_ms: int, market_ms: int, account: str, method: str) -> None:
        """The answer to a request is on its way; to some there is none."""
        self._append(AuditEntry(unix_ms, market_ms, "answered", account, method))

    def record_error(self, unix_ms: int, market_ms: int, account: str, refusal: ExchangeError) -> None:
        """A request, or one half of a cancel-replace, was refused."""
        self.errors_by_code[refusal.code] += 1
        self.errors_by_text[refusal.text] += 1
        self._append(AuditEntry(unix_ms, market_ms, "refused", account, f"{refusal.code} {refusal.text}"))

    def record_placement(self, unix_ms: int, market_ms: int, order: SimOrder, open_orders: int) -> None:
        """The engine took an order; its account has that many open now."""
        if not order.is_manual:
            self.placed += 1
            self._counts_of(order).placed += 1
            self.max_open_orders = max(self.max_open_orders, open_orders)
        self._append(AuditEntry(unix_ms, market_ms, "placed", order.account, describe_order(order)))

    def record_fill(self, unix_ms: int, market_ms: int, order: SimOrder, trade: SimTrade) -> None:
        """One fill."""
        if not order.is_manual:
            self.maker_fills += trade.is_maker
            self.taker_fills += not trade.is_maker
            self.fees[trade.commission_asset] = self.fees.get(trade.commission_asset, ZERO) + trade.commission
            tally = self._counts_of(order)
            tally.base += trade.quantity
            tally.quote += trade.quote_volume
            tally.filled += not order.remaining
        else:
            tally, fees = self.manual_counts[order.side], self.manual_fees
            tally.base += trade.quantity
            tally.quote += trade.quote_volume
            fees[trade.commission_asset] = fees.get(trade.commission_asset, ZERO) + trade.commission
        role = "maker" if trade.is_maker else "taker"
        details = f"{described(order)} {role} {trade.quantity} at {trade.price}"
        self._append(AuditEntry(unix_ms, market_ms, "filled", order.account, details))

    def record_end(self, unix_ms: int, market_ms: int, order: SimOrder, by_hand: bool) -> None:
        """An order ended unfilled: cancelled or expired."""
        foreign = order.is_manual and not by_hand
        self.foreign_cancels += foreign
        what = "cancelled by another" if foreign else "finished"
        self._append(AuditEntry(unix_ms, market_ms, what, order.account, f"{described(order)} {order.status.value}"))

    def record_transfer(self, unix_ms: int, market_ms: int, account: str, asset: str, amount: Decimal) -> None:
        """A deposit, or (negative) a withdrawal."""
        self.transfers[asset] = self.transfers.get(asset, ZERO) + amount
        self._append(AuditEntry(unix_ms, market_ms, "moved", account, f"{amount} {asset}"))

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
    """`order` in one line."""
    return (
        f"{order.order_id} {order.client_order_id} {order.request.type.value} {order.side.value} "
        f"{order.quantity} at {order.price}"
    )
