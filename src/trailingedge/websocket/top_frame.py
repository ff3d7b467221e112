"""The one frame that comes by the thousand: a bookTicker of the combined stream, read in one look.

It is read here only where every letter is as the exchange writes it; anything else is for `messages` to read
or to refuse. What is read is the same either way.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from trailingedge.market import BookTop
from trailingedge.websocket.messages import TopHeard

# The same amounts and integers that `fields` lets pass.
_AMOUNT: Final = rb'"([0-9]{1,28}(?:\.[0-9]{1,28})?)"'
_FRAME: Final = re.compile(
    rb'\{"stream":"[^"\\\x00-\x1f\x80-\xff]*","data":\{"u":(0|[1-9][0-9]{0,17}),"s":"([A-Z0-9]+)",'
    rb'"b":' + _AMOUNT + rb',"B":' + _AMOUNT + rb',"a":' + _AMOUNT + rb',"A":' + _AMOUNT + rb"\}\}"
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


def newest_top(frames: Sequence[str | bytes], symbol: str) -> tuple[int, TopHeard | None]:
    """The last readable top of `symbol` among frames that came together, and where it is; -1 and None for none."""
    for index in range(len(frames) - 1, -1, -1):
        heard = read_top(frames[index])
        if heard is not None and heard.symbol == symbol:
            return index, heard
    return -1, None
