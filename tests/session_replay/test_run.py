"""Tests of session replays: no difference with the same program, the first difference otherwise."""

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from tests.session_replay.golden_sessions import SESSIONS, path_of

from trailingedge.core.errors import ConfigError
from trailingedge.eventlog.format import decode
from trailingedge.eventlog.reader import SessionRecord
from trailingedge.session_replay.run import replay_session
from trailingedge.session_replay.run_alignment import Difference

Change = Callable[[bytes], bytes | None]


def changed(tmp_path: Path, change: Change, source: str = "storm") -> Path:
    """A golden session with lines changed, or left out for None, and packed again with correct checksums."""
    import zlib

    record = SessionRecord(path_of(source))
    path = tmp_path / path_of(source).name
    stream = zlib.compressobj(wbits=31)
    with path.open("wb") as file:
        lines = [b'["session",%s]' % _head(path_of(source)), *(line for batch in record.batches() for line in batch)]
        kept = [line for line in map(change, lines) if line is not None]
        text = b"".join(line + b"\n" for line in kept)
        file.write(stream.compress(text + b'["sum",%d]\n' % zlib.crc32(text)) + stream.flush())
    return path


def _head(path: Path) -> bytes:
    import gzip

    with gzip.open(path) as file:
        return file.readline().removeprefix(b'["session",').removesuffix(b"]\n")


@pytest.mark.parametrize("name", SESSIONS)
def test_a_golden_session_replays_without_a_difference(name: str) -> None:
    replayed = replay_session(path_of(name))
    assert replayed.difference is None
    assert replayed.incomplete_reason is None
    assert replayed.requests > 20
    assert replayed.inputs > 900


def test_a_record_from_before_a_field_was_added_replays_without_a_difference(tmp_path: Path) -> None:
    def without_new_fields(line: bytes) -> bytes:
        if not line.startswith(b'["decision",'):
            return line
        kind, key, fields = json.loads(line)
        del fields["squeezed"], fields["memory"]["anchor_ms"], fields["memory"]["last_number"]
        return json.dumps([kind, key, fields], separators=(",", ":")).encode()

    replayed = replay_session(changed(tmp_path, without_new_fields))
    assert replayed.difference is None
    assert replayed.incomplete_reason is None


def test_another_recorded_price_leads_to_a_difference(tmp_path: Path) -> None:
    """The recorded best price is changed while an order is being requoted."""
    chase = iter(range(1000))

    def lower(line: bytes) -> bytes:
        if line.startswith(b'["<text"') and b"bookTicker" in line and next(chase) > 200:
            return re.sub(rb'"([ba])":"25', rb'"\1":"24', line)
        return line

    replayed = replay_session(changed(tmp_path, lower, "fair"))
    assert replayed.difference is not None
    assert replayed.incomplete_reason is None


def test_a_different_request_is_shown_beside_the_recorded_one(tmp_path: Path) -> None:
    def other(line: bytes) -> bytes:
        return line.replace(b'\\"quantity\\":\\"', b'\\"quantity\\":\\"1') if b"order.place" in line else line

    difference = replay_session(changed(tmp_path, other)).difference
    assert difference is not None
    assert difference.recorded is not None
    assert difference.replayed is not None
    assert difference.recorded.replace(b'quantity\\":\\"1', b'quantity\\":\\"', 1) == difference.replayed
    assert b"TE-j-" in difference.replayed
    assert difference.preceding


def test_missing_output_is_noticed_before_the_next_input(tmp_path: Path) -> None:
    added: list[bytes] = []

    def more(line: bytes) -> bytes:
        if line.startswith(b'["told",') and not added:
            added.append(b'["alert",20,"it will rain"]')
            return added[0] + b"\n" + line
        return line

    difference = replay_session(changed(tmp_path, more)).difference
    assert difference is not None
    assert (difference.recorded, difference.replayed) == (added[0], None)


def test_additional_output_is_shown(tmp_path: Path) -> None:
    left_out: list[bytes] = []

    def fewer(line: bytes) -> bytes | None:
        if line.startswith(b'["news"') and not left_out:
            left_out.append(line)
            return None
        return line

    difference = replay_session(changed(tmp_path, fewer)).difference
    assert difference is not None
    assert difference.replayed == left_out[0]


@pytest.mark.parametrize(
    ("beginning", "told"),
    [(b'["alarm",5,', b"alarm"), (b'["ask",3,', b"nobody")],
    ids=["an alarm that is not set", "an answer that nobody waits for"],
)
def test_an_inconsistent_record_is_a_difference(tmp_path: Path, beginning: bytes, told: bytes) -> None:
    del told
    replayed = replay_session(changed(tmp_path, lambda line: None if line.startswith(beginning) else line))
    assert replayed.difference is not None


def test_a_record_is_played_up_to_a_gap(tmp_path: Path) -> None:
    lines = iter(range(10_000))

    def with_hole(line: bytes) -> bytes | None:
        number = next(lines)
        return b'["hole",30]' if number == 1000 else None if 1000 < number < 1031 else line

    replayed = replay_session(changed(tmp_path, with_hole))
    assert replayed.is_same
    assert replayed.incomplete_reason == "the record has a gap: 30 lines were lost, the disk did not keep up"
    assert 100 < replayed.inputs < 900


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_record_that_is_cut_off_is_played_up_to_there(tmp_path: Path, share: float) -> None:
    data = path_of("fair").read_bytes()
    path = tmp_path / path_of("fair").name
    path.write_bytes(data[: int(len(data) * share)])
    replayed = replay_session(path)
    assert replayed.is_same
    assert replayed.incomplete_reason is not None
    assert "breaks off after line" in replayed.incomplete_reason


