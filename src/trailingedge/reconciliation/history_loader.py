"""Reading our own past from the exchange: there is no other record.

Trades carry no client order id, so the order of each is looked up, the newest first, until a finished exit
of ours is found; the list of orders then adds what was never filled, and the notes. An order that traded
exists: where the exchange says that it does not, it is asked again, and what it does not tell in the end
is a problem for people to hear of, never silently another's.
"""

import logging
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from trailingedge.core.clock import Clock
from trailingedge.core.errors import RequestRefused
from trailingedge.core.time_units import DAY_MS
from trailingedge.model.client_order_ids import is_own
from trailingedge.model.market import AccountTrade, OrderRecord, SymbolRules
from trailingedge.reconciliation.exit_history import (
    AnchorMarker,
    ExitHistory,
    HistoricalExit,
    find_markers,
    group_into_exits,
    newest_finished,
)
from trailingedge.reconciliation.exit_ledger import exit_id

logger = logging.getLogger(__name__)

HORIZON_MS: Final = 30 * DAY_MS
PAGE: Final = 1000  # rows the exchange gives at most
_ORDER_PAGES: Final = 50
_LOOK_UPS: Final = 500

# Refusals that pass by themselves: too much, too busy, a clock to be measured again.
TRANSIENT_CODES: Final = frozenset({-1003, -1008, -1015, -1016, -1021, -1034})
_NO_SUCH_ORDER: Final = -2013  # may be lag of the exchange's books: once proves nothing
_ASKS: Final = 4
_PAUSE_S: Final = 1.0
_MAX_MISSING: Final = 5  # so many orders are worth waiting for; where more are missing, waiting brings none of them


class HistoryApi(Protocol):
    """What reading takes. Each raises RequestRefused, OutcomeUnknown, ProtocolViolation or SessionLost.

    Rows come oldest first; without anything that narrows them down the newest ones.
    """

    async def order_status(self, order_id: int | None, client_order_id: str = "") -> OrderRecord: ...

    async def all_orders(self, from_order_id: int | None = None) -> Sequence[OrderRecord]: ...

    async def my_trades(self, *, end_ms: int | None = None) -> Sequence[AccountTrade]: ...


async def read_history(
    books: HistoryApi,
    rules: SymbolRules,
    market_ms: int,
    clock: Clock,
    known: Iterable[OrderRecord] = (),
    *,
    back_to_ms: int | None = None,
) -> ExitHistory:
    """Our past up to now, `market_ms`; `known` are orders that were read already and may be newer than any list.

    Trades are read back at most 30 days, and no further than to the newest finished exit of ours, unless
    `back_to_ms` says so. Raises as `HistoryApi` does, a refusal of one order only where it passes by itself.
    """
    reading = _HistoryLoader(books, rules, clock, known)
    await reading.begin()
    await reading.walk(market_ms - HORIZON_MS, back_to_ms)
    return reading.history()


