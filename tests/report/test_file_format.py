"""A story that was saved is the same when it is read; anything else is named, with what to do about it."""

import contextlib
import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.bombs import gzip_bomb
from tests.peak_memory import peak_memory_mb
from tests.report.report_builders import MIDNIGHT_MS, a_one_sided_story, a_quiet_story, a_story

from trailingedge.core.errors import ConfigError
from trailingedge.report.file_format import load, save
from trailingedge.report.model import EquityBand, RunReport

BAND = EquityBand((MIDNIGHT_MS, MIDNIGHT_MS + 60_000), p5=(0.0, -0.02), median=(0.0, 0.0), p95=(0.0, 0.01))


@pytest.mark.parametrize(
    "report",
    [a_story(), a_quiet_story(), a_one_sided_story(), replace(a_story(), band=BAND)],
    ids=["usual", "quiet", "one-sided", "several paths"],
)
def test_what_was_saved_comes_back(report: RunReport, tmp_path: Path) -> None:
    path = tmp_path / "a.story.json.gz"
    save(report, path)
    assert load(path) == report
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_the_same_story_is_the_same_file(tmp_path: Path) -> None:
    save(a_story(), tmp_path / "one")
    save(a_story(), tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_amounts_are_text_in_the_file(tmp_path: Path) -> None:
    save(a_story(), tmp_path / "saved")
    told = json.loads(gzip.decompress((tmp_path / "saved").read_bytes()))
    assert (told["version"], told["fills"][2]["commission"], told["results"]["exits"][0]["base"]) == (
        2,
        "0.0000001",
        "1",
    )


def test_a_band_whose_columns_differ_in_length_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "saved"
    save(replace(a_story(), band=replace(BAND, p5=(0.0,))), path)
    with pytest.raises(ConfigError, match="columns of the band differ in length"):
        load(path)


def test_what_is_no_number_is_saved_as_missing(tmp_path: Path) -> None:
    report = a_story()
    endless = replace(report.samples[0], trail=float("inf"))
    save(replace(report, samples=(endless,)), tmp_path / "saved")
    assert load(tmp_path / "saved").samples[0].trail is None


def test_whatever_byte_of_it_is_wrong_it_is_the_same_story_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "flipped.story.json.gz"
    save(a_story(), path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :])
        try:
            assert load(path) == a_story()
        except ConfigError as refused:
            (problem,) = refused.problems
            assert problem.startswith(f"{path}: ")


def test_a_wrong_sum_is_damage_and_not_another_kind_of_file(tmp_path: Path) -> None:
    path = tmp_path / "flipped.story.json.gz"
    save(a_story(), path)
    whole = bytearray(path.read_bytes())
    whole[-6] ^= 1
    path.write_bytes(whole)
    assert "damaged, its checksum is wrong" in told_of(path)


def test_settings_that_a_report_shows_no_more_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "old.story.json.gz"
    save(replace(a_story(), settings={"BUFFER": "0.002", "TELEGRAM_CHAT_ID": "777", "LOG_DIR": "/home/me"}), path)
    assert load(path).settings == {"BUFFER": "0.002"}


def test_a_run_saved_by_an_older_version_is_refused_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "old.story.json.gz"
    path.write_bytes(gzip.compress(b'{"format":"trailing-edge story","version":1}'))
    told = told_of(path)
    assert "version 1, this program reads 2" in told
    assert "write it again with backtest --save of this program" in told


def told_of(path: Path) -> str:
    with pytest.raises(ConfigError) as raised:
        load(path)
    (problem,) = raised.value.problems
    assert problem.startswith(f"{path}: ")
    assert ";" in problem  # what, and what to do
    return problem


