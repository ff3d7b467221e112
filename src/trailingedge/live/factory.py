"""Parameter factory: turns the settings into the small parameter objects that each part takes.

Only this module and `app` see `Settings`. Backtests, sweeps, session replays and reports get their parameters from the
same functions, so that a setting means the same thing everywhere. Some callers, such as a trial of a sweep, have the
settings as a mapping from name to text; functions here turn such a mapping into parameters, too. `live.node_builder`
builds the node.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from typing import Any

from trailingedge.auth import api_key_permissions
from trailingedge.config import OnExit, Settings, settings_from_values, shareable_settings
from trailingedge.config_validator import (
    effective_rules,
    problems,
    problems_with_exchange,
    warnings_with_exchange,
    warnings_with_price,
)
from trailingedge.execution.maker_exit import MakerExitParams
from trailingedge.execution.trading_core import TradingParams
from trailingedge.indicators.donchian import Breakout, DonchianChannel
from trailingedge.live.node_params import (
    AccountReportParams,
    BacktestParams,
    CheckParams,
    ExchangeClientParams,
    NodeParams,
    PairParams,
    PaperFeedParams,
    ReconnectParams,
    ServicesParams,
    StartParams,
    TermsPolicy,
)
from trailingedge.model.market import BookTop, SymbolRules
from trailingedge.model.order_size import size_limits_of
from trailingedge.reconciliation.backfill import BackfillSpec
from trailingedge.reconciliation.recovery import RecoveryContext
from trailingedge.risk.circuit_breakers import BreakerLimits
from trailingedge.risk.pre_trade_checks import PreTradeChecks
from trailingedge.risk.risk_engine import RiskEngine, build_risk_engine
from trailingedge.strategy.inputs import StrategyParams


def strategy_params(settings: Settings, rules: SymbolRules, fee: float) -> StrategyParams:
    """Return the strategy's parameters. Each has the value of the setting of the same name.

    Only fee and size limits come from the arguments: `rules` are the effective rules, `fee` is
    the maker fee in force. A test checks that names and types agree.
    """
    in_force: dict[str, Any] = {"fee": fee} | size_limits_of(rules)
    named = {
        field.name: getattr(settings, field.name) for field in fields(StrategyParams) if field.name not in in_force
    }
    return StrategyParams(**named, **in_force)


def request_expires_s(settings: Settings) -> float:
    """Return the age in seconds from which an unanswered request can no longer be executed.

    The exchange drops a request once its recvWindow is over. The extra second covers the error of
    our clock offset.
    """
    return settings.recv_window_ms / 1000 + 1.0


def risk_engine(settings: Settings, rules: SymbolRules, started_ms: int) -> RiskEngine:
    """Build the risk engine of one run. `started_ms` is the exchange's time after the logon."""
    limits = BreakerLimits(
        rules.base_asset,
        rules.quote_asset,
        settings.max_daily_loss_frac,
        settings.max_drawdown_frac,
        settings.max_consecutive_losses,
    )
    may_escape = settings.taker_escape_after_sec > 0
    pre_trade_checks = PreTradeChecks(
        settings.stale_after_sec,
        request_expires_s(settings),
        escape=may_escape,
        closes_alone=settings.trigger_on.at_close,
    )
    return build_risk_engine(limits, pre_trade_checks, started_ms)


def maker_exit_params(settings: Settings) -> MakerExitParams:
    """Return the parameters of `MakerExit`, which keeps the exit order at the best price."""
    return MakerExitParams(
        request_expires_s=request_expires_s(settings),
        escape_after_s=settings.taker_escape_after_sec,
        escape_slippage_frac=settings.taker_escape_max_slippage_frac,
    )


def trading_params(settings: Settings) -> TradingParams:
    """Return the trading core's parameters, except those of the strategy."""
    return TradingParams(
        stale_after_s=settings.stale_after_sec,
        manual_exit_ttl_s=settings.manual_exit_ttl_sec,
        exit_age_alert_s=settings.exit_age_alert_sec,
        reserve_base=settings.reserve_base,
        reserve_quote=settings.reserve_quote,
    )


def donchian_channel(settings: Settings) -> DonchianChannel:
    """Build an empty Donchian channel of the length that the settings define."""
    return DonchianChannel(
        settings.donchian_window, settings.donchian_shift, settings.donchian_source, settings.rolling_klines_maxlen
    )


def channel_klines(settings: Settings) -> int:
    """Return how many closed klines are needed to fill the channel."""
    return settings.donchian_window + settings.donchian_shift


def recovery_context(
    settings: Settings, rules: SymbolRules, fee: float, top: Callable[[], BookTop], market_ms: Callable[[], int]
) -> RecoveryContext:
    """Return the inputs of recovery, which restores the state of the last session.

    If the settings have a circuit breaker, recovery reads the whole order history, because breakers also count losses
    of earlier sessions.
    """
    breakers = settings.max_daily_loss_frac or settings.max_drawdown_frac or settings.max_consecutive_losses
    return RecoveryContext(
        rules=rules,
        params=strategy_params(settings, rules, fee),
        backfill=BackfillSpec(settings.kline_interval, channel_klines(settings), lambda: donchian_channel(settings)),
        reserve_base=settings.reserve_base,
        reserve_quote=settings.reserve_quote,
        top=top,
        market_ms=market_ms,
        full_history=bool(breakers),
    )


