"""Tests of the colours of log lines, seen on the picture of a terminal."""

import pytest
from tests.terminal_picture import runs

from trailingedge.console.line_colours import line_style
from trailingedge.console.screen import Screen

GREEN, YELLOW, RED = 32, 33, 31


@pytest.mark.parametrize(
    ("line", "colour"),
    [
        ("12:00:00 order placed: SELL 1.0000 ETH at 2500.01 FDUSD (TE-t-1)", None),
        ("12:00:00 order filled: SELL 1.0000 ETH at 2500.01 FDUSD, complete (TE-t-1)", GREEN),
        ("12:00:00 take-profit filled: sold 1 ETH, round trip +1.20 % (+30.00 FDUSD), -0.10 % since the anchor", GREEN),
        ("PAPER take-profit filled: sold 1 ETH, round trip +1.20 % (+30.00 FDUSD), -0.10 % since the anchor", GREEN),
        ("12:00:00 hard stop filled: sold 1 ETH, round trip -1.85 % (-46.00 FDUSD), -1.85 % since the anchor", RED),
        (
            "12:00:00 take-profit filled: bought back 1 ETH, average 2500, -0.50 % ETH compared with the last sale",
            RED,
        ),
        ("12:00:00 result -1.84 % in FDUSD (time-weighted)", RED),
        ("12:00:00 WARNING market data is stale", YELLOW),
        ("ERROR halted: two orders", RED),
        ("what WARNING means is explained elsewhere", None),
        ("", None),
    ],
)
def test_a_line_has_the_colour_of_what_it_says(line: str, colour: int | None) -> None:
    shown = [style.colour for _, _, text, style in runs(Screen().lines_only([line]).replace("\r", "")) if text]
    assert shown == ([colour] if line else [])


def test_every_text_has_a_style() -> None:
    for line in ("\n", "12:00:00 ", "WARNING ", "\x1b[31mno"):
        assert line_style(line) is not None
