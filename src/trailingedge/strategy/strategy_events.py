"""Signals: what an evaluation changed, each with its numbers, for log lines, alerts, records and statistics.

Prices are in quote per base. A `Decimal` is an amount or a price of the exchange, a float is a number that we
calculated. Records of version 1 keep some signals under older names: see RECORDED_AS in `eventlog.format`.
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
    """The source of an anchor price."""

    EXIT = "average of our exit"
    OUTSIDE = "fill from outside"
    MARKET = "market price"
    SETTING = "ANCHOR_PRICE"


@dataclass(frozen=True, slots=True)
class RegimeSet:
    """A new anchor. Only an EXIT anchor has fills of our own orders, from which a restart finds it again."""

    previous: Regime | None
    regime: Regime
    price: float
    origin: Origin


@dataclass(frozen=True, slots=True)
class Funded:
    """The asset of the regime can be traded again."""

    regime: Regime
    holdings: Holdings


@dataclass(frozen=True, slots=True)
class Unfunded:
    """Neither asset can be traded: less than an order needs."""

    regime: Regime | None
    holdings: Holdings


@dataclass(frozen=True, slots=True)
class ExitStarted:
    """An exit starts. `price` is the mid price of the market where known, `trail` the numbers of a take-profit."""

    kind: ExitKind
    side: Side
    number: int
    price: Decimal | None
    trail: Trail | None = None


@dataclass(frozen=True, slots=True)
class HardStopTriggered:
    """The hard stop sells everything. `upgraded` is the kind of the exit that it takes over, None without one."""

    number: int
    price: Decimal
    anchor_price: float
    distance: float
    upgraded: ExitKind | None


@dataclass(frozen=True, slots=True)
class ExitRelabelled:
    """The operator's command took over an exit in progress."""

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
    """An exit is over. `average` is None when nothing was filled.

    `idle` is the amount left in the other asset, not traded before the next exit, when an exit ended part-filled.
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
    """Nothing is bought until a close crosses mid. `mid` is that of the channel in force, None without one."""

    shut_by: ShutBy
    price: float
    mid: float | None


@dataclass(frozen=True, slots=True)
class GateOpened:
    """A close crossed mid: the gate is open, and the anchor is this close."""

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