def reconnect_params(settings: Settings) -> ReconnectParams:
    """Return the pauses between connection attempts, and how many attempts may fail."""
    return ReconnectParams(
        settings.reconnect_base_sec,
        settings.reconnect_max_sec,
        settings.reconnect_max_retries,
    )


def exchange_client_params(settings: Settings) -> ExchangeClientParams:
    """Return the parameters of the exchange client."""
    return ExchangeClientParams(
        symbol=settings.symbol,
        kline_interval=settings.kline_interval,
        recv_window_ms=settings.recv_window_ms,
        account_probe_s=settings.account_probe_sec,
        stale_after_s=settings.stale_after_sec,
        reconnect=reconnect_params(settings),
    )


def paper_feed_params(settings: Settings) -> PaperFeedParams:
    """Return the parameters of the paper exchange."""
    return PaperFeedParams(
        symbol=settings.symbol,
        kline_interval=settings.kline_interval,
        klines_maxlen=settings.rolling_klines_maxlen,
        stale_after_s=settings.stale_after_sec,
        fee=settings.fee,
        reconnect=reconnect_params(settings),
    )


def terms_policy(settings: Settings) -> TermsPolicy:
    """Return functions that check the exchange's rules and fee against these settings."""
    return TermsPolicy(
        problems=partial(problems_with_exchange, settings),
        warnings=partial(warnings_with_exchange, settings),
        price_warnings=partial(warnings_with_price, settings),
        effective_rules=partial(effective_rules, settings),
        fee=settings.fee,
    )


def start_params(settings: Settings) -> StartParams:
    """Return the parameters of the steps of a start."""
    return StartParams(
        symbol=settings.symbol,
        kline_interval=settings.kline_interval,
        klines_wanted=settings.rolling_klines_maxlen,
        channel_klines=channel_klines(settings),
        stale_after_s=settings.stale_after_sec,
        recv_window_ms=settings.recv_window_ms,
        request_expires_s=request_expires_s(settings),
        escape_after_s=settings.taker_escape_after_sec,
        reserve_base=settings.reserve_base,
        reserve_quote=settings.reserve_quote,
        terms=terms_policy(settings),
        strategy_params=partial(strategy_params, settings),
        recovery_context=partial(recovery_context, settings),
    )


def check_params(settings: Settings) -> CheckParams:
    """Return the parameters of the rehearsal of a start, which `doctor` runs."""
    return CheckParams(
        start=start_params(settings),
        reconnect=reconnect_params(settings),
        permissions_url=api_key_permissions.base_url(settings.trading_mode.value, settings.binance_ws_api_url),
    )


def services_params(settings: Settings) -> ServicesParams:
    """Return the parameters of trading, alerts and statistics, which need the exchange's rules."""
    follows = {Breakout.UP: settings.breakout_entry, Breakout.DOWN: settings.breakout_exit}
    return ServicesParams(
        mode=settings.trading_mode.value,
        start_paused=settings.start_paused,
        kline_interval=settings.kline_interval,
        request_expires_s=request_expires_s(settings),
        followed_breakouts=frozenset(direction for direction, followed in follows.items() if followed),
        trading=trading_params(settings),
        maker_exit=maker_exit_params(settings),
        strategy_params=partial(strategy_params, settings),
        channel=partial(donchian_channel, settings),
        risk_engine=partial(risk_engine, settings),
    )


def pair_params(values: Mapping[str, str]) -> PairParams:
    """Return symbol and assets from `values`, which maps the names of settings to their texts."""
    settings = settings_from_values(values)
    return PairParams(settings.symbol, settings.base_asset, settings.quote_asset)


def backtest_params(values: Mapping[str, str]) -> BacktestParams:
    """Return a backtest's parameters from `values`, which maps the names of settings to their texts.

    Raises ValueError for an invalid value.
    """
    settings = settings_from_values(values)
    return BacktestParams(
        services=services_params(settings),
        terms=terms_policy(settings),
        problems=tuple(problems(settings)),
        channel_of_closes=settings.donchian_source == "close",
        order_budget_reserve=settings.order_budget_reserve,
        shareable_settings=shareable_settings(settings),
    )


def account_report_params(settings: Settings) -> AccountReportParams:
    """Return the parameters of the report of an account."""
    return AccountReportParams(
        start=start_params(settings),
        channel=partial(donchian_channel, settings),
        shareable_settings=shareable_settings(settings),
    )


def node_params(settings: Settings) -> NodeParams:
    """Return all parameters of a trading node."""
    return NodeParams(
        client=exchange_client_params(settings),
        start=start_params(settings),
        services=services_params(settings),
        klines_maxlen=settings.rolling_klines_maxlen,
        order_budget_reserve=settings.order_budget_reserve,
        wake_every_s=settings.loop_sleep_sec,
        leave_orders=settings.on_exit is OnExit.LEAVE,
    )
