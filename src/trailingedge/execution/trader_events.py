"""Trader events: the events of the trading core itself, and the union of all events that one tick can publish."""

from dataclasses import dataclass
from decimal import Decimal

from trailingedge.execution.order_events import OrderEvent
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Side
from trailingedge.reconciliation.history_types import HistoricalExit
from trailingedge.risk.balance_audit import BalanceMoved
from trailingedge.risk.circuit_breakers import BreakerEvent
from trailingedge.strategy.strategy_events import StrategySignal


@dataclass(frozen=True, slots=True)
class MarketStale:
    """Market data is too old: no new decisions are made and no new orders are placed."""

    age_s: float


@dataclass(frozen=True, slots=True)
class MarketFresh:
    """Market data is current again after it was stale."""

    silent_s: float


@dataclass(frozen=True, slots=True)
class AccountLost:
    """The account connection is lost: we cannot send orders, and no report shows the state of our order."""

    away_s: float


@dataclass(frozen=True, slots=True)
class AccountBack:
    """The account connection is back: we are logged on again and have read the missed changes."""

    away_s: float


@dataclass(frozen=True, slots=True)
class ExitAged:
    """An exit takes too long.

    `slippage_frac` is the fraction by which the best price is now worse than the mid price at the
    exit's trigger.
    """

    kind: ExitKind
    side: Side
    age_s: float
    slippage_frac: float | None
    filled_base: Decimal


@dataclass(frozen=True, slots=True)
class LateOrder:
    """An order of the last session reached the book after our start: it is adopted or cancelled."""

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
