"""Embedded exchange as an environment: it plays the given market and warns of what is wrong with its files."""

import re
from pathlib import Path

from tests.backtest import market_files

from trailingedge.app.embedded_exchange import market_warnings, simulation_source
from trailingedge.config import Settings


def test_what_is_wrong_with_the_files_is_a_warning_at_the_start(tmp_path: Path) -> None:
    path = market_files.write_klines(tmp_path, 7, 60)
    rows = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(["1,2,3", *rows[:1:-1]]), encoding="utf-8")
    source = simulation_source(Settings(symbol="BTCUSDT"), [path], None)
    relabelled, unreadable, order = market_warnings(source)
    assert f"the name of {path.name} says ETHFDUSD; its prices are used as those of BTCUSDT" in relabelled
    assert unreadable.startswith(
        f"{path.name}: 1 of {len(rows) - 1} rows left out, which cannot be read; line 1: only 3"
    )
    assert order == f"{len(rows) - 3} rows out of order: sorted"
    times = [tick.time_ms for tick in source]
    assert times == sorted(times)


def test_of_many_warnings_the_first_ones_are_told(tmp_path: Path) -> None:
    path = market_files.write_klines(tmp_path, 7, 60)
    rows = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(rows[::3]), encoding="utf-8")
    *_, last = market_warnings(simulation_source(Settings(symbol="ETHFDUSD"), [path], None))
    assert re.fullmatch("and [0-9]+ more, which the summary lists", last)
