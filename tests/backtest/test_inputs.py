"""What a replay stands on is enough to trade with, or it is said what would be."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.backtest import market_files

from trailingedge.backtest.inputs import balance_shortage, build_inputs, open_market_files
from trailingedge.config import Settings
from trailingedge.core.errors import ConfigError

D = Decimal


def said(folder: Path, settings: Settings, **held: str) -> str | None:
    market = open_market_files([market_files.write_klines(folder, 7, 5)], settings, symbol=None)
    return balance_shortage(
        build_inputs(market, settings, {asset: D(amount) for asset, amount in held.items()}), D("2500.00")
    )


@pytest.mark.parametrize(
    "held",
    [
        pytest.param({"ETH": "0.002"}, id="just enough of the base asset"),
        pytest.param({"FDUSD": "5.01"}, id="just enough of the quote asset"),
        pytest.param({"ETH": "1", "FDUSD": "1"}, id="more than enough"),
    ],
)
def test_what_suffices_for_one_order_is_enough(held: dict[str, str], tmp_path: Path) -> None:
    assert said(tmp_path, Settings(), **held) is None


@pytest.mark.parametrize(
    ("settings", "held", "words"),
    [
        pytest.param(Settings(), {}, "0 ETH and 0 FDUSD are too little", id="nothing"),
        pytest.param(Settings(), {"ETH": "0.0019"}, "takes 0.002 ETH or 5.01 FDUSD at 2500", id="least notional"),
        pytest.param(Settings(min_qty=D("0.5")), {"ETH": "0.4"}, "takes 0.5 ETH or 1250.01 FDUSD", id="least quantity"),
        pytest.param(
            Settings(reserve_base=D(1)), {"ETH": "1"}, "less the reserves, are too little for an order", id="a reserve"
        ),
        pytest.param(Settings(reserve_base=D(1)), {"ETH": "1"}, "as ETH=1.002", id="what it takes beside a reserve"),
    ],
)
def test_what_is_too_little_is_said_with_what_it_takes(
    settings: Settings, held: dict[str, str], words: str, tmp_path: Path
) -> None:
    assert words in (said(tmp_path, settings, **held) or "")


def test_a_symbol_that_the_names_contradict_is_refused_and_one_they_tell_is_taken(tmp_path: Path) -> None:
    path = market_files.write_klines(tmp_path, 7, 5)
    with pytest.raises(ConfigError, match="ETHFDUSD by its name, not BTCUSDT"):
        open_market_files([path], Settings(), symbol="BTCUSDT")
    assert open_market_files([path], Settings(symbol="BTCUSDT"), symbol=None).symbol == "ETHFDUSD"


def test_a_name_of_ones_own_contradicts_nobody(tmp_path: Path) -> None:
    path = market_files.write_klines(tmp_path, 7, 5).rename(tmp_path / "mine-1m.csv")
    assert open_market_files([path], Settings(), symbol="BTCUSDT").symbol == "BTCUSDT"
