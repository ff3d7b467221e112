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

KEPT: Final = 2000  # entries, unless all are kept
KINDS: Final = 100  # tallied apart; strangers' ids beyond that share one tally


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
        self.heard = heard
        self.entries: deque[AuditEntry] = deque(maxlen=None if keep_all else KEPT)
        self.requests: Counter[str] = Counter()  # by method
        self.refusals: Counter[int] = Counter()  # by code
        self.refusal_texts: Counter[str] = Counter()
        self.tallies: dict[tuple[str, Side], KindCounts] = {}  # by kind of client order id, and side
        self.placed = 0
        self.maker_fills = 0
        self.taker_fills = 0
        self.foreign_cancels = 0
        self.most_open_orders = 0  # of one account at one time, those by hand apart
        self.fees: dict[str, Decimal] = {}  # by asset
        self.by_hand: dict[Side, KindCounts] = {side: KindCounts() for side in Side}
        self.fees_by_hand: dict[str, Decimal] = {}
        self.transfers: dict[str, Decimal] = {}  # by asset, deposits less withdrawals
        self._digest = hashlib.sha256()

    @property
    def filter_refusals(self) -> int:
        """Refused for a filter, in the engine or before it."""
        return sum(count for text, count in self.refusal_texts.items() if text.startswith("Filter failure"))

    @property
    def would_take_refusals(self) -> int:
        """Post-only orders that would have matched at once."""
        return self.refusal_texts[WOULD_TAKE]

    @property
    def digest(self) -> str:
        """The same for two runs that took the same course."""
        return self._digest.hexdigest()

    def requested(self, unix_ms: int, market_ms: int, account: str, method: str) -> None:
        self.requests[method] += 1
        self._enter(AuditEntry(unix_ms, market_ms, "request", account, method))

    def answered(self, unix_ms: int, market_ms: int, account: str, method: str) -> None:
        """The answer to a request is on its way; to some there is none."""
        self._enter(AuditEntry(unix_ms, market_ms, "answered", account, method))

    def refused(self, unix_ms: int, market_ms: int, account: str, refusal: ExchangeError) -> None:
        """A request, or one half of a cancel-replace, was refused."""
        self.refusals[refusal.code] += 1
        self.refusal_texts[refusal.text] += 1
        self._enter(AuditEntry(unix_ms, market_ms, "refused", account, f"{refusal.code} {refusal.text}"))

    def accepted(self, unix_ms: int, market_ms: int, order: SimOrder, open_orders: int) -> None:
        """The engine took an order; its account has that many open now."""
        if not order.by_hand:
            self.placed += 1
            self._tally(order).placed += 1
            self.most_open_orders = max(self.most_open_orders, open_orders)
        self._enter(AuditEntry(unix_ms, market_ms, "placed", order.account, described(order)))

    def filled(self, unix_ms: int, market_ms: int, order: SimOrder, trade: SimTrade) -> None:
        """One fill."""
        if not order.by_hand:
            self.maker_fills += trade.is_maker
            self.taker_fills += not trade.is_maker
            self.fees[trade.commission_asset] = self.fees.get(trade.commission_asset, ZERO) + trade.commission
            tally = self._tally(order)
            tally.base += trade.quantity
            tally.quote += trade.quote
            tally.filled += not order.remaining
        else:
            tally, fees = self.by_hand[order.side], self.fees_by_hand
            tally.base += trade.quantity
            tally.quote += trade.quote
            fees[trade.commission_asset] = fees.get(trade.commission_asset, ZERO) + trade.commission
        role = "maker" if trade.is_maker else "taker"
        details = f"{described(order)} {role} {trade.quantity} at {trade.price}"
        self._enter(AuditEntry(unix_ms, market_ms, "filled", order.account, details))

    def finished(self, unix_ms: int, market_ms: int, order: SimOrder, by_hand: bool) -> None:
        """An order ended unfilled: cancelled or expired."""
        foreign = order.by_hand and not by_hand
        self.foreign_cancels += foreign
        what = "cancelled by another" if foreign else "finished"
        self._enter(AuditEntry(unix_ms, market_ms, what, order.account, f"{described(order)} {order.status.value}"))

    def moved(self, unix_ms: int, market_ms: int, account: str, asset: str, amount: Decimal) -> None:
        """A deposit, or (negative) a withdrawal."""
        self.transfers[asset] = self.transfers.get(asset, ZERO) + amount
        self._enter(AuditEntry(unix_ms, market_ms, "moved", account, f"{amount} {asset}"))

    def _tally(self, order: SimOrder) -> KindCounts:
        kind = "-".join(order.client_order_id.split("-")[:2])
        if (kind, order.side) not in self.tallies and len(self.tallies) >= KINDS:
            kind = "other"
        return self.tallies.setdefault((kind, order.side), KindCounts())

    def _enter(self, entry: AuditEntry) -> None:
        self.entries.append(entry)
        self.heard(entry)
        line = f"{entry.unix_ms} {entry.market_ms} {entry.what} {entry.account} {entry.details}\n"
        self._digest.update(line.encode())


def described(order: SimOrder) -> str:
    """`order` in one line."""
    return (
        f"{order.order_id} {order.client_order_id} {order.wanted.type.value} {order.side.value} "
        f"{order.quantity} at {order.price}"
    )
