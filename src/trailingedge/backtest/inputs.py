"""What a replay stands on: a market out of files, and the settings, terms and balances to go through it with."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Final

from trailingedge.backtest.file_kinds import require_market_files
from trailingedge.backtest.matching import symbol_rules_of
from trailingedge.config import Settings
from trailingedge.config_validator import effective_rules, problems, problems_with_exchange
from trailingedge.core.errors import ConfigError
from trailingedge.live import factory
from trailingedge.model.market import ZERO, BookTop, format_plain
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.inspection import files_of_other_symbols, interval_name
from trailingedge.simulator.feeds.recorded import RecordedMarket, open_market
from trailingedge.simulator.klines import INTERVALS
from trailingedge.strategy.inputs import Holdings
from trailingedge.strategy.regime import more_valuable_regime

DEFAULT_BASE: Final = Decimal(1)


@dataclass(frozen=True, slots=True)
class BacktestInputs:
    """The settings, the exchange's terms, and what the account begins with."""

    settings: Settings
    spec: ExchangeSpec
    balances: Mapping[str, Decimal]


def open_market_files(files: Sequence[Path], settings: Settings, *, symbol: str | None) -> RecordedMarket:
    """The market of these files, which name the symbol unless it is given. Raises ConfigError.

    A symbol that the exchange's own names of the files contradict is refused: what was told of it would be of another.
    """
    require_market_files(files)
    if symbol is not None:
        if wrong := files_of_other_symbols(files, symbol):
            raise ConfigError([_wrong_symbol(symbol, other, path) for other, path in wrong.items()])
        return open_market(files, symbol, settings.base_asset, settings.quote_asset)
    market = open_market(files)
    if market.symbol != settings.symbol:  # the assets that were set are those of another pair
        return market
    return open_market(files, None, settings.base_asset, settings.quote_asset)


def _wrong_symbol(symbol: str, other: str, path: Path) -> str:
    return f"{path}: {other} by its name, not {symbol}; leave --symbol out, or give files of {symbol}"


def data_warnings(market: RecordedMarket, settings: Settings) -> list[str]:
    """Why what comes of it should not be believed."""
    if market.interval_ms <= INTERVALS[settings.kline_interval]:
        return []
    name, ours = interval_name(market.interval_ms), settings.kline_interval
    told = f"{name} klines tell nothing of the {ours} candles within them"
    return [
        f"{told}: where the price went is made up, and so is the result; set KLINE_INTERVAL={name}, or give finer files"
    ]


def build_inputs(market: RecordedMarket, settings: Settings, balances: Mapping[str, Decimal] | None) -> BacktestInputs:
    """`settings` on the exchange of that market, which charges FEE. Without balances, one of the base asset.

    Raises ConfigError with everything that the exchange does not allow.
    """
    settings = dataclasses.replace(
        settings, symbol=market.symbol, base_asset=market.base_asset, quote_asset=market.quote_asset
    )
    terms = dataclasses.replace(ExchangeSpec().for_source(market), maker_fee=settings.fee or Decimal(0))
    held = {market.base_asset: DEFAULT_BASE} if balances is None else dict(balances)
    wrong = [
        f"--balance names {asset}, which {market.symbol} does not trade; "
        f"its assets are {market.base_asset} and {market.quote_asset}"
        for asset in held
        if asset not in (market.base_asset, market.quote_asset)
    ]
    wrong += [*problems(settings), *problems_with_exchange(settings, symbol_rules_of(terms), terms.maker_fee)]
    if wrong:
        raise ConfigError(wrong)
    return BacktestInputs(settings, terms, held)


def balance_shortage(standing: BacktestInputs, price: Decimal) -> str | None:
    """Why nothing can be ordered at that price with what is held, and what it would take; None where something can.

    Both assets less their reserves are looked at as the strategy looks at them.
    """
    settings, terms = standing.settings, standing.spec
    rules = effective_rules(settings, symbol_rules_of(terms))
    params = factory.strategy_params(settings, rules, float(terms.maker_fee))
    base, quote = (standing.balances.get(asset, ZERO) for asset in (terms.base_asset, terms.quote_asset))
    left = Holdings(max(base - settings.reserve_base, ZERO), max(quote - settings.reserve_quote, ZERO))
    top = BookTop(price, price + terms.tick_size)
    if more_valuable_regime(left, top, params) is not None:
        return None
    steps = max(rules.min_quantity, rules.min_notional / price) / rules.step_size
    least = steps.to_integral_value(ROUND_CEILING) * rules.step_size
    least_quote = (least * top.ask / terms.tick_size).to_integral_value(ROUND_CEILING) * terms.tick_size
    held = f"{format_plain(base)} {terms.base_asset} and {format_plain(quote)} {terms.quote_asset}"
    if settings.reserve_base or settings.reserve_quote:
        held += ", less the reserves,"
    return (
        f"enough to trade with: {held} are too little for an order, which takes "
        f"{format_plain(least)} {terms.base_asset} or {format_plain(least_quote)} {terms.quote_asset} "
        f"at {format_plain(price)}; give more with --balance, "
        f"as {terms.base_asset}={format_plain(least + settings.reserve_base)}"
    )
