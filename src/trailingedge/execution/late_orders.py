"""Orders of our predecessor's that reach the book after our start: which exits they make, and what cannot go on.

That is taken away by requests of its own, and while one is on the book nothing of ours is ordered: two exits
must not rest beside each other.
"""

from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Final

from trailingedge.model.market import ExecutionReport, OrderRecord
from trailingedge.model.order_commands import Cancel, OrderCommand, QueryOrder
from trailingedge.reconciliation.exit_history import PastExit, as_past_exit, is_open, past_exits

Word = ExecutionReport | OrderRecord

_OF_NO_EXIT: Final = 0  # the tag of a request whose answer tells the exchange's books alone
_AGAIN_S: Final = 1.0


def late_exits(words: Iterable[Word], open_ids: Collection[int]) -> tuple[PastExit, ...]:
    """The exits that these words tell of, the newest first: of each order the word that tells the most.

    A word that an order rests is none any more where the order is not among `open_ids`.
    """
    newest: dict[int, OrderRecord] = {}
    for word in words:
        (order,) = as_past_exit(word).orders
        known = newest.get(order.order_id)
        if (order.order_id in open_ids or not is_open(order)) and (known is None or _told(order) >= _told(known)):
            newest[order.order_id] = order
    return past_exits(newest.values(), ())[::-1]


def _told(order: OrderRecord) -> tuple[Decimal, bool]:
    return order.filled_quantity, not is_open(order)


class LateOrders:
    """What is to be taken away, by order id. Whether it is gone, the exchange's own words tell."""

    def __init__(self) -> None:
        self._unwanted: dict[int, str] = {}
        self._next_s = float("-inf")
        self._cancel = True

    def __contains__(self, order_id: int) -> bool:
        return order_id in self._unwanted

    def take_away(self, order_id: int, client_order_id: str) -> None:
        """It must go."""
        self._unwanted[order_id] = client_order_id

    def any_on(self, open_ids: Collection[int]) -> bool:
        """Something is still to go. `open_ids` are the orders on the book, as far as was told."""
        for order_id in self._unwanted.keys() - set(open_ids):
            del self._unwanted[order_id]
        return bool(self._unwanted)

    def command(self, now_s: float) -> OrderCommand | None:
        """Cancel the first, and where that brings no word of its end, ask for it; and so on, once a second."""
        if not self._unwanted or now_s < self._next_s:
            return None
        self._next_s = now_s + _AGAIN_S
        order_id, own = next(iter(self._unwanted.items()))
        cancel, self._cancel = self._cancel, not self._cancel
        return Cancel(_OF_NO_EXIT, order_id, own) if cancel else QueryOrder(_OF_NO_EXIT, order_id, own)
