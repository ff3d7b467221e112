"""Orders of our predecessor's that reach the book after our start and cannot be gone on with.

Each is taken away by requests of its own, and while one is on the book nothing of ours is ordered: two exits
must not rest beside each other.
"""

from collections.abc import Collection
from typing import Final

from trailingedge.execution.commands import Cancel, OrderCommand, QueryOrder

_OF_NO_EXIT: Final = 0  # the tag of a request whose answer tells the exchange's books alone
_AGAIN_S: Final = 1.0


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
