"""Tests of session replays: no difference with the same program, the first difference otherwise."""

import json
import re
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests.session_replay.edited_records import Change, changed, lines_of
from tests.session_replay.golden_sessions import SESSIONS, path_of

from trailingedge.core.errors import BrokenInvariant, ConfigError
from trailingedge.eventlog.decision_sums import DECISION_FIELDS
from trailingedge.eventlog.format import SUFFIX, RecordEntry
from trailingedge.eventlog.reader import SessionRecord
from trailingedge.eventlog.writer import MemoryRecord
from trailingedge.execution import trading_core
from trailingedge.execution.maker_exit import MakerExit
from trailingedge.execution.trading_core import TradingCore
from trailingedge.session_replay.run import replay_session
from trailingedge.strategy import decide as decide_module
from trailingedge.strategy.decide import StrategyStep
from trailingedge.strategy.inputs import Inputs, StrategyParams
from trailingedge.strategy.state import StrategyState


@pytest.mark.parametrize("name", SESSIONS)
def test_a_golden_session_replays_without_a_difference(name: str) -> None:
    replayed = replay_session(path_of(name))
    assert replayed.difference is None
    assert replayed.incomplete_reason is None
    assert replayed.inputs > 400
    assert (replayed.requests > 10) is (name != "storm")


@pytest.mark.parametrize("name", SESSIONS)
def test_a_golden_session_is_what_the_program_writes(name: str, tmp_path: Path) -> None:
    """If this fails although the sessions replay without a difference, write them again."""
    notebook = MemoryRecord()
    notebook.entries[:] = entries_of(name)
    written = lines_of(notebook.save(tmp_path / f"now{SUFFIX}"))
    head, *golden = lines_of(path_of(name))
    assert written[1:] == golden
    python = re.compile(rb'"python":"[^"]*"')
    assert python.sub(b"", written[0]) == python.sub(b"", head)


# Another version -----------------------------------------------------------------------------


@cache
def entries_of(name: str) -> tuple[RecordEntry, ...]:
    """What the program writes in a golden session."""
    notebook = MemoryRecord()
    SESSIONS[name](notebook)
    return tuple(notebook.entries)


def recorded_by_an_older_version(tmp_path: Path, name: str) -> Path:
    """A golden session as a version would have written it that did not know some of the fields."""
    notebook = MemoryRecord()
    ((kind, head), *others) = entries_of(name)
    unknown = {"squeezed", "anchor_ms", "last_number", "exit_blocks"}
    fields = {each: [name for name in names if name not in unknown] for each, names in DECISION_FIELDS.items()}
    notebook.entries[:] = [(kind, head | {"fields": fields}), *others]
    return notebook.save(tmp_path / path_of(name).name)


def test_a_record_from_before_a_field_was_added_replays_without_a_difference(tmp_path: Path) -> None:
    path = recorded_by_an_older_version(tmp_path, "fair")
    decisions = [line for line in lines_of(path) if line.startswith(b'["decision"')]
    assert decisions
    assert not [line for line in decisions if b'"squeezed"' in line or b'"exit_blocks"' in line]
    replayed = replay_session(path)
    assert replayed.difference is None
    assert replayed.incomplete_reason is None


def test_a_missing_field_of_an_input_or_an_output_has_its_default(tmp_path: Path) -> None:
    def without(line: bytes) -> bytes:
        for name in (b'"balances_in_doubt":false', b'"escape":false', b'"volume":"[0-9.]+"', b'"reject_reason":"NONE"'):
            line = re.sub(rb",%s|%s," % (name, name), b"", line)
        return line

    path = changed(tmp_path, without, "fair")
    assert sum(map(len, lines_of(path))) < sum(map(len, lines_of(path_of("fair"))))
    assert b'"escape"' not in b"".join(lines_of(path))
    replayed = replay_session(path)
    assert replayed.difference is None
    assert replayed.incomplete_reason is None


def test_an_unknown_recorded_setting_is_ignored(tmp_path: Path) -> None:
    def more(line: bytes) -> bytes:
        return line.replace(b'"settings":{', b'"settings":{"MOON_PHASE":"full",')

    assert replay_session(changed(tmp_path, more)).is_same


def test_an_alert_may_have_other_words(tmp_path: Path) -> None:
    def reworded(line: bytes) -> bytes:
        return re.sub(rb'^(\["alert",\d+,\d+,)".*"\]$', rb'\1"in other words"]', line)

    assert replay_session(changed(tmp_path, reworded, "fair")).is_same


# A program that acts differently -------------------------------------------------------------


def ticks_of(name: str) -> list[RecordEntry]:
    return [entry for entry in entries_of(name) if entry[0] == "tick"]


