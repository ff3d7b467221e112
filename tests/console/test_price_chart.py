"""Tests of the panel's chart: it fits, it marks the levels, and far levels do not flatten the price."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some

from trailingedge.console.price_chart import CHART_ROWS, MIN_COLUMNS, chart_rows
from trailingedge.console.status_panel import columns, text_of
from trailingedge.model.market import SymbolRules
from trailingedge.notifications.panel_content import PanelContent, PanelLevel, panel_content
from trailingedge.notifications.status import StatusView

RULES = SymbolRules("ETHFDUSD", "ETH", "FDUSD", tick_size=Decimal("0.01"), step_size=Decimal("0.0001"))
START_MS = 1_783_000_020_000
BARE = panel_content(StatusView("sim", RULES, "watching"))


def content(*prices: float, levels: tuple[PanelLevel, ...] = ()) -> PanelContent:
    """One price a minute."""
    samples = tuple((START_MS + 60_000 * at, price) for at, price in enumerate(prices))
    return replace(BARE, samples=samples, levels=levels)


def rows(shown: PanelContent, width: int = 100) -> list[str]:
    return [text_of(row) for row in chart_rows(shown, width)]


def test_a_rise_goes_from_the_lowest_row_to_the_highest_with_the_price_beside_it() -> None:
    drawn = rows(content(*(2500.0 + at for at in range(120))))
    assert len(drawn) == CHART_ROWS
    assert "╭" in drawn[0]
    assert drawn[0].endswith("─ price 2619.00")
    assert drawn[-2].startswith(" ──")
    assert drawn[-1].split() == ["13:47", "15:46", "UTC"]


def test_a_near_level_is_a_line_and_a_far_one_an_arrow() -> None:
    levels = (PanelLevel("anchor", 2505.0), PanelLevel("stop", 2100.0))
    drawn = rows(content(2500.0, 2510.0, 2500.0, levels=levels))
    assert [row.count("┄") > 20 for row in drawn].count(True) == 1
    assert any("┄ anchor 2505.00" in row for row in drawn)
    assert any(row.endswith(" stop 2100.00↓") for row in drawn)


@pytest.mark.parametrize(
    ("shown", "width"),
    [
        pytest.param(content(2500.0, 2501.0), MIN_COLUMNS - 1, id="narrow"),
        pytest.param(content(), 120, id="no price"),
        pytest.param(content(2500.0), 120, id="one price"),
    ],
)
def test_without_room_or_prices_there_is_none(shown: PanelContent, width: int) -> None:
    assert rows(shown, width) == []


prices = some.floats(1e-8, 1e8)


@given(
    shown=some.lists(prices, min_size=2, max_size=30),
    levels=some.lists(prices, max_size=3),
    width=some.integers(MIN_COLUMNS, 300),
)
def test_it_is_never_wider_than_the_terminal(shown: list[float], levels: list[float], width: int) -> None:
    marked = tuple(PanelLevel("anchor", level) for level in levels)
    assert all(columns(row) <= width for row in rows(content(*shown, levels=marked), width))
