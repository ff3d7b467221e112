"""The simulated exchange: filters, limits and cancel-replace in front of the matching engine.

Theory of operation. One symbol, any number of accounts, no I/O: requests and ticks go in, results come back, events
collect in the engine. The order of checks and events matters to a client, so it is fixed:

1. filters (−1013) and pegs, which cost nothing;
2. unfilled-order limits (−1015): the order counts from here on, also if the engine then rejects it;
3. the engine: status, duplicate id, open-order limit, post-only, balance (−2010);
4. events: execution reports in the order of the fills, then account positions, then the book's top.

A cancel-replace is two requests in one, not a transaction. Filters, the open-order limit (the old order still counts)
and, under DO_NOTHING, the unfilled-order limit are checked first; if one fails, the old
order stays.
After that the cancel and the placement succeed or fail separately. The cancel and its CANCELED
report come first.
If the cancel fails, STOP_ON_FAILURE does not try the placement and ALLOW_FAILURE does.

Not modelled: order lists, stop and iceberg orders.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.model.market import Kline, Side
from trailingedge.simulator.accounts import SimAccount
from trailingedge.simulator.audit_log import AuditLog
from trailingedge.simulator.engine import Engine
from trailingedge.simulator.errors import PEG_FORBIDDEN, ExchangeError, order_rejected
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.filters import check_filters
from trailingedge.simulator.keys import KeyRing, SigningKey
from trailingedge.simulator.orders import Amendment, AmendOrder, CancelOrder, NewOrder, OrderType, SimOrder, SimTrade
from trailingedge.simulator.rate_limits import RequestWeightLimiter

OWNER: Final = "owner"  # the account that exists from the start

SUCCESS: Final = "SUCCESS"
FAILURE: Final = "FAILURE"
NOT_ATTEMPTED: Final = "NOT_ATTEMPTED"


class ReplaceMode(Enum):
    """What a cancel-replace does when its cancel fails."""

    STOP_ON_FAILURE = "STOP_ON_FAILURE"
    ALLOW_FAILURE = "ALLOW_FAILURE"


class RateLimitExceededMode(Enum):
    """What a cancel-replace does when there are too many unfilled orders."""

    DO_NOTHING = "DO_NOTHING"
    CANCEL_ONLY = "CANCEL_ONLY"


@dataclass(frozen=True, slots=True)
class CancelReplaceRequest:
    """The parameters of a cancel-replace."""

    target: CancelOrder
    new_order: NewOrder
    mode: ReplaceMode
    exceeded_mode: RateLimitExceededMode = RateLimitExceededMode.DO_NOTHING


@dataclass(frozen=True, slots=True)
class CancelReplaceResult:
    """Result or error of the cancel and of the placement. `place` is None if no placement was tried."""

    cancel: tuple[SimOrder, str] | ExchangeError
    place: tuple[SimOrder, list[SimTrade]] | ExchangeError | None
    rate_limited: bool = False  # the account had too many unfilled orders

    @property
    def error(self) -> tuple[int, int, str] | None:
        """Status, code and text of the error reply; None if cancel and placement succeeded."""
        cancelled = not isinstance(self.cancel, ExchangeError)
        placed = isinstance(self.place, tuple)
        if cancelled and placed:
            return None
        if cancelled or placed:
            return 409, -2021, "Order cancel-replace partially failed."
        # Binance's table of outcomes: 429 only if the limit applied and the new order was not tried at all.
        status = 429 if self.rate_limited and self.place is None else 400
        return status, -2022, "Order cancel-replace failed."


class Exchange:
    """One exchange: accounts, API keys, limits, and the engine behind them."""

    def __init__(
        self,
        spec: ExchangeSpec,
        clock: Clock,
        balances: Mapping[str, Decimal],
        history: Iterable[Kline] = (),
        keep_all: bool = False,
    ) -> None:
        self.spec = spec
        self.clock = clock
        self.audit_log = AuditLog(keep_all)
        self.engine = Engine(spec, clock, self.audit_log, history)
        self.weight_limiter = RequestWeightLimiter(spec)
        self.keys = KeyRing()
        self.open_account(OWNER, balances)

    def open_account(self, name: str, balances: Mapping[str, Decimal]) -> SimAccount:
        """Open another account. Both assets of the symbol are listed, with zero if `balances` has none."""
        assets = (self.spec.base_asset, self.spec.quote_asset)
        return self.engine.accounts.open_account(name, dict.fromkeys(assets, Decimal(0)) | dict(balances))

    def account(self, name: str = OWNER) -> SimAccount:
        return self.engine.accounts.get(name)

    def register_key(self, key: SigningKey, account: str = OWNER, api_key: str | None = None) -> str:
        """Register a key that may sign for `account`. Returns the API key that names it in requests."""
        return self.keys.register(key, account, api_key)

    def manual_trader(self, account: str = OWNER) -> "ManualTrader":
        """A trader who acts on the account outside any session, as its owner would in the exchange's app."""
        return ManualTrader(self, self.account(account))

    def check_order(self, request: NewOrder) -> None:
        """Raise ExchangeError if the order fails a filter, or is pegged and the symbol allows no pegs."""
        engine = self.engine
        if request.peg is not None and not self.spec.pegs_allowed:
            raise order_rejected(PEG_FORBIDDEN)
        if not engine.book.is_open:
            return  # no price yet, so no average to compare with; the engine rejects: the market is closed
        price = engine.working_price(request)
        check_filters(self.spec, request, price, engine.base_quantity(request, price), engine.market.average_price())

    def place(self, account: SimAccount, request: NewOrder) -> tuple[SimOrder, list[SimTrade]]:
        """Place an order. Raises ExchangeError if the order is rejected.

        An order that passes the filters counts as an unfilled order, even if the engine rejects it.
        """
        self.check_order(request)
        self._count_order(account)
        try:
            return self.engine.place_order(account, request)
        finally:
            self.engine.publish_changes()

    def cancel(self, account: SimAccount, target: CancelOrder) -> tuple[SimOrder, str]:
        """Cancel an order. Returns the order and the cancel's client order id. Raises ExchangeError."""
        cancelled = self.engine.cancel_order(account, target)
        self.engine.publish_changes()
        return cancelled

    def amend(self, account: SimAccount, request: AmendOrder) -> tuple[SimOrder, Amendment]:
        """Reduce an order's quantity. Returns the order and the amendment. Raises ExchangeError."""
        amended = self.engine.amend_order(account, request)
        self.engine.publish_changes()
        return amended

    def cancel_all(self, account: SimAccount) -> list[tuple[SimOrder, str]]:
        """Cancel all open orders of the account, oldest first, manual ones included (as `openOrders.cancelAll`)."""
        # The targets are listed first: cancelling changes the account's open orders while we would iterate over them.
        found = [CancelOrder(order_id=order.order_id) for order in account.open_orders()]
        cancelled = [self.engine.cancel_order(account, target) for target in found]
        self.engine.publish_changes()
        return cancelled

    def replace(self, account: SimAccount, request: CancelReplaceRequest) -> CancelReplaceResult:
        """Cancel an order, then place another; see the top of the module. Raises ExchangeError if neither was tried."""
        self.check_order(request.new_order)
        # Checked before the cancel, although the cancel would free a place: the real exchange does so, and a bot at the
        # limit must therefore cancel and place separately.
        self.engine.check_open_order_limit(account)
        exceeded = account.order_counts.limit_error(self.clock.unix_ms())
        if exceeded is not None and request.exceeded_mode is RateLimitExceededMode.DO_NOTHING:
            raise exceeded
        # The order counts once, as soon as it is attempted, whether or not the two halves succeed.
        if exceeded is None:
            account.order_counts.add(self.clock.unix_ms())
        try:
            return self._replace(account, request, exceeded)
        finally:
            self.engine.publish_changes()

    def record_error(self, account: str, refusal: ExchangeError) -> None:
        """Write an error reply to the audit log."""
        self.audit_log.record_error(self.clock.unix_ms(), self.engine.market_ms, account, refusal)

    def _replace(
        self, account: SimAccount, request: CancelReplaceRequest, exceeded: ExchangeError | None
    ) -> CancelReplaceResult:
        limited = exceeded is not None
        try:
            cancelled: tuple[SimOrder, str] | ExchangeError = self.engine.cancel_order(account, request.target)
        except ExchangeError as refusal:
            self.record_error(account.name, refusal)
            if request.mode is ReplaceMode.STOP_ON_FAILURE:
                return CancelReplaceResult(refusal, None, limited)
            cancelled = refusal
        if exceeded is not None:
            self.record_error(account.name, exceeded)
            return CancelReplaceResult(cancelled, exceeded, limited)
        try:
            return CancelReplaceResult(cancelled, self.engine.place_order(account, request.new_order))
        except ExchangeError as refusal:
            self.record_error(account.name, refusal)
            # Only this rejection is an event as well as a reply: the client may learn of the cancel by its event first,
            # and must not wait for a new order that does not come.
            self.engine.publish_rejection(account, request.new_order, refusal.text)
            return CancelReplaceResult(cancelled, refusal)

    def _count_order(self, account: SimAccount) -> None:
        now_ms = self.clock.unix_ms()
        exceeded = account.order_counts.limit_error(now_ms)
        if exceeded is not None:
            raise exceeded
        account.order_counts.add(now_ms)


