"""Tests of the store of trial results."""

import dataclasses
from decimal import Decimal
from pathlib import Path

import pytest

from trailingedge.backtest.paths import Scenario
from trailingedge.config import Settings, settings_without_secrets
from trailingedge.core.errors import ConfigError
from trailingedge.sweep.trial import PartResult, RunOutcome, TrialOutcome, TrialTask
from trailingedge.sweep.trial_store import TrialStore, market_fingerprint, trial_key

PARTS = (PartResult(1.01, 0.99, 0.02, 3, (0.01, 0.0), (0.02,)), PartResult(0.5, 1.0, 0.5, 0))
OUTCOME = TrialOutcome((RunOutcome(0, PARTS, halted=True), RunOutcome(1, PARTS)))
SETTINGS = settings_without_secrets(Settings())
TASK = TrialTask((("a.csv",),), None, SETTINGS, {"ETH": Decimal(1)}, (1, 2), Scenario())


def run_line(figures: str) -> str:
    """A line of a store with one run of one part."""
    part = f'{{{figures}, "returns": [], "trips": []}}'
    return f'{{"key": "x", "runs": [{{"market": 0, "halted": false, "parts": [{part}]}}]}}'


def test_a_stored_result_is_found_by_the_next_run(tmp_path: Path) -> None:
    store = TrialStore(tmp_path / "sweep.jsonl")
    store.add("abc", {"BUFFER": "0.1"}, OUTCOME)
    store.close()
    again = TrialStore(tmp_path / "sweep.jsonl")
    assert again.find("abc") == OUTCOME
    assert again.find("abd") is None
    again.close()


def test_a_line_cut_short_costs_that_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "sweep.jsonl"
    store = TrialStore(path)
    store.add("abc", {}, OUTCOME)
    store.add("abd", {}, OUTCOME)
    store.close()
    path.write_bytes(path.read_bytes()[:-20])
    again = TrialStore(path)
    assert (again.find("abc"), again.find("abd")) == (OUTCOME, None)
    again.add("abd", {}, OUTCOME)
    again.close()
    third = TrialStore(path)
    assert third.find("abd") == OUTCOME
    third.close()


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("[" * 4000, id="nested brackets"),
        pytest.param("1" * 5000, id="a large number"),
        pytest.param("[1, 2]", id="a list"),
        pytest.param('{"key": "x", "runs": 1}', id="no runs"),
        pytest.param('{"key": [], "runs": [{"market": 0, "parts": [], "halted": false}]}', id="a key that is no text"),
        pytest.param('{"key": "x", "runs": [{"market": 0, "parts": [], "halted": "no"}]}', id="neither true nor false"),
        pytest.param(
            run_line('"growth": "a", "hold": 1, "drawdown_frac": 0, "exits": 1'),
            id="a result that is no number",
        ),
        pytest.param(
            run_line('"growth": 1, "hold": 1, "drawdown_frac": NaN, "exits": 1'),
            id="not a number",
        ),
        pytest.param(
            run_line('"growth": 1, "hold": 1, "drawdown_frac": 0, "exits": 1.5'),
            id="half an exit",
        ),
    ],
)
def test_a_line_that_is_no_trial_costs_that_line_alone(tmp_path: Path, line: str) -> None:
    path = tmp_path / "sweep.jsonl"
    store = TrialStore(path)
    store.add("abc", {}, OUTCOME)
    store.close()
    path.write_text(f"{line}\n{path.read_text()}")
    again = TrialStore(path)
    assert again.find("abc") == OUTCOME
    assert again.find("x") is None
    again.close()


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("# Not a sweep\n")
    with pytest.raises(ConfigError, match="is not from a sweep"):
        TrialStore(path)
    assert path.read_text() == "# Not a sweep\n"


def test_without_a_file_nothing_is_kept() -> None:
    store = TrialStore(None)
    store.add("abc", {}, OUTCOME)
    assert store.find("abc") == OUTCOME
    store.close()


def test_a_file_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--out"):
        TrialStore(tmp_path / "nowhere" / "sweep.jsonl")


def test_the_same_files_are_the_same_market_by_any_name_and_in_any_order(tmp_path: Path) -> None:
    for name, text in (("a", "1"), ("b", "2"), ("c", "1"), ("d", "3")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    a, b, c, d = (tmp_path / name for name in "abcd")
    assert market_fingerprint([a, b]) == market_fingerprint([b, c]) != market_fingerprint([a, d])


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(dataclasses.replace(TASK, splits=(1, 3)), id="other days"),
        pytest.param(dataclasses.replace(TASK, scenario=Scenario(paths=3)), id="other paths"),
        pytest.param(dataclasses.replace(TASK, scenario=Scenario(latency_ms=3)), id="another latency"),
        pytest.param(dataclasses.replace(TASK, balances={"ETH": Decimal(2)}), id="another balance"),
        pytest.param(dataclasses.replace(TASK, settings={**SETTINGS, "BUFFER": "0.1"}), id="a setting"),
    ],
)
def test_another_trial_has_another_key(other: TrialTask) -> None:
    assert trial_key("m", TASK, {}) != trial_key("m", other, {})
    assert trial_key("m", TASK, {}) != trial_key("n", TASK, {})


def test_settings_without_effect_do_not_change_the_key() -> None:
    elsewhere = {**SETTINGS, "LOG_DIR": "elsewhere", "TELEGRAM_CHAT_ID": "7"}
    assert trial_key("m", TASK, {}) == trial_key("m", dataclasses.replace(TASK, settings=elsewhere), {})
    assert trial_key("m", TASK, {"BUFFER": "0.1"}) == trial_key("m", TASK, {"BUFFER": "0.10"})
