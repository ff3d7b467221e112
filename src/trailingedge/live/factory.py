"""Settings into the small parameter values that each part takes. Only the roof sees all settings."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Endpoints, Settings
from trailingedge.core.clock import Clock
from trailingedge.execution.maker_exit import ChaseParams
from trailingedge.execution.trading_core import Trader, TraderParams
from trailingedge.indicators.donchian import DonchianChannel
from trailingedge.model.market import BookTop, ExecutionReport, SymbolRules
from trailingedge.model.market_state import View
from trailingedge.reconciliation.backfill import Lens
from trailingedge.reconciliation.recovery import Ground
from trailingedge.risk.circuit_breakers import BreakerLimits
from trailingedge.risk.pre_trade_checks import Invariants
from trailingedge.risk.risk_engine import Guards, usual_guards
from trailingedge.strategy.inputs import Params
from trailingedge.websocket.transport import Backoff, Dial

SaveFrames = Callable[[list[str]], Awaitable[Path]]
"""Keeps the last frames for whoever looks into a halt, and returns where. Raises OSError."""

KeyCheck = Callable[[int], Awaitable[None]]
"""Given the exchange's clock once logged on, raises ConfigError for a key that must not be used."""

Entry = tuple[str | int, ...]
Enter = Callable[[Entry, Callable[[], None]], None]
"""Lets in what is done to the daemon from outside: what it is, in words for a record, and the doing of it."""


class Witness(Protocol):
    """Whoever looks on without a hand in it."""

    def beat(self, trader: Trader, view: View) -> None:
        """A beat is over, its commands are on their way, and its news is not told yet."""
        ...

    def report(self, report: ExecutionReport) -> None:
        """An execution report is about to be heard, ours or another's."""
        ...


def _at_once(_: Entry, act: Callable[[], None]) -> None:
    act()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the daemon lives in: the wire, the clock, chance, and the key. Tests and simulations bring their own.

    `stopwatch` measures our own work, where `clock` stands still meanwhile.
    """

    endpoints: Endpoints
    keys: KeyManager
    dial: Dial
    clock: Clock
    random: Random
    save_frames: SaveFrames | None = None
    stopwatch: Clock | None = None
    enter: Enter = _at_once
    witness: Witness | None = None


def strategy_params(settings: Settings, rules: SymbolRules, fee: float) -> Params:
    """`rules` are the effective ones, `fee` the maker fee in force."""
    return Params(
        start_factor=settings.start_factor,
        min_factor=settings.min_factor,
        gain_scale_frac_base=settings.gain_scale_frac_base,
        gain_scale_frac_quote=settings.gain_scale_frac_quote,
        min_gain_trigger_frac_base=settings.min_gain_trigger_frac_base,
        min_gain_trigger_frac_quote=settings.min_gain_trigger_frac_quote,
        fee=fee,
        buffer=settings.buffer,
        donchian_gain_multiplier=settings.donchian_gain_multiplier,
        squeeze_frac=settings.donchian_squeeze_frac,
        hard_stop_threshold_frac=settings.hard_stop_threshold_frac,
        hard_stop_donchian_multiplier=settings.hard_stop_donchian_multiplier,
        hard_stop_max_frac=settings.hard_stop_max_frac,
        hard_stop_confirm_s=settings.hard_stop_confirm_sec,
        breakout_entry=settings.breakout_entry,
        breakout_exit=settings.breakout_exit,
        exit_pricing=settings.exit_pricing,
        hard_stop_pricing=settings.hard_stop_pricing,
        min_quantity=rules.min_quantity,
        min_notional=rules.min_notional,
        step_size=rules.step_size,
        anchor_price=settings.anchor_price,
    )


def absent_after_s(settings: Settings) -> float:
    """The age from which a request that nobody answered can no longer be carried out.

    The exchange drops it once its recvWindow is over; a second more for the clocks to disagree.
    """
    return settings.recv_window_ms / 1000 + 1.0


def guards(settings: Settings, rules: SymbolRules, started_ms: int) -> Guards:
    """`started_ms` is the exchange's clock once logged on."""
    limits = BreakerLimits(
        rules.base_asset,
        rules.quote_asset,
        settings.max_daily_loss_frac,
        settings.max_drawdown_frac,
        settings.max_consecutive_losses,
    )
    may_escape = settings.taker_escape_after_sec > 0
    invariants = Invariants(settings.stale_after_sec, absent_after_s(settings), escape=may_escape)
    return usual_guards(limits, invariants, started_ms)


def chase_params(settings: Settings) -> ChaseParams:
    return ChaseParams(
        absent_after_s=absent_after_s(settings),
        escape_after_s=settings.taker_escape_after_sec,
        escape_slippage_frac=settings.taker_escape_max_slippage_frac,
    )


def trader_params(settings: Settings) -> TraderParams:
    return TraderParams(
        stale_after_s=settings.stale_after_sec,
        manual_exit_ttl_s=settings.manual_exit_ttl_sec,
        exit_age_alert_s=settings.exit_age_alert_sec,
        reserve_base=settings.reserve_base,
        reserve_quote=settings.reserve_quote,
    )


def channel(settings: Settings) -> DonchianChannel:
    return DonchianChannel(
        settings.donchian_window, settings.donchian_shift, settings.donchian_source, settings.rolling_klines_maxlen
    )


def ground(
    settings: Settings, rules: SymbolRules, fee: float, top: Callable[[], BookTop], market_ms: Callable[[], int]
) -> Ground:
    """What a restart stands on. Breakers count what is long over, so for them all of the past is read."""
    warm_up = settings.donchian_window + settings.donchian_shift
    breakers = settings.max_daily_loss_frac or settings.max_drawdown_frac or settings.max_consecutive_losses
    return Ground(
        rules=rules,
        params=strategy_params(settings, rules, fee),
        lens=Lens(settings.kline_interval, warm_up, lambda: channel(settings)),
        reserve_base=settings.reserve_base,
        reserve_quote=settings.reserve_quote,
        top=top,
        market_ms=market_ms,
        all_of_it=bool(breakers),
    )


def backoff(settings: Settings, random: Random) -> Backoff:
    return Backoff(settings.reconnect_base_sec, settings.reconnect_max_sec, settings.reconnect_max_retries, random)
