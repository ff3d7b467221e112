"""What an earlier run left behind.

Own open orders, known by their client order ids, are cancelled and named. Foreign orders are never touched.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from trailingedge.clock import Clock
from trailingedge.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost
from trailingedge.execution.ids import is_own
from trailingedge.market import OrderRecord

logger = logging.getLogger(__name__)

_TRIES: Final = 5


class Account(Protocol):
    """What recovery needs of the account. Each raises RequestRefused, OutcomeUnknown or SessionLost."""

    async def open_orders(self) -> Sequence[OrderRecord]: ...

    async def cancel_order(self, order_id: int | None, client_order_id: str = "") -> OrderRecord: ...


async def withdraw_leftovers(account: Account, clock: Clock, told: Callable[[OrderRecord], None]) -> int:
    """Cancel every own open order and tell of each that is gone; how many there were.

    Raises OutcomeUnknown when some are still open after several tries, SessionLost with the connection.
    """
    gone = 0
    doubtful: dict[int, OrderRecord] = {}  # asked to go; nobody said that they did
    for attempt in range(_TRIES):
        if attempt:
            await clock.sleep(0.5 * attempt)
        left = {order.order_id: order for order in await account.open_orders() if is_own(order.client_order_id)}
        for order_id in [order_id for order_id in doubtful if order_id not in left]:
            told(doubtful.pop(order_id))
            gone += 1
        if not left:
            return gone
        for order in left.values():
            try:
                await account.cancel_order(order.order_id)
            except RequestRefused as refused:
                logger.warning("own order not cancelled client_order_id=%s: %s", order.client_order_id, refused)
            except (OutcomeUnknown, ProtocolViolation, SessionLost) as silence:
                logger.warning("own order perhaps cancelled client_order_id=%s: %s", order.client_order_id, silence)
                if isinstance(silence, SessionLost):
                    raise
                doubtful[order.order_id] = order
            else:
                doubtful.pop(order.order_id, None)
                told(order)
                gone += 1
    raise OutcomeUnknown(f"own orders still open after {_TRIES} tries: {_named(left.values())}")


def _named(orders: Iterable[OrderRecord]) -> str:
    return ", ".join(order.client_order_id for order in orders)
