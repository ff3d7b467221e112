"""Report model: everything that terminal, page, CSV and JSON can show of one run.

A recorded session, a backtest and the account's history at the exchange each become a `RunReport`.
All output formats use the same `RunReport`, so their numbers cannot differ. Amounts and order
prices are `Decimal`; curves, which are only drawn, are floats. Times are market time, in UTC
milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from trailingedge.accounting.statistics import FinishedExit
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Regime, Side


@dataclass(frozen=True, slots=True)
class Candle:
    """Open, high, low and close of one interval, in quote per base."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float


@dataclass(frozen=True, slots=True)
class Sample:
    """State of market, strategy and account at one time, usually the close of a candle.

    Prices are in quote per base in both regimes. A price that does not exist is None. `value` is
    the value of the whole account in quote at the best bid.
    """

    time_ms: int
    bid: float
    value: float
    regime: Regime | None
    anchor: float | None
    high: float | None
    trail: float | None
    stop: float | None
    upper: float | None
    mid: float | None
    lower: float | None
    gate_shut: bool = False


@dataclass(frozen=True, slots=True)
class OrderLogEntry:
    """An exit order of ours was "placed", "replaced" (`price` is the new one) or "withdrawn"."""

    time_ms: int
    what: str
    side: Side
    price: Decimal
    quantity: Decimal
    client_order_id: str


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution of an order of ours. `number` is the number of the order's exit."""

    time_ms: int
    trade_id: int
    order_id: int
    number: int
    kind: ExitKind
    side: Side
    price: Decimal
    quantity: Decimal
    quote: Decimal
    commission: Decimal
    commission_asset: str
    is_maker: bool


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run; each sequence is oldest first.

    `exits` are results that `accounting.statistics` has computed. `settings` are formatted values,
    without secrets. `first_value` and `last_value` are the account's value in quote at the best
    bids `first_bid` and `last_bid`. `rejected` counts rejected requests by error code. `gaps` says
    in words what the market data or the record lacks. `mode` is "sim" for a run on the embedded
    exchange in simulated market time, "replay" for a backtest on recorded markets, and "" for every
    other run.
    """

    symbol: str
    base_asset: str
    quote_asset: str
    tick_size: Decimal
    from_ms: int
    to_ms: int
    settings: Mapping[str, str]
    exits: tuple[FinishedExit, ...]
    fills: tuple[Fill, ...]
    orders: tuple[OrderLogEntry, ...]
    candles: tuple[Candle, ...]
    samples: tuple[Sample, ...]
    replaces: int
    rejected: Mapping[int, int]
    first_bid: Decimal
    last_bid: Decimal
    first_value: Decimal
    last_value: Decimal
    max_drawdown_frac: float
    gaps: tuple[str, ...] = ()
    mode: str = ""
