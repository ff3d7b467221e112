"""The state that the strategy keeps from one tick to the next.

The state is not saved. At every start `reconciliation` rebuilds it from klines and the account's
orders and fills.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum

from trailingedge.indicators.donchian import Breakout
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import ZERO, Regime, Side
from trailingedge.strategy.inputs import Holdings
from trailingedge.strategy.unit_value import unit_value


class Phase(Enum):
    """The present activity of the strategy.

    A pause is a separate flag. The values are stored in records and shown in the status.
    """

    UNFUNDED = "unfunded"
    WATCHING = "watching"
    EXITING = "exiting"
    FLUSHING = "flushing"
    GATED = "gated"


class ShutBy(Enum):
    """The stop that shut the reentry gate. The values are stored in records."""

    HARD_STOP = "flush"  # opens when a close crosses mid upwards
    QUOTE_STOP = "quote stop"  # opens when a close crosses mid downwards


@dataclass(frozen=True, slots=True)
class ReentryGate:
    """A shut reentry gate.

    It shut at `price` (quote per base); only a close after `shut_ms` can open it.
    """

    shut_by: ShutBy
    price: float
    shut_ms: int


@dataclass(frozen=True, slots=True)
class ActiveExit:
    """An exit in progress. It lasts until it is filled or cancelled, even if its trigger is gone.

    `started_ms` is the exchange's time at the start; `mid_price` is the mid price at that time,
    None if it was not known. `ending` is the reason of a cancel in progress, None otherwise.
    `accounted` is the amount that the exit had sold when the balances last accounted for every
    fill.
    """

    kind: ExitKind
    side: Side
    number: int
    started_ms: int
    mid_price: Decimal | None = None
    ending: ExitEndReason | None = None
    accounted: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class StrategyState:
    """The strategy's state: regime, anchor, high, reentry gate, exit in progress and last close.

    `anchor` and `high` are unit values, zero before the first regime; `anchor_ms` is when the
    anchor was set. `funded` tells whether we hold enough for an order, None before the first balances.
    `holdings` are the newest balances that accounted for every fill. `untrusted_book_ms` is the last
    time without a trusted book. We may have missed a high until then, so a kline that began at or before it may raise
    the high.
    `stop_breach_since_ms` is when the bid reached the hard stop, None while the bid is above it;
    `max_breach_since_ms` is the same for a loss of HARD_STOP_MAX_FRAC.
    `last_number` is the number of the last exit, `last_close` the close of the last closed kline.
    `broken_out` is the direction in which that close lay beyond its channel, None if within it.
    `judged_close_ms` is the time of the newest close that take-profit and hard stop have judged (TRIGGER_ON=close).
    If the last exit ended because no order could be placed, `unorderable_book` is the bid and ask of that moment; it
    becomes None when either changes.
    """

    # The defaults are those of a first start, before balances and prices are known.
    regime: Regime | None = None
    anchor: float = 0.0
    high: float = 0.0
    anchor_ms: int = 0
    funded: bool | None = None
    gate: ReentryGate | None = None
    exit: ActiveExit | None = None
    stop_breach_since_ms: int | None = None
    last_number: int = 0
    last_close: float = 0.0
    last_close_ms: int = -1
    holdings: Holdings | None = None
    untrusted_book_ms: int = -1
    broken_out: Breakout | None = None
    squeezed: bool = False
    unorderable_book: tuple[Decimal, Decimal] | None = None
    max_breach_since_ms: int | None = None
    judged_close_ms: int = -1

    @property
    def phase(self) -> Phase:
        # An exit comes first: a gate may shut under a buy that is still being cancelled.
        if self.exit is not None:
            return Phase.FLUSHING if self.exit.kind is ExitKind.FLUSH else Phase.EXITING
        if not self.funded:
            return Phase.UNFUNDED
        return Phase.WATCHING if self.gate is None else Phase.GATED

    @property
    def has_unjudged_close(self) -> bool:
        """Whether take-profit and hard stop have yet to judge the newest close (TRIGGER_ON=close)."""
        return self.last_close_ms > max(self.anchor_ms, self.judged_close_ms)

    def with_judged_close(self, close_ms: int) -> "StrategyState":
        """Return this state after the close at `close_ms` was judged."""
        return replace(self, judged_close_ms=close_ms)

    def anchored(self, regime: Regime, price: float, market_ms: int) -> "StrategyState":
        """Return this state in `regime`, with anchor and high at `price`.

        A shut gate is kept in QUOTE and removed in BASE.
        """
        value = unit_value(regime, price)
        return replace(
            self,
            regime=regime,
            anchor=value,
            high=value,
            anchor_ms=market_ms,
            gate=self.gate if regime is Regime.QUOTE else None,
            stop_breach_since_ms=None,
            max_breach_since_ms=None,
        )
