"""Tests of the inputs of a backtest: balances and symbol are checked before it runs."""

import dataclasses
from decimal import Decimal
from pathlib import Path

import pytest
from tests.backtest import market_files

from trailingedge.backtest.inputs import balance_shortage, build_inputs, open_market_files
from trailingedge.config import Settings, settings_without_secrets
from trailingedge.core.errors import ConfigError
from trailingedge.live.node_params import PairParams

D = Decimal
PAIR = PairParams("ETHFDUSD", None, None)


def said(folder: Path, settings: Settings, **held: str) -> str | None:
    market = open_market_files([market_files.write_klines(folder, 7, 5)], PAIR, symbol=None)
    balances = {asset: D(amount) for asset, amount in held.items()}
    return balance_shortage(build_inputs(market, settings_without_secrets(settings), balances), D("2500.00"))


@pytest.mark.parametrize(
    "held",
    [
        pytest.param({"ETH": "0.002"}, id="just enough of the base asset"),
        pytest.param({"FDUSD": "5.01"}, id="just enough of the quote asset"),
        pytest.param({"ETH": "1", "FDUSD": "1"}, id="more than enough"),
    ],
)
def test_a_balance_for_one_order_is_enough(held: dict[str, str], tmp_path: Path) -> None:
    assert said(tmp_path, Settings(), **held) is None


@pytest.mark.parametrize(
    ("settings", "held", "words"),
    [
        pytest.param(Settings(), {}, "balance too small for an order: 0 ETH and 0 FDUSD; ", id="nothing"),
        pytest.param(
            Settings(),
            {"ETH": "0.0019"},
            "at 2500 an order needs at least 0.002 ETH or 5.01 FDUSD",
            id="least notional",
        ),
        pytest.param(
            Settings(min_qty=D("0.5")), {"ETH": "0.4"}, "needs at least 0.5 ETH or 1250.01 FDUSD", id="least quantity"
        ),
        pytest.param(
            Settings(reserve_base=D(1)), {"ETH": "1"}, "1 ETH and 0 FDUSD, less the reserves; ", id="a reserve"
        ),
        pytest.param(
            Settings(reserve_base=D(1)), {"ETH": "1"}, "--balance ETH=1.002", id="what it takes beside a reserve"
        ),
    ],
)
def test_a_balance_that_is_too_small_is_reported_with_the_minimum(
    settings: Settings, held: dict[str, str], words: str, tmp_path: Path
) -> None:
    assert words in (said(tmp_path, settings, **held) or "")


def test_a_symbol_that_contradicts_the_file_name_is_refused(tmp_path: Path) -> None:
    path = market_files.write_klines(tmp_path, 7, 5)
    with pytest.raises(ConfigError, match="the file name says ETHFDUSD, not BTCUSDT"):
        open_market_files([path], PAIR, symbol="BTCUSDT")
    assert open_market_files([path], dataclasses.replace(PAIR, symbol="BTCUSDT"), symbol=None).symbol == "ETHFDUSD"


def test_a_file_name_without_a_symbol_contradicts_none(tmp_path: Path) -> None:
    path = market_files.write_klines(tmp_path, 7, 5).rename(tmp_path / "mine-1m.csv")
    assert open_market_files([path], PAIR, symbol="BTCUSDT").symbol == "BTCUSDT"
