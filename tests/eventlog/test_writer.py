"""Tests of the record writer: a slow or full disk costs marked lines, never a trading tick."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.eventlog.record_builders import HEAD, NAME, frames
from tests.limits import PATIENCE_S

from trailingedge.core import background_threads
from trailingedge.core.background_threads import Sink
from trailingedge.eventlog import writer as module
from trailingedge.eventlog.format import RECORD_FILES, SUFFIX, FrameBatch
from trailingedge.eventlog.line_decoder import decode
from trailingedge.eventlog.reader import SessionRecord
from trailingedge.eventlog.writer import GzipPacker, MemoryRecord, RecordWriter, open_record_file

NOW = datetime(2026, 7, 2, 14, 47, tzinfo=UTC)
LONG_AGO = f"trailingedge_2026-01-01_00-00-00{SUFFIX}"


def read(path: Path) -> tuple[list[tuple[object, ...]], str | None]:
    record = SessionRecord(path)
    return [decode(line) for batch in record.batches() for line in batch], record.incomplete_reason


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_EVERY_S", 0.005)
    monkeypatch.setattr(background_threads, "CLOSE_TIMEOUT_S", 60.0)  # however busy the machine is


class Disk:
    """A file that raises while it is full and takes only a few bytes per write."""

    def __init__(self, path: Path) -> None:
        self.full = False
        self.bite = 100
        self.asked = threading.Event()
        self._file = path.open("wb", buffering=0)

    def write(self, data: bytes, /) -> int | None:
        self.asked.set()
        if self.full:
            raise OSError(28, "No space left on device")
        return self._file.write(data[: self.bite])

    def close(self) -> None:
        self._file.close()


def open_disk(tmp_path: Path) -> tuple[RecordWriter, Disk]:
    disks: list[Disk] = []

    def opened(path: Path) -> Sink:
        disks.append(Disk(path))
        return disks[-1]

    return RecordWriter(open_record_file(tmp_path / NAME, 100, NOW, 0, opened)), disks[0]


def test_entries_are_in_the_file_in_order(tmp_path: Path) -> None:
    taking = RecordWriter(open_record_file(tmp_path / NAME, 100, NOW, 0))
    for entry in [("session", HEAD), *frames(5000)]:
        taking.add(entry)
    taking.close()
    lines, trouble = read(tmp_path / NAME)
    assert trouble is None
    assert [line[1] for line in lines] == list(range(5000))


def test_frames_of_a_flood_faster_than_compression_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_EVERY_S", 60.0)
    taking = RecordWriter(open_record_file(tmp_path / NAME, 100, NOW, 0))
    taking.add(("session", HEAD))
    page = FrameBatch([b"x" * 1_049] * 100)
    room = module.MOST_HEAVY // page.size_bytes
    for _ in range(room + 2):
        taking.add(("<", 5_000_000_005, 1, page))
    taking.add(("<", 5_000_000_006, 1, [b"y"]))
    monkeypatch.setattr(background_threads, "CLOSE_TIMEOUT_S", 10.0)
    taking.close()
    kinds = [str(entry[0]) for entry in read(tmp_path / NAME)[0]]
    assert kinds == [*["<", *["+"] * 99] * room, "skipped", "skipped", "<"]


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    RecordWriter(open_record_file(tmp_path / NAME, 100, NOW, 0)).close()
    assert (tmp_path / NAME).stat().st_mode & 0o077 == 0


def test_a_link_in_the_place_of_a_record_or_its_part_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEGABYTE", 4000)
    monkeypatch.setattr(module, "_BATCH", 20)
    other = tmp_path / "other"
    other.write_text("kept")
    second = RECORD_FILES.part_path(tmp_path / NAME, 2)
    second.symlink_to(other)
    taking = RecordWriter(open_record_file(tmp_path / NAME, 1, NOW, 0))
    for entry in [("session", HEAD), *noisy(100)]:
        taking.add(entry)
    taking.close()
    third = RECORD_FILES.part_path(tmp_path / NAME, 3)
    assert (other.read_text(), third.stat().st_mode & 0o777) == ("kept", 0o600)
    (tmp_path / f"b{NAME}").symlink_to(other)
    with pytest.raises(FileExistsError):
        open_record_file(tmp_path / f"b{NAME}", 1, NOW, 0)


def test_entries_wait_while_the_disk_is_full(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    taking, disk = open_disk(tmp_path)
    disk.full = True
    for entry in [("session", HEAD), *frames(100)]:
        taking.add(entry)
    for _ in range(3):
        disk.asked.clear()
        assert disk.asked.wait(PATIENCE_S)
    disk.full = False
    taking.close()
    assert len(read(tmp_path / NAME)[0]) == 100
    assert [record.getMessage() for record in caplog.records] == [
        "session cannot be recorded for now reason=[Errno 28] No space left on device"
    ]


def test_a_flood_before_a_full_disk_is_counted_only_once(tmp_path: Path) -> None:
    taking, disk = open_disk(tmp_path)
    disk.bite = 1 << 20
    taking.add(("session", HEAD))
    page = FrameBatch([b"x" * 1_049] * 100)
    for _ in range(2 * module.MOST_HEAVY // page.size_bytes):
        disk.full = True
        disk.asked.clear()
        taking.add(("<", 5_000_000_005, 1, page))
        assert disk.asked.wait(PATIENCE_S)
        disk.full = False
        disk.asked.clear()
        assert disk.asked.wait(PATIENCE_S)
    taking.close()
    assert "skipped" not in {entry[0] for entry in read(tmp_path / NAME)[0]}


def test_dropped_entries_are_marked_in_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 50)
    taking, disk = open_disk(tmp_path)
    taking.add(("session", HEAD))
    assert disk.asked.wait(PATIENCE_S)
    disk.full = True
    entries = frames(200)
    for entry in entries[:100]:
        taking.add(entry)
    while len(taking._waiting) < 50:  # the thread has taken a batch before it met the disk
        for entry in entries[:50]:
            taking.add(entry)
    before = taking._left_out
    for entry in entries[100:130]:
        taking.add(entry)
    disk.full = False
    while len(taking._waiting) >= 50:
        disk.asked.clear()
        disk.asked.wait(0.1)
    for entry in entries[130:]:
        taking.add(entry)
        while len(taking._waiting) >= 50:
            disk.asked.wait(0.01)
    taking.close()
    lines, _ = read(tmp_path / NAME)
    place = lines.index(("hole", before + 30))
    assert [line[1] for line in lines[place + 1 :]] == list(range(130, 200))
    assert 100 not in [line[1] for line in lines[:place]]


def test_a_large_record_continues_in_parts_of_which_the_first_and_the_newest_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEGABYTE", 4000)
    monkeypatch.setattr(module, "_BATCH", 20)
    (tmp_path / LONG_AGO).write_bytes(b"x" * 3000)
    taking = RecordWriter(open_record_file(tmp_path / NAME, 1, NOW, 0))
    for entry in [("session", HEAD), *noisy(600)]:
        taking.add(entry)
    taking.close()
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert LONG_AGO not in sizes
    assert NAME in sizes
    assert sum(sizes.values()) <= 4000 + 500  # a batch more, of the last part
    newest = max(sizes, key=lambda name: (len(name), name))
    assert newest != NAME
    lines, trouble = read(tmp_path / NAME)
    assert lines
    assert trouble is not None
    assert "RECORD_MAX_MB" in trouble


def noisy(count: int) -> Iterator[tuple[object, ...]]:
    """Inputs that compress badly."""
    number = 1
    for n in range(count):
        number = number * 6364136223846793005 % 2**64
        yield "<", 5_000_000_000 + n, 1, (b'{"u":%d}' % number,)


def test_old_records_are_deleted_when_a_session_starts(tmp_path: Path) -> None:
    (tmp_path / LONG_AGO).write_bytes(b"x")
    RecordWriter(open_record_file(tmp_path / NAME, 100, NOW, 365)).close()
    assert (tmp_path / LONG_AGO).exists()
    (tmp_path / NAME).unlink()
    RecordWriter(open_record_file(tmp_path / NAME, 100, NOW, 30)).close()
    assert not (tmp_path / LONG_AGO).exists()


def test_a_secret_is_redacted_everywhere(tmp_path: Path) -> None:
    notebook = MemoryRecord()
    notebook.entries += [
        ("session", HEAD),
        ("alert", 5_000_000_000, 20, "key abcdefgh is revoked"),
        ("<", 5_000_000_000, 1, (b"abcdefgh",)),
    ]
    lines, _ = read(notebook.save(tmp_path / NAME, ["abcdefgh"]))
    assert lines == [("alert", 0, 20, "key [redacted] is revoked"), ("<", 0, 1, b"[redacted]")]


def test_after_each_batch_the_file_can_be_read_up_to_there(tmp_path: Path) -> None:
    packer = GzipPacker()
    with (tmp_path / NAME).open("wb") as file:
        file.write(packer.pack([("session", HEAD), *frames(3)]))
    lines, trouble = read(tmp_path / NAME)
    assert len(lines) == 3
    assert trouble is not None
