"""What an earlier run left behind.

Own open orders, known by their client order ids, are cancelled and named. Foreign orders are never touched.
"""

import logging
from collections.abc import Sequence
from typing import Final, Protocol

from trailingedge.clock import Clock
from trailingedge.errors import OutcomeUnknown, RequestRefused
from trailingedge.execution.ids import is_own
from trailingedge.market import OrderRecord

logger = logging.getLogger(__name__)

_TRIES: Final = 5


class Account(Protocol):
    """What recovery needs of the account. Each raises RequestRefused, OutcomeUnknown or SessionLost."""

    async def open_orders(self) -> Sequence[OrderRecord]: ...

    async def cancel_order(self, order_id: int | None, client_order_id: str = "") -> OrderRecord: ...


async def withdraw_leftovers(account: Account, clock: Clock) -> list[OrderRecord]:
    """Cancel every own open order; those cancelled, oldest first.

    Raises OutcomeUnknown when some are still open after several tries.
    """
    withdrawn: dict[int, OrderRecord] = {}
    for attempt in range(_TRIES):
        leftovers = [order for order in await account.open_orders() if is_own(order.client_order_id)]
        if not leftovers:
            return list(withdrawn.values())
        if attempt:
            await clock.sleep(0.5 * attempt)
        for order in leftovers:
            try:
                await account.cancel_order(order.order_id)
            except (RequestRefused, OutcomeUnknown) as trouble:
                logger.warning("own order not withdrawn client_order_id=%s: %s", order.client_order_id, trouble)
            else:
                withdrawn[order.order_id] = order
    raise OutcomeUnknown(f"own orders still open after {_TRIES} tries: {leftovers}")
