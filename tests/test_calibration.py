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
    assert len(row.found) == row.tried == 3
    assert calibration.share(row.found) >= 2 / 3
    lines = list(calibration.table([row]))
    assert lines[-1].startswith("| all | held out | 3 of 3, ")


def compared(true: float) -> calibration.Comparison:
    return calibration.Comparison(true, tuple(step / 1000 for step in range(-8, 9)), 0.0, traded=True)


def test_the_narrowest_band_that_covers_enough_is_fitted() -> None:
    within, outside = [compared(0.0)] * 9, compared(0.009)
    assert calibration.fit([*within, compared(0.5)]) == (1.0, 0.0)  # nine of ten are enough
    assert calibration.fit([*within[:8], outside, outside]) == (1.25, 0.0)


def test_the_fit_is_judged_on_the_markets_held_out() -> None:
    rows = [
        calibration.Coverage("one", 5, (compared(0.0),) * 4, fitted=True),
        calibration.Coverage("other", 9, (compared(0.0), compared(0.5))),
    ]
    lines = list(calibration.table(rows))
    assert lines[-3].startswith("| all | held out | 2 of 9, 2 on the trades | 50% | 50% |")
    assert "Of the 2 held out it covers 50%" in lines[-1]
