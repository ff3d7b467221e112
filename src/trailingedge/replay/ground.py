"""What a replay stands on: a market out of files, and the settings, terms and balances to go through it with."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from trailingedge.config import Settings
from trailingedge.config_validator import problems, problems_with_exchange
from trailingedge.errors import ConfigError
from trailingedge.replay.venue import rules_of
from trailingedge.simulator.klines import INTERVALS
from trailingedge.simulator.recorded import RecordedMarket, open_market
from trailingedge.simulator.survey import interval_name
from trailingedge.simulator.terms import Terms

USUAL_BASE: Final = Decimal(1)


@dataclass(frozen=True, slots=True)
class Ground:
    """The settings, the exchange's terms, and what the account begins with."""

    settings: Settings
    terms: Terms
    balances: Mapping[str, Decimal]


def open_files(files: Sequence[Path], settings: Settings, *, symbol: str | None) -> RecordedMarket:
    """The market of these files, which name the symbol unless it is given. Raises ConfigError."""
    if symbol is not None:
        return open_market(files, symbol, settings.base_asset, settings.quote_asset)
    market = open_market(files)
    if market.symbol != settings.symbol:  # the assets that were set are those of another pair
        return market
    return open_market(files, None, settings.base_asset, settings.quote_asset)


def doubts(market: RecordedMarket, settings: Settings) -> list[str]:
    """Why what comes of it should not be believed."""
    if market.interval_ms <= INTERVALS[settings.kline_interval]:
        return []
    name, ours = interval_name(market.interval_ms), settings.kline_interval
    told = f"{name} klines tell nothing of the {ours} candles within them"
    return [
        f"{told}: where the price went is made up, and so is the result; set KLINE_INTERVAL={name}, or give finer files"
    ]


def ground(market: RecordedMarket, settings: Settings, balances: Mapping[str, Decimal] | None) -> Ground:
    """`settings` on the exchange of that market, which charges FEE. Without balances, one of the base asset.

    Raises ConfigError with everything that the exchange does not allow.
    """
    settings = dataclasses.replace(
        settings, symbol=market.symbol, base_asset=market.base_asset, quote_asset=market.quote_asset
    )
    terms = dataclasses.replace(Terms().of_tape(market), maker_fee=settings.fee or Decimal(0))
    held = {market.base_asset: USUAL_BASE} if balances is None else dict(balances)
    wrong = [
        f"--balance names {asset}, which {market.symbol} does not trade; "
        f"its assets are {market.base_asset} and {market.quote_asset}"
        for asset in held
        if asset not in (market.base_asset, market.quote_asset)
    ]
    wrong += [*problems(settings), *problems_with_exchange(settings, rules_of(terms), terms.maker_fee)]
    if wrong:
        raise ConfigError(wrong)
    return Ground(settings, terms, held)
