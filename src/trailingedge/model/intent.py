"""Order intents: what the strategy wants on the book. Execution decides which requests lead there."""

from decimal import Decimal
from enum import Enum
from typing import NamedTuple

from trailingedge.model.market import Side
from trailingedge.model.pricing_mode import Pricing


class ExitKind(Enum):
    """Why an order exists. The values are the letters in client order ids; JSON contains the names."""

    TAKE_PROFIT = "t"
    MANUAL = "m"
    BREAKOUT = "b"
    FLUSH = "f"
    ESCAPE = "e"
    JUMPSTART = "j"
    NOTE = "n"

    __hash__ = object.__hash__  # as for `Side`


class ExitEndReason(Enum):
    """Why an exit ended, or is ending. Session records and JSON contain the values."""

    FILLED = "filled"
    DUST = "dust"  # filled, except for a remainder too small to place
    CANCELLED = "withdrawn"  # by the operator
    STOPPED = "stopped"  # a take-profit buy, by the QUOTE stop
    PAUSED = "held"  # a buy, by a pause or a breaker
    EXPIRED = "expired"  # a command whose first order could not rest in time
    HALTED = "halted"  # by a broken invariant
    FUNDS_GONE = "vanished"  # nothing was filled, and the funds are too small for an order (any more)


class OrderIntent(NamedTuple):
    """Sell all of one asset at the best price of one side.

    `funds` is the amount left to sell: base for a SELL, quote for a BUY. Each fill makes it
    smaller. `number` names the exit in client order ids: UTC milliseconds of its start.
    """

    side: Side
    funds: Decimal
    pricing: Pricing
    kind: ExitKind
    number: int


class ExitProgress(NamedTuple):
    """The progress of one exit, which is named by `number`.

    `filled_base` and `filled_quote` sum all fills of the exit. `may_fill` is true while an order of
    the exit rests, or may rest or reach the book. `idle` is true if no order of the
    exit is open, unanswered or unknown, and the balances account for every fill. `complete` is None
    until nothing is left to sell; then it is FILLED, DUST or FUNDS_GONE, and `idle` is true.
    `rested` is true once an order of the exit has been on the book.
    """

    number: int
    filled_base: Decimal
    filled_quote: Decimal
    idle: bool
    complete: ExitEndReason | None
    rested: bool
    may_fill: bool
