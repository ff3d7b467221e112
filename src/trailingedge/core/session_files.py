"""Session files: the names of logs and records, their parts, and their deletion by age and by total size.

Each session writes one file of each kind, named by the time at which it began. A file that grows too large is continued
in numbered parts. Logs and records each have a size limit: the files of the oldest sessions are deleted first, then the
middle parts of the current session.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_TIME_FORMAT: Final = "%Y-%m-%d_%H-%M-%S"
_PREFIX: Final = "trailingedge_"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SessionFile:
    """One file of a session. `part` counts from 1; the file name of part 1 has no number."""

    path: Path
    session: str
    started: datetime
    part: int

    @property
    def size(self) -> int:
        """The size in bytes; 0 if the file was deleted in the meantime."""
        try:
            return self.path.lstat().st_size
        except OSError:
            return 0


class SessionFiles:
    """All session files of one kind, such as logs. The suffix of a file name shows the kind."""

    def __init__(self, suffix: str) -> None:
        self.suffix = suffix
        self._name = re.compile(
            rf"({_PREFIX}(\d{{4}}-\d\d-\d\d_\d\d-\d\d-\d\d))(?:\.part(\d{{1,9}}))?{re.escape(suffix)}", re.ASCII
        )

    def name(self, started: datetime) -> str:
        """Return the name of the first file of a session that started at `started`."""
        return f"{_PREFIX}{started.astimezone(UTC):{_TIME_FORMAT}}{self.suffix}"

    def part_path(self, first: Path, part: int) -> Path:
        """Return the path of part number `part` of the session whose first file is `first`."""
        if part == 1:
            return first
        return first.with_name(f"{first.name.removesuffix(self.suffix)}.part{part}{self.suffix}")

    def all_in(self, folder: Path) -> list[SessionFile]:
        """Return all files in `folder`: oldest session first, and each session by part."""
        found = filter(None, map(self._parse_name, folder.glob(f"{_PREFIX}*{self.suffix}")))
        return sorted(found, key=lambda each: (each.started, each.session, each.part))

    def parts_of(self, first: Path) -> list[tuple[int, Path]]:
        """Return number and path of each part of the session whose first file is `first`."""
        name = first.name.removesuffix(self.suffix)
        later = [each for each in self.all_in(first.parent) if each.session == name and each.part > 1]
        return [(1, first), *((each.part, each.path) for each in later)]

    def delete_older(self, folder: Path, before: datetime) -> None:
        """Delete the files of sessions that started before `before`."""
        for each in self.all_in(folder):
            if each.started < before:
                _delete(each)

    def limit_total_size(self, folder: Path, max_bytes: int, current: Path) -> list[Path]:
        """Delete files until all together have at most `max_bytes`. Returns the paths of those deleted.

        The oldest other sessions go first, then middle parts of the current session. Its first file
        stays, because a reader needs the start. Its newest file stays, because it is being written.
        """
        deleted = []
        kept = self.all_in(folder)
        total = sum(each.size for each in kept)
        for each in [*self._files_of_other_sessions(kept, current), *self._middle_parts(kept, current)]:
            if total <= max_bytes:
                break
            total -= each.size
            if _delete(each):
                deleted.append(each.path)
        return deleted

    def _files_of_other_sessions(self, kept: Sequence[SessionFile], current: Path) -> list[SessionFile]:
        """Return the files of other sessions, oldest session first. Within a session the last part comes first."""
        # Deleting from the end leaves a file that is cut off, deleting from the start a useless one.
        others = [each for each in kept if each.session != self._session_name(current)]
        return sorted(others, key=lambda each: (each.started, each.session, -each.part))

    def _middle_parts(self, kept: Sequence[SessionFile], current: Path) -> list[SessionFile]:
        """The parts of the current session between its first and its newest."""
        ours = [each for each in kept if each.session == self._session_name(current)]
        return [each for each in ours[1:-1] if each.path != current]

    def _session_name(self, path: Path) -> str:
        found = self._name.fullmatch(path.name)
        return "" if found is None else found[1]

    def _parse_name(self, path: Path) -> SessionFile | None:
        found = self._name.fullmatch(path.name)
        if found is None:
            return None
        try:
            # Without `strptime`, which loads a module that a daemon has no other use for.
            year, month, day, hour, minute, second = map(int, re.split("[-_]", found[2]))
            started = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            return None
        return SessionFile(path, found[1], started, int(found[3] or 1))


def _delete(each: SessionFile) -> bool:
    try:
        each.path.unlink()
    except OSError as error:
        logger.warning("old session file could not be deleted path=%s reason=%s", each.path, error)
        return False
    return True
