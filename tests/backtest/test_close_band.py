"""`TRIGGER_ON=close`: the paths within the candles leave only the chase of an order open, not when it begins."""

from collections.abc import Sequence
from pathlib import Path

from tests.backtest import market_files
from tests.tight_settings import tight

from trailingedge.accounting.results import FinishedExit
from trailingedge.backtest.engine import Backtest
from trailingedge.backtest.inputs import build_inputs, open_market_files
from trailingedge.config import settings_without_secrets
from trailingedge.live import factory
from trailingedge.simulator.feeds.market_loader import load_columns
from trailingedge.simulator.feeds.random_path import RandomPath

PATHS = range(1, 5)


def first_exits(folder: Path, trigger_on: str) -> Sequence[FinishedExit]:
    """The first exit on each of some paths within the same candles."""
    settings = settings_without_secrets(tight(trigger_on=trigger_on))
    path = market_files.write_klines(folder, 3, 18)
    market = open_market_files([path], factory.pair_params(settings), symbol=None)
    exits = []
    for number in PATHS:
        run = Backtest(build_inputs(market, settings, None), curves=False, path=RandomPath(number), latency_ms=500)
        run.run(load_columns(market))
        exits.append(run.recorder.statistics.results().exits[0])
    return exits


def test_on_every_path_an_exit_begins_at_the_same_close_and_only_its_chase_differs(tmp_path: Path) -> None:
    exits = {trigger_on: first_exits(tmp_path, trigger_on) for trigger_on in ("close", "tick")}
    begun = {name: {round(each.ended_ms - 1000 * each.age_s) for each in found} for name, found in exits.items()}
    assert {name: len(moments) for name, moments in begun.items()} == {"close": 1, "tick": len(PATHS)}
    averages = {name: [each.quote / each.base for each in found] for name, found in exits.items()}
    spread = {name: max(found) - min(found) for name, found in averages.items()}
    assert spread["close"] < spread["tick"]
