"""History loader: reads the account's past orders and trades from the exchange, which has the only record of them.

A restart reads backwards. A trade carries no client order id, so the reader looks up the order of each trade, newest
first, until it has found a finished exit of ours. The list of orders then adds unfilled orders and markers. The report
reads forwards from a given time. Both use `HistoryReader` for pages, look-ups and waiting.

An order with a trade must exist. If the exchange answers that the order does not exist, its lists may lag, so the query
is repeated. If the order stays missing, the result names it as a problem; it never counts as foreign without a message.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

from trailingedge.core.clock import Clock
from trailingedge.core.errors import RequestRefused
from trailingedge.core.time_units import DAY_MS
from trailingedge.model.client_order_ids import is_own
from trailingedge.model.market import AccountTrade, OrderRecord, SymbolRules
from trailingedge.reconciliation.exit_ledger import exit_id
from trailingedge.reconciliation.history_types import (
    AnchorMarker,
    ExitHistory,
    HistoricalExit,
    find_markers,
    group_into_exits,
    newest_finished,
)

logger = logging.getLogger(__name__)

HORIZON_MS: Final = 30 * DAY_MS
PAGE: Final = 1000  # rows the exchange gives at most
_ORDER_PAGES: Final = 50
_LOOK_UPS: Final = 500

# Rejections that pass by themselves: too many requests, an overloaded exchange, a clock to be measured again.
TRANSIENT_CODES: Final = frozenset({-1003, -1008, -1015, -1016, -1021, -1034})
_NO_SUCH_ORDER: Final = -2013  # may be lag of the exchange's order list: once proves nothing
_ASKS: Final = 4
_PAUSE_S: Final = 1.0
_MAX_MISSING: Final = (
    5  # so many missing orders are worth waiting for; where more are missing, waiting brings none of them
)
_WAITS: Final = 5
_WAIT_S: Final = 10.0  # where the exchange does not say how long
_MAX_WAIT_S: Final = 120.0

T = TypeVar("T")


class HistoryApi(Protocol):
    """The account requests that reading the past needs.

    Each raises RequestRefused, OutcomeUnknown, ProtocolViolation or SessionLost. Rows come oldest
    first. A call that names no id and no time returns the newest rows.
    """

    async def order_status(self, order_id: int | None, client_order_id: str = "") -> OrderRecord: ...

    async def all_orders(self, from_order_id: int | None = None) -> Sequence[OrderRecord]: ...

    async def my_trades(
        self,
        *,
        from_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = PAGE,
    ) -> Sequence[AccountTrade]: ...


class HistoryReader:
    """Reads orders and trades page by page, and keeps the orders by id.

    `known` are orders that were read before; no row of a list replaces them, because a list may
    lag. If `on_wait` is given, a request that meets a temporary rejection is repeated after a wait,
    and `on_wait` gets a line about the wait. Without `on_wait`, the rejection is raised.
    `on_progress` gets a line for each page.
    """

    def __init__(
        self,
        api: HistoryApi,
        clock: Clock,
        known: Iterable[OrderRecord] = (),
        *,
        on_wait: Callable[[str], None] | None = None,
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.orders = {order.order_id: order for order in known}
        self.trades: dict[int, AccountTrade] = {}
        self._api = api
        self._clock = clock
        self._known = frozenset(self.orders)
        self._on_wait = on_wait
        self._on_progress = on_progress

    async def newest_orders(self) -> Sequence[OrderRecord]:
        """Read and return the newest page of the order list."""
        return self._add(await self.request(self._api.all_orders))

    async def list_orders(self, from_id: int, before_id: int | None = None, *, pages: int) -> bool:
        """Read all orders from `from_id` on; if `before_id` is given, only orders before it.

        Returns False if `pages` pages were not enough to read them all.
        """
        after = from_id
        for _ in range(pages):
            if before_id is not None and after >= before_id:
                return True
            page = self._add(await self.request(partial(self._api.all_orders, after)))
            if len(page) < PAGE or page[-1].order_id < after:
                return True
            after = page[-1].order_id + 1
            self._on_progress(f"orders: {len(self.orders)} so far")
        return before_id is not None and after >= before_id

    async def look_up(self, order_id: int, asks: int = 1) -> OrderRecord | None:
        """Return one order by its id; None if the exchange does not return the order.

        If `asks` is more than 1, the order list is read too, because it may show an order that the
        query does not. Query and list are repeated up to `asks` times, with pauses, while the
        exchange answers that the order does not exist.
        """
        for attempt in range(asks):
            if attempt:
                await self._clock.sleep(_PAUSE_S)
            try:
                order = await self.request(partial(self._api.order_status, order_id))
            except RequestRefused as rejected:
                if rejected.code in TRANSIENT_CODES:
                    raise
                logger.warning("order of a past trade could not be read order_id=%d: %s", order_id, rejected)
                absent = rejected.code == _NO_SUCH_ORDER
            else:
                self._add([order])
                return order
            # `order.status` and `allOrders` read different data sources of the exchange, and either may lag.
            if asks > 1 and await self._is_listed(order_id):
                return self.orders[order_id]
            if not absent:
                break
        return None

    async def trades_until(self, end_ms: int | None, limit: int = PAGE) -> Sequence[AccountTrade]:
        """Return the newest trades up to `end_ms`, oldest first. If `end_ms` is None, up to now."""
        if end_ms is None:
            return await self.request(partial(self._api.my_trades, limit=limit))
        return await self.request(partial(self._api.my_trades, end_ms=end_ms, limit=limit))

    async def trades_since(self, start_ms: int, *, pages: int) -> tuple[list[AccountTrade], bool]:
        """Return all trades from `start_ms` on, and whether `pages` pages were enough to read them.

        The first page is found by time, the others by trade id: many trades may share a
        millisecond.
        """
        page = await self.request(partial(self._api.my_trades, start_ms=start_ms, limit=PAGE))
        found = list(page)
        for _ in range(pages):
            if len(page) < PAGE:
                return found, True
            page = await self.request(partial(self._api.my_trades, from_id=found[-1].trade_id + 1, limit=PAGE))
            found += page
            self._on_progress(f"trades: {len(found)} so far")
        return found, False

    async def request(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Send a request by calling `ask`, and return the reply.

        With `on_wait`, a request that meets a temporary rejection is repeated after a wait.
        """
        for _ in range(_WAITS if self._on_wait is not None else 0):
            try:
                return await ask()
            except RequestRefused as rejected:
                if rejected.code not in TRANSIENT_CODES or self._on_wait is None:
                    raise
                wait_s = min(rejected.wait_s(self._clock.unix_ms()) or _WAIT_S, _MAX_WAIT_S)
                self._on_wait(f"the exchange asks to wait: {rejected}; trying again in {wait_s:.0f} s")
                await self._clock.sleep(wait_s)
        return await ask()

    async def _is_listed(self, order_id: int) -> bool:
        try:
            self._add(await self.request(partial(self._api.all_orders, order_id)))
        except RequestRefused as rejected:
            if rejected.code in TRANSIENT_CODES:
                raise
            logger.warning("order list could not be read from_order_id=%d: %s", order_id, rejected)
        return order_id in self.orders

    def _add(self, orders: Sequence[OrderRecord]) -> Sequence[OrderRecord]:
        """Store and return `orders`.

        An order in `known` is not replaced, because a list may show an older state of the order.
        """
        self.orders.update((order.order_id, order) for order in orders if order.order_id not in self._known)
        return orders


