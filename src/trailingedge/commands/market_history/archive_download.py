"""Archive download: fetches the files of a span, several at a time. Each is verified before it gets its final name.

A whole month is fetched as one file if the archive has a file of that month, else as one file per day. Verified files
that are in the folder already are kept. If the archive does not have a file, that is reported and is no error: the
other files are still fetched.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Final

from trailingedge.commands.market_history import verified_files
from trailingedge.commands.market_history.archive_client import ArchiveClient, ArchiveRefused
from trailingedge.commands.market_history.archive_layout import ArchiveFile, SpanMonth, months
from trailingedge.commands.market_history.history_span import HistorySpan
from trailingedge.commands.market_history.verified_files import FileInUse

SIDE_BY_SIDE: Final = 4
_WRONG_SUMS: Final = 3


class FileState(Enum):
    """The outcome for one file."""

    KEPT = "kept"
    FETCHED = "fetched"
    MISSING = "missing"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """The outcome for one file; `reason` says why it failed."""

    file: ArchiveFile
    state: FileState
    reason: str = ""

    @property
    def is_there(self) -> bool:
        """Whether the file is in the folder now."""
        return self.state in (FileState.KEPT, FileState.FETCHED)


OnOutcome = Callable[[FileOutcome], None]
"""Is told of each file that is done."""


class ArchiveDownload:
    """Fetches files into one folder. `on_bytes` is called for each piece that arrives, `on_outcome` for each file."""

    def __init__(
        self, client: ArchiveClient, folder: Path, on_bytes: Callable[[int], None], on_outcome: OnOutcome
    ) -> None:
        self._client = client
        self._folder = folder
        self._on_bytes = on_bytes
        self._on_outcome = on_outcome
        self._places = asyncio.Semaphore(SIDE_BY_SIDE)

    async def run(self, span: HistorySpan, today: date) -> list[FileOutcome]:
        """Fetch the missing files of a span. Returns the outcome for each file, in order of time.

        Raises an ExceptionGroup of ConfigError, ExchangeUnreachable and OSError.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._month(month)) for month in months(span, today)]
        return [outcome for task in tasks for outcome in task.result()]

    async def _month(self, month: SpanMonth) -> list[FileOutcome]:
        if month.whole is not None and not all(self._is_there(file) for file in month.days):
            outcome = await self._outcome(month.whole)
            if outcome.state is not FileState.MISSING:
                self._on_outcome(outcome)
                return [outcome]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._day(file)) for file in month.days]
        return [task.result() for task in tasks]

    async def _day(self, file: ArchiveFile) -> FileOutcome:
        outcome = await self._outcome(file)
        self._on_outcome(outcome)
        return outcome

    def _is_there(self, file: ArchiveFile) -> bool:
        return verified_files.is_verified(self._folder / file.name)

    async def _outcome(self, file: ArchiveFile) -> FileOutcome:
        async with self._places:
            if self._is_there(file):
                return FileOutcome(file, FileState.KEPT)
            try:
                return FileOutcome(file, await self._fetch(file))
            except (ArchiveRefused, FileInUse) as error:
                return FileOutcome(file, FileState.FAILED, str(error))

    async def _fetch(self, file: ArchiveFile) -> FileState:
        path = self._folder / file.name
        for _ in range(_WRONG_SUMS):
            # Asked for again after a wrong sum: the archive replaces files in which a mistake was found.
            expected = await self._client.fetch_sum(file)
            if expected is None:
                return FileState.MISSING
            if verified_files.has_sum(path, expected):
                verified_files.write_sum(path, expected)
                return FileState.KEPT
            with verified_files.open_part(path) as part:
                if not await self._client.fetch(file, part, self._on_bytes):
                    return FileState.MISSING
                if part.publish(expected):
                    return FileState.FETCHED
                part.restart()
        raise ArchiveRefused(f"its content does not have the checksum {expected}, {_WRONG_SUMS} times in a row")
