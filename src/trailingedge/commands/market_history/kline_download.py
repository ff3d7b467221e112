"""Kline download: queries the klines of each day from the WebSocket API, and writes files in the form of the archive's.

No key is needed. Each file holds one day in the columns of Binance's kline files, and its checksum is written beside
it, so the next run keeps it. As in the archive, times are in microseconds from 2025 on, in milliseconds before.
"""

import io
import zipfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

from trailingedge.commands.checks.check_target import CheckTools
from trailingedge.commands.checks.short_session import open_session
from trailingedge.commands.market_history import verified_files
from trailingedge.commands.market_history.archive_download import FileOutcome, FileState, OnOutcome
from trailingedge.commands.market_history.archive_layout import day_file
from trailingedge.commands.market_history.history_span import HistorySpan, start_ms
from trailingedge.commands.market_history.verified_files import FileInUse
from trailingedge.core.errors import (
    ConfigError,
    ExchangeUnreachable,
    OutcomeUnknown,
    ProtocolViolation,
    RequestRefused,
    SessionLost,
)
from trailingedge.core.time_units import DAY_MS
from trailingedge.reconciliation.history_loader import TRANSIENT_CODES
from trailingedge.websocket import market_fetch
from trailingedge.websocket.account import ServerClock
from trailingedge.websocket.api_client import RequestCaller
from trailingedge.websocket.error_codes import UNKNOWN_SYMBOL_CODES

ATTEMPTS: Final = 5
_LONGEST_WAIT_S: Final = 300.0
_UNSAID_WAIT_S: Final = 10.0
_MICROSECONDS_FROM: Final = date(2025, 1, 1)
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)  # the same content gives the same file


class KlineDownload:
    """Fetches the days of a span one after the other over one connection, which is opened again when it is lost."""

    def __init__(self, url: str, folder: Path, tools: CheckTools, on_outcome: OnOutcome) -> None:
        self._url = url
        self._folder = folder
        self._tools = tools
        self._on_outcome = on_outcome
        self._failed = 0

    async def run(self, span: HistorySpan, today: date) -> list[FileOutcome]:
        """Fetch the missing days of a span, up to yesterday. Returns the outcome for each day.

        Raises ConfigError for an unknown symbol, ExchangeUnreachable after five failures in a row, and OSError.
        """
        outcomes: dict[date, FileOutcome] = {}
        wanted = [day for day in span.days if day < today]
        while len(outcomes) < len(wanted):
            try:
                async with open_session(self._url, self._tools, ServerClock(self._tools.clock)) as api:
                    for day in wanted:
                        if day not in outcomes:
                            outcomes[day] = await self._day(api, span, day)
                            self._on_outcome(outcomes[day])
                            self._failed = 0
            except (SessionLost, OutcomeUnknown, ProtocolViolation) as error:
                await self._wait_after(str(error), getattr(error, "wait_s", 0.0))
            except RequestRefused as refused:
                if refused.code in UNKNOWN_SYMBOL_CODES:
                    raise ConfigError([f"{span.symbol}: the exchange does not list it; check the symbol"]) from refused
                if refused.code not in TRANSIENT_CODES:
                    raise ConfigError([f"{span.text}: the exchange refuses the request ({refused})"]) from refused
                wait_s = refused.wait_s(self._tools.clock.unix_ms()) or _UNSAID_WAIT_S
                await self._wait_after(str(refused), wait_s)
        return [outcomes[day] for day in wanted]

    async def _day(self, api: RequestCaller, span: HistorySpan, day: date) -> FileOutcome:
        file = day_file(span, day)
        path = self._folder / file.name
        if verified_files.is_verified(path):
            return FileOutcome(file, FileState.KEPT)
        from_ms = start_ms(day)
        rows = await market_fetch.kline_cells_between(api, span.symbol, span.interval, from_ms, from_ms + DAY_MS - 1)
        if not rows:
            return FileOutcome(file, FileState.MISSING)
        try:
            with verified_files.open_part(path) as part:
                part.restart()
                part.append(zipped_klines(path.stem, rows, day))
                part.publish(None)
        except FileInUse as error:
            return FileOutcome(file, FileState.FAILED, str(error))
        return FileOutcome(file, FileState.FETCHED)

    async def _wait_after(self, reason: str, asked_s: float) -> None:
        self._failed += 1
        if self._failed == ATTEMPTS or asked_s > _LONGEST_WAIT_S:
            remedy = "check that this machine is online, and run the same command again"
            where = "" if self._url in reason else f"{self._url}: "
            raise ExchangeUnreachable(f"{where}{reason}; {remedy}")
        await self._tools.clock.sleep(max(asked_s, 2.0 ** (self._failed - 1)))


def zipped_klines(name: str, rows: Sequence[Sequence[str]], day: date) -> bytes:
    """Return a zip archive with one kline file, `name`.csv. `rows` have their times in milliseconds."""
    lines = "".join(",".join(_in_file_units(row, day)) + "\n" for row in rows)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{name}.csv", _ZIP_TIME), lines, zipfile.ZIP_DEFLATED, 9)
    return packed.getvalue()


def _in_file_units(row: Sequence[str], day: date) -> list[str]:
    if day < _MICROSECONDS_FROM:
        return list(row)
    # The last microsecond of a kline, where the API gives its last millisecond.
    return [f"{row[0]}000", *row[1:6], f"{row[6]}999", *row[7:]]
