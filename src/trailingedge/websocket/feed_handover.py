"""Feed handover: merges the book updates of two connections into one sequence while one replaces the other.

Update ids grow. The new connection may be ahead of the old one or behind it. Updates of the new connection are held
until the old one has reached the first of them; from then on the updates of the new connection are published.
"""

from collections.abc import Callable
from typing import Final

from trailingedge.model.market import BookTop

_NONE_YET: Final = -1


class FeedHandover:
    """Publishes each book update once and in order. Each connection is identified by an object, its feed.

    If the exchange restarted its update ids within a connection, all updates would look old and be dropped. The probe
    of `MarketStream` would find the difference and end the connection. Adding the next feed with `alone` set resets the
    id.
    """

    def __init__(self, publish: Callable[[BookTop], None]) -> None:
        self._publish = publish
        self._update_id = _NONE_YET
        self._published_from: object = None
        self._source: object = None
        self._successor: object = None
        self._held: list[BookTop] = []
        self.late = False  # the update being published was held for a while: a newer one may follow at once

    def add_feed(self, feed: object, *, alone: bool) -> None:
        """Add a feed (one connection).

        If `alone`, its updates are published at once. Otherwise it replaces the present feed later.
        """
        self._held = []
        if alone:
            self._source, self._successor, self._update_id = feed, None, _NONE_YET
        else:
            self._successor = feed

    def is_source(self, feed: object) -> bool:
        """Return whether the updates of `feed` are published; those of a new connection are held until its handover."""
        return feed is self._source

    def on_top(self, feed: object, top: BookTop) -> None:
        """Publish an update, or hold it if it comes from the new connection.

        Ends the handover if the old one caught up.
        """
        if feed is self._successor:
            self._held.append(top)
        else:
            self._publish_if_new(feed, top)
        if self._held and self._held[0].update_id <= self._update_id:
            self.switch_to(self._successor)

    def switch_to(self, feed: object) -> None:
        """Replace the old connection by the new one, `feed`: publish its held updates and all later ones.

        This does not wait until the old connection has reached the first held update.
        """
        if feed is not self._successor:
            return
        held, self._held = self._held, []
        self._source, self._successor = feed, None
        self.late = True
        for top in held:
            self._publish_if_new(feed, top)
        self.late = False

    def _publish_if_new(self, feed: object, top: BookTop) -> None:
        # A feed may repeat an id: its later update replaces the earlier one. The same id over the other feed is a copy
        # of an update that was published.
        is_new = top.update_id > self._update_id
        if is_new or (top.update_id == self._update_id and feed is self._published_from):
            self._update_id, self._published_from = top.update_id, feed
            self._publish(top)
