"""Carries the chaser's commands out.

Order commands go to the exchange at once, and their answers come back through the trader's inbox. What
must be read again (balances, rules, clock) is fetched by a task of its own, so that no beat waits.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Final, Protocol

from trailingedge.core.clock import Clock
from trailingedge.core.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost
from trailingedge.model.order_commands import (
    Cancel,
    ExecutionCommand,
    ListedOrders,
    OrderInput,
    OrderReply,
    OrdersListed,
    Place,
    QueryOrder,
    QueryOrdersFrom,
    Refresh,
    Replace,
    ReplaceReply,
)
from trailingedge.model.order_outcomes import OrderOutcome, ReplaceOutcome
from trailingedge.model.order_requests import NewOrderRequest, OrderStyle
from trailingedge.websocket.prepared_request import SentRequest

logger = logging.getLogger(__name__)

_REFRESH_PAUSE_S: Final = 0.5


class OrderEntry(Protocol):
    """The exchange, as far as orders go. Each returns once sent; `heard` gets the answer, a late one too."""

    def place(self, order: NewOrderRequest, heard: Callable[[OrderOutcome], None]) -> None: ...

    def replace(
        self,
        cancel_order_id: int | None,
        cancel_client_order_id: str,
        order: NewOrderRequest,
        heard: Callable[[ReplaceOutcome], None],
    ) -> None: ...

    def on_replace_reply(self, written: SentRequest, heard: Callable[[ReplaceOutcome], None]) -> None: ...

    def cancel(self, order_id: int | None, client_order_id: str, heard: Callable[[OrderOutcome], None]) -> None: ...

    def status(self, order_id: int | None, client_order_id: str, heard: Callable[[OrderOutcome], None]) -> None: ...

    def all_orders(self, from_order_id: int, heard: Callable[[ListedOrders], None]) -> None: ...


RefreshCall = Callable[[], Awaitable[None]]


class Gateway:
    """One doorway for commands. `deliver` puts what came back where the next beat finds it."""

    def __init__(
        self,
        orders: OrderEntry,
        deliver: Callable[[OrderInput], None],
        remedies: Mapping[Refresh, RefreshCall],
        clock: Clock,
    ) -> None:
        self._orders = orders
        self._deliver = deliver
        self._refresh_calls = remedies
        self._clock = clock
        self._needed: dict[Refresh, None] = {}  # in order of asking, each once
        self._refresh_requested = asyncio.Event()

    def send(self, command: ExecutionCommand) -> None:
        """Write the request and return; a lost connection is an answer like any other, not an error."""
        match command:
            case Place(tag, client_order_id, side, price, quantity, escape):
                manner = OrderStyle.IMMEDIATE if escape else _resting(price)
                order = NewOrderRequest(client_order_id, side, quantity, price, manner)
                self._orders.place(order, self._on_order_reply(tag))
            case Replace(tag, order_id, client_order_id, side, price, quantity):
                order = NewOrderRequest(client_order_id, side, quantity, price, _resting(price))
                self._orders.replace(order_id, client_order_id, order, self._on_replace_reply(tag))
            case Cancel(tag, order_id, client_order_id):
                self._orders.cancel(order_id, client_order_id, self._on_order_reply(tag))
            case QueryOrder(tag, order_id, client_order_id):
                self._orders.status(order_id, client_order_id, self._on_order_reply(tag))
            case QueryOrdersFrom(tag, order_id, client_order_id):
                self._orders.all_orders(order_id, self._on_order_list(tag, client_order_id))
            case Refresh():
                self.refresh(command)

    def expect(self, written: SentRequest, command: Replace) -> None:
        """`command` is on the wire already; its answer comes back like any other."""
        self._orders.on_replace_reply(written, self._on_replace_reply(command.tag))

    def refresh(self, remedy: Refresh) -> None:
        """Have it read again, soon; asked for twice meanwhile, it is read once."""
        self._needed[remedy] = None
        self._refresh_requested.set()

    async def run(self) -> None:
        """Fetch what was asked for, one thing at a time, for ever."""
        while True:
            await self._refresh_requested.wait()
            self._refresh_requested.clear()
            while self._needed:
                remedy = next(iter(self._needed))
                del self._needed[remedy]
                try:
                    await self._refresh_calls[remedy]()
                except (RequestRefused, OutcomeUnknown, SessionLost, ProtocolViolation) as trouble:
                    # Whoever needs it finds it still missing and asks again.
                    logger.warning("could not read again %s: %s", remedy.value, trouble)
                    await self._clock.sleep(_REFRESH_PAUSE_S)

    def _on_order_reply(self, tag: int) -> Callable[[OrderOutcome], None]:
        return lambda outcome: self._deliver(OrderReply(tag, outcome))

    def _on_replace_reply(self, tag: int) -> Callable[[ReplaceOutcome], None]:
        return lambda outcome: self._deliver(ReplaceReply(tag, outcome))

    def _on_order_list(self, tag: int, client_order_id: str) -> Callable[[ListedOrders], None]:
        def heard(answer: ListedOrders) -> None:
            if isinstance(answer, tuple):
                ours = (order for order in answer if order.client_order_id == client_order_id)
                answer = tuple(sorted(ours, key=lambda order: order.order_id))
            self._deliver(OrdersListed(tag, answer))

        return heard


def _resting(price: Decimal | None) -> OrderStyle:
    return OrderStyle.PEGGED if price is None else OrderStyle.MAKER
