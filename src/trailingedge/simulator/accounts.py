"""Who owns what: balances in exact decimals, and the record of each account's orders and trades.

Nothing is created and nothing lost: what an account gives, the others out there or the fee chest get.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from itertools import count
from typing import Final

from trailingedge.model.market import ZERO, Balance, Side
from trailingedge.simulator.errors import INSUFFICIENT_BALANCE, order_rejected
from trailingedge.simulator.exchange_spec import SMALLEST_AMOUNT, ExchangeSpec
from trailingedge.simulator.lagged_view import AccountRecords, AccountVersions, LaggedAccount
from trailingedge.simulator.orders import SimOrder, SimTrade
from trailingedge.simulator.rate_limits import OrderCounts

MAX_KEPT_RECORDS: Final = 10_000  # finished orders, and trades, that an account remembers


class SimAccount:
    """One account: balances, orders, trades and its count of unfilled orders."""

    def __init__(self, name: str, uid: int, balances: Mapping[str, Decimal], terms: ExchangeSpec) -> None:
        self.name = name
        self.uid = uid
        self.updated_ms = 0
        self.order_counts = OrderCounts(terms)
        self.orders: OrderedDict[int, SimOrder] = OrderedDict()  # by order id, oldest first
        self.trades: deque[SimTrade] = deque(maxlen=MAX_KEPT_RECORDS)
        self._open_orders: dict[int, SimOrder] = {}
        self._balances = {asset: Balance(asset, amount) for asset, amount in balances.items()}
        self._generated_ids = count(1)
        self._versions = AccountVersions()
        self.save_version(0)

    def balance(self, asset: str) -> Balance:
        return self._balances.get(asset, Balance(asset, ZERO))

    def balances(self) -> list[Balance]:
        return list(self._balances.values())

    def lock_funds(self, asset: str, amount: Decimal) -> None:
        """Set `amount` aside for an order. Raises the engine's refusal if there is less."""
        held = self.balance(asset)
        if amount > held.free:
            raise order_rejected(INSUFFICIENT_BALANCE)
        self._assign(asset, held.free - amount, held.locked + amount)

    def release_locked(self, asset: str, amount: Decimal) -> None:
        """Give `amount` back from what was set aside."""
        held = self.balance(asset)
        self._assign(asset, held.free + amount, held.locked - amount)

    def spend_locked(self, asset: str, amount: Decimal) -> None:
        """Hand over `amount` of what was set aside."""
        held = self.balance(asset)
        self._assign(asset, held.free, held.locked - amount)

    def credit(self, asset: str, amount: Decimal) -> None:
        """Add `amount`; a withdrawal is negative. Raises the refusal if there is less."""
        held = self.balance(asset)
        if held.free + amount < ZERO:
            raise order_rejected(INSUFFICIENT_BALANCE)
        self._assign(asset, held.free + amount, held.locked)

    def open_orders(self) -> list[SimOrder]:
        """Oldest first."""
        return list(self._open_orders.values())

    def find_open_order(self, client_order_id: str) -> SimOrder | None:
        """The open order of that client order id; at most one can be."""
        return next((order for order in self._open_orders.values() if order.client_order_id == client_order_id), None)

    def find_newest_order(self, client_order_id: str) -> SimOrder | None:
        """The open order of that client order id, else the newest that had it."""
        named = (order for order in reversed(self.orders.values()) if order.client_order_id == client_order_id)
        return self.find_open_order(client_order_id) or next(named, None)

    def generate_client_order_id(self) -> str:
        """A client order id for whoever sent none: 22 characters, as the real ones."""
        return f"auto{next(self._generated_ids):018d}"

    def add_order(self, order: SimOrder) -> None:
        """Keep a new order, and forget the oldest finished one beyond what is kept."""
        self.orders[order.order_id] = self._open_orders[order.order_id] = order
        if len(self.orders) > MAX_KEPT_RECORDS:
            del self.orders[next(order_id for order_id in self.orders if order_id not in self._open_orders)]

    def close_order(self, order: SimOrder) -> None:
        """The order can change no more."""
        self._open_orders.pop(order.order_id, None)

    def save_version(self, unix_ms: int) -> None:
        """Remember how things stand after a change, for those who are told late."""
        self._versions.save(self, unix_ms)

    def as_of(self, unix_ms: int) -> AccountRecords:
        """The records as they stood then; those of now where nothing has changed since."""
        moment = self._versions.version_at(unix_ms)
        return self if moment is None else LaggedAccount(self, moment)

    def _assign(self, asset: str, free: Decimal, locked: Decimal) -> None:
        if free < ZERO or locked < ZERO:
            raise ValueError(f"account {self.name}: {asset} free {free}, locked {locked}")
        self._balances[asset] = Balance(asset, free, locked)


class AccountRegistry:
    """All accounts and, across the counter, what the others out there and the fee chest have had of them."""

    def __init__(self, terms: ExchangeSpec) -> None:
        self._spec = terms
        self._accounts: dict[str, SimAccount] = {}
        self.counterparty_net: dict[str, Decimal] = {}  # by asset, net of what came back
        self.fees: dict[str, Decimal] = {}  # by asset

    def __iter__(self) -> Iterator[SimAccount]:
        return iter(self._accounts.values())

    def open_account(self, name: str, balances: Mapping[str, Decimal]) -> SimAccount:
        """A new account. Raises ValueError for a name taken."""
        if name in self._accounts:
            raise ValueError(f"there is an account {name} already")
        account = SimAccount(name, len(self._accounts) + 1, balances, self._spec)
        self._accounts[name] = account
        return account

    def get(self, name: str) -> SimAccount:
        """Raises KeyError for a name unknown."""
        return self._accounts[name]

    def total(self, asset: str) -> Decimal:
        """Of `asset`, everywhere: constant but for deposits and withdrawals."""
        held = sum((account.balance(asset).total for account in self), ZERO)
        return held + self.counterparty_net.get(asset, ZERO) + self.fees.get(asset, ZERO)

    def settle_fill(self, order: SimOrder, price: Decimal, quantity: Decimal, fee: Decimal) -> tuple[Decimal, str]:
        """Exchange the assets of one fill; the commission, and its asset, is what `fee` takes of the proceeds.

        What was set aside for a BUY beyond `price` comes back.
        """
        account = self.get(order.account)
        base, quote = self._spec.base_asset, self._spec.quote_asset
        if order.side is Side.BUY:
            sold, given, bought, proceeds = quote, price * quantity, base, quantity
            account.release_locked(quote, (order.price - price) * quantity)
        else:
            sold, given, bought, proceeds = base, quantity, quote, price * quantity
        commission = (proceeds * fee).quantize(SMALLEST_AMOUNT, rounding=ROUND_HALF_UP)
        account.spend_locked(sold, given)
        account.credit(bought, proceeds - commission)
        self.counterparty_net[sold] = self.counterparty_net.get(sold, ZERO) + given
        self.counterparty_net[bought] = self.counterparty_net.get(bought, ZERO) - proceeds
        self.fees[bought] = self.fees.get(bought, ZERO) + commission
        return commission, bought
