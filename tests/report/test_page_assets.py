"""What the report page and the live page share."""

import hashlib
import json
import shutil
from base64 import b64encode
from importlib.resources import files

import pytest
from tests import processes

from trailingedge.report.page_assets import chart_script, hash_source, resource, stylesheet


def test_the_licence_of_the_chart_library_goes_with_it() -> None:
    script = chart_script()
    assert script.startswith("/*!\nThe MIT License (MIT)\n\nCopyright (c) 2022 Leon Sorokin")
    assert "uPlot (v1.6.32)" in script
    assert "THE SOFTWARE IS PROVIDED" in script


def test_neither_script_nor_style_asks_for_another_file() -> None:
    for text in (chart_script(), stylesheet()):
        for word in ("url(", "@import", "fetch(", "XMLHttpRequest", "importScripts", "eval(", "new Function"):
            assert word not in text


def test_a_source_is_the_hash_that_a_browser_computes() -> None:
    digest = b64encode(hashlib.sha256("ä".encode()).digest()).decode()
    assert hash_source("ä") == f"'sha256-{digest}'"


@pytest.mark.skipif(shutil.which("node") is None, reason="no node to read it with")
@pytest.mark.parametrize("page", ["trailingedge.report", "trailingedge.commands.watching"])
def test_the_scripts_of_a_page_are_one_that_a_browser_can_read(page: str) -> None:
    own = files(page).joinpath("page.js").read_text(encoding="utf-8")
    done = processes.run(["node", "--check", "-"], input=f"{chart_script()}\n{own}", text=True)
    assert done.returncode == 0, done.stderr


def run_charts(script: str) -> object:
    """What `script` prints as JSON after the charts have been read. It draws nothing."""
    done = processes.run(["node", "-"], input=f"{resource('charts.js')}\n{script}", text=True)
    assert done.stderr == ""
    return json.loads(done.stdout)


FOLDED = """
const minutes = (from, count) => Array.from({ length: count }, (_, row) => from + row * MINUTE);
const times = [...minutes(0, 1440), ...minutes(2 * DAY - MINUTE * 5, 300), ...minutes(40 * DAY, 1440)];
const folds = new TimeFolds(times, MINUTE), drawn = times.map((time) => folds.drawn(time));
const there = times.every((time, row) => Math.abs(folds.real(drawn[row]) - time) < 1);
const inOrder = drawn.every((time, row) => row === 0 || time > drawn[row - 1]);
console.log(JSON.stringify([folds.list.length, there, inOrder, drawn[drawn.length - 1] - drawn[0] < 3 * DAY]));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="no node to run it with")
def test_a_month_without_candles_is_folded_into_a_strip_and_times_are_told_as_they_were() -> None:
    assert run_charts(FOLDED) == [2, True, True, True]


JOINED = """
const prices = { ms: [0, 60, 120, 600], price: [1, 2, 3, 4] };
const joined = joinedTables([prices, { ms: [0, 300], p5: [7, 8] }, { ms: [], p95: [] }]);
const shown = (cell) => (cell === undefined ? "" : cell);
const columns = Object.entries(joined).map(([name, column]) => [name, column.map(shown)]);
console.log(JSON.stringify([Object.fromEntries(columns), stretches([0, 60, 120, 180], [1, 1, null, 1], 1)]));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="no node to run it with")
def test_tables_are_joined_by_time_and_a_hole_breaks_the_lines_of_its_own_table() -> None:
    assert run_charts(JOINED) == [
        {
            "ms": [0, 60, 120, 121, 300, 600],
            "price": [1, 2, 3, None, None, 4],
            "p5": [7, "", "", "", 8, ""],
            "p95": [""] * 6,
        },
        [[0, 120], [180, 180]],
    ]
