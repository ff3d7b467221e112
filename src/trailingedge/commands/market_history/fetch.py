"""Fetch: downloads one span of history into a folder, from the archive or the WebSocket API, until it is complete or
Ctrl-C.

Raises KeyboardInterrupt at Ctrl-C or SIGTERM. Verified files stay, and the same command continues with the rest.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from trailingedge.commands.checks.check_target import CheckTools
from trailingedge.commands.market_history.archive_client import open_client
from trailingedge.commands.market_history.archive_download import ArchiveDownload, FileOutcome, FileState
from trailingedge.commands.market_history.archive_layout import months
from trailingedge.commands.market_history.fetched_history import FetchedHistory
from trailingedge.commands.market_history.history_span import HistorySpan, days_between, utc_day
from trailingedge.commands.market_history.kline_download import KlineDownload
from trailingedge.core import private_files
from trailingedge.core.background_threads import DaemonThreadExecutor
from trailingedge.core.bounded_files import megabytes
from trailingedge.core.errors import ConfigError, most_severe
from trailingedge.report.progress import ProgressBar, stop_on_ctrl_c
from trailingedge.simulator.feeds.csv_schemas import CsvSchema

_LOOK_S: Final = 0.1  # between two looks whether to stop


@dataclass(frozen=True, slots=True)
class HistorySource:
    """The source of the history: the WebSocket API if its address is set, else the archive."""

    archive_url: str
    ws_api_url: str | None = None
    tools: CheckTools = field(default_factory=CheckTools)


def fetch_history(span: HistorySpan, folder: Path, source: HistorySource, bar: ProgressBar) -> FetchedHistory:
    """Fetch the files that are not there yet, and return which files are there afterwards.

    Raises ConfigError or ExchangeUnreachable if the source cannot be used, and KeyboardInterrupt at Ctrl-C.
    """
    with stop_on_ctrl_c() as stopped:
        try:
            private_files.make_folder(folder)
            history = asyncio.run(_until_stopped(_fetch(span, folder, source, bar), stopped))
        except OSError as error:
            where = error.filename or folder
            raise ConfigError([f"{where}: {error.strerror or error}; make room, or choose another --dir"]) from error
        finally:
            bar.close()
    if history is None:
        raise KeyboardInterrupt
    return history


async def _until_stopped(
    job: Coroutine[Any, Any, FetchedHistory], stopped: Callable[[], bool]
) -> FetchedHistory | None:
    """Return the result of `job`. If `stopped` becomes true, cancel `job` and return None."""
    task = asyncio.create_task(job)
    while not task.done():
        await asyncio.wait([task], timeout=_LOOK_S)
        if stopped() and not task.done():
            task.cancel()
            await asyncio.wait([task])
            return None
    return task.result()


async def _fetch(span: HistorySpan, folder: Path, source: HistorySource, bar: ProgressBar) -> FetchedHistory:
    # A name lookup that hangs keeps its thread; the end of the command must not wait for it.
    asyncio.get_running_loop().set_default_executor(DaemonThreadExecutor())
    today = utc_day(source.tools.clock.unix_ms())
    progress = _Progress(bar, span.symbol, sum(len(month.days) for month in months(span, today)))
    try:
        if source.ws_api_url is not None:
            outcomes = await KlineDownload(source.ws_api_url, folder, source.tools, progress.on_outcome).run(
                span, today
            )
        else:
            async with open_client(source.archive_url, source.tools.clock) as client:
                download = ArchiveDownload(client, folder, progress.on_bytes, progress.on_outcome)
                outcomes = await download.run(span, today)
    except BaseExceptionGroup as group:
        raise most_severe(group) from group
    _raise_if_nothing(span, outcomes)
    return FetchedHistory(span, folder, outcomes, today)


def _raise_if_nothing(span: HistorySpan, outcomes: Sequence[FileOutcome]) -> None:
    """Raise ConfigError if the source has no file of the span at all, because the symbol or the days are wrong."""
    if any(outcome.state is not FileState.MISSING for outcome in outcomes):
        return
    remedy = "check symbol and days"
    if not outcomes:
        remedy = "choose days before today: a day is published after it has ended"
    elif span.kind is CsvSchema.BOOK_TICKER:
        remedy = "Binance publishes no bookTicker files of spot markets; choose --kind trades"
    raise ConfigError([f"{span.text}: nothing is published; {remedy}"])


class _Progress:
    """Shows for how many days the download is finished, and how many bytes were fetched for them."""

    def __init__(self, bar: ProgressBar, symbol: str, days: int) -> None:
        self._bar = bar
        self._symbol = symbol
        self._days = max(1, days)
        self._done = 0
        self._bytes = 0
        self._draw()

    def on_bytes(self, count: int) -> None:
        self._bytes += count
        self._draw()

    def on_outcome(self, outcome: FileOutcome) -> None:
        self._done += len(days_between(outcome.file.first, outcome.file.last))
        self._draw()

    def _draw(self) -> None:
        days = f"{self._done} of {self._days} days"
        self._bar.show(self._done / self._days, f"{self._symbol}: {days}, {megabytes(self._bytes)} fetched")
