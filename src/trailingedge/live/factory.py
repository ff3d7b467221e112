"""Settings into the small parameter values that each part takes. Only the roof sees all settings."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from pathlib import Path
from random import Random
from typing import Any, Protocol

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Endpoints, Settings
from trailingedge.core.clock import Clock
from trailingedge.execution.maker_exit import MakerExitParams
from trailingedge.execution.trading_core import TradingCore, TradingParams
from trailingedge.indicators.donchian import DonchianChannel
from trailingedge.model.market import BookTop, ExecutionReport, SymbolRules
from trailingedge.model.market_state import StateView
from trailingedge.reconciliation.backfill import BackfillSpec
from trailingedge.reconciliation.recovery import RecoveryContext
from trailingedge.risk.circuit_breakers import BreakerLimits
from trailingedge.risk.pre_trade_checks import PreTradeChecks
from trailingedge.risk.risk_engine import RiskEngine, build_risk_engine
from trailingedge.strategy.inputs import StrategyParams
from trailingedge.websocket.transport import Backoff, Dial

SaveFrames = Callable[[list[str]], Awaitable[Path]]
"""Keeps the last frames for whoever looks into a halt, and returns where. Raises OSError."""

KeyCheck = Callable[[int], Awaitable[None]]
"""Given the exchange's clock once logged on, raises ConfigError for a key that must not be used."""

InputEntry = tuple[str | int, ...]
InputGate = Callable[[InputEntry, Callable[[], None]], None]
"""Lets in what is done to the daemon from outside: what it is, in words for a record, and the doing of it."""


class Observer(Protocol):
    """Whoever looks on without a hand in it."""

    def on_tick(self, trader: TradingCore, view: StateView) -> None:
        """A beat is over, its commands are on their way, and its news is not told yet."""
        ...

    def on_report(self, report: ExecutionReport) -> None:
        """An execution report is about to be heard, ours or another's."""
        ...


def _at_once(_: InputEntry, act: Callable[[], None]) -> None:
    act()


@dataclass(frozen=True, slots=True)
class Runtime:
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
    input_gate: InputGate = _at_once
    observer: Observer | None = None


def strategy_params(settings: Settings, rules: SymbolRules, fee: float) -> StrategyParams:
    """The strategy's parameters: each field is the setting of its name, but for those in force at the exchange.

    `rules` are the effective ones, `fee` the maker fee in force. A test proves names and types to agree.
    """
    in_force: dict[str, Any] = {
        "fee": fee,
        "min_quantity": rules.min_quantity,
        "min_notional": rules.min_notional,
        "step_size": rules.step_size,
    }
    named = {
        field.name: getattr(settings, field.name) for field in fields(StrategyParams) if field.name not in in_force
    }
    return StrategyParams(**named, **in_force)


def request_expires_s(settings: Settings) -> float:
    """The age from which a request that nobody answered can no longer be carried out.

    The exchange drops it once its recvWindow is over; a second more for the clocks to disagree.
    """
    return settings.recv_window_ms / 1000 + 1.0


def risk_engine(settings: Settings, rules: SymbolRules, started_ms: int) -> RiskEngine:
    """`started_ms` is the exchange's clock once logged on."""
    limits = BreakerLimits(
        rules.base_asset,
        rules.quote_asset,
        settings.max_daily_loss_frac,
        settings.max_drawdown_frac,
        settings.max_consecutive_losses,
    )
    may_escape = settings.taker_escape_after_sec > 0
    invariants = PreTradeChecks(settings.stale_after_sec, request_expires_s(settings), escape=may_escape)
    return build_risk_engine(limits, invariants, started_ms)


def maker_exit_params(settings: Settings) -> MakerExitParams:
    return MakerExitParams(
        request_expires_s=request_expires_s(settings),
        escape_after_s=settings.taker_escape_after_sec,
        escape_slippage_frac=settings.taker_escape_max_slippage_frac,
    )


def trading_params(settings: Settings) -> TradingParams:
    return TradingParams(
        stale_after_s=settings.stale_after_sec,
        manual_exit_ttl_s=settings.manual_exit_ttl_sec,
        exit_age_alert_s=settings.exit_age_alert_sec,
        reserve_base=settings.reserve_base,
        reserve_quote=settings.reserve_quote,
    )


def donchian_channel(settings: Settings) -> DonchianChannel:
    return DonchianChannel(
        settings.donchian_window, settings.donchian_shift, settings.donchian_source, settings.rolling_klines_maxlen
    )


def recovery_context(
    settings: Settings, rules: SymbolRules, fee: float, top: Callable[[], BookTop], market_ms: Callable[[], int]
) -> RecoveryContext:
    """What a restart stands on. Breakers count what is long over, so for them all of the past is read."""
    warm_up = settings.donchian_window + settings.donchian_shift
    breakers = settings.max_daily_loss_frac or settings.max_drawdown_frac or settings.max_consecutive_losses
    return RecoveryContext(
        rules=rules,
        params=strategy_params(settings, rules, fee),
        backfill=BackfillSpec(settings.kline_interval, warm_up, lambda: donchian_channel(settings)),
        reserve_base=settings.reserve_base,
        reserve_quote=settings.reserve_quote,
        top=top,
        market_ms=market_ms,
        full_history=bool(breakers),
    )


def backoff(settings: Settings, random: Random) -> Backoff:
    return Backoff(settings.reconnect_base_sec, settings.reconnect_max_sec, settings.reconnect_max_retries, random)
