"""On the terminal: the summary as a session ends with it, then exits and days in columns."""

import dataclasses
import io

import pytest
from tests.report.report_builders import MIDNIGHT_MS, a_long_story, a_quiet_story, a_story, lasting_until

from trailingedge.core.time_units import DAY_MS
from trailingedge.report.model import RunReport
from trailingedge.report.tables import MAX_GAPS_SHOWN
from trailingedge.report.terminal import coloured, may_colour, summary_text, terminal_width


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_headline_is_what_stays_on_the_screen() -> None:
    lines = summary_text(a_story()).splitlines()
    assert lines[-8:] == [
        "  round trips 1, won 1 (100 %), profit factor –",
        "  result +1.88 % in FDUSD, value 2547.00 FDUSD",
        "  fees of 0.0012 BNB are not in the result: their price in FDUSD is unknown",
        "  by reason: 1 take-profit +48.13, not sold yet -1.13 FDUSD",
        "  these sums include fees -1.91 FDUSD, slippage -0.94 FDUSD",
        "  1 of 1 buy-back brought back more ETH than was sold; average +1.88 %",
        "  holding instead: ETH +0.00 %, FDUSD +0.00 %, half of each +0.00 %",
        "  deepest drawdown -1.23 %, longest 1 h",
    ]
    shown = lines[-26:]
    assert "ETHFDUSD, from 2026-07-02 00:00:00 to 2026-07-03 00:20:00 UTC" in shown
    assert "  note: 2026-07-02 01:00: an hour is missing" in shown
    assert any("sales and buy-backs 3, fills 4, replaces 4, fees 0.0012 BNB + 1.91 FDUSD" in line for line in shown)


def test_exits_are_listed_on_demand() -> None:
    assert "ended, UTC" not in summary_text(a_story())
    assert "ended, UTC" in summary_text(a_story(), trades=True)


def test_transfers_are_listed_by_themselves() -> None:
    text = summary_text(a_story(), width=200)
    assert "transfers, not part of the result" in text
    assert "2026-07-03 00:10:00  deposit" in text


def test_losses_and_notes_have_a_colour_at_a_terminal_only() -> None:
    text = coloured("  note: less\n  result -3.27 % in USDT, +1.00 %, of 2025-06-02")
    assert text == "\x1b[33m  note: less\x1b[0m\n  result \x1b[31m-3.27 %\x1b[0m in USDT, +1.00 %, of 2025-06-02"
    screen, pipe = FakeTerminal(), io.StringIO()
    assert may_colour(screen, {})
    assert not may_colour(screen, {"NO_COLOR": "1"})
    assert not may_colour(screen, {"TERM": "dumb"})
    assert not may_colour(pipe, {})


def test_each_exit_is_a_line_under_its_headings_where_there_is_room() -> None:
    lines = summary_text(a_story(), width=200, trades=True).splitlines()
    head = next(line for line in lines if line.startswith("  ended, UTC"))
    sold, expired, bought = lines[lines.index(head) + 1 : lines.index(head) + 4]
    assert sold.split()[:7] == ["2026-07-02", "00:10:12", "take-profit", "+1.93", "%", "SELL", "1"]
    assert "0.08 % worse" in sold
    assert "0.0012 BNB + 1.91253 FDUSD" in sold
    assert sold.endswith(a_story().exits[0].id)
    assert "manual flip, expired" in expired
    assert "0.04 % better" in bought
    assert head.index("side") == sold.index("SELL") == bought.index("BUY")


def test_what_has_no_room_stands_below_further_in_and_so_do_its_headings() -> None:
    lines = summary_text(a_story(), width=80, trades=True).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("  ended, UTC"))
    assert lines[first].split() == ["ended,", "UTC", "why", "result", "side", "amount,", "ETH"]
    assert lines[first + 1].split()[:3] == ["price,", "FDUSD", "since"]
    assert lines[first + 1].startswith("      ")
    assert lines[first + 3].startswith("  2026-07-02 00:10:12  take-profit ")
    assert lines[first + 4].split()[:3] == ["2550.04", "+2.00", "%"]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
@pytest.mark.parametrize("report", [a_story(), a_long_story(), a_quiet_story()], ids=["usual", "long", "quiet"])
def test_no_line_is_wider_than_the_terminal(report: RunReport, width: int) -> None:
    assert max(map(len, summary_text(report, width, trades=True).splitlines())) <= width


def test_the_width_is_the_terminals_and_eighty_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "132")
    assert terminal_width() == 132
    monkeypatch.setenv("COLUMNS", "3")
    assert terminal_width() == 40


def test_a_month_without_a_market_is_one_line() -> None:
    report = lasting_until(a_story(), MIDNIGHT_MS + 40 * DAY_MS + 1)
    days = summary_text(report, width=200).partition("days, by UTC")[2].split("\n\n")[0].splitlines()[2:]
    assert len(days) == 4
    assert (
        days[2] == "  2026-07-04 to 2026-08-10: no market data, 38 days; the change in value counts for the day after"
    )


def test_of_very_many_gaps_the_first_are_told_and_the_others_counted() -> None:
    told = summary_text(a_long_story())
    assert told.count("  note: ") == MAX_GAPS_SHOWN + 1
    assert "note: and 32 more" in told


def test_small_fees_of_a_day_are_not_rounded_to_nothing() -> None:
    days = summary_text(a_story(), width=200).partition("days, by UTC")[2].split("\n\n")[0]
    assert days.endswith("0.0000001 ETH")


def test_the_time_of_a_simulation_is_told_as_its_own() -> None:
    told = summary_text(dataclasses.replace(a_story(), mode="sim"), width=200)
    assert "to 2026-07-03 00:20:00 UTC (simulated market time)" in told
    assert "simulated" not in summary_text(a_story())


def test_a_backtest_says_that_it_was_one() -> None:
    told = summary_text(dataclasses.replace(a_story(), mode="backtest"), width=200)
    assert "(backtest: no real orders)" in told


def test_each_day_is_a_line() -> None:
    text = summary_text(a_story(), width=200).partition("days, by UTC")[2].split("\n\n")[0]
    assert [line.split()[:3] for line in text.splitlines()[-2:]] == [
        ["2026-07-02", "+2.00", "%"],
        ["2026-07-03", "-0.12", "%"],
    ]


def test_nothing_is_told_of_exits_where_there_were_none() -> None:
    text = summary_text(a_quiet_story(), trades=True)
    assert "ended, UTC" not in text
    assert "sales and buy-backs 0, fills 0, replaces 0, fees none" in text
