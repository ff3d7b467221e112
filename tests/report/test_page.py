"""The page needs nothing but itself, and can be read without its script."""

import dataclasses
import json
import re
import shutil
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from tests import processes
from tests.report.column_decoder import unpacked
from tests.report.report_builders import MIDNIGHT_MS, a_quiet_story, a_story, changed, lasting_until

from trailingedge.core.time_units import DAY_MS
from trailingedge.report.model import RunReport
from trailingedge.report.page import page

# Elements that have no end of their own.
VOID = {"meta", "line", "path", "rect"}


class Reading(HTMLParser):
    """What stands on a page: text by the nearest element, rows of tables, the data; and that each element ends."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.rows: list[list[str]] = []
        self.data = ""
        self.figures: dict[str, list[str]] = {}
        self.attributes: list[tuple[str, str]] = []
        self._open: list[str] = []
        self._id = ""
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attrs]
        self._id = dict(attrs).get("id") or ""
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        within = self._open[-1] if self._open else ""
        if within == "script":
            self.data += data if self._id == "data" else ""
        elif within == "dt":
            self.figures[data] = []
        elif "dd" in self._open and self.figures:
            list(self.figures.values())[-1].append(data)
        elif "td" in self._open or "th" in self._open:
            self.rows[-1][-1] += data
        elif within != "style":
            self.words.append(data)


def read(report: RunReport) -> Reading:
    return Reading(page(report))


def test_it_asks_nobody_for_anything() -> None:
    text = page(a_story())
    assert not re.search(r"https?://|//cdn|url\(|@import|fetch\(|XMLHttp|WebSocket|\bsrc=|\bhref=", text)
    assert "default-src 'none'" in text


def test_every_place_in_it_is_filled() -> None:
    assert "{{" not in page(a_story())
    assert "{{" not in page(a_quiet_story())


def test_exits_days_and_gaps_can_be_read_without_a_script() -> None:
    told = read(a_story())
    assert ["2026-07-02 00:10:12", "take-profit", "+1.93 %", "SELL", "1", "2550.04", "+2.00 %", "0.08 % worse"] in [
        row[:8] for row in told.rows
    ]
    assert [row[:2] for row in told.rows if len(row) == 8][1:] == [["2026-07-02", "+2.00 %"], ["2026-07-03", "-0.12 %"]]
    assert "2026-07-02 01:00: an hour is missing" in told.words
    assert told.figures["Result in FDUSD"] == ["+1.88 %", "after fees"]


def test_a_month_without_a_market_is_one_row_across_the_table() -> None:
    told = read(lasting_until(a_story(), MIDNIGHT_MS + 40 * DAY_MS + 1))
    assert [row for row in told.rows if len(row) == 1] == [
        ["2026-07-04 to 2026-08-10: no market data, 38 days; the change is in the day after"]
    ]


def test_a_simulation_says_whose_time_it_tells_and_that_no_money_was_at_stake() -> None:
    assert any(
        "simulated market time, no real money" in words
        for words in read(dataclasses.replace(a_story(), mode="sim")).words
    )
    assert not any("simulated market time, no real money" in words for words in read(a_story()).words)
    replayed = read(dataclasses.replace(a_story(), mode="replay"))
    assert any("a backtest on recorded markets: no money" in words for words in replayed.words)


def test_a_story_in_which_nothing_happened_makes_a_page() -> None:
    told = read(a_quiet_story())
    assert "No exits." in told.words
    assert told.figures["Won"][0] == "–"


def test_what_comes_from_elsewhere_cannot_become_markup() -> None:
    report = dataclasses.replace(
        changed(a_story(), base_asset='<b>"'),
        settings={"X": "</script><script>alert(1)"},
        gaps=("<img src=x>", "{{title}}"),
    )
    text = page(report)
    assert "<b>" not in text.replace("<b></b>", "")  # but for the legend's own
    assert "alert(1)</td>" in text
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "{{title}}" in text  # it is shown as it was


def test_the_lines_are_drawn_from_what_the_story_holds() -> None:
    header, columns = unpacked(read(a_story()).data)
    assert (header["base"], header["priceDecimals"], header["holdQuote"]) == ("ETH", 2, 2500.0)
    assert columns["close"] == pytest.approx([2500, 2550, 2501, 2500])
    assert columns["account"] == pytest.approx([2500, 2550, 2548, 2547])
    assert columns["anchor"] == [2500.0, 2500.0, None, 2500.0]
    assert (columns["gate"], columns["held"]) == ([0, 1, 0, 0], [1, 2, 0, 1])
    assert columns["fillExit"] == [0, 0, 2, None]  # the last one's exit is under way
    assert columns["candleMs"][0] == MIDNIGHT_MS


def test_an_order_is_drawn_from_each_move_to_the_next_until_its_exit_is_over() -> None:
    report = a_story()
    _, columns = unpacked(read(report).data)
    began_ms = report.exits[0].started_ms
    assert columns["restFrom"] == [began_ms, began_ms + 4000, began_ms + 8000]
    assert columns["restTo"] == [began_ms + 4000, began_ms + 8000, began_ms + 12_000]
    assert columns["restPrice"] == pytest.approx([2552.0, 2551.01, 2550.04])


def test_an_order_that_was_withdrawn_rests_no_longer() -> None:
    report = a_story()
    placed = report.orders[0]
    gone = dataclasses.replace(placed, time_ms=placed.time_ms + 700, what="withdrawn")
    _, columns = unpacked(read(dataclasses.replace(report, orders=(placed, gone))).data)
    assert columns["restTo"] == [placed.time_ms + 700]


@pytest.mark.skipif(shutil.which("node") is None, reason="no node to read it with")
def test_the_script_is_one_that_a_browser_can_read() -> None:
    script = files("trailingedge.report").joinpath("page.js").read_text(encoding="utf-8")
    done = processes.run(["node", "--check", "-"], input=script, text=True)
    assert done.returncode == 0, done.stderr


FOLDING = """
const MINUTE = 60000, DAY = 86400000;
const minutes = (from, count) => Array.from({ length: count }, (_, row) => from + row * MINUTE);
const times = [...minutes(0, 1440), ...minutes(2 * DAY - MINUTE * 5, 300), ...minutes(40 * DAY, 1440)];
const data = {
  candleMs: Float64Array.from(times), momentMs: new Float64Array(0), restFrom: new Float64Array(0),
  restTo: new Float64Array(0), fillMs: new Float64Array([20 * DAY]), exits: [[0, 40 * DAY]], fromMs: 0, toMs: 41 * DAY,
};
"""
FOLDED = """
const drawn = data.toMs - data.fromMs;
const there = times.every((time, row) => Math.abs(real(data.candleMs[row]) - time) < 1);
const inOrder = data.candleMs.every((time, row) => row === 0 || time > data.candleMs[row - 1]);
console.log(JSON.stringify([folds.length, there, inOrder, drawn < 3 * DAY, data.exits[0][1] === data.candleMs[1740]]));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="no node to run it with")
def test_a_month_without_candles_is_folded_into_a_strip_and_times_are_told_as_they_were() -> None:
    script = files("trailingedge.report").joinpath("page.js").read_text(encoding="utf-8")
    part = script.partition("// --- time without a market ---")[2].partition("// --- words ---")[0]
    done = processes.run(["node", "-"], input=FOLDING + part + FOLDED, text=True)
    assert (json.loads(done.stdout or "null"), done.stderr) == ([2, True, True, True, True], "")