class ManualTrader:
    """The account's owner acting outside any session: manual orders, deposits and withdrawals.

    Manual orders skip filters and limits. The daemon must leave them alone and cope with the balances they change.
    """

    def __init__(self, exchange: Exchange, account: SimAccount) -> None:
        self._engine = exchange.engine
        self._account = account

    def place(
        self,
        side: Side,
        price: Decimal,
        quantity: Decimal,
        type: OrderType = OrderType.LIMIT_MAKER,  # noqa: A002 - the exchange's word
        client_order_id: str | None = None,
    ) -> SimOrder:
        """Place a manual order. Raises ExchangeError."""
        request = NewOrder(side, type, quantity, price, client_order_id=client_order_id)
        try:
            order, _ = self._engine.place_order(self._account, request, manual=True)
        finally:
            self._engine.publish_changes()
        return order

    def cancel(self, order_id: int) -> SimOrder:
        """Cancel any open order of the account, the daemon's included. Raises ExchangeError."""
        order, _ = self._engine.cancel_order(self._account, CancelOrder(order_id=order_id), manual=True)
        self._engine.publish_changes()
        return order

    def deposit(self, asset: str, amount: Decimal) -> None:
        self._engine.transfer(self._account, asset, amount)

    def withdraw(self, asset: str, amount: Decimal) -> None:
        """Withdraw from the free balance. Raises ExchangeError if `amount` is more than that."""
        self._engine.transfer(self._account, asset, -amount)
