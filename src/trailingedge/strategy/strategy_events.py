"""Signals: the changes that an evaluation made, each with its numbers, for log lines, alerts, records and statistics.

Prices are in quote per base. A `Decimal` is an amount or a price of the exchange, a float is a number that we
calculated. Session records hold the signals under these names.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from trailingedge.indicators.donchian import Breakout
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Regime, Side
from trailingedge.strategy.inputs import Holdings, StrategyCommand
from trailingedge.strategy.state import ShutBy
from trailingedge.strategy.trailing_take_profit import Trail


class Origin(Enum):
    """The source of an anchor price. Session records contain the values."""

    EXIT = "average of our exit"
    MARKER = "marker of an earlier session"  # only at a restart, which then does not know the first source
    OUTSIDE = "fill from outside"
    MARKET = "market price"
    SETTING = "ANCHOR_PRICE"

    @property
    def is_on_record(self) -> bool:
        """Whether a restart can read the anchor from our orders: an exit's fills, or the id of a marker order."""
        return self in (Origin.EXIT, Origin.MARKER)


@dataclass(frozen=True, slots=True)
class RegimeSet:
    """Regime and anchor were set."""

    previous: Regime | None
    regime: Regime
    price: float
    origin: Origin


@dataclass(frozen=True, slots=True)
class Funded:
    """The account again has enough of the held asset for one order."""

    regime: Regime
    holdings: Holdings


@dataclass(frozen=True, slots=True)
class Unfunded:
    """Neither asset can be traded: we hold too little of each for one order."""

    regime: Regime | None
    holdings: Holdings


@dataclass(frozen=True, slots=True)
class ExitStarted:
    """An exit started.

    `price` is the mid price, None if it was not known. `trail` has the numbers of a take-profit,
    None for other exits.
    """

    kind: ExitKind
    side: Side
    number: int
    price: Decimal | None
    trail: Trail | None = None


@dataclass(frozen=True, slots=True)
class HardStopTriggered:
    """The hard stop starts to sell everything.

    `upgraded` is the kind of the exit in progress that became this sale, None if there was no exit.
    """

    number: int
    price: Decimal
    anchor_price: float
    distance: float
    upgraded: ExitKind | None


@dataclass(frozen=True, slots=True)
class ExitRelabelled:
    """An exit in progress became a manual exit by the operator's command."""

    number: int
    side: Side
    kind: ExitKind
    previous: ExitKind


@dataclass(frozen=True, slots=True)
class ExitEnding:
    """An exit is being cancelled."""

    kind: ExitKind
    side: Side
    number: int
    cause: ExitEndReason


@dataclass(frozen=True, slots=True)
class ExitEnded:
    """An exit is over. `average` is the average price of its fills, None if nothing was filled.

    After a part-filled exit we hold both assets, and the next exit sells the asset of `regime`.
    `idle` is the amount of the other asset, which stays untraded until then.
    """

    kind: ExitKind
    side: Side
    number: int
    cause: ExitEndReason
    filled_base: Decimal
    filled_quote: Decimal
    average: Decimal | None
    regime: Regime
    started_ms: int
    mid_price: Decimal | None
    idle: Decimal | None = None


@dataclass(frozen=True, slots=True)
class GateShut:
    """The reentry gate was shut: nothing is bought until a close crosses the channel's mid.

    `mid` is the mid of the present channel, None if there is no channel.
    """

    shut_by: ShutBy
    price: float
    mid: float | None


@dataclass(frozen=True, slots=True)
class GateOpened:
    """The reentry gate was opened by a close that crossed mid. That close is the new anchor."""

    shut_by: ShutBy
    close: float
    mid: float


@dataclass(frozen=True, slots=True)
class BrokeOut:
    """A kline closed beyond an edge of the channel, and the kline before it closed within."""

    direction: Breakout
    close: float
    upper: float
    lower: float


@dataclass(frozen=True, slots=True)
class Squeezed:
    """The channel has become narrow.

    `share` is the share of its recent widths that were smaller.
    """

    width: float
    share: float


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """A command of the operator that cannot be carried out now, and why."""

    command: StrategyCommand
    reason: str


# The announcer, the record and the statistics each match on these types.
StrategySignal = (
    RegimeSet
    | Funded
    | Unfunded
    | ExitStarted
    | HardStopTriggered
    | ExitRelabelled
    | ExitEnding
    | ExitEnded
    | GateShut
    | GateOpened
    | BrokeOut
    | Squeezed
    | CommandRefused
)
