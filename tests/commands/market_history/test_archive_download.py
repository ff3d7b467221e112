"""Files come from the archive whole or not at all, whatever the archive and the network do."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Awaitable, Callable, Coroutine
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.commands.market_history.fake_archive import PAGE, Answer, FakeArchive, ImpatientClock, serving

from trailingedge.commands.market_history import verified_files
from trailingedge.commands.market_history.archive_client import ATTEMPTS, LONGEST_WAIT_S, open_client
from trailingedge.commands.market_history.archive_download import (
    SIDE_BY_SIDE,
    ArchiveDownload,
    FileOutcome,
    FileState,
)
from trailingedge.commands.market_history.archive_layout import day_file, months
from trailingedge.commands.market_history.history_span import HistorySpan
from trailingedge.core.errors import ConfigError, ExchangeUnreachable, most_severe
from trailingedge.simulator.feeds.csv_schemas import CsvSchema

FIRST = date(2025, 6, 2)
TODAY = date(2025, 8, 1)
CONTENT = bytes(range(256)) * 1000


def span(days: int = 1, first: date = FIRST) -> HistorySpan:
    return HistorySpan("ETHUSDT", CsvSchema.KLINES, "1m", first, first + timedelta(days=days - 1))


def archive_of(wanted: HistorySpan) -> FakeArchive:
    """An archive with every day of a span, and without files of months."""
    archive = FakeArchive()
    for number, day in enumerate(wanted.days):
        archive.put(day_file(wanted, day).path, CONTENT + bytes([number]))
    return archive


PATH = day_file(span(), FIRST).path
NAME = PATH.rsplit("/", 1)[1]


class Run:
    """What runs of a download did: the outcomes of the last one, its clock, and what the folder holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ImpatientClock()
        self.outcomes: list[FileOutcome] = []
        self.told: list[FileOutcome] = []
        self.received = 0
        self.has_received = asyncio.Event()

    async def fetch(self, archive: FakeArchive, wanted: HistorySpan | None = None) -> list[FileState]:
        def on_bytes(count: int) -> None:
            self.received += count
            if self.received >= 150_000:
                self.has_received.set()

        async with serving(archive) as url, open_client(url, self.clock) as client:
            download = ArchiveDownload(client, self.folder, on_bytes, self.told.append)
            try:
                self.outcomes = await download.run(wanted or span(), TODAY)
            except BaseExceptionGroup as group:
                raise most_severe(group) from group
        return [outcome.state for outcome in self.outcomes]

    def content(self, name: str = NAME) -> bytes | None:
        path = self.folder / name
        return path.read_bytes() if path.exists() else None


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


async def test_days_are_fetched_side_by_side_within_a_limit_and_verified(run: Run) -> None:
    wanted = span(9)
    archive = archive_of(wanted)
    archive.meet = SIDE_BY_SIDE
    assert await run.fetch(archive, wanted) == [FileState.FETCHED] * 9
    assert archive.most_at_once == SIDE_BY_SIDE
    assert all(verified_files.is_verified(run.folder / day_file(wanted, day).name) for day in wanted.days)
    assert [outcome.file.first for outcome in run.outcomes] == wanted.days
    assert len(run.told) == 9


async def test_what_is_there_and_verified_is_not_asked_for_again(run: Run) -> None:
    archive = archive_of(span())
    await run.fetch(archive)
    archive.asked.clear()
    assert await run.fetch(archive) == [FileState.KEPT]
    assert archive.asked == {}


async def test_a_file_without_its_sum_is_checked_against_the_archives(run: Run) -> None:
    archive = archive_of(span())
    await run.fetch(archive)
    verified_files.sum_path(run.folder / NAME).unlink()
    archive.asked.clear()
    assert await run.fetch(archive) == [FileState.KEPT]
    assert archive.asked == {f"{PATH}.CHECKSUM": 1}


async def test_a_damaged_file_is_fetched_again(run: Run) -> None:
    archive = archive_of(span())
    await run.fetch(archive)
    (run.folder / NAME).write_bytes(b"PK half")
    assert await run.fetch(archive) == [FileState.FETCHED]
    assert run.content() == archive.files[PATH]


async def test_a_day_that_the_archive_lacks_does_not_stop_the_others(run: Run) -> None:
    wanted = span(3)
    archive = archive_of(wanted)
    del archive.files[f"{day_file(wanted, wanted.days[1]).path}.CHECKSUM"]
    assert await run.fetch(archive, wanted) == [FileState.FETCHED, FileState.MISSING, FileState.FETCHED]
    assert len(os.listdir(run.folder)) == 4


