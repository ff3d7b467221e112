"""Tests of session files: which are deleted, and in which order."""

from datetime import UTC, datetime
from pathlib import Path

from tests.eventlog.record_builders import NAME

from trailingedge.eventlog.format import RECORD_FILES


def file(folder: Path, name: str, size: int = 100) -> Path:
    path = folder / name
    path.write_bytes(b"x" * size)
    return path


def names(folder: Path) -> set[str]:
    return {
        path.name.removeprefix("trailingedge_2026-07-").removesuffix(".session.jsonl.gz") for path in folder.iterdir()
    }


def session(folder: Path, day: int, parts: int = 1, size: int = 100) -> Path:
    first = file(folder, f"trailingedge_2026-07-{day:02}_00-00-00.session.jsonl.gz", size)
    for part in range(2, parts + 1):
        file(folder, RECORD_FILES.part_path(first, part).name, size)
    return first


def test_a_later_part_has_its_number_in_the_name() -> None:
    assert RECORD_FILES.part_path(Path(NAME), 1) == Path(NAME)
    assert RECORD_FILES.part_path(Path(NAME), 12).name == "trailingedge_2026-07-02_14-47-00.part12.session.jsonl.gz"


def test_parts_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    first = session(tmp_path, 2, parts=11)
    session(tmp_path, 3, parts=2)
    assert [part for part, _ in RECORD_FILES.parts_of(first)] == list(range(1, 12))


def test_old_sessions_are_deleted_with_all_parts_and_nothing_else(tmp_path: Path) -> None:
    session(tmp_path, 1, parts=2)
    session(tmp_path, 2)
    file(tmp_path, "trailingedge_2026-07-01_00-00-00.log")
    file(tmp_path, "trailingedge_odd.session.jsonl.gz")
    RECORD_FILES.delete_older(tmp_path, datetime(2026, 7, 2, tzinfo=UTC))
    assert names(tmp_path) == {"02_00-00-00", "01_00-00-00.log", "trailingedge_odd"}


def test_the_oldest_sessions_are_deleted_first_and_their_last_parts_first(tmp_path: Path) -> None:
    session(tmp_path, 1, parts=3)
    session(tmp_path, 2)
    current = session(tmp_path, 3)
    RECORD_FILES.limit_total_size(tmp_path, 300, current)
    assert names(tmp_path) == {"01_00-00-00", "02_00-00-00", "03_00-00-00"}
    RECORD_FILES.limit_total_size(tmp_path, 150, current)
    assert names(tmp_path) == {"03_00-00-00"}


def test_a_single_session_keeps_its_first_and_its_newest_part(tmp_path: Path) -> None:
    first = session(tmp_path, 3, parts=6)
    RECORD_FILES.limit_total_size(tmp_path, 300, RECORD_FILES.part_path(first, 6))
    assert names(tmp_path) == {"03_00-00-00", "03_00-00-00.part5", "03_00-00-00.part6"}
    RECORD_FILES.limit_total_size(tmp_path, 10, RECORD_FILES.part_path(first, 6))
    assert names(tmp_path) == {"03_00-00-00", "03_00-00-00.part6"}


def test_other_files_are_no_session_files(tmp_path: Path) -> None:
    file(tmp_path, "trailingedge_2026-13-01_00-00-00.session.jsonl.gz")
    file(tmp_path, "other.session.jsonl.gz")
    assert RECORD_FILES.all_in(tmp_path) == []
