"""Tests of the output of a sweep: its sentences agree with its numbers in every case."""

import itertools
import re

import pytest
from tests.sweep.test_ranking import COMBINATIONS, FORTNIGHT, outcome
from tests.sweep.test_ranking import judged as verdict_of

from trailingedge.backtest.paths import Scenario
from trailingedge.core.time_units import DAY_MS
from trailingedge.model.market import ZERO
from trailingedge.report.robustness import Walk
from trailingedge.simulator.feeds.csv_schemas import CsvSchema
from trailingedge.simulator.feeds.historical import RecordedMarket
from trailingedge.simulator.feeds.row_order import NO_FILES
from trailingedge.sweep.json_result import sweep_json
from trailingedge.sweep.output import reliability, sweep_text
from trailingedge.sweep.ranking import SweepResult, rank_trials
from trailingedge.sweep.search_space import InvalidCombination
from trailingedge.sweep.trial import TrialOutcome
from trailingedge.sweep.walk_forward import Folds, split_folds

MARKET = RecordedMarket("ETHUSDT", "ETH", "USDT", ZERO, ZERO, CsvSchema.KLINES, NO_FILES, gaps=())
FEW_DAYS = split_folds(20_000 * DAY_MS, 20_004 * DAY_MS)


def words(verdict: SweepResult) -> str:
    return " ".join(reliability(verdict, "ETH"))


def table(verdict: SweepResult, cut: Folds = FORTNIGHT, width: int = 80) -> str:
    return sweep_text(verdict, cut, [MARKET], Scenario(Walk.STRAIGHT, 1, 0), (), width=width)


def test_the_conclusion_agrees_with_the_winners_rank_in_every_case() -> None:
    growths = (0.9, 1.0, 1.1)
    for before in itertools.product(growths, repeat=3):
        for after in itertools.product(growths, repeat=3):
            outcomes = {number: outcome(before[number], after[number]) for number in range(3)}
            verdict = verdict_of(outcomes, FEW_DAYS)
            said = words(verdict)
            winners = after[verdict.last.winner.number]
            less, more = sum(each < winners for each in after), sum(each > winners for each in after)
            if "gave exactly the same result" in said:
                assert len(set(zip(before, after, strict=True))) == 1
            else:
                assert ("do not trust it" in said) == (less <= more)
                assert ("as did all others" in said) == (less == more == 0)
                assert ("1st of 3" in said) == (less > more == 0)


def test_the_conclusion_names_the_folds_it_is_about() -> None:
    good_at_last = {0: outcome(1, 1, 1, 1), 1: outcome(1.5, 0.9, 0.9, 1.2), 2: outcome(0.9, 1.1, 1.1, 1.1)}
    assert "but not in the last, the winner did no better" in words(verdict_of(good_at_last))
    bad_at_last = {0: outcome(1, 1, 1, 1), 1: outcome(1.5, 1.2, 1.2, 0.9), 2: outcome(0.9, 1.1, 1.1, 1.1)}
    assert "In 1 of 3 folds, the last among them, the winner" in words(verdict_of(bad_at_last))
    bad = {0: outcome(1, 1, 1, 1), 1: outcome(1.5, 0.9, 0.9, 0.9), 2: outcome(0.9, 1.1, 1.1, 1.1)}
    assert "In all 3 folds the winner" in words(verdict_of(bad))


