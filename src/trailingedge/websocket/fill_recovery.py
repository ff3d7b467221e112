"""Fill recovery: finds fills in the trade list that no event reported, and turns them into execution reports.

Theory of operation. No event reports a fill that happens while no connection is open, and a stream may lose an event.
`myTrades` has all fills by growing trade id. `start` notes the newest id; each `find_missed` reads the list from there
on and leaves out the fills that `AccountStream` passed on or an `EventBuffer` holds.

A row of the list has neither the client order id nor the filled quantity so far, which an execution report has. So the
order is queried, and its fills are summed up from the first. A report made that way equals the missed one, except for
its execution id, and takes the same path through the program.

The exchange reads the list and the order from different databases, and either may lag. A fill proves that its order
exists: after a reply "no such order" (−2013) the order is queried again, in this call and in later ones, for ten
seconds in all. After that the fill is left out. Until then `has_unresolved` is true, and the caller should call
`find_missed` again soon.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, Protocol

from trailingedge.core.clock import Clock, RealClock
from trailingedge.core.errors import RequestRefused
from trailingedge.model.market import ZERO, AccountTrade, ExecutionReport, ExecutionType, OrderRecord, OrderStatus
from trailingedge.websocket.account_stream import AccountStream, EventBuffer
from trailingedge.websocket.error_codes import ORDER_NOT_FOUND_CODES

logger = logging.getLogger(__name__)

_PAGE_SIZE: Final = 1000
_MAX_ORDERS: Final = 300  # each costs a query; with more than that, most cannot be ours
_MAX_RETRIED_ORDERS: Final = 20  # with more orders each is queried only once per call
_ATTEMPTS: Final = 3
_RETRY_PAUSE_S: Final = 1.0
_ABSENT_AFTER_S: Final = 10.0


class FillRecoveryApi(Protocol):
    """The queries of fill recovery. Each raises RequestRefused, OutcomeUnknown, SessionLost or ProtocolViolation."""

    async def order_status(self, order_id: int | None, client_order_id: str = "") -> OrderRecord: ...

    async def all_orders(self, from_order_id: int | None = None) -> Sequence[OrderRecord]: ...

    async def my_trades(
        self, *, order_id: int | None = None, from_id: int | None = None, limit: int = 1000
    ) -> tuple[AccountTrade, ...]: ...


class FillRecovery:
    """Finds missed fills: keeps a position in the trade list, and the ids of orders that were not found yet."""

    def __init__(self, symbol: str, stream: AccountStream, clock: Clock | None = None) -> None:
        self._symbol = symbol
        self._stream = stream
        self._clock = clock or RealClock()
        self._read_up_to: int | None = None
        self._settled_trades: frozenset[int] = frozenset()  # trades after `_read_up_to` that need no other query
        self._not_found_since_s: dict[int, float] = {}  # by order id

    @property
    def is_started(self) -> bool:
        """Return whether the position in the trade list has been set."""
        return self._read_up_to is not None

    @property
    def has_unresolved(self) -> bool:
        """Return whether there are fills whose orders were not found: call `find_missed` again in a few seconds."""
        return bool(self._not_found_since_s)

    async def start(self, account: FillRecoveryApi) -> None:
        """Set the position to the end of the trade list, so that fills up to now are not reported."""
        newest = await account.my_trades(limit=1)
        self._read_up_to = max((trade.trade_id for trade in newest), default=-1)

    async def find_missed(
        self, account: FillRecoveryApi, buffer: EventBuffer | None = None
    ) -> tuple[ExecutionReport, ...]:
        """Return reports of the fills since the last call that no event reported, oldest first.

        A fill that `buffer` holds is left out, because its event will still be passed on. If the
        position in the trade list is not set yet, this call only sets it.
        """
        if self._read_up_to is None:
            await self.start(account)
            return ()
        listed = await _all_trades(account, self._read_up_to + 1)
        held = {trade.trade_id for trade in listed if buffer is not None and buffer.has_trade(trade.trade_id)}
        done = held | self._settled_trades
        missed = [
            trade for trade in listed if trade.trade_id not in done and not self._stream.knows_trade(trade.trade_id)
        ]
        order_ids = list(dict.fromkeys(trade.order_id for trade in missed))
        if len(order_ids) > _MAX_ORDERS:
            logger.warning(
                "missed fills belong to too many orders, only the newest %d are queried orders=%d",
                _MAX_ORDERS,
                len(order_ids),
            )
        found: list[ExecutionReport] = []
        for order in await self._orders(account, order_ids[-_MAX_ORDERS:]):
            found += await self._reports(
                account, order, [trade for trade in listed if trade.order_id == order.order_id]
            )
        self._remember(listed, held)
        missed_ids = {trade.trade_id for trade in missed}
        reports = (report for report in found if report.trade_id in missed_ids)
        return tuple(sorted(reports, key=lambda report: report.trade_id))

    def _remember(self, listed: Sequence[AccountTrade], held: Collection[int]) -> None:
        """Move the position to just before the first fill that was not reported yet.

        A fill in an event buffer counts as not reported: its connection may be lost before the buffer is released.
        """
        if not listed:
            return
        open_ids = {
            trade.trade_id for trade in listed if trade.trade_id in held or trade.order_id in self._not_found_since_s
        }
        self._read_up_to = min(open_ids) - 1 if open_ids else listed[-1].trade_id
        self._settled_trades = frozenset(trade.trade_id for trade in listed) - open_ids if open_ids else frozenset()

    async def _orders(self, account: FillRecoveryApi, order_ids: Sequence[int]) -> list[OrderRecord]:
        """Query the orders and return those that were found.

        An order that was not found is queried again by later calls, for ten seconds in all.
        """
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
        since_s = {order_id: self._not_found_since_s.get(order_id, began_s) for order_id in absent}
        self._not_found_since_s = {
            each: first_s for each, first_s in since_s.items() if now_s - first_s < _ABSENT_AFTER_S
        }
        for order_id in absent:
            if order_id not in self._not_found_since_s:
                logger.warning("missed fills ignored, their order was not found at the exchange order_id=%d", order_id)
        return list(known.values())

    async def _reports(
        self, account: FillRecoveryApi, order: OrderRecord, fills: Sequence[AccountTrade]
    ) -> Iterable[ExecutionReport]:
        """Return an execution report for each fill of an order.

        `fills` may lack fills from before the position in the trade list. All fills are then queried.
        """
        # If some are missing, the order was partly filled before the position. The sums in the reports need all fills.
        if sum((fill.quantity for fill in fills), ZERO) != order.filled_quantity:
            fills = await _all_trades(account, 0, order.order_id)
        return to_reports(self._symbol, order, fills)


async def _order(account: FillRecoveryApi, order_id: int, *, in_list: bool) -> OrderRecord | None:
    """Query one order by its id. Return None if it was not found.

    If the query does not find the order and `in_list` is true, it is looked up in the list of all
    orders.
    """
    try:
        return await account.order_status(order_id)
    except RequestRefused as refused:
        if refused.code not in ORDER_NOT_FOUND_CODES:
            raise
        logger.warning("order of a missed fill not found at the exchange order_id=%d reason=%r", order_id, str(refused))
    listed = await account.all_orders(order_id) if in_list else ()
    return next((order for order in listed if order.order_id == order_id), None)


def to_reports(symbol: str, order: OrderRecord, fills: Iterable[AccountTrade]) -> Iterator[ExecutionReport]:
    """Return the reports that the user data stream would have sent.

    `fills` must be all fills of the order, oldest first.
    """
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
            execution_id=-1,  # the list has none; the trade id identifies the fill
            trade_id=fill.trade_id,
            last_price=fill.price,
            last_quantity=fill.quantity,
            last_quote=fill.quote_quantity,
            commission=fill.commission,
            commission_asset=fill.commission_asset,
            is_maker=fill.is_maker,
        )


async def _all_trades(account: FillRecoveryApi, from_id: int, order_id: int | None = None) -> list[AccountTrade]:
    """Return all fills from trade id `from_id` on: those of one order, or of all orders if `order_id` is None."""
    found: list[AccountTrade] = []
    while True:  # a page with fewer rows than the limit is the last one
        page = await account.my_trades(order_id=order_id, from_id=from_id, limit=_PAGE_SIZE)
        found += page
        if len(page) < _PAGE_SIZE:
            return found
        from_id = page[-1].trade_id + 1
