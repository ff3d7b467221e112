"""Parameters of the parts of a run: each part gets only the few settings that it uses. `live.factory` makes them.

Only the factory and `app` see `Settings`, so each constructor shows on which settings a part depends. The parameters of
backtests and of account reports are here, too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from trailingedge.execution.maker_exit import MakerExitParams
from trailingedge.execution.trading_core import TradingParams
from trailingedge.indicators.donchian import Breakout, DonchianChannel
from trailingedge.model.market import BookTop, SymbolRules
from trailingedge.reconciliation.recovery import RecoveryContext
from trailingedge.risk.risk_engine import RiskEngine
from trailingedge.strategy.inputs import StrategyParams
from trailingedge.websocket.socket_dialer import Backoff


@dataclass(frozen=True, slots=True)
class ReconnectParams:
    """Pauses between connection attempts: the first, the longest, and how many attempts in a row may fail."""

    base_s: float
    max_s: float
    max_retries: int

    def backoff(self, random: Random) -> Backoff:
        """Return a new backoff for one connection."""
        return Backoff(self.base_s, self.max_s, self.max_retries, random)


@dataclass(frozen=True, slots=True)
class ExchangeClientParams:
    """Parameters of the exchange client and its two connections."""

    symbol: str
    kline_interval: str
    recv_window_ms: int
    account_probe_s: float
    stale_after_s: float
    reconnect: ReconnectParams


@dataclass(frozen=True, slots=True)
class PaperFeedParams:
    """Parameters of the paper exchange: the real market to follow and the account's fee."""

    symbol: str
    kline_interval: str
    klines_maxlen: int
    stale_after_s: float
    fee: Decimal | None
    reconnect: ReconnectParams


@dataclass(frozen=True, slots=True)
class TermsPolicy:
    """Checks the exchange's rules and fee against the settings. `fee`, if set, replaces the exchange's maker fee.

    `problems` takes the rules and the lowest maker fee, `warnings` the maker fee without discount, and `price_warnings`
    the rules and a price; each returns texts. `effective_rules` returns the rules with our stricter limits applied.
    """

    problems: Callable[[SymbolRules, Decimal], list[str]]
    warnings: Callable[[Decimal], list[str]]
    price_warnings: Callable[[SymbolRules, Decimal], list[str]]
    effective_rules: Callable[[SymbolRules], SymbolRules]
    fee: Decimal | None

    def fee_in_force(self, maker_fee: Decimal) -> Decimal:
        """Return the setting FEE if it is set, else the account's maker fee."""
        return maker_fee if self.fee is None else self.fee


RecoveryContextFactory = Callable[[SymbolRules, float, Callable[[], BookTop], Callable[[], int]], RecoveryContext]
"""Takes the effective rules, the fee in force, and functions that return the newest best prices and market time."""


@dataclass(frozen=True, slots=True)
class StartParams:
    """Parameters of the steps of a start, both in the daemon and in the rehearsal by `doctor`."""

    symbol: str
    kline_interval: str
    klines_wanted: int
    channel_klines: int  # with fewer the channel is not full
    stale_after_s: float
    recv_window_ms: int
    request_expires_s: float
    escape_after_s: float  # 0 = off
    reserve_base: Decimal
    reserve_quote: Decimal
    terms: TermsPolicy
    strategy_params: Callable[[SymbolRules, float], StrategyParams]
    recovery_context: RecoveryContextFactory


@dataclass(frozen=True, slots=True)
class CheckParams:
    """Parameters of the rehearsal of a start by `doctor`.

    `permissions_url` is the address for queries of the key's permissions. If it is None, they are
    not queried.
    """

    start: StartParams
    reconnect: ReconnectParams
    permissions_url: str | None


@dataclass(frozen=True, slots=True)
class ServicesParams:
    """Parameters of trading core, announcer and statistics, which need the exchange's rules.

    `live.node_builder.ServicesBuilder` builds these services.
    """

    mode: str
    start_paused: bool
    kline_interval: str
    request_expires_s: float
    followed_breakouts: frozenset[Breakout]
    trading: TradingParams
    maker_exit: MakerExitParams
    strategy_params: Callable[[SymbolRules, float], StrategyParams]
    channel: Callable[[], DonchianChannel]
    risk_engine: Callable[[SymbolRules, int], RiskEngine]


@dataclass(frozen=True, slots=True)
class PairParams:
    """The symbol of the settings and its two assets. An asset that is None is not set and follows from the symbol."""

    symbol: str
    base_asset: str | None
    quote_asset: str | None


@dataclass(frozen=True, slots=True)
class BacktestParams:
    """Parameters of a backtest: those of the trading core, and those of the daemon around it."""

    services: ServicesParams
    terms: TermsPolicy
    problems: tuple[str, ...]  # what is wrong with the settings themselves
    channel_of_closes: bool  # the channel covers the closes of klines, not their highs and lows
    order_budget_reserve: float
    shareable_settings: Mapping[str, str]  # by name, for the report


@dataclass(frozen=True, slots=True)
class AccountReportParams:
    """Parameters of the report of an account."""

    start: StartParams
    channel: Callable[[], DonchianChannel]
    shareable_settings: Mapping[str, str]  # by name, for the report


@dataclass(frozen=True, slots=True)
class NodeParams:
    """All parameters of a trading node."""

    client: ExchangeClientParams
    start: StartParams
    services: ServicesParams
    klines_maxlen: int
    order_budget_reserve: float
    wake_every_s: float  # the main loop is woken at this interval, even without events
    leave_orders: bool  # at the end our order stays on the book