@pytest.mark.parametrize(
    ("after", "said"),
    [
        pytest.param((1.4, 1.3, 1.2, 1.1, 1.0), "+1.00: the ranks are nearly the same", id="the same order"),
        pytest.param((1.3, 1.4, 1.0, 1.1, 1.2), "+0.50: the ranks are similar", id="a similar order"),
        pytest.param((1.2, 1.3, 1.0, 1.4, 1.1), "+0.10: the past tells almost nothing", id="almost no order"),
        pytest.param((1.3, 1.0, 1.1, 1.4, 1.2), "-0.20: the past tells almost nothing", id="a little reversed"),
        pytest.param((1.1, 1.0, 1.4, 1.3, 1.2), "-0.50: the ranks are rather reversed", id="rather reversed"),
        pytest.param((1.0, 1.1, 1.2, 1.3, 1.4), "-1.00: the ranks are nearly reversed", id="reversed"),
    ],
)
def test_the_correlation_of_ranks_is_told_by_its_sign_and_size(after: tuple[float, ...], said: str) -> None:
    outcomes = {number: outcome(1.4 - number / 10, each) for number, each in enumerate(after)}
    combinations = [{}, *({"BUFFER": f"0.00{number}"} for number in range(1, 5))]
    verdict = rank_trials(combinations, outcomes, FEW_DAYS)
    assert f"Ranks before and after correlate by {said}" in words(verdict)


def test_the_conclusion_names_its_subject() -> None:
    bad = words(verdict_of({0: outcome(1, 1.2), 1: outcome(1.5, 0.9), 2: outcome(0.9, 1.1)}, FEW_DAYS))
    assert bad.endswith("On the days after, the winner did no better than half of all combinations: do not trust it.")


def test_one_fold_is_called_one_period() -> None:
    steady = verdict_of({0: outcome(1, 1), 1: outcome(1.5, 1.5), 2: outcome(0.9, 0.9)}, FEW_DAYS)
    assert "held up in one period that they were not chosen on, which is little" in words(steady)


def test_ties_are_named() -> None:
    verdict = verdict_of({0: outcome(1, 1, 1, 0.9), 1: outcome(1.2, 1, 1, 1), 2: outcome(1.2, 1, 1, 1)})
    told = " ".join(table(verdict).split())
    assert "The winner and 1 other have exactly the same result; the winner only comes first in the list" in told
    assert "1st of 3, together with 1 other that did the same" in told
    assert re.search(r"\b1= \+3\.45 % .* BUFFER=0\.001", told)
    assert "the winner (and 1 as good): --set BUFFER=0.001" in told
    assert sweep_json(verdict, FORTNIGHT, [MARKET], Scenario(Walk.STRAIGHT, 1, 0), ())["as_good_as_winner"] == [
        {"BUFFER": "0.003"}
    ]


def test_where_nothing_made_a_difference_there_is_no_winner() -> None:
    told = table(verdict_of(dict.fromkeys(range(3), outcome(1, 1, 1, 1))))
    assert "3 combinations were tested and gave exactly the same result" in told
    assert "luck" not in told
    assert told.endswith("no winner: all results are the same")


def test_invalid_combinations_are_named_with_the_reason() -> None:
    left_out = tuple(
        InvalidCombination({"MIN_FACTOR": f"0.{number}"}, "MIN_FACTOR is too large") for number in range(6, 14)
    )
    verdict = rank_trials(COMBINATIONS, {0: outcome(1, 1), 1: outcome(1, 1.1), 2: outcome(1, 1.2)}, FEW_DAYS, left_out)
    told = table(verdict, FEW_DAYS)
    said = " ".join(told.split())
    assert "the settings do not fit together: 8 combinations. MIN_FACTOR is too large MIN_FACTOR=0.6 MIN_F" in said
    assert "and 3 more" in told
    data = sweep_json(verdict, FEW_DAYS, [MARKET], Scenario(Walk.STRAIGHT, 1, 0), ())
    assert data["left_out"] == 8
    named = data["left_out_settings"]
    assert isinstance(named, list)
    assert named[-1] == {"settings": {"MIN_FACTOR": "0.13"}, "why": "MIN_FACTOR is too large"}


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    named = [{}, {"MIN_GAIN_TRIGGER_FRAC_BASE": "0.005", "HARD_STOP_DONCHIAN_MULTIPLIER": "0.25", "BUFFER": "0.00375"}]
    outcomes: dict[int, TrialOutcome] = {0: outcome(1, 1, 1, 1), 1: outcome(1.5, 0.9, 0.9, 1.2)}
    told = table(rank_trials(named, outcomes, FORTNIGHT), width=width)
    assert max(map(len, told.splitlines())) <= width
