"""What the trader tells, beside what strategy, chaser and guards tell themselves."""

from dataclasses import dataclass
from decimal import Decimal

from trailingedge.execution.order_events import OrderEvent
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Side
from trailingedge.reconciliation.exit_history import HistoricalExit
from trailingedge.risk.balance_audit import BalanceMoved
from trailingedge.risk.circuit_breakers import BreakerEvent
from trailingedge.strategy.signals import StrategySignal


@dataclass(frozen=True, slots=True)
class MarketStale:
    """The market has been silent for too long: nothing new is decided or ordered."""

    age_s: float


@dataclass(frozen=True, slots=True)
class MarketFresh:
    """The market speaks again."""

    silent_s: float


@dataclass(frozen=True, slots=True)
class AccountLost:
    """Nothing can be ordered, and nobody tells what becomes of our order."""

    away_s: float


@dataclass(frozen=True, slots=True)
class AccountBack:
    """Logged on again, and what was missed was asked for."""

    away_s: float


@dataclass(frozen=True, slots=True)
class ExitAged:
    """An exit takes long. `slippage_frac` is what it has lost so far against the mid price at its trigger."""

    kind: ExitKind
    side: Side
    age_s: float
    slippage_frac: float | None
    filled_base: Decimal


@dataclass(frozen=True, slots=True)
class LateOrder:
    """An order of the last session reached the book after our start: we go on with it, or take it away."""

    late_exit: HistoricalExit
    adopted: bool


TraderEvent = (
    StrategySignal
    | OrderEvent
    | MarketStale
    | MarketFresh
    | AccountLost
    | AccountBack
    | ExitAged
    | LateOrder
    | BreakerEvent
    | BalanceMoved
)
