from collections.abc import Callable
from pathlib import Path

import pytest

from trailingedge.simulator.feeds.csv_schemas import CsvSchema
from trailingedge.simulator.feeds.inspection import (
    files_of_other_symbols,
    find_mismatches,
    grid_of_decimals,
    inspect_files,
    interval_name,
    missing_klines,
)

HOUR_MS = 3_600_000
START_MS = 1_609_459_200_000  # 2021-01-01 00:00 UTC
TRADE = "1,10.5,2,21,1723939200000,True,True\n"

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def hour(number: int, length_ms: int = HOUR_MS, prices: str = "10.50,11.00,10.25,10.75", volume: str = "3.10") -> str:
    open_ms = START_MS + number * HOUR_MS
    return f"{open_ms},{prices},{volume},{open_ms + length_ms - 1},0,0,0,0,0\n"


def hours(*numbers: int) -> str:
    return "".join(hour(number) for number in numbers)


def test_an_inspection_finds_schema_symbol_interval_and_grid(write: Write) -> None:
    (inspection,), problems = inspect_files([write("ethusdt-1h-2021.csv", hours(0, 1))])
    assert problems == []
    assert (inspection.schema, inspection.symbol, inspection.interval_ms) == (CsvSchema.KLINES, "ETHUSDT", HOUR_MS)
    assert (inspection.prices.decimals, inspection.quantities.decimals) == (2, 1)


def test_the_grid_is_the_finest_seen_anywhere(write: Write) -> None:
    text = hours(0, 1, 2) + hour(3, prices="10.5,11,10.125,10.75", volume="0.00010")
    (inspection,), _ = inspect_files([write("X.csv", text)])
    assert (inspection.prices.decimals, inspection.quantities.decimals) == (3, 4)


def test_files_are_put_in_order_of_time(write: Write) -> None:
    later, earlier = write("A-1h.csv", hours(5, 6)), write("B-1h.csv", hours(0, 1))
    inspections, _ = inspect_files([later, earlier])
    assert [inspection.file.path for inspection in inspections] == [earlier, later]


def test_everything_wrong_is_listed_at_once(write: Write, tmp_path: Path) -> None:
    _, problems = inspect_files([tmp_path / "gone.csv", write("bad.csv", "1,2\n"), write("A-1h.csv", hours(0))])
    assert len(problems) == 2


@pytest.mark.parametrize(
    ("texts", "gaps"),
    [
        pytest.param([hours(0, 1, 2)], [], id="none"),
        pytest.param(
            [hours(0, 1, 3)],
            ["1 1h kline missing: 2021-01-01 02:00 to 2021-01-01 03:00 UTC"],
            id="one hour",
        ),
        pytest.param(
            [hours(0, 1), hours(28)],
            ["26 1h klines missing: 2021-01-01 02:00 to 2021-01-02 04:00 UTC"],
            id="between files",
        ),
        pytest.param([hours(0, 2, 4), hours(1, 3)], [], id="files that fill each other's gaps"),
        pytest.param([hours(0, 1, 1, 0, 2)], [], id="duplicates are no gap"),
        pytest.param([hour(0) + hour(1, length_ms=2_454_774) + hour(2)], [], id="a kline closed early is no gap"),
        pytest.param(
            [hour(0) + hour(1, length_ms=2_454_774) + hour(3)],
            ["1 1h kline missing: 2021-01-01 02:00 to 2021-01-01 03:00 UTC"],
            id="the hour after a kline closed early",
        ),
        pytest.param([], [], id="no files"),
    ],
)
def test_missing_klines_are_described_in_sentences(write: Write, texts: list[str], gaps: list[str]) -> None:
    inspections, _ = inspect_files([write(f"ETHUSDT-1h-{number}.csv", text) for number, text in enumerate(texts)])
    assert missing_klines(inspections) == gaps


@pytest.mark.parametrize(
    ("files", "words"),
    [
        pytest.param(
            {"ETHUSDT-1h.csv": hours(0), "BTCUSDT-1h.csv": hours(1)}, "mixed symbols: BTCUSDT in", id="symbols"
        ),
        pytest.param(
            {"ETHUSDT-1h.csv": hours(0), "ETHUSDT-trades.csv": TRADE}, "mixed layouts: klines in", id="layouts"
        ),
        pytest.param(
            {"ETHUSDT-1h.csv": hours(0), "ETHUSDT-1m.csv": hour(1, length_ms=60_000)},
            "mixed kline intervals: 1h in",
            id="intervals",
        ),
    ],
)
def test_files_of_different_markets_do_not_mix(write: Write, files: dict[str, str], words: str) -> None:
    inspections, _ = inspect_files([write(name, text) for name, text in files.items()])
    (problem,) = find_mismatches(inspections)
    assert problem.startswith(words)
    assert problem.endswith("give the files of one market and one layout")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        pytest.param("ETHUSDT-1m-2025-06-01.zip", ["ETHUSDT"], id="a day"),
        pytest.param("ETHUSDT-1mo-2025-06.csv", ["ETHUSDT"], id="a month"),
        pytest.param("ETHUSDT-aggTrades-2025-06-01.zip", ["ETHUSDT"], id="trades"),
        pytest.param("ETHFDUSD-1m-2025-06-01.zip", [], id="the same"),
        pytest.param("mine-1m.csv", [], id="a name of one's own"),
    ],
)
def test_only_published_file_names_count_as_another_symbol(name: str, found: list[str]) -> None:
    assert list(files_of_other_symbols([name], "ethfdusd")) == found


@pytest.mark.parametrize(
    ("interval_ms", "name"),
    [(1_000, "1s"), (60_000, "1m"), (900_000, "15m"), (HOUR_MS, "1h"), (24 * HOUR_MS, "1d"), (777, "777ms")],
)
def test_intervals_have_binances_names(interval_ms: int, name: str) -> None:
    assert interval_name(interval_ms) == name


def test_a_grid_has_as_many_decimals_as_asked() -> None:
    assert [format(grid_of_decimals(places), "f") for places in (0, 2, 8)] == ["1", "0.01", "0.00000001"]
