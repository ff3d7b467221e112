"""Inputs of the strategy: its parameters, and one consistent view of the market and the account per tick."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from trailingedge.indicators.donchian import Channel
from trailingedge.model.intent import ExitProgress
from trailingedge.model.market import BookTop, Kline, Regime
from trailingedge.model.pricing_mode import Pricing


class StrategyCommand(Enum):
    """The commands that the strategy carries out; the values are their keys."""

    FLIP = "x"
    CANCEL = "c"


@dataclass(frozen=True, slots=True)
class StrategyParams:
    """The settings and symbol rules that the strategy works with. Fractions are of 1; `fee` is the maker fee in force.

    A field has the name and the type of its setting, and is copied from it by name (`live.factory.strategy_params`): a
    new strategy setting is declared in `config.Settings` and named here, and nowhere else. `fee` and the last three
    before `anchor_price` come from the exchange's rules. `anchor_price` (quote per base) replaces the market price
    when there are no trades to take an anchor from.
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
    exit_pricing: Pricing
    hard_stop_pricing: Pricing
    min_quantity: Decimal
    min_notional: Decimal
    step_size: Decimal
    anchor_price: Decimal | None = None

    def gain_scale_frac(self, regime: Regime) -> float:
        return self.gain_scale_frac_base if regime is Regime.BASE else self.gain_scale_frac_quote

    def min_gain_trigger_frac(self, regime: Regime) -> float:
        return self.min_gain_trigger_frac_base if regime is Regime.BASE else self.min_gain_trigger_frac_quote


@dataclass(frozen=True, slots=True)
class Holdings:
    """The amount of each asset that we may trade: free and locked by our own orders, less the reserve."""

    base: Decimal
    quote: Decimal

    def amount_in(self, regime: Regime) -> Decimal:
        """The amount of the asset that is held in `regime`."""
        return self.base if regime is Regime.BASE else self.quote


@dataclass(frozen=True, slots=True)
class ClosedKline:
    """A closed kline, and the channel that was in force while it formed."""

    kline: Kline
    channel: Channel | None


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that one evaluation depends on, read at the same time.

    `market_ms` is the exchange's time, by which the strategy measures; `server_ms` is the exchange's time as our
    clock estimates it, and numbers new exits. `top` is None while the book is stale or the account connection is
    not confirmed: then no price trigger is judged. `holdings` is None while the balances do not account for every
    fill. `channel` is the one in force now; `closed_klines` are those since the last evaluation, oldest first.
    `trading_paused` is a pause or a breaker, `halted` a broken invariant. `progress` is None where execution knows
    of no exit. `command_expired`: the first order of a manual exit could not rest in time. `outside_price` is the
    price of the account's newest fill that was not ours.
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
