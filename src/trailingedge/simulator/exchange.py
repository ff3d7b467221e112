"""The exchange behind its doors: what is checked before the engine, and what a cancel-replace is made of.

One symbol, any number of accounts. Pure: ticks and requests go in, answers come back, events collect in
the engine. Misses that a reader of the real one might look for: order lists, stop and iceberg orders,
amendments, depth streams, microseconds. Of trades only those of the world outside are streamed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from trailingedge.core.clock import Clock
from trailingedge.model.market import Kline, Side
from trailingedge.simulator.accounts import SimAccount
from trailingedge.simulator.audit_log import AuditLog
from trailingedge.simulator.engine import Engine
from trailingedge.simulator.errors import PEG_FORBIDDEN, ExchangeError, order_rejected
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.filters import check_filters
from trailingedge.simulator.keys import KeyRing
from trailingedge.simulator.orders import CancelOrder, NewOrder, OrderType, SimOrder, SimTrade
from trailingedge.simulator.rate_limits import RequestWeightLimiter

OWNER: Final = "owner"  # the account there is from the start

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
    """A cancel-replace as asked for."""

    target: CancelOrder
    new_order: NewOrder
    mode: ReplaceMode
    exceeded_mode: RateLimitExceededMode = RateLimitExceededMode.DO_NOTHING


@dataclass(frozen=True, slots=True)
class CancelReplaceResult:
    """What became of the two halves: what they brought, why they failed, or (None) that it was not tried."""

    cancel: tuple[SimOrder, str] | ExchangeError
    place: tuple[SimOrder, list[SimTrade]] | ExchangeError | None
    rate_limited: bool = False  # there were too many unfilled orders

    @property
    def error(self) -> tuple[int, int, str] | None:
        """Status, code and text of the envelope around the halves; None when both succeeded."""
        cancelled = not isinstance(self.cancel, ExchangeError)
        placed = isinstance(self.place, tuple)
        if cancelled and placed:
            return None
        if cancelled or placed:
            return 409, -2021, "Order cancel-replace partially failed."
        # The table gives 429 where the limit kept the new order from being tried at all.
        status = 429 if self.rate_limited and self.place is None else 400
        return status, -2022, "Order cancel-replace failed."


class Exchange:
    """The rules in front of the engine, for whoever acts on an account."""

    def __init__(
        self,
        terms: ExchangeSpec,
        clock: Clock,
        balances: Mapping[str, Decimal],
        history: Iterable[Kline] = (),
        keep_all: bool = False,
    ) -> None:
        self.spec = terms
        self.clock = clock
        self.audit_log = AuditLog(keep_all)
        self.engine = Engine(terms, clock, self.audit_log, history)
        self.weight_limiter = RequestWeightLimiter(terms)
        self.keys = KeyRing()
        self.open_account(OWNER, balances)

    def open_account(self, name: str, balances: Mapping[str, Decimal]) -> SimAccount:
        """A further account. Both assets of the symbol are listed, with zero where `balances` has none."""
        assets = (self.spec.base_asset, self.spec.quote_asset)
        return self.engine.accounts.open_account(name, dict.fromkeys(assets, Decimal(0)) | dict(balances))

    def account(self, name: str = OWNER) -> SimAccount:
        return self.engine.accounts.get(name)

    def register_key(self, public_key: Ed25519PublicKey, account: str = OWNER, api_key: str | None = None) -> str:
        """The API key by which the holder of the private key acts for `account`."""
        return self.keys.register(public_key, account, api_key)

    def manual_trader(self, account: str = OWNER) -> "ManualTrader":
        """Act on an account as its owner would elsewhere, past sessions and limits."""
        return ManualTrader(self, self.account(account))

    def check_order(self, wanted: NewOrder) -> None:
        """Raise the refusal of an order that breaks a filter, or of a peg where the symbol has none."""
        engine = self.engine
        if wanted.peg is not None and not self.spec.pegs_allowed:
            raise order_rejected(PEG_FORBIDDEN)
        if not engine.book.is_open:
            return  # without a price there is no average; the engine will say that the market is closed
        price = engine.working_price(wanted)
        check_filters(self.spec, wanted, price, engine.base_quantity(wanted, price), engine.average_price())

    def place(self, account: SimAccount, wanted: NewOrder) -> tuple[SimOrder, list[SimTrade]]:
        """Raises the refusals of filters, limits and engine. Those of the engine count as an order, too."""
        self.check_order(wanted)
        self._count_order(account)
        try:
            return self.engine.place_order(account, wanted)
        finally:
            self.engine.publish_changes()

    def cancel(self, account: SimAccount, target: CancelOrder) -> tuple[SimOrder, str]:
        """The order and the cancel's id. Raises the engine's refusals."""
        cancelled = self.engine.cancel_order(account, target)
        self.engine.publish_changes()
        return cancelled

    def cancel_all(self, account: SimAccount) -> list[tuple[SimOrder, str]]:
        """All open orders of the account, oldest first, however they came to be."""
        found = [CancelOrder(order_id=order.order_id) for order in account.open_orders()]
        cancelled = [self.engine.cancel_order(account, target) for target in found]
        self.engine.publish_changes()
        return cancelled

    def replace(self, account: SimAccount, asked: CancelReplaceRequest) -> CancelReplaceResult:
        """Cancel, then place. Not a transaction: each half may fail by itself.

        Raises what refuses the whole and leaves the old order alone: a filter, too many open orders (the
        old one still counts), and too many unfilled ones under DO_NOTHING.
        """
        self.check_order(asked.new_order)
        self.engine.check_open_order_limit(account)
        exceeded = account.order_counts.limit_error(self.clock.unix_ms())
        if exceeded is not None and asked.exceeded_mode is RateLimitExceededMode.DO_NOTHING:
            raise exceeded
        if exceeded is None:
            account.order_counts.add(self.clock.unix_ms())
        try:
            return self._replace(account, asked, exceeded)
        finally:
            self.engine.publish_changes()

    def record_error(self, account: str, refusal: ExchangeError) -> None:
        """Write a refusal down."""
        self.audit_log.record_error(self.clock.unix_ms(), self.engine.market_ms, account, refusal)

    def _replace(
        self, account: SimAccount, asked: CancelReplaceRequest, exceeded: ExchangeError | None
    ) -> CancelReplaceResult:
        limited = exceeded is not None
        try:
            cancelled: tuple[SimOrder, str] | ExchangeError = self.engine.cancel_order(account, asked.target)
        except ExchangeError as refusal:
            self.record_error(account.name, refusal)
            if asked.mode is ReplaceMode.STOP_ON_FAILURE:
                return CancelReplaceResult(refusal, None, limited)
            cancelled = refusal
        if exceeded is not None:
            self.record_error(account.name, exceeded)
            return CancelReplaceResult(cancelled, exceeded, limited)
        try:
            return CancelReplaceResult(cancelled, self.engine.place_order(account, asked.new_order))
        except ExchangeError as refusal:
            self.record_error(account.name, refusal)
            self.engine.publish_rejection(account, asked.new_order, refusal.text)
            return CancelReplaceResult(cancelled, refusal)

    def _count_order(self, account: SimAccount) -> None:
        now_ms = self.clock.unix_ms()
        exceeded = account.order_counts.limit_error(now_ms)
        if exceeded is not None:
            raise exceeded
        account.order_counts.add(now_ms)


class ManualTrader:
    """The account's owner at another screen: his orders are foreign to every session, his money comes and goes."""

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
        """Raises the engine's refusals."""
        wanted = NewOrder(side, type, quantity, price, client_order_id=client_order_id)
        try:
            order, _ = self._engine.place_order(self._account, wanted, by_hand=True)
        finally:
            self._engine.publish_changes()
        return order

    def cancel(self, order_id: int) -> SimOrder:
        """Any open order of the account. Raises the engine's refusals."""
        order, _ = self._engine.cancel_order(self._account, CancelOrder(order_id=order_id), by_hand=True)
        self._engine.publish_changes()
        return order

    def deposit(self, asset: str, amount: Decimal) -> None:
        self._engine.transfer(self._account, asset, amount)

    def withdraw(self, asset: str, amount: Decimal) -> None:
        """Raises the refusal if there is less, what orders lock apart."""
        self._engine.transfer(self._account, asset, -amount)
