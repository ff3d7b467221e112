"""Published order book: its levels under one update id, and the streams and replies made from them.

Each change of a level raises the update id by one, whether it changes the best prices or not. bookTicker, the depth
snapshot and the depth streams all carry this id, so a client can keep a local book as the documentation describes: the
events of a diff stream follow each other without a gap (`U` is the last `u` plus one).
The levels are those that orders can match: the market's best level of each side, and the accounts' orders.
"""

from decimal import Decimal

from trailingedge.model.market import ZERO, BookTop
from trailingedge.simulator.book import BookLevels
from trailingedge.simulator.exchange_spec import format_amount
from trailingedge.simulator.payloads import Json


class PublishedBook:
    """The levels published last, and their update id: 0 until `update` is called for the first time."""

    def __init__(self) -> None:
        self.update_id = 0
        self.levels = BookLevels((), ())

    @property
    def is_open(self) -> bool:
        """Whether any levels have been published."""
        return self.update_id > 0

    @property
    def top(self) -> BookTop:
        """The best levels. Raises ValueError before the first ones."""
        if not self.is_open:
            raise ValueError("the market has not opened")
        return self.levels.top(self.update_id)

    def update(self, levels: BookLevels) -> bool:
        """Publish new levels. Returns whether the best price or quantity of a side changed."""
        before = self.levels
        if levels == before:
            return False
        self.levels = levels
        self.update_id += 1
        return before.bids[:1] != levels.bids[:1] or before.asks[:1] != levels.asks[:1]

    def snapshot_json(self, limit: int) -> Json:
        """The best `limit` levels of each side: the reply to `depth`, and the event of a partial depth stream."""
        return {
            "lastUpdateId": self.update_id,
            "bids": _rows(dict(self.levels.bids))[:limit],
            "asks": _rows(dict(self.levels.asks))[:limit],
        }


class DiffDepthStream:
    """The changes of the book since the stream's last event, or since it was first subscribed to."""

    def __init__(self, book: PublishedBook, symbol: str) -> None:
        self._book = book
        self._symbol = symbol
        self._update_id = book.update_id
        self._levels = book.levels

    def event(self, event_ms: int) -> Json | None:
        """The next `depthUpdate`; None if the book has not changed. A level that is gone has quantity zero."""
        before, after, first_id = self._levels, self._book.levels, self._update_id + 1
        if self._book.update_id < first_id:
            return None
        self._update_id, self._levels = self._book.update_id, after
        return {
            "e": "depthUpdate",
            "E": event_ms,
            "s": self._symbol,
            "U": first_id,
            "u": self._update_id,
            "b": _rows(_changes(dict(before.bids), dict(after.bids)), keep_zero=True),
            "a": _rows(_changes(dict(before.asks), dict(after.asks)), keep_zero=True),
        }


def _changes(before: dict[Decimal, Decimal], after: dict[Decimal, Decimal]) -> dict[Decimal, Decimal]:
    """The new quantities of the levels that differ: first those that stand, then those that are gone."""
    standing = {price: quantity for price, quantity in after.items() if before.get(price) != quantity}
    return standing | {price: ZERO for price in before if price not in after}


def _rows(levels: dict[Decimal, Decimal], keep_zero: bool = False) -> list[list[str]]:
    # The market's best level may have no quantity. It stands in bookTicker all the same; here it would mean a deletion.
    return [
        [format_amount(price), format_amount(quantity)] for price, quantity in levels.items() if quantity or keep_zero
    ]
