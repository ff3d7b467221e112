"""The state that the strategy keeps from one tick to the next.

Nothing of it is saved: `reconciliation` rebuilds it at every start from the account's orders and fills and from klines.
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
    """What the strategy is doing. A pause is a separate flag. The values stand in records and in the status."""

    UNFUNDED = "unfunded"
    WATCHING = "watching"
    EXITING = "exiting"
    FLUSHING = "flushing"
    GATED = "gated"


class ShutBy(Enum):
    """The stop that shut the gate. The values stand in records."""

    HARD_STOP = "flush"  # opens when a close crosses mid upwards
    QUOTE_STOP = "quote stop"  # opens when a close crosses mid downwards


@dataclass(frozen=True, slots=True)
class ReentryGate:
    """A shut gate. `price` is the shutting price, in quote per base; only later closes can open it."""

    shut_by: ShutBy
    price: float
    shut_ms: int


@dataclass(frozen=True, slots=True)
class ActiveExit:
    """An exit in progress, latched until it ends.

    `started_ms` is market time; `mid_price` is the mid price at that time, None if it was not known.
    While `ending` is set, the exit is being cancelled. `accounted` is the amount of the asset that had been sold when
    the balances were last settled.
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
    """Holds regime, anchor and high, the gate, the exit in progress, and the close that the next one is compared with.

    `anchor` and `high` are unit values, zero before the first regime; `anchor_ms` is when they were set.
    `funded` is None until it was judged for the first time. `holdings` are the last settled ones.
    `untrusted_book_ms` is the last time without a trusted book: klines that began before it count for the high.
    `stop_breach_since_ms` is when the bid reached the hard stop, None while it is above. `last_number` is the
    number of the last exit, `last_close` the last closed kline's price.
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

    @property
    def phase(self) -> Phase:
        # An exit comes first: a gate may shut under a buy that is still being cancelled.
        if self.exit is not None:
            return Phase.FLUSHING if self.exit.kind is ExitKind.FLUSH else Phase.EXITING
        if not self.funded:
            return Phase.UNFUNDED
        return Phase.WATCHING if self.gate is None else Phase.GATED

    def anchored(self, regime: Regime, price: float, market_ms: int) -> "StrategyState":
        """The same state with a new anchor in `regime` at `price`. In BASE there is no gate."""
        value = unit_value(regime, price)
        return replace(
            self,
            regime=regime,
            anchor=value,
            high=value,
            anchor_ms=market_ms,
            gate=self.gate if regime is Regime.QUOTE else None,
            stop_breach_since_ms=None,
        )
