"""Tests of the backends of a sweep."""

import importlib
import importlib.util
import signal
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from tests import processes
from tests.backtest import market_files
from tests.tight_settings import TIGHT

from trailingedge.backtest.paths import Scenario
from trailingedge.backtest.worker_pool import sigint_ignored
from trailingedge.config import settings_without_secrets
from trailingedge.core.errors import ConfigError
from trailingedge.report.robustness import Walk
from trailingedge.sweep.backends import NumberedTrial, SweepBackend, backend_named, run_local
from trailingedge.sweep.trial import TrialOutcome, TrialTask, inspect_markets

TRIALS: list[NumberedTrial] = [(0, {}), (1, {"MIN_FACTOR": "0.3"}), (2, {"MIN_GAIN_TRIGGER_FRAC_BASE": "0.06"})]


@pytest.fixture
def task(tmp_path: Path) -> TrialTask:
    file = market_files.write_klines(tmp_path, 7, 92)
    return TrialTask(
        ((str(file),),),
        None,
        settings_without_secrets(TIGHT),
        {"ETH": Decimal(1)},
        splits=(market_files.START_MS + 45 * 60_000,),
        scenario=Scenario(Walk.STRAIGHT, 1, 0),
    )


def tried(engine: SweepBackend, task: TrialTask, jobs: int) -> dict[int, TrialOutcome]:
    outcomes: dict[int, TrialOutcome] = {}
    engine(task, TRIALS, jobs, outcomes.__setitem__, lambda: False)
    return outcomes


def test_two_processes_give_the_same_results_as_this_one(task: TrialTask) -> None:
    alone = tried(run_local, task, 1)
    assert sorted(alone) == [0, 1, 2]
    assert len({outcome.runs for outcome in alone.values()}) > 1
    assert tried(run_local, task, 2) == alone


@pytest.mark.parametrize(("name", "module"), [("dask", "distributed"), ("ray", "ray")])
def test_an_optional_engine_prints_the_same_table_with_two_workers(name: str, module: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"needs the extra: uv run --extra {name} pytest -n 0 {__name__.replace('.', '/')}.py")
    file = market_files.write_klines(tmp_path, 7, 92)
    command = [sys.executable, "-m", "trailingedge.main", "sweep", str(file), "--paths", "1", "--jobs", "2"]
    command += ["--vary", "START_FACTOR=0.3,0.6", "--vary", "MIN_FACTOR=0.1,0.2", "--set", "KLINE_INTERVAL=1m"]
    tables = [
        processes.run([*command, "--engine", engine], cwd=tmp_path, timeout=120, text=True)
        for engine in ("local", name)
    ]
    assert [table.returncode for table in tables] == [0, 0]
    assert tables[0].stdout == tables[1].stdout
    assert "START_FACTOR=0.6" in tables[0].stdout


def test_a_stop_request_leaves_trials_that_have_not_started(task: TrialTask) -> None:
    outcomes: dict[int, TrialOutcome] = {}
    run_local(task, TRIALS, 1, outcomes.__setitem__, lambda: bool(outcomes))
    assert list(outcomes) == [0]


@pytest.mark.skipif(sys.platform == "win32", reason="there a process does not inherit what its parent ignores")
def test_a_process_started_while_sigint_is_ignored_ignores_it() -> None:
    before = signal.getsignal(signal.SIGINT)
    ask = "import signal; raise SystemExit(signal.getsignal(signal.SIGINT) is not signal.SIG_IGN)"
    with sigint_ignored():
        child = processes.run([sys.executable, "-c", ask])
    assert child.returncode == 0
    assert signal.getsignal(signal.SIGINT) is before


def test_the_market_is_inspected_to_its_end(task: TrialTask) -> None:
    scene = inspect_markets(task)[0]
    assert scene.from_ms == market_files.START_MS
    assert scene.to_ms == market_files.START_MS + 92 * 60_000
    assert scene.market.symbol == "ETHFDUSD"


@pytest.mark.parametrize(("name", "module"), [("dask", "distributed"), ("ray", "ray")])
def test_a_missing_engine_names_its_extra(name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not there
    with pytest.raises(ConfigError, match=rf"--extra {name}"):
        backend_named(name)


@pytest.mark.parametrize("module", ["distributed", "dask", "ray"])
def test_engines_are_imported_only_on_demand(module: str) -> None:
    importlib.import_module("trailingedge.commands.sweep")
    assert module not in sys.modules
