"""What has just changed, each with its numbers: the daemon turns them into log lines and alerts.

Prices are in quote per base. A `Decimal` is an amount or a price as the exchange told it, a float is a
number of ours.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from trailingedge.indicators.donchian import Breakout
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Regime, Side
from trailingedge.strategy.inputs import Holdings, StrategyCommand
from trailingedge.strategy.state import ShutBy
from trailingedge.strategy.trailing_stop import Trail


class Origin(Enum):
    """Where an anchor comes from."""

    EXIT = "average of our exit"
    OUTSIDE = "fill from outside"
    MARKET = "market price"
    SETTING = "ANCHOR_PRICE"


@dataclass(frozen=True, slots=True)
class RegimeSet:
    """Anchored anew. Only an EXIT anchor has fills of ours behind it that a restart can find."""

    previous: Regime | None
    regime: Regime
    price: float
    origin: Origin


@dataclass(frozen=True, slots=True)
class Funded:
    """The side held can be traded again."""

    regime: Regime
    holdings: Holdings


@dataclass(frozen=True, slots=True)
class Unfunded:
    """Neither side can be traded."""

    regime: Regime | None
    holdings: Holdings


@dataclass(frozen=True, slots=True)
class ExitStarted:
    """An exit begins. `price` is the market's mid price where known, `trail` the numbers of a take-profit."""

    kind: ExitKind
    side: Side
    number: int
    price: Decimal | None
    trail: Trail | None = None


@dataclass(frozen=True, slots=True)
class HardStopTriggered:
    """The hard stop: sell everything. `upgraded` is the kind of the exit it takes over, if any."""

    number: int
    price: Decimal
    anchor_price: float
    distance: float
    upgraded: ExitKind | None


@dataclass(frozen=True, slots=True)
class ExitRelabelled:
    """The operator made an exit in progress his own."""

    number: int
    side: Side
    kind: ExitKind
    previous: ExitKind


@dataclass(frozen=True, slots=True)
class ExitEnding:
    """An exit is being withdrawn."""

    kind: ExitKind
    side: Side
    number: int
    cause: ExitEndReason


@dataclass(frozen=True, slots=True)
class ExitEnded:
    """An exit is over. `average` is None when nothing was filled.

    `idle` is what lies on the other side of `regime`, waiting for the next flip, when an exit ended half-way.
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
    """Cash is held until a close crosses mid. `mid` is that of the channel in force, where there is one."""

    shut_by: ShutBy
    price: float
    mid: float | None


@dataclass(frozen=True, slots=True)
class GateOpened:
    """A close crossed mid: anchored anew at this close."""

    shut_by: ShutBy
    close: float
    mid: float


@dataclass(frozen=True, slots=True)
class BrokeOut:
    """The first close beyond an edge of the channel."""

    direction: Breakout
    close: float
    upper: float
    lower: float


@dataclass(frozen=True, slots=True)
class Squeezed:
    """The channel has become narrow by its own measure."""

    width: float
    share: float


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """The operator asked for something that cannot be done now."""

    command: StrategyCommand
    reason: str


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
