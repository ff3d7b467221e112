"""Market files with lengths and numbers that must not be believed: left out or refused, in little memory."""

import os
import re
import struct
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest
from tests.peak_memory import peak_memory_mb

from trailingedge.backtest.candles import MOST_CANDLES_IN_A_GAP, CandleBuilder
from trailingedge.backtest.market_split import segments_of
from trailingedge.core.errors import ConfigError
from trailingedge.core.time_units import DAY_MS, MINUTE_MS, SECOND_MS
from trailingedge.simulator.feeds.candle_path import StraightPath
from trailingedge.simulator.feeds.columns import Columns
from trailingedge.simulator.feeds.csv_files import LONGEST_LINE
from trailingedge.simulator.feeds.historical import open_market
from trailingedge.simulator.feeds.market_loader import load_columns

START_MS: Final = 1_700_000_040_000  # a full minute
NAME: Final = "ETHUSDT-1m-2023-11.csv"
HEADER: Final = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy,taker_buy_quote,ignore\n"


def kline(
    number: int, open_ms: object = None, close_ms: object = None, price: str = "10.5", volume: str = "1.5"
) -> str:
    opened = START_MS + number * MINUTE_MS if open_ms is None else open_ms
    closed = START_MS + (number + 1) * MINUTE_MS - 1 if close_ms is None else close_ms
    return f"{opened},10.5,{price},10.5,10.5,{volume},{closed},0,0,0,0,0\n"


def trade(
    number: int, time_ms: object = None, price: str = "10.5", quantity: str = "1", trade_id: object = None
) -> str:
    moment = START_MS + number if time_ms is None else time_ms
    return f"{number + 1 if trade_id is None else trade_id},{price},{quantity},0,{moment},True,True\n"


def written(folder: Path, text: str, name: str = NAME) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


