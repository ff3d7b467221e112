"""The simulated exchange as its clients see it: accounts, keys, request weight, market data, and JSON events.

It adds to the matching engine what clients need that are connected over WebSocket. Here the engine's typed events
become JSON, entries of the audit log, and versions of the accounts for queries that lag behind. The JSON events collect
until `take_events` is called. The methods for orders are in `order_entry`.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.model.market import BookTop, Kline, Side
from trailingedge.simulator.accounts import SimAccount
from trailingedge.simulator.audit_log import AuditLog
from trailingedge.simulator.bars import bar_of_kline
from trailingedge.simulator.engine import BREAK, CANCEL_ONLY, Engine
from trailingedge.simulator.engine_events import (
    ActionEnded,
    BalancesChanged,
    EngineEvent,
    FundsTransferred,
    HalfRejected,
    OrderReport,
)
from trailingedge.simulator.errors import ExchangeError
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.ticks import Tick
from trailingedge.simulator.keys import KeyRing, SigningKey
from trailingedge.simulator.klines import Interval, kline_event_json
from trailingedge.simulator.market_data import MarketData
from trailingedge.simulator.market_streams import MarketStreams
from trailingedge.simulator.order_entry import SimOrderEntry
from trailingedge.simulator.orders import CancelOrder, NewOrder, OrderType, SimOrder
from trailingedge.simulator.payloads import (
    ExchangeEvent,
    MarketEvent,
    UserEvent,
    account_position,
    balance_update,
    report_json,
)
from trailingedge.simulator.rate_limits import RequestWeightLimiter

OWNER: Final = "owner"  # the account that exists from the start


class Exchange:
    """One exchange: accounts, API keys, limits, market data, and the engine behind them.

    `prices_known` is for a live market that may become stale: while it returns False, requests for prices
    are answered with an error instead of the prices seen last.
    """

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
        self.market = MarketData(spec, history)
        self.streams = MarketStreams(spec, self.market, self._emit)
        self.engine = Engine(spec, self.market, self._on_event, clock.unix_ms)
        self.order_entry = SimOrderEntry(self.engine, self._on_event, clock.unix_ms)
        self.weight_limiter = RequestWeightLimiter(spec)
        self.keys = KeyRing()
        self.prices_known: Callable[[], bool] = lambda: True
        self._events: list[ExchangeEvent] = []
        self.open_account(OWNER, balances)

    # Accounts

    def open_account(self, name: str, balances: Mapping[str, Decimal]) -> SimAccount:
        """Open another account."""
        return self.engine.accounts.open_account(name, balances)

    def account(self, name: str = OWNER) -> SimAccount:
        return self.engine.accounts.get(name)

    def register_key(self, key: SigningKey, account: str = OWNER, api_key: str | None = None) -> str:
        """Register a key that may sign for `account`. Returns the API key that names it in requests."""
        return self.keys.register(key, account, api_key)

    def manual_trader(self, account: str = OWNER) -> "ManualTrader":
        """A trader who acts on the account outside any session, as its owner would in the exchange's app."""
        return ManualTrader(self.engine, self.account(account))

    # The market

    def on_tick(self, tick: Tick) -> None:
        """Play the market's next tick: close klines, fill orders. Raises ValueError for a tick older than the last."""
        self.streams.close_klines(tick.time_ms)
        self.engine.on_tick(tick)

    def relay_kline(self, kline: Kline, interval: Interval, event_ms: int) -> None:
        """Store and publish a kline that another exchange published at `event_ms` (see `Klines.relay_interval`)."""
        self.engine.advance_time(event_ms)
        self.market.klines.add_relayed(interval, kline)
        payload = kline_event_json(bar_of_kline(kline), interval, self.spec.symbol, event_ms, closed=kline.closed)
        self._emit(MarketEvent(f"{self.spec.stream_prefix}@kline_{interval.name}", payload))

    def top(self) -> BookTop:
        """The published top of the book, with its update id. Raises ValueError before the first tick."""
        self._publish_market()
        return self.market.book.top

    # Events

    def take_events(self) -> list[ExchangeEvent]:
        """Return and remove the events collected since the last call, in order."""
        events, self._events = self._events, []
        return events

    def record_error(self, account: str, refusal: ExchangeError) -> None:
        """Write an error reply to the audit log."""
        self.audit_log.record_error(self.clock.unix_ms(), self.engine.market_ms, account, refusal)

    def _on_event(self, event: EngineEvent) -> None:
        match event:
            case ActionEnded():
                self._publish_market()
            case OrderReport():
                self.audit_log.record_report(self.clock.unix_ms(), event)
                self._events.append(UserEvent(event.account.name, report_json(event, self.spec.symbol)))
            case BalancesChanged(account, event_ms):
                self._publish_position(account, (self.spec.base_asset, self.spec.quote_asset), event_ms)
                account.save_version(self.clock.unix_ms())
            case FundsTransferred(account, asset, amount, event_ms):
                account.save_version(self.clock.unix_ms())
                self.audit_log.record_transfer(self.clock.unix_ms(), event_ms, account.name, asset, amount)
                self._events.append(UserEvent(account.name, balance_update(asset, amount, event_ms)))
                self._publish_position(account, (asset,), event_ms)
            case HalfRejected(account, error):
                self.record_error(account.name, error)

    def _publish_position(self, account: SimAccount, assets: tuple[str, ...], event_ms: int) -> None:
        balances = [account.balance(asset) for asset in assets]
        self._events.append(UserEvent(account.name, account_position(balances, account.updated_ms, event_ms)))

    def _publish_market(self) -> None:
        """Publish the book if it has changed, and the streams that are due. Symbol status BREAK stops both.

        The first book is an exception: it is stored even in a BREAK, so that `top` can return it.
        """
        engine, published = self.engine, self.market.book
        if engine.book.is_open and not (engine.symbol_status == BREAK and published.is_open):
            self.streams.publish(engine.market_ms, top_changed=published.update(engine.book.published_levels()))

    def _emit(self, event: MarketEvent) -> None:
        """Collect a market event.

        During symbol status BREAK all market events are dropped, during CANCEL_ONLY those of klines.
        """
        status = self.engine.symbol_status
        if status != BREAK and (status != CANCEL_ONLY or "@kline_" not in event.stream):
            self._events.append(event)


class ManualTrader:
    """The account's owner acting outside any session: manual orders, deposits and withdrawals.

    Manual orders skip filters and limits. The daemon must leave them alone and cope with the balances they change.
    """

    def __init__(self, engine: Engine, account: SimAccount) -> None:
        self._engine = engine
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
            self._engine.end_action()
        return order

    def cancel(self, order_id: int) -> SimOrder:
        """Cancel any open order of the account, the daemon's included. Raises ExchangeError."""
        order, _ = self._engine.cancel_order(self._account, CancelOrder(order_id=order_id), manual=True)
        self._engine.end_action()
        return order

    def deposit(self, asset: str, amount: Decimal) -> None:
        self._engine.transfer(self._account, asset, amount)

    def withdraw(self, asset: str, amount: Decimal) -> None:
        """Withdraw from the free balance. Raises ExchangeError if `amount` is more than that."""
        self._engine.transfer(self._account, asset, -amount)
