"""Recent ids: a set of the newest ids, so that a message that arrives twice is handled once.

No order of the ids is assumed: an exchange or a server may restart its numbers.
"""

from collections import OrderedDict
from collections.abc import Hashable


class RecentIds:
    """Set of the newest `max_length` ids."""

    def __init__(self, max_length: int) -> None:
        self._max_length = max_length
        self._ids: OrderedDict[Hashable, None] = OrderedDict()

    def __contains__(self, id_: Hashable) -> bool:
        return id_ in self._ids

    @property
    def oldest(self) -> Hashable:
        """Return the oldest id if the set is full. Returns None if it is not full: then no id was dropped yet."""
        return next(iter(self._ids)) if len(self._ids) == self._max_length else None

    def add(self, id_: Hashable) -> bool:
        """Add an id. Returns False if it is in the set already."""
        if id_ in self._ids:
            return False
        self._ids[id_] = None
        if len(self._ids) > self._max_length:
            self._ids.popitem(last=False)
        return True
