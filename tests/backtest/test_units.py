"""A market told in another unit gives the same result."""

from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from tests.backtest import market_files

from trailingedge.backtest.engine import Backtest
from trailingedge.backtest.inputs import build_inputs, open_market_files
from trailingedge.live import factory
from trailingedge.report.model import RunReport
from trailingedge.simulator.feeds.market_loader import load_columns
from trailingedge.simulator.feeds.random_path import RandomPath

SETTINGS = {
    "KLINE_INTERVAL": "1m",
    "DONCHIAN_WINDOW": "10",
    "MIN_GAIN_TRIGGER_FRAC_BASE": "0.002",
    "MIN_GAIN_TRIGGER_FRAC_QUOTE": "0.002",
    "HARD_STOP_THRESHOLD_FRAC": "0.004",
    "HARD_STOP_CONFIRM_SEC": "1",
    "FEE": "0.0005",
}


def told(folder: Path, seed: int, price_shift: int, quantity_shift: int, *, trades: bool) -> Path:
    """A market file with all prices and quantities multiplied by powers of ten."""
    write = market_files.write_trades if trades else market_files.write_klines
    source = write(folder, seed, 120)
    prices, quantities = ((1,), (2,)) if trades else ((1, 2, 3, 4), (5,))
    lines = []
    for line in source.read_text(encoding="utf-8").splitlines():
        cells = line.split(",")
        for columns, shift in ((prices, price_shift), (quantities, quantity_shift)):
            for column in columns:
                cells[column] = f"{Decimal(cells[column]).scaleb(shift):f}"
        lines.append(",".join(cells))
    path = folder / f"ETHUSDT-{'trades' if trades else '1m'}-2026-07.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def result(path: Path, base: Decimal) -> RunReport:
    market = open_market_files([path], factory.pair_params(SETTINGS), symbol=None)
    inputs = build_inputs(market, SETTINGS, {"ETH": base})
    backtest = Backtest(inputs, path=RandomPath(1), latency_ms=500)
    backtest.run(load_columns(market))
    return backtest.recorder.build_report({}, ())


# Not more: a price without decimals has a tick size of 1, whatever it was before.
@pytest.mark.parametrize("trades", [False, True], ids=["candles", "trades"])
@pytest.mark.parametrize(("price_shift", "quantity_shift"), [(-4, 4), (2, 4)], ids=str)
def test_the_same_market_in_another_unit_gives_the_same_result(
    price_shift: int, quantity_shift: int, trades: bool, tmp_path: Path
) -> None:
    seed = Random(f"{price_shift} {quantity_shift}").randrange(1000)
    usual = result(told(tmp_path, seed, 0, 0, trades=trades), Decimal(400))
    scaled = result(
        told(tmp_path, seed, price_shift, quantity_shift, trades=trades), Decimal(400).scaleb(quantity_shift)
    )
    assert usual.exits
    assert [(each.kind, each.side, each.ended_ms) for each in scaled.exits] == [
        (each.kind, each.side, each.ended_ms) for each in usual.exits
    ]
    assert len(scaled.fills) == len(usual.fills)
    # Fees are rounded to eight decimals of their asset.
    growths = [each.results.whole.result_frac + 1.0 for each in (usual, scaled)]
    assert growths[0] == pytest.approx(growths[1], rel=1e-6)
