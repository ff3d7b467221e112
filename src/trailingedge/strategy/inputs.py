"""Inputs of the strategy: its parameters, and one consistent view of the market and the account per tick."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

from trailingedge.indicators.donchian import Channel
from trailingedge.model.intent import ExitProgress
from trailingedge.model.market import BookTop, Kline, Regime
from trailingedge.model.pricing_mode import Pricing
from trailingedge.model.trigger_mode import TriggerOn


class StrategyCommand(Enum):
    """The operator's commands to the strategy. Each value is the key that the operator presses."""

    FLIP = "x"
    CANCEL = "c"


@dataclass(frozen=True, slots=True, eq=False)
class StrategyParams:
    """The settings and symbol rules that the strategy uses. Fractions are not percent: 0.01 is 1 %.

    `live.factory.strategy_params` copies a setting into the field with the same name and type. So a new strategy
    setting is declared in `config.Settings` and here, and nowhere else. `fee` (the maker fee in force) and the size
    limits, from `step_size` to `max_notional`, come from the exchange. If there are no trades to take an anchor from,
    `anchor_price` (quote per base) replaces the market price. Two `StrategyParams` are equal only if they are the same
    object, so that results which depend on them can be cached cheaply.
    """

    start_factor: float
    min_factor: float
    gain_scale_frac_base: float
    gain_scale_frac_quote: float
    min_gain_trigger_frac_base: float
    min_gain_trigger_frac_quote: float
    fee: float
    buffer: float
    donchian_gain_multiplier: float
    donchian_squeeze_frac: float
    hard_stop_threshold_frac: float
    hard_stop_donchian_multiplier: float
    hard_stop_max_frac: float
    hard_stop_confirm_sec: float
    breakout_entry: bool
    breakout_exit: bool
    trigger_on: TriggerOn
    exit_pricing: Pricing
    hard_stop_pricing: Pricing
    step_size: Decimal
    min_quantity: Decimal
    min_notional: Decimal
    max_quantity: Decimal | None
    max_notional: Decimal | None
    anchor_price: Decimal | None = None

    def gain_scale_frac(self, regime: Regime) -> float:
        return self.gain_scale_frac_base if regime.is_base else self.gain_scale_frac_quote

    def min_gain_trigger_frac(self, regime: Regime) -> float:
        return self.min_gain_trigger_frac_base if regime.is_base else self.min_gain_trigger_frac_quote


@dataclass(frozen=True, slots=True)
class Holdings:
    """The amount of each asset that we may trade.

    It is the free balance, plus what our own orders lock, less the reserve (`RESERVE_*`).
    """

    base: Decimal
    quote: Decimal

    def amount_in(self, regime: Regime) -> Decimal:
        """Return the amount of base for BASE, of quote for QUOTE."""
        return self.base if regime.is_base else self.quote


@dataclass(frozen=True, slots=True)
class ClosedKline:
    """A closed kline, and the channel that was in force while it formed."""

    kline: Kline
    channel: Channel | None


class Inputs(NamedTuple):
    """Everything that one evaluation depends on, read at the same time.

    `market_ms` is the exchange's time as last received, carried on by our clock; the strategy measures durations by it.
    `server_ms` is the exchange's time as our clock and a measured offset give it; a new exit takes its number from it.
    `top` is None while the book is stale or the account connection is not confirmed: then no rule acts on a price.
    `holdings` is None while the balances do not account for every fill. `channel` is the present channel.
    `closed_klines` are the klines that closed since the last evaluation, oldest first. `trading_paused` is true while
    trading is paused, for example by the operator or a circuit breaker: then the hard stop and sells by command still
    work. `halted` is true after a broken invariant. `progress` is how far the exit is filled, None if execution has no
    exit. `command_expired` is true if the first order of a manual exit did not rest on the book in time.
    `outside_price` is the price of the account's newest fill that was not ours. `highest_bid` and `lowest_ask` are the
    best prices since the last evaluation, also of times without an evaluation; None while the book is not trusted.

    It is a NamedTuple, as all values that each tick creates: a frozen dataclass takes four times as long to create.
    """

    market_ms: int
    server_ms: int
    # All values are of the same time: a rule must never combine a new price with old balances.
    top: BookTop | None
    holdings: Holdings | None
    channel: Channel | None
    closed_klines: tuple[ClosedKline, ...] = ()
    command: StrategyCommand | None = None
    trading_paused: bool = False
    halted: bool = False
    progress: ExitProgress | None = None
    command_expired: bool = False
    outside_price: Decimal | None = None
    highest_bid: Decimal | None = None
    lowest_ask: Decimal | None = None
