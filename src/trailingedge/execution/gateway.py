"""The gateway: sends order commands, and on request re-reads balances, symbol rules or the exchange's clock.

An order command is sent at once, and its reply goes to the trading core's inbox. The reads (refreshes) run in a task of
their own, one at a time, so that no tick waits for them.
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

logger = logging.getLogger(__name__)

_REFRESH_PAUSE_S: Final = 0.5


class OrderEntry(Protocol):
    """The order requests of an exchange. Each method sends and returns; `on_reply` gets the outcome later."""

    def place(self, order: NewOrderRequest, on_reply: Callable[[OrderOutcome], None]) -> None: ...

    def replace(
        self,
        cancel_order_id: int | None,
        cancel_client_order_id: str,
        order: NewOrderRequest,
        on_reply: Callable[[ReplaceOutcome], None],
    ) -> None: ...

    def cancel(self, order_id: int | None, client_order_id: str, on_reply: Callable[[OrderOutcome], None]) -> None: ...

    def status(self, order_id: int | None, client_order_id: str, on_reply: Callable[[OrderOutcome], None]) -> None: ...

    def all_orders(self, from_order_id: int, on_reply: Callable[[ListedOrders], None]) -> None: ...


RefreshCall = Callable[[], Awaitable[None]]


class Gateway:
    """Sends commands. `deliver` puts replies into the inbox that the next tick reads."""

    def __init__(
        self,
        orders: OrderEntry,
        deliver: Callable[[OrderInput], None],
        refresh_calls: Mapping[Refresh, RefreshCall],
        clock: Clock,
    ) -> None:
        self._orders = orders
        self._deliver = deliver
        self._refresh_calls = refresh_calls
        self._clock = clock
        self._needed: dict[Refresh, None] = {}  # a dict as an ordered set: in the order of the requests, each once
        self._refresh_requested = asyncio.Event()

    def send(self, command: ExecutionCommand) -> None:
        """Send a command and return at once. A lost connection is reported as a reply."""
        match command:
            case Replace(tag, order_id, client_order_id, side, price, quantity):  # first: nothing is sent more often
                order = NewOrderRequest(client_order_id, side, quantity, price, _resting(price))
                self._orders.replace(
                    order_id, client_order_id, order, lambda outcome: self._deliver(ReplaceReply(tag, outcome))
                )
            case Place(tag, client_order_id, side, price, quantity, escape):
                style = OrderStyle.IMMEDIATE if escape else _resting(price)
                order = NewOrderRequest(client_order_id, side, quantity, price, style)
                self._orders.place(order, self._on_order_reply(tag))
            case Cancel(tag, order_id, client_order_id):
                self._orders.cancel(order_id, client_order_id, self._on_order_reply(tag))
            case QueryOrder(tag, order_id, client_order_id):
                self._orders.status(order_id, client_order_id, self._on_order_reply(tag))
            case QueryOrdersFrom(tag, order_id, client_order_id):
                self._orders.all_orders(order_id, self._on_order_list(tag, client_order_id))
            case Refresh():
                self.refresh(command)

    def refresh(self, refresh: Refresh) -> None:
        """Request that the data named by `refresh` is read again soon.

        Requests for the same data cause only one read until it is done.
        """
        self._needed[refresh] = None
        self._refresh_requested.set()

    async def run(self) -> None:
        """Do the requested reads, one at a time, until this task is cancelled."""
        while True:
            await self._refresh_requested.wait()
            # Clear before reading: a request that arrives while we read sets the event again and is not lost.
            self._refresh_requested.clear()
            while self._needed:
                refresh = next(iter(self._needed))
                del self._needed[refresh]
                try:
                    await self._refresh_calls[refresh]()
                except (RequestRefused, OutcomeUnknown, SessionLost, ProtocolViolation) as failure:
                    # No retry here: the trading core asks again for as long as it needs the answer.
                    logger.warning("refresh failed resource=%s reason=%s", refresh.value, failure)
                    await self._clock.sleep(_REFRESH_PAUSE_S)

    # The closures keep the tag, so that a late reply can still be matched to its request.

    def _on_order_reply(self, tag: int) -> Callable[[OrderOutcome], None]:
        return lambda outcome: self._deliver(OrderReply(tag, outcome))

    def _on_order_list(self, tag: int, client_order_id: str) -> Callable[[ListedOrders], None]:
        def on_reply(reply: ListedOrders) -> None:
            if isinstance(reply, tuple):
                # The exchange lists foreign orders too. All orders of one exit have the same client order id.
                ours = (order for order in reply if order.client_order_id == client_order_id)
                reply = tuple(sorted(ours, key=lambda order: order.order_id))
            self._deliver(OrdersListed(tag, reply))

        return on_reply


def _resting(price: Decimal | None) -> OrderStyle:
    return OrderStyle.PEGGED if price is None else OrderStyle.MAKER