class _HistoryLoader:
    """The orders and trades read so far."""

    def __init__(self, books: HistoryApi, rules: SymbolRules, clock: Clock, known: Iterable[OrderRecord]) -> None:
        self._books = books
        self._rules = rules
        self._clock = clock
        self._orders = {order.order_id: order for order in known}
        self._known = dict(self._orders)
        self._trades: dict[int, AccountTrade] = {}
        self._untold: list[int] = []  # orders of the trade list that the exchange does not tell of
        self._listed_from = 0  # from this order id on, all orders are known
        self._looked_up = 0
        self._problems: list[str] = []

    async def begin(self) -> None:
        """The newest orders."""
        newest = await self._books.all_orders()
        self._learn(newest)
        self._listed_from = min((order.order_id for order in newest), default=0) if len(newest) >= PAGE else 0

    async def walk(self, horizon_ms: int, back_to_ms: int | None) -> None:
        """Through the trades, the newest first, until a finished exit is complete."""
        end_ms: int | None = None
        number: int | None = None
        while True:
            page = await self._books.my_trades(end_ms=end_ms)
            news = [trade for trade in page if trade.trade_id not in self._trades]
            for trade in reversed(news):
                found = await self._exit_of(trade)
                if found is not None and found != number:
                    enough = back_to_ms is None or trade.time_ms < back_to_ms
                    if number is not None and enough and await self._reached():
                        return
                    number = found
                self._trades[trade.trade_id] = trade
            if len(page) < PAGE or not news or page[0].time_ms < horizon_ms:
                break
            end_ms = page[0].time_ms
        await self._reached()
        finished = newest_finished(self._exits(), self._rules)
        if finished is not None:
            await self._list_from(finished.first_order_id)
        elif self._exits() and not self._notes():
            await self._list_from(1)  # there must have been a beginning: the note of our first start

    def history(self) -> ExitHistory:
        """What there is, from the newest finished exit on."""
        exits = self._exits()
        finished = newest_finished(exits, self._rules)
        since = 0 if finished is None else finished.last_order_id
        last_fill = 0 if finished is None else max((fill.trade_id for fill in finished.fills), default=0)
        return ExitHistory(
            exits=exits,
            markers=tuple(note for note in self._notes() if note.order_id > since),
            foreign_fills=tuple(
                trade
                for trade_id, trade in sorted(self._trades.items())
                if trade_id > last_fill and not self._ours(trade.order_id)
            ),
            problems=(*self._problems, *self._silence()),
        )

    def _silence(self) -> list[str]:
        """One sentence for everything that was not told, for it may be a lot."""
        if not self._untold:
            return []
        orders = f"{len(self._untold)} orders" if len(self._untold) > 1 else "an order"
        which = f"{orders} in the trade list (order id {self._untold[0]})"
        consequence = "those trades are taken for another's, and no breaker counts them"
        return [f"restart: the exchange does not tell of {which}: {consequence}"]

    def _exits(self) -> tuple[HistoricalExit, ...]:
        return group_into_exits(self._orders.values(), list(self._trades.values()))

    def _notes(self) -> tuple[AnchorMarker, ...]:
        return find_markers(self._orders.values(), self._rules.tick_size)

    def _ours(self, order_id: int) -> bool:
        order = self._orders.get(order_id)
        return order is not None and is_own(order.client_order_id)

    async def _reached(self) -> bool:
        """Whether a finished exit is among what was read, its trades too, with every order of ours since."""
        filled = [exit_.first_order_id for exit_ in self._exits() if exit_.fills]
        if filled:
            await self._list_from(min(filled))
        finished = newest_finished(self._exits(), self._rules)
        return finished is not None and bool(finished.fills)

    async def _exit_of(self, trade: AccountTrade) -> int | None:
        """The number of the exit that made this trade; None where it was not ours."""
        order = self._orders.get(trade.order_id)
        if order is None:
            order = await self._look_up(trade.order_id)
        own = None if order is None else exit_id(order.client_order_id)
        return None if own is None else own.number

    async def _look_up(self, order_id: int) -> OrderRecord | None:
        if order_id in self._untold:
            return None
        if self._looked_up == _LOOK_UPS:
            self._problem(f"more than {_LOOK_UPS} orders to look up: older trades are taken for others'")
        if self._looked_up >= _LOOK_UPS:
            return None
        self._looked_up += 1
        order = await self._ask(order_id, _ASKS if len(self._untold) < _MAX_MISSING else 1)
        if order is None:
            self._untold.append(order_id)
        return order

    async def _ask(self, order_id: int, times: int) -> OrderRecord | None:
        """By itself, then in the list; again after a pause where it is said not to exist. None: not told."""
        for attempt in range(times):
            if attempt:
                await self._clock.sleep(_PAUSE_S)
            try:
                order = await self._books.order_status(order_id)
            except RequestRefused as refused:
                if refused.code in TRANSIENT_CODES:
                    raise
                logger.warning("an order of the trade list is not told order_id=%d: %s", order_id, refused)
                absent = refused.code == _NO_SUCH_ORDER
            else:
                self._learn([order])
                return order
            if times > 1 and await self._listed(order_id):
                return self._orders[order_id]
            if not absent:
                break
        return None

    async def _listed(self, order_id: int) -> bool:
        """Whether the list of orders knows better."""
        try:
            self._learn(await self._books.all_orders(order_id))
        except RequestRefused as refused:
            if refused.code in TRANSIENT_CODES:
                raise
            logger.warning("nor is it listed order_id=%d: %s", order_id, refused)
        return order_id in self._orders

    async def _list_from(self, order_id: int) -> None:
        """Know all orders from that one on."""
        upto, after = self._listed_from, order_id
        for _ in range(_ORDER_PAGES):
            if after >= upto:
                break
            page = await self._books.all_orders(after)
            self._learn(page)
            if not page or page[-1].order_id < after:
                break
            after = page[-1].order_id + 1
        else:
            self._problem("more orders since the last finished exit than can be read")
        self._listed_from = min(upto, order_id)

    def _learn(self, orders: Iterable[OrderRecord]) -> None:
        """What was read first hand stays: a list may lag behind it."""
        self._orders.update((order.order_id, order) for order in orders if order.order_id not in self._known)

    def _problem(self, text: str) -> None:
        if text not in self._problems:
            self._problems.append(text)
            logger.warning("%s", text)