def test_a_strategy_that_computes_another_number_is_found_at_the_first_tick_that_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No command and no event changes: only a number behind a decision, and only above a price."""
    ticks = ticks_of("fair")
    height = sorted(tick[1].top.bid for tick in ticks if tick[1].top is not None)[len(ticks) // 2]
    real = decide_module.decide

    def mutated(inputs: Inputs, state: StrategyState, params: StrategyParams) -> StrategyStep:
        step = real(inputs, state, params)
        if inputs.top is None or inputs.top.bid < height:
            return step
        return step._replace(decision=step.decision._replace(stop_distance=step.decision.stop_distance * 1.0001))

    monkeypatch.setattr(trading_core, "decide", mutated)
    (first, *_) = (tick[1].now_s for tick in ticks if tick[1].top is not None and tick[1].top.bid >= height)
    difference = replay_session(path_of("fair")).difference
    assert difference is not None
    assert difference.at_ns == round(first * 1e9)
    assert difference.replayed is not None
    assert difference.replayed.startswith(b'["decision",')


def test_an_order_at_another_price_is_found_at_its_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    real = MakerExit._quantity

    def smaller(self: MakerExit, *args: Any) -> Any:
        return real(self, *args) - self.rules.step_size

    monkeypatch.setattr(MakerExit, "_quantity", smaller)
    difference = replay_session(path_of("fair")).difference
    assert difference is not None
    (at_s, *_) = (tick[1].now_s for tick in ticks_of("fair") if tick[3])
    assert difference.at_ns == round(at_s * 1e9)
    assert difference.recorded is not None
    assert difference.replayed is not None
    assert difference.recorded.startswith(b'["command","Place",{"tag":1,')
    assert json.loads(difference.recorded)[2] | {"quantity": ""} == json.loads(difference.replayed)[2] | {
        "quantity": ""
    }
    assert difference.preceding[-1].startswith(b'["tick",')


def test_an_error_of_the_core_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    number = count()
    real = TradingCore.tick

    def fail(self: TradingCore, *args: Any) -> Any:
        if next(number) == 100:
            raise BrokenInvariant("two orders at once")
        return real(self, *args)

    monkeypatch.setattr(TradingCore, "tick", fail)
    difference = replay_session(path_of("fair")).difference
    assert difference is not None
    assert (difference.recorded, difference.replayed) == (None, b'["raised","BrokenInvariant","two orders at once"]')


# A record that was changed -------------------------------------------------------------------


def test_another_recorded_price_leads_to_a_difference(tmp_path: Path) -> None:
    """The recorded best price is changed while an order is being requoted."""
    chase = count()

    def lower(line: bytes) -> bytes:
        if line.startswith(b'["tick"') and b'"top"' in line and next(chase) > 200:
            return re.sub(rb'"([ba])":"25', rb'"\1":"24', line)
        return line

    replayed = replay_session(changed(tmp_path, lower, "fair"))
    assert replayed.difference is not None
    assert replayed.incomplete_reason is None


def test_a_different_command_is_shown_beside_the_recorded_one(tmp_path: Path) -> None:
    def other(line: bytes) -> bytes:
        return line.replace(b'"quantity":"', b'"quantity":"1') if line.startswith(b'["command","Place"') else line

    difference = replay_session(changed(tmp_path, other, "fair")).difference
    assert difference is not None
    assert difference.recorded is not None
    assert difference.recorded.replace(b'quantity":"1', b'quantity":"', 1) == difference.replayed


def test_an_output_that_the_replay_lacks_is_shown(tmp_path: Path) -> None:
    added: list[bytes] = []

    def more(line: bytes) -> bytes:
        if line.startswith(b'["event"') and not added:
            added.append(b'["event","Rain",{}]')
            return line + b"\n" + added[0]
        return line

    difference = replay_session(changed(tmp_path, more)).difference
    assert difference is not None
    assert (difference.recorded, difference.replayed) == (added[0], None)


def test_an_output_that_the_record_lacks_is_shown(tmp_path: Path) -> None:
    left_out: list[bytes] = []

    def fewer(line: bytes) -> bytes | None:
        if line.startswith(b'["event"') and not left_out:
            left_out.append(line)
            return None
        return line

    difference = replay_session(changed(tmp_path, fewer)).difference
    assert difference is not None
    assert (difference.recorded, difference.replayed) == (None, left_out[0])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(
            lambda line: None if line.startswith(b'["core"') else line, "a call before the core was built", id="no core"
        ),
        pytest.param(
            lambda line: line.replace(b'"lock_balances_until"', b'"lock_all"'), "has no input 'lock_all'", id="a method"
        ),
        pytest.param(lambda line: line.replace(b'"until_s":', b'"when":'), "without until_s", id="an argument"),
        pytest.param(
            lambda line: line.replace(b'"side":"', b'"side":"N') if b'"on_report"' in line else line,
            "on_report report: ",
            id="a value",
        ),
        pytest.param(lambda line: line.replace(b'"balances_ms":', b'"balances_ms":"now",""'), "", id="a line"),
    ],
)
def test_an_input_that_cannot_be_read_ends_the_replay(tmp_path: Path, change: Change, told: str) -> None:
    replayed = replay_session(changed(tmp_path, change, "fair"))
    assert replayed.is_same
    assert replayed.incomplete_reason is not None
    assert "this version cannot read" in replayed.incomplete_reason
    assert told in replayed.incomplete_reason


# A record that ends early --------------------------------------------------------------------


def test_a_record_is_played_up_to_a_gap(tmp_path: Path) -> None:
    lines = count()

    def with_hole(line: bytes) -> bytes | None:
        number = next(lines)
        return b'["hole",30]' if number == 1000 else None if 1000 < number < 1031 else line

    replayed = replay_session(changed(tmp_path, with_hole, "fair"))
    assert replayed.is_same
    assert replayed.incomplete_reason == "the record has a gap: 30 lines were lost, because the disk was too slow"
    assert 100 < replayed.inputs < 900


def test_without_its_frames_a_session_can_be_replayed(tmp_path: Path) -> None:
    def without(line: bytes) -> bytes | None:
        return None if line.startswith((b'["<', b'["+', b'[">')) else line

    replayed = replay_session(changed(tmp_path, without))
    assert replayed.is_same
    assert replayed.incomplete_reason is None


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_record_that_is_cut_off_is_played_up_to_there(tmp_path: Path, share: float) -> None:
    data = path_of("fair").read_bytes()
    path = tmp_path / path_of("fair").name
    path.write_bytes(data[: int(len(data) * share)])
    replayed = replay_session(path)
    assert replayed.is_same
    assert replayed.incomplete_reason is not None
    assert "breaks off after line" in replayed.incomplete_reason
    assert replayed.at_ns > 1800 * 10**9 * share / 2


def test_the_record_of_a_killed_session_has_no_end(tmp_path: Path) -> None:
    replayed = replay_session(changed(tmp_path, lambda line: None if line.startswith(b'["over"') else line))
    assert replayed.is_same
    assert replayed.incomplete_reason == "storm.session.jsonl.gz has no end: the recording process was killed"


def test_the_record_of_an_aborted_session_is_played_up_to_there(tmp_path: Path) -> None:
    def broken_off(line: bytes) -> bytes:
        return b'["over",1,["CancelledError",""]]' if line.startswith(b'["over"') else line

    replayed = replay_session(changed(tmp_path, broken_off))
    assert replayed.is_same
    assert replayed.incomplete_reason is not None
    assert "was aborted" in replayed.incomplete_reason


def test_a_session_that_failed_before_trading_has_nothing_to_compare(tmp_path: Path) -> None:
    def failed(line: bytes) -> bytes | None:
        if line.startswith(b'["over"'):
            return b'["over",1,["ConfigError","SYMBOL"]]'
        return line if line.startswith((b'["session"', b'["<', b'[">')) else None

    replayed = replay_session(changed(tmp_path, failed))
    assert (replayed.is_same, replayed.inputs, replayed.incomplete_reason) == (True, 0, None)


# With other settings -------------------------------------------------------------------------


def test_settings_that_had_no_effect_make_no_difference() -> None:
    settings = {"HARD_STOP_MAX_FRAC": "0.04", "MANUAL_EXIT_TTL_SEC": "31", "LOOP_SLEEP_SEC": "0.7", "FEE": "0"}
    replayed = replay_session(path_of("fair"), settings)
    assert replayed.is_same
    assert replayed.incomplete_reason is None
    assert replayed.changed_settings == settings


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        pytest.param({"MIN_GAIN_TRIGGER_FRAC_BASE": "0.02"}, "decision", id="of the strategy"),
        pytest.param({"FEE": "0.02"}, "decision", id="the fee"),
        pytest.param({"LOT_SIZE": "0.3"}, "command", id="the exchange's rules"),
    ],
)
def test_a_setting_that_matters_shows_the_first_different_action(settings: dict[str, str], kind: str) -> None:
    difference = replay_session(path_of("faulty"), settings).difference
    assert difference is not None
    shown = difference.recorded or difference.replayed
    assert shown is not None
    assert json.loads(shown)[0] == kind


def test_with_other_settings_too_the_record_must_be_what_this_version_decides(tmp_path: Path) -> None:
    def other(line: bytes) -> bytes:
        return line.replace(b'"quantity":"', b'"quantity":"1') if line.startswith(b'["command","Place"') else line

    replayed = replay_session(changed(tmp_path, other, "fair"), {"LOOP_SLEEP_SEC": "0.7"})
    assert replayed.difference is None
    assert replayed.incomplete_reason is not None
    assert (
        "this version decides differently from the record even with the recorded settings" in replayed.incomplete_reason
    )


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"MIN_FACTR": "0.2"}, "unknown setting MIN_FACTR (did you mean MIN_FACTOR?)"),
        ({"MIN_FACTOR": "x"}, "MIN_FACTOR is 'x'"),
        ({"MIN_FACTOR": "0.9"}, "must not be above START_FACTOR"),
    ],
)
def test_an_invalid_setting_is_refused(setting: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        replay_session(path_of("storm"), setting)


def test_the_golden_sessions_have_a_header_that_can_be_read() -> None:
    assert {SessionRecord(path_of(name)).header.zero_ns for name in SESSIONS} == {0}
