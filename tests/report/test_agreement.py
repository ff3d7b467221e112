"""Terminal, JSON, CSV and page tell one story: their numbers are the same, awkward ones included."""

import csv
import io
import json
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from math import prod
from typing import Any

import pytest
from tests.report.report_builders import a_long_story, a_one_sided_story, a_quiet_story, a_story
from tests.report.test_page import Reading, read

from trailingedge.model.market import format_plain
from trailingedge.notifications.event_messages import amounts, elapsed, figure, percent
from trailingedge.report.csv_ledger import as_csv
from trailingedge.report.json_output import as_data
from trailingedge.report.model import RunReport
from trailingedge.report.tables import shown_gaps, slippage_text
from trailingedge.report.terminal import summary_text

STORIES = pytest.mark.parametrize(
    "report",
    [a_story(), a_quiet_story(), a_one_sided_story(), a_long_story()],
    ids=["awkward", "nothing done", "one-sided", "long"],
)
WIDE = 1000  # letters, so that each row is one line


def ledger(report: RunReport) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(as_csv(report))))


def data(report: RunReport) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(json.dumps(as_data(report), allow_nan=False))
    return told


def rows(told: Reading, table: str) -> list[list[str]]:
    """The rows of one of the page's tables, without its heading; one of a single cell stands across all columns."""
    return told.tables[table][1:]


def lines(report: RunReport, heading: str) -> list[str]:
    """The lines of a table on the terminal, without its heading."""
    _, found, below = summary_text(report, WIDE, trades=True).partition(f"\n  {heading}")
    return below.split("\n\n")[0].splitlines()[1:] if found else []


@STORIES
def test_the_fees_are_those_of_the_fills(report: RunReport) -> None:
    paid: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in ledger(report):
        paid[row["fee_asset"]] += Decimal(row["fee_amount"])
    told = {asset: format_plain(Decimal(fee)) for asset, fee in paid.items() if fee}
    assert data(report)["totals"]["fees"] == told
    shown = amounts(report.rules, paid)
    assert read(report).metrics["fees"][0] == shown
    assert f", fees {shown}\n" in summary_text(report, WIDE, trades=True)


@STORIES
def test_fills_exits_and_replaces_are_as_many_everywhere(report: RunReport) -> None:
    totals = data(report)["totals"]
    assert totals["fills"] == len(ledger(report))
    assert totals["orders"] == len(data(report)["orders"]) == len(lines(report, "ended, UTC"))
    assert totals["orders"] == len(rows(read(report), "exits"))
    counts = f"sales and buy-backs {totals['orders']}, fills {totals['fills']}, replaces {totals['replaces']}, fees"
    assert counts in summary_text(report, WIDE, trades=True)
    shown, meaning = read(report).metrics["sales and buy-backs"]
    assert shown == str(totals["orders"])
    assert meaning.startswith(f"{totals['fills']} fills, {totals['replaces']} replaces")


@STORIES
def test_result_and_comparisons_are_the_same_fractions(report: RunReport) -> None:
    totals, text, told = data(report)["totals"], summary_text(report, WIDE, trades=True), read(report)
    result, base, quote, half = (
        percent(totals[name]) for name in ("result_frac", "hold_base_frac", "hold_quote_frac", "hold_half_frac")
    )
    drawdown = percent(-Decimal(repr(totals["max_drawdown_frac"])))
    assert f"result {result} in FDUSD" in text
    assert f"holding instead: ETH {base}, FDUSD {quote}, half of each {half}" in text
    assert f"deepest drawdown {drawdown}" in text
    compared = {row[0]: row[1] for row in told.tables["bars"][:4]}
    assert compared == {"this run": result, "holding ETH": base, "half of each": half, "holding FDUSD": quote}
    assert told.metrics["deepest drawdown"][0] == drawdown


@STORIES
def test_an_exit_is_the_sum_of_its_rows_in_the_ledger(report: RunReport) -> None:
    for told in data(report)["orders"]:
        own = [row for row in ledger(report) if row["exit_id"] == told["id"]]
        assert own == [row for row in ledger(report) if row["exit_number"] == str(told["number"])]
        base, quote = (sum(Decimal(row[name]) for row in own) for name in ("base_amount", "quote_amount"))
        assert (Decimal(told["base"]), Decimal(told["quote"])) == (base, quote)


@STORIES
def test_an_exit_is_told_alike_on_terminal_and_page_and_in_the_data(report: RunReport) -> None:
    exits = data(report)["orders"]
    for told, row, line in zip(exits, rows(read(report), "exits"), lines(report, "ended, UTC"), strict=True):
        assert line.split() == " ".join(row).split()
        assert row[0] == told["to"][:19].replace("T", " ")
        assert row[3] == told["side"]
        assert row[4] == told["base"]
        assert row[5] == (figure(Decimal(told["average"]), report.tick_size) if told["average"] else "–")
        trips = {trip["sales"][-1]: trip["result_frac"] for trip in data(report)["round_trips"]}
        known = trips.get(told["number"], told["brought_frac"])
        assert row[2] == ("–" if known is None else percent(known))
        gained = told["anchor_gain_frac"]
        assert row[6] == ("–" if gained is None else percent(gained))
        slipped = told["slippage_frac"]
        assert row[7] == ("–" if slipped is None else slippage_text(slipped))
        took = datetime.fromisoformat(told["to"]) - datetime.fromisoformat(told["from"])
        assert row[8] == (elapsed(took.total_seconds()) if told["average"] else "–")
        assert row[9] == str(told["replaces"])
        assert row[10] == (" + ".join(f"{fee} {asset}" for asset, fee in told["fees"].items()) or "none")


