"""Tests of the record reader: it returns what is intact and says where a record ends early."""

import zlib
from pathlib import Path
from random import Random

import pytest
from tests.bombs import gzip_bomb
from tests.eventlog.record_builders import HEAD, NAME, ZERO_NS, frames, lines, packed, written
from tests.peak_memory import peak_memory_mb

from trailingedge import VERSION
from trailingedge.core.errors import ConfigError
from trailingedge.eventlog import reader, writer
from trailingedge.eventlog.format import MAX_BATCH_BYTES
from trailingedge.eventlog.line_decoder import decode
from trailingedge.eventlog.reader import SessionRecord
from trailingedge.eventlog.writer import GzipPacker

BATCHES = [[("session", HEAD)], *(frames(20)[at : at + 5] for at in range(0, 20, 5))]
_STEP = 3  # of so many bytes one is tried
WHOLE = list(map(decode, lines(*frames(20))))


def read(path: Path) -> tuple[list[tuple[object, ...]], str | None]:
    record = SessionRecord(path)
    lines = [decode(line) for batch in record.batches() for line in batch]
    return lines, record.incomplete_reason


def test_a_complete_record_is_read_completely(tmp_path: Path) -> None:
    path = written(tmp_path / NAME, frames(20))
    record = SessionRecord(path)
    assert record.header.fields["Holdings"] == ("base", "quote")
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
        f"the record has a gap: {missing} missing, deleted because the record had grown larger than RECORD_MAX_MB"
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(b"", "empty, nothing was recorded", id="empty"),
        pytest.param(b"plain text\n" * 10, "damaged", id="no gzip"),
        pytest.param(packed([[("part", 2)]]), "part 2 of a session", id="a later part"),
        pytest.param(packed([[("alert", 0, 20, "hello")]]), "not a recorded session", id="something else"),
        pytest.param(packed([[("session", HEAD | {"version": 9})]]), "record format 9", id="of another version"),
        pytest.param(packed([[("session", {**HEAD, "zero_ns": None})]]), "line 1: incomplete", id="no clock"),
        pytest.param(packed([[("session", {**HEAD, "settings": 3})]]), "line 1: incomplete", id="no settings"),
        pytest.param(packed([[("session", {**HEAD, "unix_ns": 1 << 63})]]), "line 1: incomplete", id="far future"),
        pytest.param(
            packed([[("session", {key: value for key, value in HEAD.items() if key != "endpoints"})]]),
            "incomplete",
            id="lacking",
        ),
    ],
)
def test_a_file_that_is_no_record_is_refused_with_its_name(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / NAME
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=told) as caught:
        SessionRecord(path)
    assert NAME in str(caught.value)


@pytest.mark.parametrize(("program", "writer"), [("0.2.0", "version 0.2.0"), ("", "another version")])
def test_a_record_of_an_older_format_names_the_version_that_reads_it(tmp_path: Path, program: str, writer: str) -> None:
    path = tmp_path / NAME
    older = {"format": HEAD["format"], "version": 1, "program": program, "seed": 1, "fields": {}, "zero_ns": 0}
    path.write_bytes(packed([[("session", older)]]))
    with pytest.raises(ConfigError) as caught:
        SessionRecord(path)
    assert str(caught.value) == (
        f"{path}: record format 1, which {writer} of this program wrote; version {VERSION} reads format 2; "
        "install the other version in another folder, and use it for this file"
    )


def bomb(kind: str) -> bytes:
    """A small file that unpacks to 200 MB in one line or in one batch of many lines, or to 40 MB in many batches."""
    head = packed([[("session", HEAD)]])
    if kind == "a line":
        pieces = [b"1" * (1 << 20)] * 200
    elif kind == "a batch":
        pieces = [b'["tick",1,0]\n' * 80_000] * 200
    else:
        batch = b'["alert",20,"%s"]\n' % (b"x" * 1000) * 1000
        pieces = [batch + b'["sum",%d]\n' % zlib.crc32(batch)] * 40
    return head + gzip_bomb(pieces)


@pytest.mark.parametrize("kind", ["a line", "a batch", "batches"])
def test_a_small_file_that_unpacks_to_gigabytes_is_refused_in_little_memory(tmp_path: Path, kind: str) -> None:
    path = tmp_path / NAME
    path.write_bytes(bomb(kind))
    peak_mb, refused = peak_memory_mb(lambda: [None for _ in SessionRecord(path).batches()], ConfigError)
    assert str(refused).startswith(f"{path}, after line ")
    assert peak_mb < 150


def test_a_line_too_large_for_a_reader_leaves_a_hole(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(
        packed([[("session", HEAD), ("alert", ZERO_NS, 20, "x" * (MAX_BATCH_BYTES + 1)), ("alert", ZERO_NS, 20, "y")]])
    )
    assert read(path)[0] == [("hole", 1), ("alert", 0, 20, "y")]


def test_a_batch_is_cut_where_a_reader_would_refuse_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (writer, reader):
        monkeypatch.setattr(module, "MAX_BATCH_BYTES", 1 << 20)
    path = tmp_path / NAME
    long = Random(1).randbytes(400_000).hex()  # two do not fit in a batch, and they hardly shrink
    path.write_bytes(packed([[("session", HEAD), *[("alert", ZERO_NS, 20, long)] * 4]]))
    assert read(path) == ([("alert", 0, 20, long)] * 4, None)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        SessionRecord(tmp_path / NAME)
