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
        self._diff_streams: list[DiffDepthStream] = []

    @property
    def is_open(self) -> bool:
        """Whether any levels have been published."""
        return self.update_id > 0

    @property
    def top(self) -> BookTop:
        """The best levels. Raises ValueError if none have been published yet."""
        if not self.is_open:
            raise ValueError("the market has not opened")
        return self.levels.top(self.update_id)

    def update(self, levels: BookLevels) -> bool:
        """Publish new levels. Returns whether the best price or quantity of a side changed."""
        before = self.levels
        if levels == before:
            return False
        for stream in self._diff_streams:
            stream.note_change(before, levels)
        self.levels = levels
        self.update_id += 1
        return before.bids[:1] != levels.bids[:1] or before.asks[:1] != levels.asks[:1]

    def open_diff_stream(self, symbol: str) -> "DiffDepthStream":
        """Begin to collect the changes of the book for a diff stream."""
        stream = DiffDepthStream(self, symbol)
        self._diff_streams.append(stream)
        return stream

    def snapshot_json(self, limit: int) -> Json:
        """The best `limit` levels of each side: the reply to `depth`, and the event of a partial depth stream."""
        return {
            "lastUpdateId": self.update_id,
            "bids": _rows(dict(self.levels.bids))[:limit],
            "asks": _rows(dict(self.levels.asks))[:limit],
        }


class DiffDepthStream:
    """The changes of the book since the stream's last event; before the first event, since its first subscription.

    A level that appeared and disappeared within that time is included: a snapshot taken in between may contain it.
    """

    def __init__(self, book: PublishedBook, symbol: str) -> None:
        self._book = book
        self._symbol = symbol
        self._update_id = book.update_id
        self._changed_bids: set[Decimal] = set()
        self._changed_asks: set[Decimal] = set()

    def note_change(self, before: BookLevels, after: BookLevels) -> None:
        """Remember which levels an update of the book changes."""
        self._changed_bids.update(price for price, _ in set(before.bids) ^ set(after.bids))
        self._changed_asks.update(price for price, _ in set(before.asks) ^ set(after.asks))

    def event(self, event_ms: int) -> Json | None:
        """The next `depthUpdate`; None if the book has not changed.

        A level that the book no longer has is sent with quantity zero.
        """
        first_id, self._update_id = self._update_id + 1, self._book.update_id
        if self._update_id < first_id:
            return None
        bids, asks = dict(self._book.levels.bids), dict(self._book.levels.asks)
        changed_bids = {price: bids.get(price, ZERO) for price in sorted(self._changed_bids, reverse=True)}
        changed_asks = {price: asks.get(price, ZERO) for price in sorted(self._changed_asks)}
        self._changed_bids.clear()
        self._changed_asks.clear()
        return {
            "e": "depthUpdate",
            "E": event_ms,
            "s": self._symbol,
            "U": first_id,
            "u": self._update_id,
            "b": _rows(changed_bids, keep_zero=True),
            "a": _rows(changed_asks, keep_zero=True),
        }


def _rows(levels: dict[Decimal, Decimal], keep_zero: bool = False) -> list[list[str]]:
    # The market's best level may have no quantity. It stands in bookTicker all the same; here it would mean a deletion.
    return [
        [format_amount(price), format_amount(quantity)] for price, quantity in levels.items() if quantity or keep_zero
    ]
