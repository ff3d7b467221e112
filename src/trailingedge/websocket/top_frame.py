"""The one frame that comes by the thousand: a bookTicker of the combined stream, read in one look.

It is read here only where it is written as the exchange does, blanks aside; anything else is for `messages`
to read or to refuse. What is read is the same either way.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from trailingedge.core.errors import ProtocolViolation
from trailingedge.model.market import BookTop
from trailingedge.websocket.messages import TopHeard, read_stream_frame

# The same amounts and integers that `fields` lets pass.
_AMOUNT: Final = rb'"([0-9]{1,20}(?:\.[0-9]{1,20})?)"'
_FRAME: Final = re.compile(
    rb'\{"stream": ?"[^"\\\x00-\x1f\x80-\xff]*", ?"data": ?\{"u": ?(0|[1-9][0-9]{0,17}), ?"s": ?"([A-Z0-9]+)", ?'
    rb'"b": ?' + _AMOUNT + rb', ?"B": ?' + _AMOUNT + rb', ?"a": ?' + _AMOUNT + rb', ?"A": ?' + _AMOUNT + rb"\}\}"
)


def read_top(frame: str | bytes) -> TopHeard | None:
    """The top that `frame` tells; None where it tells something else, or tells it in another way."""
    if not isinstance(frame, bytes):
        return None
    found = _FRAME.fullmatch(frame)
    if found is None:
        return None
    update_id, symbol, bid, bid_quantity, ask, ask_quantity = found.groups()
    try:
        top = BookTop(
            Decimal(bid.decode()),
            Decimal(ask.decode()),
            Decimal(bid_quantity.decode()),
            Decimal(ask_quantity.decode()),
            int(update_id),
        )
    except ValueError:  # no book
        return None
    return TopHeard(symbol.decode(), top)


class BookFrames:
    """Which frames tell of the book of `symbol`, and which of several tells it last."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._beginning = re.compile(rb'\{\s*"stream"\s*:\s*"' + symbol.lower().encode() + rb'@bookTicker"\s*,')

    def tells(self, frame: str | bytes) -> bool:
        """Whether `frame` is about that book and nothing else, rightly or wrongly."""
        return isinstance(frame, bytes) and self._beginning.match(frame) is not None

    def newest(self, frames: Sequence[str | bytes]) -> tuple[int, TopHeard | None]:
        """Of frames that came together, where the last readable top is, and that top; -1 and None without one."""
        for index in range(len(frames) - 1, -1, -1):
            frame = frames[index]
            heard = self._read(frame) if self.tells(frame) else None
            if heard is not None:
                return index, heard
        return -1, None

    def _read(self, frame: str | bytes) -> TopHeard | None:
        try:
            heard = read_top(frame) or read_stream_frame(frame)
        except ProtocolViolation:
            return None
        return heard if isinstance(heard, TopHeard) and heard.symbol == self._symbol else None