UNREADABLE: Final = {
    "an exponent for a price": (kline(0) + kline(1, price="1e999999"), "line 2: '1e999999' is no number"),
    "a small exponent": (kline(0) + kline(1, price="1e5"), "line 2: '1e5' is no number"),
    "an exponent for a volume": (kline(0) + kline(1, volume="1e999999"), "line 2: '1e999999' is no number"),
    "underscores": (kline(0) + kline(1, volume="1_0"), "line 2: '1_0' is no number"),
    "spaces": (kline(0) + kline(1, price=" 10.5"), "line 2: ' 10.5' is no number"),
    "a time with underscores": (kline(0, open_ms=f"{START_MS:_}"), "line 1: '1_700_000_040_000' is no time"),
    "digits of another script": (
        kline(0) + kline(1, price="１０.５"),
        r"line 2: '\\uff11\\uff10.\\uff15' is no number",
    ),
    "a time as a float": (
        kline(0, open_ms=f"{START_MS}.0") + kline(1),
        "line 1: '1700000040000.0' is no time",
    ),
    "a time as a date": (
        kline(0, open_ms="2023-11-14 22:14:00") + kline(1),
        "line 1: '2023-11-14 22:14:00' is no time",
    ),
    "a missing number": (kline(0, open_ms="nan") + kline(1), "line 1: 'nan' is no time"),
    "a close centuries away": (kline(0, close_ms=4_000_000_000_000), "line 1: not a kline: opens 17000000"),
    "a close in the year 5000": (kline(0, close_ms=95_617_584_000_000), "line 1: '95617584000000' is no time"),
    "a line without an end": (
        kline(0) + "1" * 100_000 + "\n",
        f"line 2: only 1 column .*more than {LONGEST_LINE} characters",
    ),
    "a trade with a negative number": (trade(0) + trade(1, trade_id=-7), "line 2: -7 is no id"),
    "a trade at an exponent": (trade(0) + trade(1, price="1e999999"), "line 2: '1e999999' is no number"),
    "an amount with an exponent": (trade(0) + trade(1, quantity="1e6"), "line 2: '1e6' is no number"),
    "a trade at a float time": (trade(0) + trade(1, time_ms="1.7e12"), "line 2: '1.7e12' is no time"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_row_that_cannot_be_read_is_left_out_and_told_with_its_line(tmp_path: Path, case: str) -> None:
    text, words = UNREADABLE[case]
    rest = "".join((trade if text.startswith(trade(0)) else kline)(number) for number in range(2, 5))
    (bad,) = (row for row in text.splitlines(keepends=True) if row not in (kline(0), kline(1), trade(0)))
    usual = list(open_market([written(tmp_path, (text + rest).replace(bad, ""))]))
    market = open_market([written(tmp_path, text + rest)])
    (told,) = (gap for gap in market.gaps if "missing" not in gap)
    assert re.fullmatch(rf"{NAME}: 1 of [345] rows left out, which cannot be read; {words}.*", told)
    assert list(market) == usual


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_file_whose_rows_cannot_be_read_is_refused_with_file_and_line(tmp_path: Path, case: str) -> None:
    text, words = UNREADABLE[case]
    (bad,) = (row for row in text.splitlines(keepends=True) if row not in (kline(0), kline(1), trade(0)))
    with pytest.raises(ConfigError, match=rf"{NAME}, line 1: .*|{NAME}, {words}"):
        open_market([written(tmp_path, text + 3 * bad)])


REFUSED: Final = {
    "a gap of centuries": (kline(0) + kline(0, 4_000_000_000_000, 4_000_000_059_999), "line 2: no rows for more than"),
    "a price finer than others are large": (
        kline(0, price="99999999999999999999") + kline(1, price="10.50000000000000000001"),
        "line 1: a price of 1e.20 in a market with 20 decimals",
    ),
    "trades centuries apart": (trade(0) + trade(1, time_ms=4_000_000_000_000), "line 2: no rows for more than a year"),
    "quotes centuries apart": (
        f"1,10,1,11,1,{START_MS},{START_MS}\n2,10,1,11,1,4000000000000,4000000000000\n",
        "line 2: no rows for more than a year",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_market_that_cannot_be_played_is_refused_with_file_and_line(tmp_path: Path, case: str) -> None:
    text, words = REFUSED[case]
    with pytest.raises(ConfigError, match=rf"{NAME}, {words}"):
        list(open_market([written(tmp_path, text)]))


@pytest.mark.parametrize("header", ["", HEADER, HEADER.replace("open_time", '"Open time"')])
def test_only_a_row_of_names_is_a_header(tmp_path: Path, header: str) -> None:
    market = open_market([written(tmp_path, header + kline(0) + kline(1))])
    assert [columns.open_ms[0] for columns in load_columns(market) if hasattr(columns, "open_ms")] == [START_MS]


# Archives -------------------------------------------------------------------------------------


def packed(folder: Path, members: dict[str, str], method: int = zipfile.ZIP_DEFLATED) -> Path:
    path = folder / "ETHUSDT-1m-2023-11.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def test_what_a_mac_packs_beside_the_file_is_passed_over(tmp_path: Path) -> None:
    beside = {f"__MACOSX/._{NAME}": "\0\5\26\7Mac OS X", f"._{NAME}": "\0\5\26\7"}
    path = packed(tmp_path, {NAME: kline(0), **beside})
    assert [file.member for file in open_market([path]).files.files] == [NAME]


def test_an_archive_of_an_unknown_version_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path, {NAME: kline(0)})
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, data.index(b"PK\1\2") + 6, 99)  # "version needed to extract"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"is no zip archive that can be read \(zip file version 9.9\); download"):
        open_market([path])


def test_an_archive_that_is_not_deflated_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be unpacked .packed by another method than deflate"):
        open_market([packed(tmp_path, {NAME: kline(0)}, zipfile.ZIP_LZMA)])


def test_a_line_that_unpacks_to_gigabytes_is_refused_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "ETHUSDT-1m-2023-11.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(NAME, "w") as member,
    ):
        member.write(kline(0).encode())
        for _ in range(200):
            member.write(b"1" * (1 << 20))
    peak_mb, refused = peak_memory_mb(lambda: open_market([path]), ConfigError)
    assert "line 2" in str(refused)
    assert peak_mb < 20


def test_a_sparse_file_of_gigabytes_is_refused_in_little_memory(tmp_path: Path) -> None:
    path = written(tmp_path, kline(0))
    os.truncate(path, 10 << 30)
    peak_mb, refused = peak_memory_mb(lambda: open_market([path]), ConfigError)
    assert "line 2" in str(refused)
    assert peak_mb < 20


# Gaps -----------------------------------------------------------------------------------------


def test_a_gap_of_millions_of_candles_is_refused(tmp_path: Path) -> None:
    later_ms = START_MS + 200 * DAY_MS
    market = open_market([written(tmp_path, kline(0) + kline(0, later_ms, later_ms + MINUTE_MS - 1))])
    candles = CandleBuilder(SECOND_MS)
    columns: list[Columns] = list(load_columns(market))
    *_, before, after = (each for each in segments_of(columns, DAY_MS, StraightPath()) if each.prices is not None)
    candles.closed_by(before)
    with pytest.raises(ConfigError, match=f"at most {MOST_CANDLES_IN_A_GAP} .*longer KLINE_INTERVAL"):
        candles.closed_by(after)


def test_a_large_price_within_the_bounds_is_read(tmp_path: Path) -> None:
    market = open_market([written(tmp_path, kline(0, price="99999999999999999"))])
    assert market.tick_size == Decimal("0.1")
    assert list(market)
