"""The band of a backtest covers the result of the trades that its candles are made of."""

from pathlib import Path

from tests import calibration
from tests.backtest import market_files

from trailingedge.simulator.feeds.columns import KlineColumns
from trailingedge.simulator.feeds.historical import open_market
from trailingedge.simulator.feeds.market_loader import load_columns


def test_candles_of_trades_have_their_prices_volume_and_number(tmp_path: Path) -> None:
    market = open_market([market_files.write_trades(tmp_path, 3, 30)])
    built = calibration.candles_of(load_columns(market))
    (told,) = load_columns(open_market([market_files.write_klines(tmp_path, 3, 30)]))
    assert isinstance(told, KlineColumns)
    assert list(built) == list(told)


def test_most_results_of_trades_lie_in_the_band(tmp_path: Path) -> None:
    path = market_files.write_trades(tmp_path, 4, 60, scripted=False)
    row = calibration.coverage("generated", path, 3, paths=6)
    assert row.settings == 3
    assert row.covered >= 2
    lines = list(calibration.table([row]))
    assert lines[-1].startswith("| all | 3 | ")
