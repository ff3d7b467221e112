"""The page needs nothing but itself, and can be read without its script."""

import dataclasses
import re
from collections import defaultdict
from html import unescape
from html.parser import HTMLParser

from tests.report.report_builders import MIDNIGHT_MS, a_long_story, a_quiet_story, a_story, changed, lasting_until

from trailingedge.core.time_units import DAY_MS
from trailingedge.report.model import RunReport
from trailingedge.report.page import page
from trailingedge.report.page_assets import hash_source

# Elements that have no end of their own.
VOID = {"meta"}


class Reading(HTMLParser):
    """What stands on a page: text by the nearest element, tables, metrics, scripts; and that each element ends.

    `tables` holds the rows of each table by the id of the element around it, or by the class of the table. `metrics`
    holds value and meaning by name.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tables: defaultdict[str, list[list[str]]] = defaultdict(list)
        self.metrics: dict[str, list[str]] = {}
        self.scripts: dict[str, str] = {}
        self._metric: list[str] = []
        self._open: list[tuple[str, dict[str, str]]] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self._open.append((tag, {name: value or "" for name, value in attrs}))
        if tag == "tr":
            self._table().append([])
        if tag in ("td", "th"):
            self._table()[-1].append("")
        if self._within("class", "metric") and tag in ("span", "b", "p") and not self._in("b", but_last=True):
            self._metric.append("")

    def handle_endtag(self, tag: str) -> None:
        if self._open[-1][1].get("class") == "metric":
            name, *told = self._metric
            self.metrics[name], self._metric = told, []
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        within, attributes = self._open[-1] if self._open else ("", {})
        if within in ("script", "style"):
            self.scripts[attributes.get("id", within)] = data
        elif self._within("class", "metric"):
            if data.strip():
                self._metric[-1] += data
        elif self._in("td") or self._in("th"):
            self._table()[-1][-1] += data
        else:
            self.words.append(data)

    def _table(self) -> list[list[str]]:
        at = next(number for number, (tag, _) in enumerate(self._open) if tag == "table")
        name = self._open[at][1].get("class") or self._open[at - 1][1].get("id") or self._open[at - 1][1]["class"]
        return self.tables[name]

    def _in(self, name: str, *, but_last: bool = False) -> bool:
        return any(tag == name for tag, _ in (self._open[:-1] if but_last else self._open))

    def _within(self, attribute: str, value: str) -> bool:
        return any(attributes.get(attribute) == value for _, attributes in self._open)


def read(report: RunReport) -> Reading:
    return Reading(page(report))


def test_it_asks_nobody_for_anything() -> None:
    text = page(a_story())
    assert not re.search(r"//cdn|url\(|@import|fetch\(|XMLHttp|WebSocket|\bsrc=|\bhref=", text)
    assert re.findall(r"https?://\S*", text) == ["https://github.com/leeoniya/uPlot"]  # where the library comes from
    assert "default-src 'none'" in text


def test_its_policy_allows_its_own_script_and_style_and_no_other() -> None:
    for report in (a_story(), a_quiet_story()):
        text, told = page(report), read(report)
        policy = unescape(re.findall(r'Content-Security-Policy" content="([^"]*)"', text)[0])
        style, script = (hash_source(told.scripts[name]) for name in ("style", "script"))
        assert policy == f"default-src 'none'; style-src {style}; script-src {script}"
        assert not re.search(r"<[a-z][^>]*\s(style|on[a-z]+)=", text.partition("<script")[0])


def test_every_place_in_it_is_filled() -> None:
    assert "{{" not in page(a_story())
    assert "{{" not in page(a_quiet_story())


def test_the_first_screen_says_how_it_went_and_why() -> None:
    told = read(a_story())
    assert "+1.88 %" in told.words
    assert any(
        "from 2500.00 FDUSD to 2547.00 FDUSD, that is +1.88 %." in words
        and "By reason: 1 take-profit +48.13, not sold yet -1.13 FDUSD; these sums include fees -1.91 FDUSD, slippage"
        in words
        for words in told.words
    )
    assert [row[:5] for row in told.tables["why"]] == [
        ["ended by", "round trips", "won", "mean", "FDUSD"],
        ["take-profits", "1", "1", "+1.93 %", "+48.13"],
        ["not sold yet", "", "", "", "-1.13"],
        ["result", "1", "1", "+1.93 %", "+47.00"],
        ["fees, in the sums above", "-1.91", ""],
        ["slippage, in the sums above", "-0.94", ""],
    ]
    assert [row[:2] for row in told.tables["bars"]][:4] == [
        ["this run", "+1.88 %"],
        ["holding ETH", "+0.00 %"],
        ["half of each", "+0.00 %"],
        ["holding FDUSD", "+0.00 %"],
    ]


def test_the_settings_that_decided_stand_beside_the_result_and_all_of_them_below() -> None:
    settings = {"SYMBOL": "ETHFDUSD", "FEE": "0.001", "BREAKOUT_ENTRY": "false", "HARD_STOP_MAX_FRAC": "0.15"}
    told = read(dataclasses.replace(a_story(), settings=settings))
    every = [list(each) for each in settings.items()]
    assert told.tables["settings"] == [["FEE", "0.001"], ["HARD_STOP_MAX_FRAC", "0.15"], *every]


def test_each_metric_opens_its_meaning_without_a_script() -> None:
    value, meaning = read(a_story()).metrics["profit factor"]
    assert value == "–"
    assert "below 1 the losses were larger" in meaning


def test_tables_can_be_read_without_a_script() -> None:
    told = read(a_story())
    assert told.tables["exits"][1][:4] == ["2026-07-02 00:10:12", "take-profit", "+1.93 %", "SELL"]
    assert told.tables["trips"][1][:4] == ["2026-07-02 00:10:12", "take-profit", "+1.93 %", "+48.13"]
    assert [row[:2] for row in told.tables["days"]][1:] == [["2026-07-02", "+2.00 %"], ["2026-07-03", "-0.12 %"]]
    assert told.tables["months"][1][:2] == ["2026-07", "+1.88 %"]
    assert (told.tables["months"][0][-1], told.tables["months"][1][-1]) == ("take-profits, FDUSD", "+48.13")
    assert told.tables["transfers"][1][:2] == ["2026-07-03 00:10:00", "deposit"]
    assert [row[:2] for row in told.tables["bars"]][-1] == ["+1.9 to +2.0 %", "1"]
    assert "2026-07-02 01:00: an hour is missing" in told.words


def test_round_trips_can_be_sorted_by_numbers_and_filtered_by_reason() -> None:
    text = page(a_story())
    assert '<button type="button" data-reason="take-profit" aria-pressed="false">take-profit 1</button>' in text
    assert 'data-sort="2">result</button>' in text
    closed_ms = a_story().results.round_trips[0].closed_ms
    assert f'data-label="sold, UTC" data-key="{closed_ms}"' in text


def test_a_month_without_a_market_is_one_row_across_the_table() -> None:
    told = read(lasting_until(a_story(), MIDNIGHT_MS + 40 * DAY_MS + 1))
    assert [row for row in told.tables["days"] if len(row) == 1] == [
        ["2026-07-04 to 2026-08-10: no market data, 38 days; the change in value counts for the day after"]
    ]


def test_a_simulation_says_whose_time_it_tells_and_that_no_money_was_at_stake() -> None:
    def says(mode: str, words: str) -> bool:
        return any(words in each for each in read(dataclasses.replace(a_story(), mode=mode)).words)

    assert says("sim", "simulated market time, no real money")
    assert not says("", "simulated market time, no real money")
    assert says("backtest", "a backtest: no money")


def test_the_longest_drawdown_says_from_when_to_when() -> None:
    words = read(a_story()).words
    assert "The longest, shaded: 1 h, from 2026-07-02 00:02:00 to 2026-07-02 01:02:00 UTC." in words


def test_a_run_in_which_nothing_happened_makes_a_page() -> None:
    told = read(a_quiet_story())
    assert {"No exits.", "No round trips."} <= set(told.words)
    assert told.metrics["won"][0] == "–"


def test_what_comes_from_elsewhere_cannot_become_markup() -> None:
    report = dataclasses.replace(
        changed(a_long_story(), base_asset='<i>"'),
        settings={"X": "</script><script>alert(1)", "FEE": "<img>"},
        gaps=("<img src=x>", "{{title}}"),
    )
    text = page(report)
    read(report)  # each element ends
    assert "<i>" not in text
    assert "alert(1)</td>" in text
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "{{title}}" in text  # it is shown as it was


def test_without_data_a_page_is_small() -> None:
    assert len(page(a_story())) < 150_000