async def read_history(
    api: HistoryApi,
    rules: SymbolRules,
    market_ms: int,
    clock: Clock,
    known: Iterable[OrderRecord] = (),
    *,
    back_to_ms: int | None = None,
) -> ExitHistory:
    """Read our past exits and markers. `market_ms` is the present market time.

    Trades are read backwards from `market_ms` until our newest finished exit, or until `back_to_ms` if that is earlier,
    but never further than 30 days. `known` are orders that were read before. Raises the errors of `HistoryApi`; a
    rejected look-up of a single order is raised only if the rejection is temporary.
    """
    search = _ExitSearch(HistoryReader(api, clock, known), rules)
    await search.begin()
    await search.walk_back(market_ms - HORIZON_MS, back_to_ms)
    return search.history()


class _ExitSearch:
    """Searches the trades backwards for the newest finished exit."""

    def __init__(self, reader: HistoryReader, rules: SymbolRules) -> None:
        self._reader = reader
        self._rules = rules
        self._not_shown: list[int] = []  # orders of the trade list that the exchange does not show
        self._listed_from = 0  # from this order id on, all orders are known
        self._looked_up = 0
        self._problems: list[str] = []

    async def begin(self) -> None:
        """Read the newest orders."""
        newest = await self._reader.newest_orders()
        self._listed_from = min((order.order_id for order in newest), default=0) if len(newest) >= PAGE else 0

    async def walk_back(self, horizon_ms: int, back_to_ms: int | None) -> None:
        """Read trades, newest first, until all trades of a finished exit were read."""
        trades = self._reader.trades
        end_ms: int | None = None
        number: int | None = None
        while True:
            page = await self._reader.trades_until(end_ms)
            unread = [trade for trade in page if trade.trade_id not in trades]
            for trade in reversed(unread):
                found = await self._exit_of(trade)
                # An exit is complete only once a trade of an older exit is met: its own orders may be many.
                if found is not None and found != number:
                    enough = back_to_ms is None or trade.time_ms < back_to_ms
                    if number is not None and enough and await self._has_finished_exit():
                        return
                    number = found
                trades[trade.trade_id] = trade
            if len(page) < PAGE or not unread or page[0].time_ms < horizon_ms:
                break
            # Pages overlap by one millisecond, because several trades may share it; trades that are known are skipped
            # above.
            end_ms = page[0].time_ms
        await self._has_finished_exit()
        finished = newest_finished(self._exits(), self._rules)
        if finished is not None:
            await self._list_from(finished.first_order_id)
        elif self._exits() and not self._markers():
            await self._list_from(1)  # our first start wrote a marker, so there must be one

    def history(self) -> ExitHistory:
        """Return all exits that were read.

        The result also has the markers and foreign fills since the newest finished exit.
        """
        exits = self._exits()
        finished = newest_finished(exits, self._rules)
        since = 0 if finished is None else finished.last_order_id
        last_fill = 0 if finished is None else max((fill.trade_id for fill in finished.fills), default=0)
        return ExitHistory(
            exits=exits,
            markers=tuple(marker for marker in self._markers() if marker.order_id > since),
            foreign_fills=tuple(
                trade
                for trade_id, trade in sorted(self._reader.trades.items())
                if trade_id > last_fill and not self._is_ours(trade.order_id)
            ),
            problems=(*self._problems, *self._orders_not_shown()),
        )

    def _orders_not_shown(self) -> list[str]:
        """Return a list with one sentence about the orders that the exchange does not show.

        The list is empty if the exchange shows all orders.
        """
        if not self._not_shown:
            return []
        orders = f"{len(self._not_shown)} orders" if len(self._not_shown) > 1 else "1 order"
        which = f"{orders} whose trades are in its trade list, such as order id {self._not_shown[0]}"
        consequence = "these trades count as not made by this bot, and no breaker counts them"
        return [f"restart: the exchange does not show {which}: {consequence}"]

    def _exits(self) -> tuple[HistoricalExit, ...]:
        return group_into_exits(self._reader.orders.values(), list(self._reader.trades.values()))

    def _markers(self) -> tuple[AnchorMarker, ...]:
        return find_markers(self._reader.orders.values(), self._rules.tick_size)

    def _is_ours(self, order_id: int) -> bool:
        order = self._reader.orders.get(order_id)
        return order is not None and is_own(order.client_order_id)

    async def _has_finished_exit(self) -> bool:
        """Return whether a finished exit was read with its fills.

        To find out, this first reads all orders since the oldest exit with fills.
        """
        filled = [exit_.first_order_id for exit_ in self._exits() if exit_.fills]
        if filled:
            # Without the orders between, an exit that was never filled would be missing from the history.
            await self._list_from(min(filled))
        finished = newest_finished(self._exits(), self._rules)
        return finished is not None and bool(finished.fills)

    async def _exit_of(self, trade: AccountTrade) -> int | None:
        """Return the number of the exit that made `trade`; None if no exit of ours made it."""
        order = self._reader.orders.get(trade.order_id)
        if order is None:
            order = await self._look_up(trade.order_id)
        own = None if order is None else exit_id(order.client_order_id)
        return None if own is None else own.number

    async def _look_up(self, order_id: int) -> OrderRecord | None:
        if order_id in self._not_shown:
            return None
        if self._looked_up == _LOOK_UPS:
            self._problem(
                f"restart: only {_LOOK_UPS} past orders were looked up; older trades count as not made by this bot"
            )
        if self._looked_up >= _LOOK_UPS:
            return None
        self._looked_up += 1
        order = await self._reader.look_up(order_id, _ASKS if len(self._not_shown) < _MAX_MISSING else 1)
        if order is None:
            self._not_shown.append(order_id)
        return order

    async def _list_from(self, order_id: int) -> None:
        """Read all orders from `order_id` on that were not listed yet; note a problem if they are too many."""
        if not await self._reader.list_orders(order_id, self._listed_from, pages=_ORDER_PAGES):
            self._problem("restart: too many orders since the last finished exit; some orders were not read")
        self._listed_from = min(self._listed_from, order_id)

    def _problem(self, text: str) -> None:
        if text not in self._problems:
            self._problems.append(text)
            logger.warning("%s", text)