@STORIES
def test_a_day_is_told_alike_on_terminal_and_page_and_in_the_data(report: RunReport) -> None:
    told, on_page = data(report)["metrics"]["days"], rows(read(report), "days")
    on_terminal = lines(report, "day ")
    if not data(report)["totals"]["fees"]:
        return  # without fees the table has a column less
    assert [" ".join(row).split() for row in on_page] == [line.split() for line in on_terminal]
    for day, row in zip(told, on_page, strict=True):
        assert row[0].startswith(day["from"][:10])
        if not day["market"]:
            assert "no market" in row[0]
            continue
        fees = {asset: Decimal(fee) for asset, fee in day["fees"].items()}
        assert row[1:] == [
            percent(day["result_frac"]),
            percent(day["hold_base_frac"]),
            percent(day["hold_half_frac"]),
            figure(Decimal(day["value"]), report.tick_size),
            str(day["orders"]),
            f"{day['won']} of {day['round_trips']}" if day["round_trips"] else "–",
            amounts(report.rules, fees),
        ]


@STORIES
def test_the_days_add_up_to_the_totals(report: RunReport) -> None:
    told = data(report)
    days, totals = told["metrics"]["days"], told["totals"]
    for name in ("orders", "won", "round_trips", "fills"):
        assert sum(day[name] for day in days) == totals[name]
    for asset, paid in totals["fees"].items():
        assert sum(Decimal(day["fees"].get(asset, "0")) for day in days) == Decimal(paid)
    assert days[-1]["value"] == totals["value"]
    for name in ("result_frac", "hold_base_frac"):
        assert prod(1 + day[name] for day in days) == pytest.approx(1 + totals[name])


@STORIES
def test_a_day_has_as_many_fills_and_fees_as_its_rows_in_the_ledger(report: RunReport) -> None:
    for day in data(report)["metrics"]["days"]:
        own = [row for row in ledger(report) if day["from"] <= row["time_utc"] < day["to"]]
        assert day["fills"] == len(own)
        for asset, paid in day["fees"].items():
            assert Decimal(paid) == sum(Decimal(row["fee_amount"]) for row in own if row["fee_asset"] == asset)


@STORIES
def test_the_values_and_what_was_won_are_the_same_everywhere(report: RunReport) -> None:
    totals, text, told = data(report)["totals"], summary_text(report, WIDE, trades=True), read(report)
    first, last = (f"{figure(Decimal(totals[name]), report.tick_size)} FDUSD" for name in ("first_value", "value"))
    assert f"in FDUSD, value {last}\n" in text
    assert any(f"from {first} to {last}," in words for words in told.words)
    won = f"{totals['won']} of {totals['round_trips']}"
    assert told.metrics["won"][0].startswith(won if totals["round_trips"] else "–")
    assert told.metrics["round trips"][0] == str(totals["round_trips"])
    assert f"round trips {totals['round_trips']}" in text


@STORIES
def test_round_trips_are_as_many_in_the_ledger_and_bring_the_same(report: RunReport) -> None:
    trips = data(report)["round_trips"]
    ended = [row for row in ledger(report) if row["round_trip_result"]]
    assert [row["round_trip_result"] for row in ended] == [trip["result"] for trip in trips]
    assert sum(Decimal(row["round_trip_result"]) > 0 for row in ended) == data(report)["totals"]["won"]


@STORIES
def test_the_reasons_add_up_to_the_result_everywhere(report: RunReport) -> None:
    told = data(report)
    totals, metrics = told["totals"], told["metrics"]
    by_reason = [Decimal(reason["result"]) for reason in metrics["by_reason"].values()]
    assert sum(by_reason, Decimal(0)) == Decimal(metrics["trades_result"])
    assert Decimal(metrics["trades_result"]) + Decimal(metrics["open_result"]) == Decimal(totals["result"])
    why = {row[0]: row for row in read(report).tables["why"][1:]}
    assert Decimal(why["result"][4]) == Decimal(figure(Decimal(totals["result"]), report.tick_size))
    for kind, reason in metrics["by_reason"].items():
        if reason["round_trips"]:
            row = why[f"{kind.replace('_', '-')}s"]
            assert row[1:3] == [str(reason["round_trips"]), str(reason["won"])]
            assert Decimal(row[4]) == Decimal(figure(Decimal(reason["result"]), report.tick_size))


@STORIES
def test_a_round_trip_is_told_alike_on_page_and_in_the_data(report: RunReport) -> None:
    for trip, row in zip(data(report)["round_trips"], rows(read(report), "trips"), strict=True):
        assert row[0] == trip["to"][:19].replace("T", " ")
        assert row[2] == percent(trip["result_frac"])
        assert Decimal(row[3]) == Decimal(figure(Decimal(trip["result"]), report.tick_size))


@STORIES
def test_an_exit_has_one_name_by_which_all_four_can_be_joined(report: RunReport) -> None:
    ids = [told["id"] for told in data(report)["orders"]]
    assert [row[-1] for row in rows(read(report), "exits")] == ids
    assert [line.split()[-1] for line in lines(report, "ended, UTC")] == ids
    filled = {told["id"] for told in data(report)["orders"] if told["base"] != "0"}
    assert filled <= {row["exit_id"] for row in ledger(report)}


@STORIES
def test_what_is_missing_is_told_everywhere(report: RunReport) -> None:
    assert data(report)["gaps"] == list(report.gaps)
    text, words = summary_text(report, WIDE, trades=True), read(report).words
    assert all(gap in words and f"note: {gap}\n" in text for gap in shown_gaps(report.gaps))
