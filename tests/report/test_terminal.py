"""On the terminal: the summary as a session ends with it, then exits and days in columns."""

from tests.report.stories import a_quiet_story, a_story

from trailingedge.report.terminal import summary_text


def test_it_begins_like_the_summary_of_a_session() -> None:
    lines = summary_text(a_story()).splitlines()
    assert lines[0] == "summary ETHFDUSD: 1 d 20 min of market time"
    assert lines[1] == "  exits 3, fills 4, replaces 4, fees 0.0012 BNB + 1.91 FDUSD + 0.0000001 ETH"
    assert "  value 2547.00 FDUSD, result +1.88 % in FDUSD" in lines
    assert "  missing: 2026-07-02 01:00: an hour is missing" in lines
    assert "  deepest drawdown -1.23 %" in lines
    assert "  exits that won since their anchor: 1 of 2" in lines


def test_each_exit_is_a_line_under_its_headings() -> None:
    lines = summary_text(a_story()).splitlines()
    head = next(line for line in lines if line.startswith("  ended, UTC"))
    sold, expired, bought = lines[lines.index(head) + 1 : lines.index(head) + 4]
    assert sold.split()[:6] == ["2026-07-02", "00:10:12", "take-profit", "SELL", "1", "2550.04"]
    assert "0.12 % worse" in sold
    assert "0.0012 BNB + 1.91253 FDUSD" in sold
    assert "expired, no order could rest in time" in expired
    assert "0.04 % better" in bought
    assert head.index("side") == sold.index("SELL") == bought.index("BUY")


def test_each_day_is_a_line() -> None:
    text = summary_text(a_story())
    assert [line.split()[:3] for line in text.splitlines()[-2:]] == [
        ["2026-07-02", "+2.00", "%"],
        ["2026-07-03", "-0.12", "%"],
    ]


def test_nothing_is_told_of_exits_where_there_were_none() -> None:
    text = summary_text(a_quiet_story())
    assert "ended, UTC" not in text
    assert "exits 0, fills 0, replaces 0, fees none" in text
