"""Tests of the objective of a sweep."""

from pathlib import Path

import pytest
from tests.backtest import market_files
from tests.tight_settings import TIGHT

from trailingedge.accounting.performance import Performance, measure
from trailingedge.backtest.engine import Backtest
from trailingedge.backtest.inputs import build_inputs
from trailingedge.backtest.paths import Scenario
from trailingedge.config import settings_without_secrets
from trailingedge.core.time_units import DAY_MS
from trailingedge.report.robustness import Walk
from trailingedge.sweep.objective import NO_LOSS, UNDEFINED, Judgement, Objective, PathChoice
from trailingedge.sweep.trial import PartResult, RunOutcome, TrialOutcome, TrialTask, run_trial

DAYS = 2
SPLITS = tuple((market_files.START_MS // DAY_MS + day) * DAY_MS for day in (1,))


def task_of(file: Path, *, splits: tuple[int, ...] = (), scenario: Scenario | None = None) -> TrialTask:
    straight = scenario or Scenario(Walk.STRAIGHT, 1, 0)
    return TrialTask(((str(file),),), None, settings_without_secrets(TIGHT), None, splits, straight)


def part(growth: float, *, hold: float = 1.0, drawdown: float = 0.0, trips: tuple[float, ...] = ()) -> PartResult:
    return PartResult(growth, hold, drawdown, 1, (growth - 1.0,), trips)


@pytest.fixture(scope="module")
def klines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return market_files.write_klines(tmp_path_factory.mktemp("market"), 1, DAYS * 1440, scripted=False)


@pytest.fixture(scope="module")
def measured(klines: Path) -> Performance:
    task = task_of(klines)
    (kept,) = task.read_markets()
    backtest = Backtest(build_inputs(kept.market, task.settings, None), curves=False)
    backtest.run(kept.columns())
    return measure(backtest.recorder.statistics.results())


@pytest.mark.parametrize("splits", [(), SPLITS])
def test_each_objective_is_what_the_report_says(klines: Path, measured: Performance, splits: tuple[int, ...]) -> None:
    outcome = run_trial(task_of(klines, splits=splits), {})
    assert outcome is not None
    assert measured.round_trips > 2
    scores = {each: Judgement(each).over(outcome, 0, None).score for each in Objective}
    assert scores == pytest.approx(
        {
            Objective.EXCESS_5050: measured.excess_half_frac,
            Objective.RESULT: measured.result_frac,
            Objective.SHARPE: measured.sharpe,
            Objective.SORTINO: measured.sortino,
            Objective.CALMAR: measured.calmar,
            Objective.PROFIT_FACTOR: measured.profit_factor,
            Objective.DRAWDOWN: -measured.max_drawdown_frac,
        },
        rel=0.02 if splits else 1e-9,  # a part measures its drawdown from its own peak
    )


def test_a_metric_that_is_not_defined_ranks_last_and_gains_alone_rank_first() -> None:
    assert Objective.SHARPE.score([part(1.0)]) == UNDEFINED
    assert Objective.PROFIT_FACTOR.score([part(1.0)]) == UNDEFINED
    assert Objective.PROFIT_FACTOR.score([part(1.1, trips=(0.1,))]) == NO_LOSS
    assert [Objective.PROFIT_FACTOR.text(score) for score in (UNDEFINED, NO_LOSS, 0.5)] == ["–", "no loss", "0.50"]


@pytest.mark.parametrize(
    ("choice", "growth"), [(PathChoice.WORST, 0.9), (PathChoice.MEDIAN, 1.1)], ids=["worst", "lower median"]
)
def test_one_of_several_paths_counts(choice: PathChoice, growth: float) -> None:
    outcome = TrialOutcome(tuple(RunOutcome(0, (part(each),)) for each in (1.3, 0.9, 1.2, 1.1)))
    assert Judgement(Objective.RESULT, choice).over(outcome, 0, None).result_frac == pytest.approx(growth - 1.0)


def test_several_markets_count_by_their_mean() -> None:
    outcome = TrialOutcome((RunOutcome(0, (part(1.3, hold=1.2),)), RunOutcome(1, (part(0.9, hold=0.8),))))
    found = Judgement().over(outcome, 0, None)
    assert [each.score for each in found.markets] == pytest.approx([0.2, 0.0])
    assert (found.score, found.result_frac, found.hold_frac, found.exits) == pytest.approx((0.1, 0.1, 0.0, 2))
    assert found.returns == pytest.approx([0.1])


def test_a_trial_runs_each_random_path(tmp_path: Path) -> None:
    file = market_files.write_klines(tmp_path, 7, 92)
    outcome = run_trial(task_of(file, scenario=Scenario(Walk.RANDOM, 2, 500)), {})
    assert outcome is not None
    assert len({run.parts for run in outcome.of_market(0)}) == 2
