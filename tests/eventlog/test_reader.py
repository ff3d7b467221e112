"""Tests of the record reader: it returns what is intact and says where a record ends early."""

from pathlib import Path

import pytest
from tests.eventlog.record_builders import HEAD, NAME, frames, packed, written

from trailingedge.core.errors import ConfigError
from trailingedge.eventlog.format import decode, encode
from trailingedge.eventlog.reader import SessionRecord
from trailingedge.eventlog.writer import GzipPacker

BATCHES = [[("session", HEAD)], *(frames(20)[at : at + 5] for at in range(0, 20, 5))]
_STEP = 3  # of so many bytes one is tried
WHOLE = [decode(encode(entry, 5_000_000_000)[:-1]) for entry in frames(20)]


def read(path: Path) -> tuple[list[tuple[object, ...]], str | None]:
    record = SessionRecord(path)
    lines = [decode(line) for batch in record.batches() for line in batch]
    return lines, record.incomplete_reason


def test_a_complete_record_is_read_completely(tmp_path: Path) -> None:
    path = written(tmp_path / NAME, frames(20))
    record = SessionRecord(path)
    assert record.header.seed == 1
    assert record.header.endpoints == ("ws://memory/ws-api/v3", "ws://memory")
    assert read(path) == (WHOLE, None)


def test_a_record_cut_off_anywhere_is_read_up_to_there(tmp_path: Path) -> None:
    data = packed(BATCHES)
    path = tmp_path / NAME
    read_of: list[int] = []
    for length in range(len(packed(BATCHES[:1])), len(data), _STEP):
        path.write_bytes(data[:length])
        lines, trouble = read(path)
        assert lines == WHOLE[: len(lines)]
        assert trouble is not None
        assert "breaks off after line" in trouble
        read_of.append(len(lines))
    assert read_of == sorted(read_of)
    assert set(read_of) == {0, 5, 10, 15, 20}


def test_damage_anywhere_is_noticed_before_a_wrong_line_is_returned(tmp_path: Path) -> None:
    data = packed(BATCHES)
    path = tmp_path / NAME
    for place in range(len(packed(BATCHES[:1])), len(data) - 8, _STEP):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        lines, trouble = read(path)
        assert lines == WHOLE[: len(lines)]
        assert trouble is not None
        assert NAME in trouble


def test_the_parts_of_a_long_session_are_one_record(tmp_path: Path) -> None:
    packer = GzipPacker()
    for name, batches in (
        (NAME, BATCHES[:3]),
        (NAME.replace(".session", ".part2.session"), [[("part", 2)], *BATCHES[3:]]),
    ):
        (tmp_path / name).write_bytes(b"".join(map(packer.pack, batches)) + packer.end())
    assert read(tmp_path / NAME) == (WHOLE, None)


@pytest.mark.parametrize(("there", "missing"), [(3, "part 2 is"), (5, "parts 2 to 4 are")])
def test_a_missing_part_is_a_gap(tmp_path: Path, there: int, missing: str) -> None:
    (tmp_path / NAME).write_bytes(packed(BATCHES[:3]))
    (tmp_path / NAME.replace(".session", f".part{there}.session")).write_bytes(packed([[("part", there)], BATCHES[4]]))
    lines, trouble = read(tmp_path / NAME)
    assert lines == WHOLE[:10]
    assert trouble == (
        f"the record has a gap: {missing} missing, deleted because it had grown larger than RECORD_MAX_MB"
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(b"", "empty, nothing was recorded", id="empty"),
        pytest.param(b"plain text\n" * 10, "damaged", id="no gzip"),
        pytest.param(packed([[("part", 2)]]), "part 2 of a session", id="a later part"),
        pytest.param(packed([[("alert", 20, "hello")]]), "not a recorded session", id="something else"),
        pytest.param(packed([[("session", HEAD | {"version": 9})]]), "record format 9", id="of another version"),
        pytest.param(packed([[("session", {**HEAD, "seed": None})]]), None, id="odd, but a head"),
        pytest.param(packed([[("session", {**HEAD, "settings": 3})]]), "first line is incomplete", id="no settings"),
        pytest.param(
            packed([[("session", {key: value for key, value in HEAD.items() if key != "seed"})]]),
            "incomplete",
            id="lacking",
        ),
    ],
)
def test_a_file_that_is_no_record_is_refused_with_its_name(tmp_path: Path, content: bytes, told: str | None) -> None:
    path = tmp_path / NAME
    path.write_bytes(content)
    if told is None:
        SessionRecord(path)
        return
    with pytest.raises(ConfigError, match=told) as caught:
        SessionRecord(path)
    assert NAME in str(caught.value)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        SessionRecord(tmp_path / NAME)