async def test_a_whole_month_comes_as_one_file(run: Run) -> None:
    wanted = span(30, date(2025, 6, 1))
    archive = archive_of(wanted)
    (month,) = months(wanted, TODAY)
    assert month.whole is not None
    archive.put(month.whole.path, b"PK a month")
    assert await run.fetch(archive, wanted) == [FileState.FETCHED]
    assert set(archive.asked) == {month.whole.path, f"{month.whole.path}.CHECKSUM"}
    assert await run.fetch(archive, wanted) == [FileState.KEPT]


async def test_a_month_without_a_file_comes_day_by_day_and_then_is_complete(run: Run) -> None:
    wanted = span(30, date(2025, 6, 1))
    archive = archive_of(wanted)
    assert await run.fetch(archive, wanted) == [FileState.FETCHED] * 30
    archive.asked.clear()
    assert await run.fetch(archive, wanted) == [FileState.KEPT] * 30
    assert archive.asked == {}


@pytest.mark.parametrize("knows_ranges", [True, False])
async def test_a_transfer_that_is_cut_is_continued(run: Run, knows_ranges: bool) -> None:
    archive = archive_of(span())
    archive.knows_ranges = knows_ranges
    archive.plans[PATH] = [Answer(cut=100_000), Answer(cut=50_000)]
    assert await run.fetch(archive) == [FileState.FETCHED]
    assert run.content() == archive.files[PATH]
    assert archive.ranges == (["100000-", "150000-"] if knows_ranges else [])
    assert run.received == len(archive.files[PATH]) if knows_ranges else run.received > len(archive.files[PATH])
    assert run.clock.slept == [1.0, 2.0]


async def test_the_next_run_continues_where_a_killed_one_was(run: Run) -> None:
    archive = archive_of(span())
    (run.folder / f"{NAME}.part").write_bytes(archive.files[PATH][:200_000])
    assert await run.fetch(archive) == [FileState.FETCHED]
    assert archive.ranges == ["200000-"]
    assert run.content() == archive.files[PATH]
    assert not (run.folder / f"{NAME}.part").exists()


@pytest.mark.parametrize("part", [b"not the beginning", CONTENT + b"\0 and more than all", CONTENT + b"\0"])
async def test_a_part_that_does_not_fit_is_dropped_and_a_whole_one_is_taken(run: Run, part: bytes) -> None:
    archive = archive_of(span())
    (run.folder / f"{NAME}.part").write_bytes(part)
    assert await run.fetch(archive) == [FileState.FETCHED]
    assert run.content() == archive.files[PATH]


async def test_cuts_without_end_fail_this_file_alone_and_keep_its_part(run: Run) -> None:
    wanted = span(2)
    archive = archive_of(wanted)
    archive.plans[PATH] = [Answer(cut=10)] * ATTEMPTS
    assert await run.fetch(archive, wanted) == [FileState.FAILED, FileState.FETCHED]
    assert "the transfer was cut" in run.outcomes[0].reason or "peer closed" in run.outcomes[0].reason
    assert run.content() is None
    assert (run.folder / f"{NAME}.part").stat().st_size == 10 * ATTEMPTS
    assert run.clock.slept == [1.0, 2.0, 4.0, 8.0]


async def test_a_wrong_checksum_is_tried_again_and_never_gets_the_name(run: Run) -> None:
    archive = archive_of(span())
    archive.files[f"{PATH}.CHECKSUM"] = f"{hashlib.sha256(b'other').hexdigest()}  {NAME}\n".encode()
    assert await run.fetch(archive) == [FileState.FAILED]
    assert "does not have the checksum" in run.outcomes[0].reason
    assert archive.asked == {PATH: 3, f"{PATH}.CHECKSUM": 3}
    assert os.listdir(run.folder) == []


async def test_a_file_that_was_replaced_during_the_transfer_is_fetched_again(run: Run) -> None:
    archive = archive_of(span())
    right = archive.files[f"{PATH}.CHECKSUM"]
    old = f"{hashlib.sha256(b'old').hexdigest()}  {NAME}\n".encode()
    archive.plans[f"{PATH}.CHECKSUM"] = [Answer(body=old)]
    assert await run.fetch(archive) == [FileState.FETCHED]
    assert verified_files.sum_path(run.folder / NAME).read_bytes() == right