def test_a_file_that_was_cut_off_says_so(tmp_path: Path) -> None:
    path = tmp_path / "cut"
    save(a_story(), path)
    path.write_bytes(path.read_bytes()[:-300])
    assert "truncated" in told_of(path)


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "damaged"
    save(a_story(), path)
    whole = bytearray(path.read_bytes())
    whole[40:60] = bytes(20)
    path.write_bytes(whole)
    assert "damaged" in told_of(path) or "not gzip" in told_of(path)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        pytest.param(b"ended, UTC", "not gzip", id="text"),
        pytest.param(b"", "truncated", id="empty"),
        pytest.param(gzip.compress(b"[1,"), "not JSON", id="half of JSON"),
        pytest.param(gzip.compress(b"[" * 100_000), "nested", id="too deep"),
        pytest.param(gzip.compress(b"[1e400]"), "too large", id="infinity"),
        pytest.param(gzip.compress(b"[]"), "not a saved report", id="another JSON"),
        pytest.param(gzip.compress(b'{"format":"trailing-edge story","version":3}'), "version 3", id="of the future"),
        pytest.param(gzip.compress(b'{"format":"trailing-edge story","version":2}'), "incomplete report", id="hollow"),
    ],
)
def test_another_file_is_refused_in_words(written: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(written)
    assert said in told_of(path)


def test_an_amount_that_was_a_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "saved"
    save(a_story(), path)
    told = json.loads(gzip.decompress(path.read_bytes()))
    told["fills"][0]["price"] = 2550.04
    path.write_bytes(gzip.compress(json.dumps(told).encode()))
    assert "incomplete report" in told_of(path)


@pytest.mark.parametrize("wrong", [None, 7, "seven", [7], {"seven": 7}], ids=repr)
def test_whatever_a_field_holds_it_is_read_or_refused(wrong: object, tmp_path: Path) -> None:
    path = tmp_path / "saved"
    save(a_story(), path)
    whole = json.loads(gzip.decompress(path.read_bytes()))
    broken = [{**whole, name: wrong} for name in set(whole) - {"format", "version"}]
    broken += [{**whole, "results": {**whole["results"], name: wrong}} for name in whole["results"]]
    for each in broken:
        path.write_bytes(gzip.compress(json.dumps(each).encode()))
        with contextlib.suppress(ConfigError):
            load(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "No such file" in told_of(tmp_path / "nowhere")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory; choose"):
        save(a_story(), tmp_path / "nowhere" / "saved")


def retold(tmp_path: Path, change: Callable[[Any], None]) -> Path:
    """A saved story in which `change` has altered the data."""
    path = tmp_path / "changed.story.json.gz"
    save(a_story(), path)
    told = json.loads(gzip.decompress(path.read_bytes()))
    change(told)
    path.write_bytes(gzip.compress(json.dumps(told).encode()))
    return path


@pytest.mark.parametrize(
    ("place", "value"),
    [
        pytest.param(("fills", 0, "order_id"), -5, id="a negative order number"),
        pytest.param(("fills", 0, "trade_id"), -5, id="a negative trade number"),
        pytest.param(("fills", 0, "order_id"), "7", id="a number as text"),
        pytest.param(("fills", 0, "order_id"), 7.5, id="a number as a fraction"),
        pytest.param(("fills", 0, "price"), "1e999999", id="an exponent"),
        pytest.param(("fills", 0, "quantity"), "1_0", id="an underscore"),
        pytest.param(("fills", 0, "time_ms"), 10**17, id="a time of another age"),
        pytest.param(("fills", 0, "is_maker"), "no", id="text for a flag"),
        pytest.param(("results", "exits", 0, "number"), -1, id="a negative exit"),
        pytest.param(("results", "exits", 0, "replaces"), -1, id="a negative count"),
        pytest.param(("results", "exits", 0, "anchor_gain_frac"), 1e300, id="a fraction without sense"),
        pytest.param(("results", "marks"), [], id="no valuation"),
        pytest.param(("results", "round_trips", 0, "cost"), "0", id="a round trip that cost nothing"),
        pytest.param(("results", "round_trips", 0, "sales"), [], id="a round trip without a sale"),
        pytest.param(("orders", 0, "time_ms"), "2024-01-01", id="a date"),
        pytest.param(("candles", "open_ms", 0), 1e300, id="an endless time"),
        pytest.param(("candles", "high", 0), 1e300, id="an absurd price"),
        pytest.param(("moments", "bid", 0), "12", id="a price as text"),
        pytest.param(("results", "marks", 0, "market_ms"), 95_617_584_000_000, id="an end in the year 5000"),
        pytest.param(("results", "max_drawdown_frac"), None, id="nothing for a fraction"),
        pytest.param(("results", "rejected"), {"-1 013": 1}, id="a code with a space"),
    ],
)
def test_a_number_that_the_wire_would_refuse_is_refused(
    tmp_path: Path, place: tuple[str | int, ...], value: object
) -> None:
    def change(told: Any) -> None:
        for step in place[:-1]:
            told = told[step]
        told[place[-1]] = value

    assert "incomplete report" in told_of(retold(tmp_path, change))


@pytest.mark.parametrize("piece", [b" " * (1 << 20), b"[" * (1 << 20)])
def test_a_small_file_that_unpacks_to_gigabytes_is_refused_in_little_memory(tmp_path: Path, piece: bytes) -> None:
    path = tmp_path / "bomb.story.json.gz"
    path.write_bytes(gzip_bomb([piece] * 400))
    peak_mb, refused = peak_memory_mb(lambda: load(path), ConfigError)
    assert f"{path}: not a saved report: it unpacks to more than 100 times its size" in str(refused)
    assert peak_mb < 200


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    other, path = tmp_path / "other", tmp_path / "a.story.json.gz"
    other.write_text("kept")
    path.symlink_to(other)
    save(a_story(), path)
    assert other.read_text() == "kept"
    assert path.stat().st_mode & 0o777 == 0o600
