"""Tests of the command `replay SESSION`: its text, its JSON and its exit codes."""

import dataclasses
import json
import signal
from pathlib import Path

import pytest
from tests.session_replay.golden_sessions import path_of

from trailingedge.core.errors import ConfigError, ExitCode
from trailingedge.eventlog.format import SUFFIX
from trailingedge.report.progress import ProgressBar
from trailingedge.session_replay.command import run
from trailingedge.session_replay.explain_divergence import Difference
from trailingedge.session_replay.result_text import result_text
from trailingedge.session_replay.run import ReplayResult, replay_session

STORM = path_of("storm")
LESS = {"MIN_GAIN_TRIGGER_FRAC_BASE": "0.02"}


def test_an_unchanged_replay_reports_no_difference(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(STORM, {}, as_json=False) is ExitCode.OK
    told = capsys.readouterr()
    head, verdict = " ".join(told.out.split()).split(" no difference: ")
    assert head.startswith(f"{STORM}: ")
    assert head.endswith(" inputs, 0 order requests")
    assert verdict == "every order request, decision and event is the same"
    assert told.err == ""


# Another setting -----------------------------------------------------------------------------


def test_a_divergence_by_another_setting_is_explained_in_the_words_of_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(path_of("faulty"), LESS, as_json=False) is ExitCode.OK  # that is what was asked
    text = capsys.readouterr().out
    assert "with MIN_GAIN_TRIGGER_FRAC_BASE=0.02 instead of 0.01" in text
    assert "the same for 3 min 51 s; the first difference:" in text
    one_line = " ".join(text.split())
    then, now = one_line.partition(" with these settings: ")[::2]
    assert "recorded: Not selling yet: the bid is 25" in then
    assert (
        "The take-profit trails from 2550.15, +0.93 % from here (a gain of +2.00 %, MIN_GAIN_TRIGGER_FRAC_BASE)" in now
    )
    assert ", bid 25" in then


def test_later_alerts_of_the_record_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    run(path_of("faulty"), LESS, as_json=False)
    _, _, after = capsys.readouterr().out.partition("later in the record:\n")
    assert "take-profit armed: gain +4.04 % in FDUSD" in " ".join(after.split())


def test_the_text_contains_no_record_line_and_no_long_line(capsys: pytest.CaptureFixture[str]) -> None:
    run(path_of("faulty"), LESS, as_json=False)
    _, *lines = capsys.readouterr().out.splitlines()  # the first names the file, however long that is
    assert not [line for line in lines if any(mark in line for mark in ('{"', '["', '":'))]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("session", "setting", "then", "now"),
    [
        pytest.param(
            "fair",
            {"HARD_STOP_THRESHOLD_FRAC": "0.002", "HARD_STOP_DONCHIAN_MULTIPLIER": "0"},
            "recorded: does not do this",
            "hard stop: loss -0.21 % (limit -0.20 %) since the anchor; selling all ETH near 2596.21 FDUSD ",
            id="an event that has an alert",
        ),
        pytest.param(
            "fair",
            {"EXIT_PRICING": "join"},
            "recorded: order.cancelReplace SELL 1 ETH at 2527.29 FDUSD for order 1004 (TE-m-",
            "order.cancelReplace SELL 1 ETH at 2527.3 FDUSD for order 1004 (TE-m-",
            id="an order elsewhere",
        ),
        pytest.param(
            "faulty",
            {"MIN_FACTOR": "0.05"},
            "recorded: does not do this",
            "take-profit armed: gain +4.27 % in FDUSD since the anchor (best +4.51 %)",
            id="an order where there was none",
        ),
    ],
)
def test_each_kind_of_difference_has_words(
    session: str, setting: dict[str, str], then: str, now: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(path_of(session), setting, as_json=False) is ExitCode.OK
    one_line = " ".join(capsys.readouterr().out.split())
    said_then, said_now = one_line.partition(" with these settings: ")[::2]
    assert then in said_then
    assert said_now.startswith(now)


def test_the_json_of_a_divergence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(path_of("faulty"), LESS, as_json=True, program="9.9") is ExitCode.OK
    data = json.loads(capsys.readouterr().out)
    assert data["version"] == 1
    assert data["same"] is False
    assert (data["changed"], data["before"]) == (LESS, {"MIN_GAIN_TRIGGER_FRAC_BASE": "0.01"})
    assert data["replayed_by"]["program"] == "9.9"
    assert data["trouble"] is None
    difference = data["difference"]
    assert json.loads(difference["recorded"])[0] == "decision"
    assert [text.partition(":")[0] for text in difference["recorded_in_words"]] == ["Not selling yet"]
    assert [text.partition(":")[0] for text in difference["now_in_words"]] == ["Not selling"]
    assert float(difference["bid"]) < float(difference["ask"])
    assert difference["at"] <= difference["sequel"][0]["at"]
    assert data["from"] < difference["at"] <= data["to"]


# The same settings, and yet ------------------------------------------------------------------


def another_way(program: str = "0.3.0") -> ReplayResult:
    """A replay of the storm, with a difference made up."""
    replayed = replay_session(STORM, program="0.3.0")
    line = b'["command","Place",{"tag":3,"client_order_id":"TE-t-abc","side":"SELL","price":"%s","quantity":"1.0"}]'
    before = (b'["<text",1,1,{"u":2,"s":"ETHFDUSD","b":"2499.99","B":"1","a":"2500.00","A":"1"}]',)
    difference = Difference(61_500_000_000, line % b"2500.01", line % b"2500.02", before)
    return dataclasses.replace(replayed, difference=difference, program=program)


def test_a_difference_with_the_same_settings_is_shown_line_by_line() -> None:
    text = result_text(another_way())
    assert text.splitlines()[-9:] == [
        "it differs 1 min 1 s after the start, at 2026-07-02 13:47:41.500 UTC:",
        "  before:",
        "    received on connection 1: book bid 2499.99, ask 2500",
        "  recorded:",
        "    command order.place SELL 1 at 2500.01 (TE-t-abc)",
        "  replayed:",
        "    command order.place SELL 1 at 2500.02 (TE-t-abc)",
        "  fields that differ:",
        "    price: 2500.01 recorded, 2500.02 replayed",
    ]


def test_another_version_is_named_first() -> None:
    *_, before = " ".join(result_text(another_way("0.0.9")).partition("it differs ")[0].split()).partition(" requests ")
    assert before.startswith("recorded by version 0.0.9 of this program, replayed by 0.3.0: this may be the reason")


@pytest.mark.parametrize("program", ["", "0.3.0"])
def test_an_unknown_version_and_the_same_version_are_not_named(program: str) -> None:
    assert "version" not in result_text(another_way(program))


def test_a_difference_with_the_same_settings_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("trailingedge.session_replay.command.replay_session", lambda *_, **__: another_way())
    assert run(STORM, {}, as_json=False) is ExitCode.UNEXPECTED
    assert "it differs" in capsys.readouterr().out


# What does not come to an end ----------------------------------------------------------------


def test_a_file_that_is_no_session(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        run(tmp_path / f"none{SUFFIX}", {}, as_json=False)


def test_a_record_that_is_cut_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / path_of("fair").name
    path.write_bytes(path_of("fair").read_bytes()[:30_000])
    assert run(path, {}, as_json=False) is ExitCode.OK
    assert "the replay ends early: fair.session.jsonl.gz breaks off" in " ".join(capsys.readouterr().out.split())


def test_after_ctrl_c_one_line_says_how_far_the_replay_came(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def press_half_way(_: ProgressBar, share: float, __: str) -> None:
        if share > 0.5:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)  # `uv run` hands the same one on

    monkeypatch.setattr(ProgressBar, "show", press_half_way)
    assert run(path_of("fair"), {}, as_json=True) is ExitCode.INTERRUPTED
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert line.startswith("stopped at ")
    assert line.endswith(" UTC: no difference up to there")
    assert len(line) <= 80
