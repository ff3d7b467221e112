"""The summary of a session: what was done, and the headline last."""

from tests.execution.order_builders import RULES
from tests.report.report_builders import a_quiet_story, a_story

from trailingedge.notifications.result_messages import summary


def test_the_summary_ends_with_the_headline() -> None:
    lines = summary(RULES, a_story().results, ("2025-06-03 04:00",), "paper").splitlines()
    assert lines[:2] == ["summary PAPER ETHFDUSD: 1 d 20 min of market time", "  note: 2025-06-03 04:00"]
    assert lines[2].startswith("  sales and buy-backs 3, fills 4, replaces 4, fees 0.0012 BNB + 1.91 FDUSD +")
    assert "  1 deposit (0.00 FDUSD): not part of the result" in lines
    assert lines[-8] == "  round trips 1, won 1 (100 %), profit factor –"
    assert lines[-7] == "  result +1.88 % in FDUSD, value 2547.00 FDUSD"
    assert lines[-5] == "  by reason: 1 take-profit +48.13, not sold yet -1.13 FDUSD"


def test_the_summary_of_nothing_has_no_round_trip() -> None:
    lines = summary(RULES, a_quiet_story().results, (), "live").splitlines()
    assert "  sales and buy-backs 0, fills 0, replaces 0, fees none" in lines
    assert "  round trips 0" in lines
