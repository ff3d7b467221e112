"""Fills that no event told, found in the account's list of trades and told as the reports that were missed.

The list names no client order id and no running totals; the order itself and all its fills do. A report
made of them says what the missed one said, so nobody who hears it needs to know the difference.

A fill proves its order. Where the exchange says that there is none, its books lag: it is asked again, now and
at the next looks, and believed only after a while.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, Protocol

from trailingedge.core.clock import Clock, RealClock
from trailingedge.core.errors import RequestRefused
from trailingedge.model.market import ZERO, AccountTrade, ExecutionReport, ExecutionType, OrderRecord, OrderStatus
from trailingedge.websocket.account_stream import AccountStream, EventBuffer

logger = logging.getLogger(__name__)

_PAGE_SIZE: Final = 1000
_MAX_ORDERS: Final = 300  # each is a question; beyond that they cannot all be ours
_NOT_FOUND_CODES: Final = frozenset({-2013, -2026})  # no such order, order archived
_MAX_RETRIED_ORDERS: Final = 20  # so many can be asked about more than once in one look
_ATTEMPTS: Final = 3
_RETRY_PAUSE_S: Final = 1.0
_ABSENT_AFTER_S: Final = 10.0


class FillRecoveryApi(Protocol):
    """What must be asked. Each raises RequestRefused, OutcomeUnknown, SessionLost or ProtocolViolation."""

    async def order_status(self, order_id: int | None, client_order_id: str = "") -> OrderRecord: ...

    async def all_orders(self, from_order_id: int | None = None) -> Sequence[OrderRecord]: ...

    async def my_trades(
        self, *, order_id: int | None = None, from_id: int | None = None, limit: int = 1000
    ) -> tuple[AccountTrade, ...]: ...


class FillRecovery:
    """Remembers up to where the list was read, and what of it could not be told yet."""

    def __init__(self, symbol: str, stream: AccountStream, clock: Clock | None = None) -> None:
        self._symbol = symbol
        self._stream = stream
        self._clock = clock or RealClock()
        self._newest_read: int | None = None
        self._done: frozenset[int] = frozenset()  # trades beyond `_newest_read` that need no other look
        self._absent_since_s: dict[int, float] = {}  # by order id, when it was first said not to exist

    @property
    def is_started(self) -> bool:
        """It is known where the list stood."""
        return self._newest_read is not None

    @property
    def has_unresolved(self) -> bool:
        """There are fills whose orders are still to be told of: look again in a few seconds."""
        return bool(self._absent_since_s)

    async def start(self, account: FillRecoveryApi) -> None:
        """What the list holds by now is history."""
        newest = await account.my_trades(limit=1)
        self._newest_read = max((trade.trade_id for trade in newest), default=-1)

    async def find_missed(
        self, account: FillRecoveryApi, ear: EventBuffer | None = None
    ) -> tuple[ExecutionReport, ...]:
        """The fills since the last look that neither were passed on nor wait in `ear`, oldest first."""
        if self._newest_read is None:
            await self.start(account)
            return ()
        listed = await _all_trades(account, self._newest_read + 1)
        held = {trade.trade_id for trade in listed if ear is not None and ear.has_trade(trade.trade_id)}
        done = held | self._done
        missed = [
            trade for trade in listed if trade.trade_id not in done and not self._stream.knows_trade(trade.trade_id)
        ]
        order_ids = list(dict.fromkeys(trade.order_id for trade in missed))
        if len(order_ids) > _MAX_ORDERS:
            logger.warning("fills of %d orders were missed; the oldest are left out", len(order_ids))
        found: list[ExecutionReport] = []
        for order in await self._orders(account, order_ids[-_MAX_ORDERS:]):
            found += await self._reports(
                account, order, [trade for trade in listed if trade.order_id == order.order_id]
            )
        self._remember(listed, held)
        news = {trade.trade_id for trade in missed}
        return tuple(sorted((report for report in found if report.trade_id in news), key=lambda each: each.trade_id))

    def _remember(self, listed: Sequence[AccountTrade], held: Collection[int]) -> None:
        """The next look begins with the first fill that nobody has heard of yet: an ear may go before its release."""
        if not listed:
            return
        still = {trade.trade_id for trade in listed if trade.trade_id in held or trade.order_id in self._absent_since_s}
        self._newest_read = min(still) - 1 if still else listed[-1].trade_id
        self._done = frozenset(trade.trade_id for trade in listed) - still if still else frozenset()

    async def _orders(self, account: FillRecoveryApi, order_ids: Sequence[int]) -> list[OrderRecord]:
        """Those orders; one that is said not to exist is waited for a little, and then left for the next look."""
        known: dict[int, OrderRecord] = {}
        absent, began_s = order_ids, self._clock.now_s()
        few = len(order_ids) <= _MAX_RETRIED_ORDERS
        for attempt in range(_ATTEMPTS if few else 1):
            if attempt:
                await self._clock.sleep(_RETRY_PAUSE_S)
            for order_id in absent:
                order = await _order(account, order_id, in_list=few)
                if order is not None:
                    known[order_id] = order
            absent = [order_id for order_id in absent if order_id not in known]
            if not absent:
                break
        now_s = self._clock.now_s()
        since_s = {order_id: self._absent_since_s.get(order_id, began_s) for order_id in absent}
        self._absent_since_s = {each: first_s for each, first_s in since_s.items() if now_s - first_s < _ABSENT_AFTER_S}
        for order_id in absent:
            if order_id not in self._absent_since_s:
                logger.warning("fills of an order that the exchange does not know are left out order_id=%d", order_id)
        return list(known.values())

    async def _reports(
        self, account: FillRecoveryApi, order: OrderRecord, fills: Sequence[AccountTrade]
    ) -> Iterable[ExecutionReport]:
        """Of all fills of an order, those that are known and those of before."""
        if sum((fill.quantity for fill in fills), ZERO) != order.filled_quantity:
            fills = await _all_trades(account, 0, order.order_id)
        return to_reports(self._symbol, order, fills)


async def _order(account: FillRecoveryApi, order_id: int, *, in_list: bool) -> OrderRecord | None:
    """By itself, or `in_list` of all orders; None where neither knows it. Raises as the account does."""
    try:
        return await account.order_status(order_id)
    except RequestRefused as refused:
        if refused.code not in _NOT_FOUND_CODES:
            raise
        logger.warning("the order of a fill is not told of order_id=%d: %s", order_id, refused)
    listed = await account.all_orders(order_id) if in_list else ()
    return next((order for order in listed if order.order_id == order_id), None)


def to_reports(symbol: str, order: OrderRecord, fills: Iterable[AccountTrade]) -> Iterator[ExecutionReport]:
    """What the stream would have said of each of `fills`: all those of the order, oldest first."""
    filled = quote = ZERO
    for fill in fills:
        filled += fill.quantity
        quote += fill.quote_quantity
        yield ExecutionReport(
            symbol=symbol,
            side=fill.side,
            order_type=order.order_type,
            client_order_id=order.client_order_id,
            order_id=order.order_id,
            execution_type=ExecutionType.TRADE,
            status=OrderStatus.FILLED if filled >= order.quantity else OrderStatus.PARTIALLY_FILLED,
            price=order.pegged_price or order.price,
            quantity=order.quantity,
            filled_quantity=filled,
            filled_quote=quote,
            time_ms=fill.time_ms,
            event_ms=fill.time_ms,
            execution_id=-1,  # the list does not tell it
            trade_id=fill.trade_id,
            last_price=fill.price,
            last_quantity=fill.quantity,
            last_quote=fill.quote_quantity,
            commission=fill.commission,
            commission_asset=fill.commission_asset,
            is_maker=fill.is_maker,
        )


async def _all_trades(account: FillRecoveryApi, from_id: int, order_id: int | None = None) -> list[AccountTrade]:
    """From that trade on, of one order or of all."""
    found: list[AccountTrade] = []
    while True:
        page = await account.my_trades(order_id=order_id, from_id=from_id, limit=_PAGE_SIZE)
        found += page
        if len(page) < _PAGE_SIZE:
            return found
        from_id = page[-1].trade_id + 1
