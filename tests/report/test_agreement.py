"""Terminal, JSON, CSV and page tell one story: their numbers are the same, awkward ones included."""

import csv
import io
import json
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from tests.report.stories import a_one_sided_story, a_quiet_story, a_story
from tests.report.test_page import Reading, read

from trailingedge.market import plain
from trailingedge.notifications.texts import percent
from trailingedge.report.data import as_data
from trailingedge.report.ledger_csv import as_csv
from trailingedge.report.story import Story
from trailingedge.report.terminal import summary_text

STORIES = pytest.mark.parametrize(
    "story", [a_story(), a_quiet_story(), a_one_sided_story()], ids=["awkward", "nothing done", "one-sided"]
)
EXIT_COLUMNS = 11
DAY_COLUMNS = 8


def ledger(story: Story) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(as_csv(story))))


def data(story: Story) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(json.dumps(as_data(story), allow_nan=False))
    return told


def rows(told: Reading, columns: int) -> list[list[str]]:
    """The rows of a page's table, without its heading."""
    return [row for row in told.rows if len(row) == columns][1:]


def lines(story: Story, heading: str) -> list[str]:
    """The lines of a table on the terminal, without its heading."""
    _, found, below = summary_text(story).partition(f"\n  {heading}")
    return below.split("\n\n")[0].splitlines()[1:] if found else []


@STORIES
def test_the_fees_are_those_of_the_fills(story: Story) -> None:
    paid: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in ledger(story):
        paid[row["fee_asset"]] += Decimal(row["fee_amount"])
    told = {asset: plain(Decimal(fee)) for asset, fee in paid.items() if fee}
    assert data(story)["totals"]["fees"] == told
    on_page = " + ".join(f"{fee} {asset}" for asset, fee in told.items()) or "none"
    assert read(story).figures["Fees"][0] == on_page


@STORIES
def test_fills_exits_and_replaces_are_as_many_everywhere(story: Story) -> None:
    totals = data(story)["totals"]
    assert totals["fills"] == len(ledger(story))
    assert totals["exits"] == len(data(story)["exits"]) == len(lines(story, "ended, UTC"))
    assert totals["exits"] == len(rows(read(story), EXIT_COLUMNS))
    counts = f"exits {totals['exits']}, fills {totals['fills']}, replaces {totals['replaces']}, fees"
    assert counts in summary_text(story)
    shown = [str(totals["exits"]), f"{totals['fills']} fills, {totals['replaces']} replaces"]
    assert read(story).figures["Exits"] == shown


@STORIES
def test_result_and_comparisons_are_the_same_fractions(story: Story) -> None:
    totals, text, figures = data(story)["totals"], summary_text(story), read(story).figures
    result, base, quote, drawdown = (
        percent(Decimal(repr(totals[name])))
        for name in ("result_frac", "hold_base_frac", "hold_quote_frac", "max_drawdown_frac")
    )
    drawdown = percent(-Decimal(repr(totals["max_drawdown_frac"])))
    assert f"result {result} in FDUSD" in text
    assert f"holding instead: ETH {base}, FDUSD {quote}" in text
    assert f"deepest drawdown {drawdown}" in text
    shown = [figures[name][0] for name in ("Result in FDUSD", "Holding ETH", "Holding FDUSD", "Deepest drawdown")]
    assert shown == [result, base, quote, drawdown]


@STORIES
def test_an_exit_is_the_sum_of_its_rows_in_the_ledger(story: Story) -> None:
    for told in data(story)["exits"]:
        own = [row for row in ledger(story) if row["exit_number"] == str(told["number"])]
        base, quote = (sum(Decimal(row[name]) for row in own) for name in ("base_amount", "quote_amount"))
        assert (Decimal(told["base"]), Decimal(told["quote"])) == (base, quote)


@STORIES
def test_an_exit_is_told_alike_on_terminal_and_page_and_in_the_data(story: Story) -> None:
    exits = data(story)["exits"]
    for told, row, line in zip(exits, rows(read(story), EXIT_COLUMNS), lines(story, "ended, UTC"), strict=True):
        assert line.split() == " ".join(row).split()
        assert row[3] == told["base"]
        assert row[4] == (told["average"] or "–")
        known = told["result_frac"]
        assert row[5] == ("–" if known is None else percent(known))
        assert row[8] == str(told["replaces"])
        assert row[9] == (" + ".join(f"{fee} {asset}" for asset, fee in told["fees"].items()) or "none")


@STORIES
def test_the_days_are_the_same_on_terminal_and_page(story: Story) -> None:
    on_page = [" ".join(row).split() for row in rows(read(story), DAY_COLUMNS)]
    assert on_page == [line.split() for line in lines(story, "day ")]
    assert on_page


@STORIES
def test_what_is_missing_is_told_everywhere(story: Story) -> None:
    assert data(story)["gaps"] == list(story.gaps)
    assert all(gap in read(story).words and f"missing: {gap}" in summary_text(story) for gap in story.gaps)
