"""The changes of the book as one course, while one connection hands over to the next.

Each change bears a number that grows. The new connection may be ahead of the old one or behind it: what it
tells is held until the old one has come as far as its first change. From there on its own changes follow.
"""

from collections.abc import Callable
from typing import Final

from trailingedge.model.market import BookTop

_NONE_YET: Final = -1


class FeedHandover:
    """No change is missed, told twice or told after a later one. `tell` hears them; feeds are known by identity.

    Should the exchange count anew in the middle of a connection, what it says is taken for old news, until
    a probe finds the difference and a connection begins alone.
    """

    def __init__(self, tell: Callable[[BookTop], None]) -> None:
        self._publish = tell
        self._update_id = _NONE_YET
        self._published_from: object = None
        self._source: object = None
        self._successor: object = None
        self._held: list[BookTop] = []
        self.late = False  # what is told now was heard a while ago

    def add_feed(self, feed: object, *, alone: bool) -> None:
        """A new feed: `alone`, it is believed from its first change; else it is the one to come."""
        self._held = []
        if alone:
            self._source, self._successor, self._update_id = feed, None, _NONE_YET
        else:
            self._successor = feed

    def is_source(self, feed: object) -> bool:
        """The handing over to this feed is done."""
        return feed is self._source

    def on_top(self, feed: object, top: BookTop) -> None:
        if feed is self._successor:
            self._held.append(top)
        else:
            self._publish_if_new(feed, top)
        if self._held and self._held[0].update_id <= self._update_id:
            self.switch_to(self._successor)

    def switch_to(self, feed: object) -> None:
        """Believe this feed from now on, however far the one before has come."""
        if feed is not self._successor:
            return
        held, self._held = self._held, []
        self._source, self._successor = feed, None
        self.late = True
        for top in held:
            self._publish_if_new(feed, top)
        self.late = False

    def _publish_if_new(self, feed: object, top: BookTop) -> None:
        news = top.update_id > self._update_id
        if news or (top.update_id == self._update_id and feed is self._published_from):
            self._update_id, self._published_from = top.update_id, feed
            self._publish(top)