def test_the_record_of_a_killed_session_has_no_end(tmp_path: Path) -> None:
    replayed = replay_session(changed(tmp_path, lambda line: None if line.startswith(b'["over"') else line))
    assert replayed.is_same
    assert replayed.incomplete_reason == "storm.session.jsonl.gz has no end: the recording process was killed"


def _ends_of_moments_that_share_a_turn(source: str) -> list[int]:
    """Line numbers at which the second input of an iteration begins: the daemon may answer both after the iteration."""
    found, turn, count, number = [], -1, 0, 0
    for batch in SessionRecord(path_of(source)).batches():
        for line in batch:
            number += 1
            if line.startswith((b'["<"', b'["ring"', b'["told"')):
                entry = decode(line)
                count = count + 1 if entry[2] == turn else 1
                turn = entry[2]
                if count == 2:
                    found.append(number)
    return found


def test_a_record_cut_off_within_an_iteration_is_played_up_to_the_one_before(tmp_path: Path) -> None:
    within = _ends_of_moments_that_share_a_turn("storm")
    assert len(within) > 2
    for last in within[:: max(1, len(within) // 8)]:
        numbers = iter(range(1_000_000))
        killed = changed(tmp_path, lambda line, last=last, numbers=numbers: line if next(numbers) <= last else None)  # type: ignore[misc]
        replayed = replay_session(killed)
        assert replayed.is_same, last
        assert replayed.incomplete_reason is not None


def test_the_record_of_an_aborted_session_is_played_up_to_there(tmp_path: Path) -> None:
    def broken_off(line: bytes) -> bytes:
        return b'["over",["CancelledError",""]]' if line.startswith(b'["over"') else line

    replayed = replay_session(changed(tmp_path, broken_off))
    assert replayed.is_same
    assert replayed.incomplete_reason is not None
    assert "was aborted" in replayed.incomplete_reason


# With other settings -------------------------------------------------------------------------


def test_a_setting_that_had_no_effect_makes_no_difference() -> None:
    replayed = replay_session(path_of("fair"), {"HARD_STOP_MAX_FRAC": "0.04", "MANUAL_EXIT_TTL_SEC": "31"})
    assert replayed.is_same
    assert replayed.changed_settings == {"HARD_STOP_MAX_FRAC": "0.04", "MANUAL_EXIT_TTL_SEC": "31"}


@cache
def of_a_later_trigger() -> Difference | None:
    return replay_session(path_of("faulty"), {"MIN_GAIN_TRIGGER_FRAC_BASE": "0.02"}).difference


def test_a_setting_that_matters_shows_the_first_different_action() -> None:
    difference = of_a_later_trigger()
    assert difference is not None
    shown = difference.recorded or difference.replayed
    assert shown is not None
    assert decode(shown)[0] == "decision"


def test_a_setting_that_changes_a_wait_starts_own_timing() -> None:
    assert replay_session(path_of("storm"), {"LOOP_SLEEP_SEC": "0.7"}).is_same
    # Of what happens by the clock alone, another pace of house-keeping moves the half-hourly look at the clock.
    last = replay_session(path_of("fair"), {"LOOP_SLEEP_SEC": "0.7"}).difference
    assert last is not None
    assert (last.at_ns, last.replayed) == (1800 * 10**9, None)
    both = replay_session(path_of("faulty"), {"LOOP_SLEEP_SEC": "0.7", "MIN_GAIN_TRIGGER_FRAC_BASE": "0.02"}).difference
    alone = of_a_later_trigger()
    assert both is not None
    assert alone is not None
    assert abs(both.at_ns - alone.at_ns) < 1_500_000_000


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


def test_an_unknown_recorded_setting_is_ignored(tmp_path: Path) -> None:
    def more(line: bytes) -> bytes:
        return line.replace(b'"settings":{', b'"settings":{"MOON_PHASE":"full",')

    assert replay_session(changed(tmp_path, more)).is_same


def test_with_own_timing_the_replay_may_end_after_the_record(tmp_path: Path) -> None:
    record = SessionRecord(path_of("storm"))
    answers = sum(line.startswith(b'["told"') for batch in record.batches() for line in batch)
    count = iter(range(1, answers + 1))

    def but_for_the_last_answer(line: bytes) -> bytes | None:
        return None if line.startswith(b'["told"') and next(count) == answers else line

    replayed = replay_session(changed(tmp_path, but_for_the_last_answer), {"LOOP_SLEEP_SEC": "0.7"})
    assert replayed.is_same
    assert replayed.incomplete_reason is None


def _reworded(line: bytes) -> bytes:
    return re.sub(rb'^(\["alert",\d+,)".*"\]$', rb'\1"in other words"]', line)


def test_another_version_may_word_its_alerts_differently(tmp_path: Path) -> None:
    record = changed(tmp_path, _reworded)
    assert replay_session(record).difference is not None  # the same version must use the same words
    renamed = changed(tmp_path, lambda line: _reworded(line.replace(b'"program":""', b'"program":"0.0.9"', 1)))
    assert replay_session(renamed, program="0.2.0").difference is None
    louder = changed(tmp_path, lambda line: line.replace(b'["alert",20,', b'["alert",40,'))
    assert replay_session(louder, program="0.2.0").difference is not None
