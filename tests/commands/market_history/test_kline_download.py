"""Klines of the WebSocket API become the files that the archive would have, from the embedded exchange as well."""

import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from trailingedge.commands.checks.check_target import CheckTools
from trailingedge.commands.market_history import verified_files
from trailingedge.commands.market_history.archive_download import FileOutcome, FileState
from trailingedge.commands.market_history.history_span import HistorySpan, start_ms
from trailingedge.commands.market_history.kline_download import ATTEMPTS, KlineDownload, zipped_klines
from trailingedge.core.errors import ConfigError, ExchangeUnreachable, SessionLost
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.csv_schemas import CsvSchema
from trailingedge.simulator.feeds.generated import GeneratedMarket
from trailingedge.simulator.feeds.inspection import inspect_files, missing_klines
from trailingedge.simulator.server import LoopbackExchange
from trailingedge.simulator.virtual_loop import VirtualClock, run_virtual
from trailingedge.websocket.socket_dialer import Socket

URL = "ws://127.0.0.1:1/ws-api/v3"
FIRST = date(2026, 7, 1)
TODAY = FIRST + timedelta(days=3)
NOW_MS = start_ms(TODAY) + 3_600_000


def span(days: int = 3, symbol: str = "ETHFDUSD", first: date = FIRST) -> HistorySpan:
    interval = "1m" if days == 1 else "15m"  # a day of minutes takes two pages
    return HistorySpan(symbol, CsvSchema.KLINES, interval, first, first + timedelta(days=days - 1))


class Fetched:
    """What a download from the embedded exchange did, and the exchange."""

    def __init__(self) -> None:
        self.outcomes: list[FileOutcome] = []
        self.dials = 0
        self.took_s = 0.0
        self.files: list[Path] = []

    @property
    def states(self) -> list[FileState]:
        return [outcome.state for outcome in self.outcomes]


def fetch(
    folder: Path,
    wanted: HistorySpan,
    prepare: Callable[[LoopbackExchange], None] = lambda _: None,
    refused_dials: int = 0,
) -> Fetched:
    """Fetch from the embedded exchange, which has three days of klines before the present day."""
    fetched = Fetched()

    async def live(clock: VirtualClock) -> None:
        market = GeneratedMarket(1, NOW_MS, history_minutes=(NOW_MS - start_ms(FIRST)) // 60_000)
        exchange = Exchange(ExchangeSpec().for_source(market), clock, {}, market.history)
        async with LoopbackExchange(exchange, market, clock, listen=False, latency_s=0.01) as loopback:
            prepare(loopback)

            async def dial(url: str) -> Socket:
                assert url == URL
                fetched.dials += 1
                if fetched.dials <= refused_dials:
                    raise SessionLost("connection refused")
                return await loopback.connect(url)

            download = KlineDownload(URL, folder, CheckTools(dial, clock), lambda _: None)
            try:
                fetched.outcomes = await download.run(wanted, TODAY)
            finally:
                fetched.took_s = clock.now_s()

    run_virtual(live, start_unix_ms=NOW_MS)
    fetched.files = [folder / outcome.file.name for outcome in fetched.outcomes if outcome.is_there]
    return fetched


def test_three_days_come_whole_and_are_kept_the_next_time(tmp_path: Path) -> None:
    fetched = fetch(tmp_path, span())
    assert fetched.states == [FileState.FETCHED] * 3
    assert all(map(verified_files.is_verified, fetched.files))
    inspections, problems = inspect_files(fetched.files)
    assert problems == []
    assert missing_klines(inspections) == []
    (first, *_, last) = inspections
    assert (first.runs[0][0], last.runs[-1][1]) == (start_ms(FIRST), start_ms(TODAY))
    again = fetch(tmp_path, span())
    assert again.states == [FileState.KEPT] * 3


def test_days_that_are_not_over_are_left_out_and_days_without_klines_are_missing(tmp_path: Path) -> None:
    fetched = fetch(tmp_path, span(6, first=FIRST - timedelta(days=1)))
    assert fetched.states == [FileState.MISSING, *[FileState.FETCHED] * 3]


def test_a_connection_that_is_refused_or_lost_is_opened_again(tmp_path: Path) -> None:
    def lose_a_reply(loopback: LoopbackExchange) -> None:
        loopback.hub.fault_injector.schedule("klines", "cut_after")

    fetched = fetch(tmp_path, span(1), lose_a_reply, refused_dials=2)
    assert fetched.states == [FileState.FETCHED]
    assert fetched.dials == 4


def test_an_exchange_that_stays_away_ends_the_run_with_its_address(tmp_path: Path) -> None:
    with pytest.raises(ExchangeUnreachable, match=f"{URL}: connection refused; check that"):
        fetch(tmp_path, span(), refused_dials=ATTEMPTS)


def test_a_ban_is_waited_for(tmp_path: Path) -> None:
    fetched = fetch(tmp_path, span(1), lambda loopback: loopback.exchange.weight_limiter.ban(NOW_MS + 40_000))
    assert fetched.states == [FileState.FETCHED]
    assert fetched.took_s >= 40.0


def test_a_symbol_that_the_exchange_does_not_list_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ETHXXX: the exchange does not list it"):
        fetch(tmp_path, span(1, "ETHXXX"))


@pytest.mark.parametrize(
    ("day", "times"),
    [
        pytest.param(date(2024, 12, 31), "1735689540000,1735689599999", id="milliseconds"),
        pytest.param(date(2025, 1, 1), "1735689540000000,1735689599999999", id="microseconds from 2025"),
    ],
)
def test_a_row_has_the_columns_and_the_unit_of_the_archive(tmp_path: Path, day: date, times: str) -> None:
    row = ["1735689540000", "1.0", "1.2", "0.9", "1.1", "5", "1735689599999", "5.5", "7", "2", "2.2", "0"]
    path = tmp_path / "X-1m.zip"
    path.write_bytes(zipped_klines("X-1m", [row], day))
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["X-1m.csv"]
        opened, closed = times.split(",")
        assert archive.read("X-1m.csv").decode() == f"{opened},1.0,1.2,0.9,1.1,5,{closed},5.5,7,2,2.2,0\n"
