"""Report model: everything that terminal, page, CSV and JSON can show of one run.

A recorded session, a backtest and the account's history at the exchange each become a `RunReport`.
All output formats use the same `RunReport`, so their numbers cannot differ. Amounts and order
prices are `Decimal`; curves, which are only drawn, are floats. Times are market time, in UTC
milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from trailingedge.accounting.results import FinishedExit, RunResults
from trailingedge.model.client_order_ids import ClientOrderId
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Regime, Side, SymbolRules
from trailingedge.report.robustness import Robustness
from trailingedge.strategy.chart_levels import ChartLevels


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

    Prices are in quote per base in both regimes. A price that does not exist is None. `value` is the value of the whole
    account in quote at the best bid. `growth` is the growth of the account since the beginning, without transfers: 1.02
    is a gain of 2 %.
    """

    time_ms: int
    bid: float
    value: float
    growth: float
    regime: Regime | None
    anchor: float | None
    high: float | None
    trail: float | None
    stop: float | None
    upper: float | None
    mid: float | None
    lower: float | None
    gate_shut: bool = False

    @classmethod
    def at(
        cls, time_ms: int, bid: float, value: float, growth: float, levels: ChartLevels, regime: Regime | None = None
    ) -> "Sample":
        """Return the sample with these levels. `regime` is used while the strategy has none."""
        channel = levels.channel
        return cls(
            time_ms,
            bid,
            value,
            growth,
            levels.regime or regime,
            levels.anchor,
            levels.high,
            levels.trail,
            levels.stop,
            None if channel is None else channel.upper,
            None if channel is None else channel.mid,
            None if channel is None else channel.lower,
            levels.gate_shut,
        )


@dataclass(frozen=True, slots=True)
class OrderLogEntry:
    """An entry on an exit order of ours: it was "placed", "replaced" (`price` is the new price) or "withdrawn"."""

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
class EquityBand:
    """The account's value on several paths of a backtest: median, 5th and 95th percentile at each time.

    Values are changes since the start, as fractions, without transfers.
    """

    times_ms: tuple[int, ...]
    p5: tuple[float, ...]
    median: tuple[float, ...]
    p95: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run; each sequence is oldest first.

    `results` are those of the accounting package; every figure comes from there. `settings` are formatted values,
    without secrets. `gaps` has a sentence for each part that is missing in the market data or the record. `mode` is
    "sim" for a run on the embedded exchange in simulated market time, "backtest" for a backtest on recorded markets,
    and "" for every other run.
    """

    symbol: str
    tick_size: Decimal
    settings: Mapping[str, str]
    results: RunResults
    fills: tuple[Fill, ...]
    orders: tuple[OrderLogEntry, ...]
    candles: tuple[Candle, ...]
    samples: tuple[Sample, ...]
    gaps: tuple[str, ...] = ()
    mode: str = ""
    band: EquityBand | None = None
    robustness: Robustness | None = None  # of the paths of a backtest; the rest is that of the listed path

    @property
    def base_asset(self) -> str:
        return self.results.base_asset

    @property
    def quote_asset(self) -> str:
        return self.results.quote_asset

    @property
    def from_ms(self) -> int:
        return self.results.first.market_ms

    @property
    def to_ms(self) -> int:
        return self.results.last.market_ms

    @property
    def exits(self) -> tuple[FinishedExit, ...]:
        return self.results.exits

    @property
    def exit_ids(self) -> dict[int, str]:
        """Client order id of each exit, by exit number.

        If an exit became a hard stop, this is the id of the hard stop's orders.
        """
        under_way = {fill.number: str(ClientOrderId(fill.kind, fill.number)) for fill in self.fills}
        return under_way | {finished.number: finished.id for finished in self.exits}

    @property
    def rules(self) -> SymbolRules:
        """Symbol rules for formatting: the report's tick size, and a step size as fine as its finest fill."""
        decimals = max((_decimals(fill.quantity) for fill in self.fills), default=0)
        return SymbolRules(
            symbol=self.symbol,
            base_asset=self.base_asset,
            quote_asset=self.quote_asset,
            tick_size=self.tick_size,
            step_size=Decimal(1).scaleb(-decimals),
        )


def _decimals(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