@pytest.mark.parametrize("path", [PATH, f"{PATH}.CHECKSUM"])
@pytest.mark.parametrize("times", [1, ATTEMPTS])
async def test_a_page_of_a_proxy_is_no_file(run: Run, path: str, times: int) -> None:
    archive = archive_of(span())
    archive.plans[path] = [Answer(body=PAGE, headers=(("Content-Type", "text/html; charset=utf-8"),))] * times
    assert await run.fetch(archive) == [FileState.FETCHED if times == 1 else FileState.FAILED]
    assert times == 1 or "a proxy may have answered" in run.outcomes[0].reason


@pytest.mark.parametrize("status", [429, 418])
async def test_too_many_requests_are_waited_for_as_long_as_asked(run: Run, status: int) -> None:
    archive = archive_of(span())
    archive.plans[PATH] = [Answer(status=status, headers=(("Retry-After", "7"),)), Answer(status=status)]
    assert await run.fetch(archive) == [FileState.FETCHED]
    # The pause of the attempt counts towards the wait; without a Retry-After it is a minute.
    assert sum(run.clock.slept) == 7.0 + 60.0


async def test_a_ban_ends_the_run_at_once_and_says_for_how_long(run: Run) -> None:
    archive = archive_of(span())
    archive.plans[PATH] = [Answer(status=418, headers=(("Retry-After", f"{LONGEST_WAIT_S + 1:.0f}"),))]
    with pytest.raises(ExchangeUnreachable, match="for 301 s; run the same command again"):
        await run.fetch(archive)
    assert run.clock.slept == []


async def test_an_archive_that_is_down_ends_the_run(run: Run) -> None:
    archive = archive_of(span())
    archive.plans[f"{PATH}.CHECKSUM"] = [Answer(status=503)] * ATTEMPTS
    with pytest.raises(ExchangeUnreachable, match=r"http://127.*HTTP 503, 5 times in a row; check that"):
        await run.fetch(archive)


async def test_a_redirect_is_not_followed(run: Run) -> None:
    archive = archive_of(span())
    archive.plans[f"{PATH}.CHECKSUM"] = [Answer(status=302, headers=(("Location", "https://elsewhere.example/"),))]
    with pytest.raises(ConfigError, match=r"BINANCE_ARCHIVE_URL .*elsewhere\.example is not followed"):
        await run.fetch(archive)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(Answer(status=403), "HTTP 403", id="forbidden"),
        pytest.param(Answer(headers=(("Content-Encoding", "gzip"),)), "compressed", id="compressed"),
    ],
)
async def test_a_refusal_fails_the_file_without_another_attempt(run: Run, answer: Answer, words: str) -> None:
    archive = archive_of(span())
    archive.plans[PATH] = [answer]
    assert await run.fetch(archive) == [FileState.FAILED]
    assert words in run.outcomes[0].reason
    assert archive.asked[PATH] == 1


async def test_a_file_beyond_all_size_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trailingedge.commands.market_history.archive_client.MOST_BYTES", 1 << 16)
    assert await run.fetch(archive_of(span())) == [FileState.FAILED]
    assert "larger than 64 kB" in run.outcomes[0].reason


async def during(fetch: Awaitable[object], act: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `act` beside `fetch`, to its end."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(act())
        await fetch
        await task


async def test_a_transfer_that_stalls_is_continued(run: Run) -> None:
    archive = archive_of(span())
    archive.plans[PATH] = [Answer(cut=1000, stalls=True)]

    async def wait() -> None:
        await archive.stalled.wait()
        while not archive.ranges:
            await run.clock.advance(31.0)

    await during(run.fetch(archive), wait)
    assert [outcome.state for outcome in run.outcomes] == [FileState.FETCHED]
    assert run.content() == archive.files[PATH]


async def test_an_interruption_leaves_a_part_from_which_the_next_run_continues(run: Run) -> None:
    archive = archive_of(span())
    archive.plans[PATH] = [Answer(cut=150_000, stalls=True)]
    task = asyncio.create_task(run.fetch(archive))
    await run.has_received.wait()
    part = run.folder / f"{NAME}.part"
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert os.listdir(run.folder) == [part.name]
    assert await run.fetch(archive) == [FileState.FETCHED]
    assert archive.ranges == ["150000-"]
