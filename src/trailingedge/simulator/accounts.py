"""Accounts of the simulated exchange: balances in exact decimals, orders and trades.

Assets are conserved. What an account pays goes to the market's participants (`counterparty_net`) or to the exchange
(`fees`), so that `total` of an asset changes only by deposits and withdrawals. Tests check this.
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

MAX_KEPT_RECORDS: Final = 10_000  # orders, and trades, kept per account


class SimAccount:
    """One account: balances, orders, trades and its unfilled-order counts."""

    def __init__(self, name: str, uid: int, balances: Mapping[str, Decimal], spec: ExchangeSpec) -> None:
        self.name = name
        self.uid = uid
        self.updated_ms = 0
        self.order_counts = OrderCounts(spec)
        self.orders: OrderedDict[int, SimOrder] = OrderedDict()  # by order id, oldest first
        self.trades: deque[SimTrade] = deque(maxlen=MAX_KEPT_RECORDS)
        self._open_orders: dict[int, SimOrder] = {}
        self._balances = {asset: Balance(asset, amount) for asset, amount in balances.items()}
        self._generated_ids = count(1)
        self._versions = AccountVersions()
        # Save a version at time 0 with the opening balances, so that `as_of` has an answer before the first change.
        self.save_version(0)

    @property
    def newest_order_id(self) -> int:
        """The id of the newest order; zero if there is none."""
        return next(reversed(self.orders), 0)

    def balance(self, asset: str) -> Balance:
        return self._balances.get(asset, Balance(asset, ZERO))

    def balances(self) -> list[Balance]:
        return list(self._balances.values())

    def lock_funds(self, asset: str, amount: Decimal) -> None:
        """Move `amount` from free to locked, for an order. Raises ExchangeError if less is free."""
        balance = self.balance(asset)
        if amount > balance.free:
            raise order_rejected(INSUFFICIENT_BALANCE)
        self._assign(asset, balance.free - amount, balance.locked + amount)

    def release_locked(self, asset: str, amount: Decimal) -> None:
        """Move `amount` from locked back to free."""
        balance = self.balance(asset)
        self._assign(asset, balance.free + amount, balance.locked - amount)

    def spend_locked(self, asset: str, amount: Decimal) -> None:
        """Pay `amount` out of the locked balance."""
        balance = self.balance(asset)
        self._assign(asset, balance.free, balance.locked - amount)

    def credit(self, asset: str, amount: Decimal) -> None:
        """Add `amount`, negative for a withdrawal, to the free balance. Raises ExchangeError if too little is free."""
        balance = self.balance(asset)
        if balance.free + amount < ZERO:
            raise order_rejected(INSUFFICIENT_BALANCE)
        self._assign(asset, balance.free + amount, balance.locked)

    def open_orders(self) -> list[SimOrder]:
        """The open orders, oldest first."""
        return list(self._open_orders.values())

    def find_open_order(self, client_order_id: str) -> SimOrder | None:
        """Return the open order with that client order id, or None; the engine allows only one open order per id."""
        # A scan is fast enough: an account has a handful of open orders, and the engine never allows two of them with
        # the same client order id.
        return next((order for order in self._open_orders.values() if order.client_order_id == client_order_id), None)

    def find_newest_order(self, client_order_id: str) -> SimOrder | None:
        """Return the open order with that client order id, else the newest finished order with it, else None.

        The exchange accepts a client order id again once its order is finished, so several orders may have the same id.
        """
        named = (order for order in reversed(self.orders.values()) if order.client_order_id == client_order_id)
        return self.find_open_order(client_order_id) or next(named, None)

    def generate_client_order_id(self) -> str:
        """Return a client order id for a request without one.

        It has 22 characters, as on the real exchange.
        """
        return f"auto{next(self._generated_ids):018d}"

    def add_order(self, order: SimOrder) -> None:
        """Keep a new order. If there are more than `MAX_KEPT_RECORDS`, forget the oldest finished one."""
        self.orders[order.order_id] = self._open_orders[order.order_id] = order
        # Open orders are never forgotten, however old: a query or a cancel for one must still find it.
        if len(self.orders) > MAX_KEPT_RECORDS:
            del self.orders[next(order_id for order_id in self.orders if order_id not in self._open_orders)]

    def close_order(self, order: SimOrder) -> None:
        """Mark the order as no longer open; it stays in `orders` for queries."""
        self._open_orders.pop(order.order_id, None)

    def save_version(self, unix_ms: int) -> None:
        """Save the account's records after a change.

        A simulated fault can then answer a query from older records.
        """
        self._versions.save(self, unix_ms)

    def as_of(self, unix_ms: int) -> AccountRecords:
        """Return the account's records as they were at wall-clock time `unix_ms`.

        They are the present records if nothing has changed since.
        """
        version = self._versions.version_at(unix_ms)
        return self if version is None else LaggedAccount(self, version)

    def _assign(self, asset: str, free: Decimal, locked: Decimal) -> None:
        # Reached only by a bug of the simulator: requests that would overdraw an account are rejected before.
        if free < ZERO or locked < ZERO:
            raise ValueError(f"account {self.name} overdrawn: {asset} free {free}, locked {locked}")
        self._balances[asset] = Balance(asset, free, locked)


class AccountRegistry:
    """Holds all accounts, and the amounts that counterparties and fees have received from them."""

    def __init__(self, spec: ExchangeSpec) -> None:
        self._spec = spec
        self._accounts: dict[str, SimAccount] = {}
        self.counterparty_net: dict[str, Decimal] = {}  # by asset: received from the accounts less paid to them
        self.fees: dict[str, Decimal] = {}  # by asset: commission collected

    def __iter__(self) -> Iterator[SimAccount]:
        return iter(self._accounts.values())

    def open_account(self, name: str, balances: Mapping[str, Decimal]) -> SimAccount:
        """Create and return an account. It lists both assets of the symbol, with zero if `balances` has none.

        Raises ValueError if the name is taken.
        """
        if name in self._accounts:
            raise ValueError(f"there is an account {name} already")
        assets = (self._spec.base_asset, self._spec.quote_asset)
        owned = dict.fromkeys(assets, ZERO) | dict(balances)
        account = SimAccount(name, len(self._accounts) + 1, owned, self._spec)
        self._accounts[name] = account
        return account

    def get(self, name: str) -> SimAccount:
        """The account of that name. Raises KeyError if there is none."""
        return self._accounts[name]

    def total(self, asset: str) -> Decimal:
        """Return the sum of `asset` over accounts, counterparties and fees. Only deposits and withdrawals change it."""
        owned = sum((account.balance(asset).total for account in self), ZERO)
        return owned + self.counterparty_net.get(asset, ZERO) + self.fees.get(asset, ZERO)

    def settle_fill(self, order: SimOrder, price: Decimal, quantity: Decimal, fee: Decimal) -> tuple[Decimal, str]:
        """Move the assets of one fill between account, market and fees. Returns the commission and its asset.

        The commission is the fraction `fee` of the proceeds, in the asset received, rounded half up to eight
        decimals as on the real exchange.
        """
        account = self.get(order.account)
        base, quote = self._spec.base_asset, self._spec.quote_asset
        if order.side is Side.BUY:
            sold, given, bought, proceeds = quote, price * quantity, base, quantity
            # A BUY locks its own price; a fill below it (only a taker's) returns the difference.
            account.release_locked(quote, (order.price - price) * quantity)
        else:
            sold, given, bought, proceeds = base, quantity, quote, price * quantity
        # The commission is taken from what the fill brings, so a BUY receives slightly less base than it bought. A bot
        # that sells exactly what it bought would then fail for want of balance.
        commission = (proceeds * fee).quantize(SMALLEST_AMOUNT, rounding=ROUND_HALF_UP)
        account.spend_locked(sold, given)
        account.credit(bought, proceeds - commission)
        # The books balance by construction: each amount below is added to one side and subtracted from the other.
        self.counterparty_net[sold] = self.counterparty_net.get(sold, ZERO) + given
        self.counterparty_net[bought] = self.counterparty_net.get(bought, ZERO) - proceeds
        self.fees[bought] = self.fees.get(bought, ZERO) + commission
        return commission, bought
