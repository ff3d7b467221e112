"""Inputs of a backtest: opens the market files, and checks settings, exchange specification and starting balances."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Final

from trailingedge.backtest.backtest_exchange import symbol_rules_of
from trailingedge.backtest.file_kinds import require_market_files
from trailingedge.config import Settings
from trailingedge.config_validator import effective_rules, problems, problems_with_exchange
from trailingedge.core.errors import ConfigError
from trailingedge.live import factory
from trailingedge.model.market import ZERO, BookTop, format_plain
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.historical import RecordedMarket, open_market
from trailingedge.simulator.feeds.inspection import files_of_other_symbols, interval_name
from trailingedge.simulator.klines import INTERVALS
from trailingedge.strategy.inputs import Holdings
from trailingedge.strategy.regime import more_valuable_regime

DEFAULT_BASE: Final = Decimal(1)


@dataclass(frozen=True, slots=True)
class BacktestInputs:
    """The settings, the exchange's specification, and the starting balances."""

    settings: Settings
    spec: ExchangeSpec
    balances: Mapping[str, Decimal]


def open_market_files(files: Sequence[Path], settings: Settings, *, symbol: str | None) -> RecordedMarket:
    """The market of these files. Without `symbol`, the file names give it. Raises ConfigError.

    Files whose Binance name is of another symbol are refused: the results would be those of that other symbol.
    """
    require_market_files(files)
    if symbol is not None:
        if mismatches := files_of_other_symbols(files, symbol):
            raise ConfigError([_wrong_symbol(symbol, other, path) for other, path in mismatches.items()])
        return open_market(files, symbol, settings.base_asset, settings.quote_asset)
    market = open_market(files)
    if market.symbol != settings.symbol:  # BASE_ASSET and QUOTE_ASSET are set for another pair
        return market
    # The settings know how to split the symbol into its two assets, where the name alone is ambiguous.
    return open_market(files, None, settings.base_asset, settings.quote_asset)


def _wrong_symbol(symbol: str, other: str, path: Path) -> str:
    return f"{path}: the file name says {other}, not {symbol}; leave --symbol out, or give files of {symbol}"


def data_warnings(market: RecordedMarket, settings: Settings) -> list[str]:
    """Reasons to distrust the result, in words."""
    if market.interval_ms <= INTERVALS[settings.kline_interval]:
        return []
    name, ours = interval_name(market.interval_ms), settings.kline_interval
    warning = f"{name} klines do not contain {ours} candles: the prices within them are made up, and so is the result"
    return [f"{warning}; set KLINE_INTERVAL={name}, or give finer files"]


def build_inputs(market: RecordedMarket, settings: Settings, balances: Mapping[str, Decimal] | None) -> BacktestInputs:
    """The inputs for `settings` on the exchange of that market, which charges FEE. Default: one of the base asset.

    Raises ConfigError with all problems: of the settings, and of the settings with this exchange.
    """
    settings = dataclasses.replace(
        settings, symbol=market.symbol, base_asset=market.base_asset, quote_asset=market.quote_asset
    )
    # No exchange is queried for a fee here: without FEE a backtest trades for free, as on a zero-fee pair.
    spec = dataclasses.replace(ExchangeSpec().for_source(market), maker_fee=settings.fee or Decimal(0))
    owned = {market.base_asset: DEFAULT_BASE} if balances is None else dict(balances)
    found = [
        f"--balance {asset}: {market.symbol} does not trade this asset; "
        f"its assets are {market.base_asset} and {market.quote_asset}"
        for asset in owned
        if asset not in (market.base_asset, market.quote_asset)
    ]
    found += [*problems(settings), *problems_with_exchange(settings, symbol_rules_of(spec), spec.maker_fee)]
    if found:
        raise ConfigError(found)
    return BacktestInputs(settings, spec, owned)


def balance_shortage(inputs: BacktestInputs, price: Decimal) -> str | None:
    """Why the balances are too small for any order at that price, and the minimum; None if they are not.

    Judged as in the strategy: both assets less their reserves.
    """
    settings, spec = inputs.settings, inputs.spec
    rules = effective_rules(settings, symbol_rules_of(spec))
    params = factory.strategy_params(settings, rules, float(spec.maker_fee))
    base, quote = (inputs.balances.get(asset, ZERO) for asset in (spec.base_asset, spec.quote_asset))
    spendable = Holdings(max(base - settings.reserve_base, ZERO), max(quote - settings.reserve_quote, ZERO))
    top = BookTop(price, price + spec.tick_size)
    if more_valuable_regime(spendable, top, params) is not None:
        return None
    steps = max(rules.min_quantity, rules.min_notional / price) / rules.step_size
    # Rounded up: the message must name an amount that suffices.
    least = steps.to_integral_value(ROUND_CEILING) * rules.step_size
    least_quote = (least * top.ask / spec.tick_size).to_integral_value(ROUND_CEILING) * spec.tick_size
    owned = f"{format_plain(base)} {spec.base_asset} and {format_plain(quote)} {spec.quote_asset}"
    if settings.reserve_base or settings.reserve_quote:
        owned += ", less the reserves"
    return (
        f"balance too small for an order: {owned}; at {format_plain(price)} an order takes at least "
        f"{format_plain(least)} {spec.base_asset} or {format_plain(least_quote)} {spec.quote_asset}; "
        f"start with more, for example --balance {spec.base_asset}={format_plain(least + settings.reserve_base)}"
    )
