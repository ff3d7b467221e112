"""Inputs of a backtest: opens the market files, and checks settings, exchange specification and starting balances."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Final

from trailingedge.backtest.file_kinds import require_market_files
from trailingedge.config import OPTIONS
from trailingedge.core.errors import ConfigError
from trailingedge.live import factory
from trailingedge.live.node_params import BacktestParams, PairParams
from trailingedge.model.market import ZERO, BookTop, format_plain
from trailingedge.model.order_size import largest_order_is_too_small
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.historical import RecordedMarket, open_market
from trailingedge.simulator.feeds.inspection import files_of_other_symbols, interval_name
from trailingedge.simulator.klines import INTERVALS
from trailingedge.strategy.inputs import Holdings
from trailingedge.strategy.unit_value import more_valuable_regime

DEFAULT_BASE: Final = Decimal(1)


@dataclass(frozen=True, slots=True)
class BacktestInputs:
    """Holds the parameters from the settings, the exchange's specification, and the starting balances."""

    params: BacktestParams
    spec: ExchangeSpec
    balances: Mapping[str, Decimal]


def open_market_files(files: Sequence[Path], pair: PairParams, *, symbol: str | None) -> RecordedMarket:
    """Open the market in these files. Raises ConfigError if they cannot be used.

    If `symbol` is None, the file names give the symbol, and the assets of `pair` are used only if
    they make up this symbol. If `symbol` is given, a file with another symbol in its name is
    refused, because the results would be those of the other symbol.
    """
    require_market_files(files)
    if symbol is not None:
        if mismatches := files_of_other_symbols(files, symbol):
            raise ConfigError([_wrong_symbol(symbol, other, path) for other, path in mismatches.items()])
        return open_market(files, symbol, pair.base_asset, pair.quote_asset)
    return open_market(files, None, pair.base_asset, pair.quote_asset)


def _wrong_symbol(symbol: str, other: str, path: Path) -> str:
    return f"{path}: the file name says {other}, not {symbol}; leave --symbol out, or give files of {symbol}"


def data_warnings(market: RecordedMarket, kline_interval: str) -> list[str]:
    """Reasons to distrust the result, in words. `kline_interval` is that of the strategy."""
    if market.interval_ms <= INTERVALS[kline_interval]:
        return []
    name, ours = interval_name(market.interval_ms), kline_interval
    warning = (
        f"{name} klines are longer than the strategy's {ours} candles: the prices within a kline are invented, so "
        "the result cannot be trusted"
    )
    # Candles that consist of whole klines of the files.
    choices = OPTIONS["KLINE_INTERVAL"].choices
    fitting = (choice for choice in choices if INTERVALS[choice] % market.interval_ms == 0)
    longer = next(fitting, None)
    return [f"{warning}; {f'set KLINE_INTERVAL={longer}, or ' if longer else ''}give finer files"]


def build_inputs(
    market: RecordedMarket, settings: Mapping[str, str], balances: Mapping[str, Decimal] | None
) -> BacktestInputs:
    """Build the inputs of a backtest on this market. `settings` maps the names of settings to their texts.

    The backtest's exchange charges FEE as the maker fee. If `balances` is None, the account starts with 1 unit of the
    base asset. Raises ConfigError with all problems of the settings, including conflicts with the rules of this
    exchange.
    """
    pair = {"SYMBOL": market.symbol, "BASE_ASSET": market.base_asset, "QUOTE_ASSET": market.quote_asset}
    params = factory.backtest_params({**settings, **pair})
    # No exchange is queried for a fee here: without FEE a backtest trades for free, as on a zero-fee pair.
    spec = dataclasses.replace(ExchangeSpec().for_source(market), maker_fee=params.terms.fee or Decimal(0))
    owned = {market.base_asset: DEFAULT_BASE} if balances is None else dict(balances)
    found = [
        f"--balance {asset}: {market.symbol} does not trade this asset; "
        f"its assets are {market.base_asset} and {market.quote_asset}"
        for asset in owned
        if asset not in (market.base_asset, market.quote_asset)
    ]
    found += [*params.problems, *params.terms.problems(spec.rules(), spec.maker_fee)]
    if found:
        raise ConfigError(found)
    return BacktestInputs(params, spec, owned)


def shared_balances(balances: Mapping[str, Decimal] | None, market: RecordedMarket) -> Mapping[str, Decimal] | None:
    """Return those of the starting balances whose asset this market trades."""
    if balances is None:
        return None
    return {asset: balances[asset] for asset in (market.base_asset, market.quote_asset) if asset in balances}


def require_traded(balances: Mapping[str, Decimal] | None, markets: Sequence[RecordedMarket]) -> None:
    """Raise ConfigError if a starting balance is of an asset that no market trades."""
    traded = {asset for market in markets for asset in (market.base_asset, market.quote_asset)}
    if wrong := sorted(set(balances or ()) - traded):
        raise ConfigError([f"--balance {asset}: none of these {len(markets)} markets trades it" for asset in wrong])


def balance_shortage(inputs: BacktestInputs, price: Decimal) -> str | None:
    """Return why the balances are too small for any order at `price`, with the minimum; None if they suffice.

    The reserve of each asset is subtracted first, as in the strategy.
    """
    services, spec = inputs.params.services, inputs.spec
    rules = inputs.params.terms.effective_rules(spec.rules())
    params = services.strategy_params(rules, float(spec.maker_fee))
    reserve_base, reserve_quote = services.trading.reserve_base, services.trading.reserve_quote
    base, quote = (inputs.balances.get(asset, ZERO) for asset in (spec.base_asset, spec.quote_asset))
    spendable = Holdings(max(base - reserve_base, ZERO), max(quote - reserve_quote, ZERO))
    top = BookTop(price, price + spec.tick_size)
    if more_valuable_regime(spendable, top, params) is not None:
        return None
    if largest_order_is_too_small(params, price):
        return (
            f"no order is possible at {format_plain(price)}: the largest one allowed is worth less than the smallest "
            f"({format_plain(params.min_notional)} {spec.quote_asset}); lower MIN_NOTIONAL"
        )
    steps = max(rules.min_quantity, rules.min_notional / price) / rules.step_size
    # Rounded up: the message must name an amount that suffices.
    least = steps.to_integral_value(ROUND_CEILING) * rules.step_size
    least_quote = (least * top.ask / spec.tick_size).to_integral_value(ROUND_CEILING) * spec.tick_size
    owned = f"{format_plain(base)} {spec.base_asset} and {format_plain(quote)} {spec.quote_asset}"
    if reserve_base or reserve_quote:
        owned += ", less the reserves"
    return (
        f"balance too small for an order: {owned}; at {format_plain(price)} an order needs at least "
        f"{format_plain(least)} {spec.base_asset} or {format_plain(least_quote)} {spec.quote_asset}; start with "
        f"more, for example --balance {spec.base_asset}={format_plain(least + reserve_base)}"
    )
