"""Lagged view of an account: its records as they were some seconds ago.

On the real exchange queries are served by replicas that may lag behind the matching engine: an order just
placed can be "unknown" to `order.status` for a moment. The fault `lag` answers queries from these views.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Final, Protocol

from trailingedge.model.market import Balance
from trailingedge.simulator.errors import ExchangeError, wrong_client_order_id
from trailingedge.simulator.orders import SimOrder, SimTrade
from trailingedge.simulator.rate_limits import OrderCounts

MAX_LAG_MS: Final = 20_000  # versions older than this are dropped, but for the newest of them


class AccountRecords(Protocol):
    """The account records that queries read: its present state (`SimAccount`) or an older one (`LaggedAccount`)."""

    @property
    def uid(self) -> int: ...

    @property
    def updated_ms(self) -> int: ...

    @property
    def order_counts(self) -> OrderCounts: ...

    @property
    def orders(self) -> Mapping[int, SimOrder]: ...

    @property
    def newest_order_id(self) -> int: ...

    @property
    def trades(self) -> Sequence[SimTrade]: ...

    def balances(self) -> list[Balance]: ...

    def open_orders(self) -> list[SimOrder]: ...

    def find_newest_order(self, client_order_id: str) -> SimOrder | None: ...


def find_order(records: AccountRecords, order_id: int | None, client_order_id: str | None) -> SimOrder:
    """Return the order that a query names by order id, else by client order id.

    If several orders had the same client order id, the open one is returned, else the newest. Raises ExchangeError if
    there is none (−2013), or if the two ids name different orders (−2039).
    """
    order = records.find_newest_order(client_order_id or "") if order_id is None else records.orders.get(order_id)
    if order is None:
        raise ExchangeError(-2013, "Order does not exist.")
    if client_order_id not in {None, order.client_order_id}:
        raise wrong_client_order_id()
    return order


@dataclass(frozen=True, slots=True)
class AccountVersion:
    """The changeable part of an account at one wall-clock time.

    Its orders are copies from that time, which do not change.
    """

    unix_ms: int
    updated_ms: int
    balances: tuple[Balance, ...]
    open_orders: Mapping[int, SimOrder]
    newest_order_id: int
    newest_trade_id: int


@dataclass(frozen=True, slots=True)
class LaggedAccount:
    """The records of `current` as they were at `version`.

    Orders and trades are never removed, so the highest id at that time tells which of them existed then.
    """

    current: AccountRecords
    version: AccountVersion

    @property
    def uid(self) -> int:
        return self.current.uid

    @property
    def updated_ms(self) -> int:
        return self.version.updated_ms

    @property
    def order_counts(self) -> OrderCounts:
        return self.current.order_counts

    @property
    def newest_order_id(self) -> int:
        return self.version.newest_order_id

    @property
    def orders(self) -> Mapping[int, SimOrder]:
        known = (order for order in self.current.orders.values() if order.order_id <= self.version.newest_order_id)
        return {order.order_id: self.version.open_orders.get(order.order_id, order) for order in known}

    @property
    def trades(self) -> Sequence[SimTrade]:
        return [trade for trade in self.current.trades if trade.trade_id <= self.version.newest_trade_id]

    def balances(self) -> list[Balance]:
        return list(self.version.balances)

    def open_orders(self) -> list[SimOrder]:
        return list(self.version.open_orders.values())

    def find_newest_order(self, client_order_id: str) -> SimOrder | None:
        named = [order for order in self.orders.values() if order.client_order_id == client_order_id]
        return next((order for order in named if not order.status.final), named[-1] if named else None)


class AccountVersions:
    """The latest versions of one account, oldest first."""

    def __init__(self) -> None:
        self._versions: deque[AccountVersion] = deque()

    def save(self, account: AccountRecords, unix_ms: int) -> None:
        """Append the account's present state. This is called after each change."""
        versions = self._versions
        trades = account.trades
        versions.append(
            AccountVersion(
                unix_ms,
                account.updated_ms,
                tuple(account.balances()),
                # Copies, because the engine changes orders in place when they fill.
                {order.order_id: copy(order) for order in account.open_orders()},
                account.newest_order_id,
                trades[-1].trade_id if trades else 0,
            )
        )
        # The newest version older than the limit stays: it is what a query at the limit must see.
        while len(versions) > 1 and versions[1].unix_ms < unix_ms - MAX_LAG_MS:
            versions.popleft()

    def version_at(self, unix_ms: int) -> AccountVersion | None:
        """Return the version valid at `unix_ms`; the oldest kept version if all versions are newer.

        Returns None if the account has not changed since `unix_ms`.
        """
        if not self._versions or self._versions[-1].unix_ms <= unix_ms:
            return None
        return next((each for each in reversed(self._versions) if each.unix_ms <= unix_ms), self._versions[0])
