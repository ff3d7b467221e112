"""Retention of record files: their names, and their deletion by age and by total size."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

# A record has the name of its session's log with another suffix; later parts have a number before it.
SUFFIX: Final = ".session.jsonl.gz"
_NAME: Final = re.compile(r"(trailingedge_(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d))(?:\.part(\d+))?" + re.escape(SUFFIX))
_TIME_FORMAT: Final = "%Y-%m-%d_%H-%M-%S"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RecordFile:
    """One file of a session record. `part` counts from 1; the first name has no number."""

    path: Path
    session: str
    started: datetime
    part: int

    @property
    def size(self) -> int:
        """The size in bytes; 0 if the file was deleted in the meantime."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0


def part_path(first: Path, part: int) -> Path:
    """Return the path of part number `part` of the session whose first file is `first`."""
    return first if part == 1 else first.with_name(f"{first.name.removesuffix(SUFFIX)}.part{part}{SUFFIX}")


def list_record_files(folder: Path) -> list[RecordFile]:
    """Return all record files in `folder`: oldest session first, and each session by part."""
    found = filter(None, map(_parse_file_name, folder.glob(f"trailingedge_*{SUFFIX}")))
    return sorted(found, key=lambda each: (each.started, each.session, each.part))


def list_parts(first: Path) -> list[tuple[int, Path]]:
    """Return number and path of each part of the session whose first file is `first`."""
    name = first.name.removesuffix(SUFFIX)
    later = [each for each in list_record_files(first.parent) if each.session == name and each.part > 1]
    return [(1, first), *((each.part, each.path) for each in later)]


def delete_older(folder: Path, before: datetime) -> None:
    """Delete the records of sessions that started before `before`."""
    for each in list_record_files(folder):
        if each.started < before:
            _delete(each)


def retention_cutoff(now: datetime, retention_days: int) -> datetime:
    """Sessions that started before this time are too old."""
    return now - timedelta(days=retention_days)


def limit_total_size(folder: Path, max_bytes: int, current: Path) -> None:
    """Delete files until all records together have at most `max_bytes`.

    The oldest other sessions go first, then middle parts of the current session. Its first file
    stays, because a replay needs the start. Its newest file stays, because it is being written.
    """
    kept = list_record_files(folder)
    total = sum(each.size for each in kept)
    for each in [*_files_of_other_sessions(kept, current), *_middle_parts(kept, current)]:
        if total <= max_bytes:
            return
        total -= each.size
        _delete(each)


def _files_of_other_sessions(kept: list[RecordFile], current: Path) -> Iterator[RecordFile]:
    """Return the files of other sessions: oldest session first, of each the last part first."""
    # Deleting from the end leaves a record that is cut off, deleting from the start one that is useless.
    others = [each for each in kept if each.session != _session_name(current)]
    return iter(sorted(others, key=lambda each: (each.started, each.session, -each.part)))


def _middle_parts(kept: list[RecordFile], current: Path) -> list[RecordFile]:
    """The parts of the current session between its first and its newest."""
    ours = [each for each in kept if each.session == _session_name(current)]
    return [each for each in ours[1:-1] if each.path != current]


def _session_name(path: Path) -> str:
    found = _NAME.fullmatch(path.name)
    return "" if found is None else found[1]


def _parse_file_name(path: Path) -> RecordFile | None:
    found = _NAME.fullmatch(path.name)
    if found is None:
        return None
    try:
        started = datetime.strptime(found[2], _TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
    return RecordFile(path, found[1], started, int(found[3] or 1))


def _delete(each: RecordFile) -> None:
    try:
        each.path.unlink()
    except OSError as error:
        logger.warning("old record could not be deleted path=%s reason=%s", each.path, error)
