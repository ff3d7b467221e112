"""The line chart of the panel: the price of the last hours, with anchor, trail and stop marked.

It is drawn with box characters; `console.terminal` translates them for a terminal that has only ASCII.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trailingedge.console.status_panel import PanelRow, StyledText, columns
from trailingedge.core.time_units import HOUR_MS, MINUTE_MS
from trailingedge.notifications.panel_content import PanelContent, PanelLevel, TextStyle, clock_minute

MIN_COLUMNS: Final = 100
CHART_ROWS: Final = 9  # eight of prices, one of times
SHOWN_MS: Final = 8 * HOUR_MS

_LABEL_COLUMNS: Final = 24
_PRICE_ROWS: Final = CHART_ROWS - 1
_FARTHEST: Final = 1.0  # a level this many heights of the price's own range away is still drawn to scale
_MARK: Final = "┄"


@dataclass(frozen=True, slots=True)
class _Scale:
    """A scale that maps prices to rows: row 0 is the price `top`, the last row is the price `bottom`."""

    top: float
    bottom: float

    def row(self, price: float) -> int:
        share = (self.top - price) / (self.top - self.bottom)
        return min(_PRICE_ROWS - 1, max(0, round(share * (_PRICE_ROWS - 1))))

    def beyond(self, price: float) -> str:
        """Return an arrow up or down if `price` is outside of the scale, else ""."""
        return "↑" if price > self.top else "↓" if price < self.bottom else ""


def chart_rows(content: PanelContent, width: int) -> list[PanelRow]:
    """Return the rows of the chart; no rows if the panel is too narrow or there are too few prices."""
    plot = width - _LABEL_COLUMNS - 1
    prices, from_ms, to_ms = _by_column(content.samples, plot)
    if width < MIN_COLUMNS or not prices:
        return []
    scale = _scale(prices, content.levels)
    grid = [[(" ", TextStyle.PLAIN)] * plot for _ in range(_PRICE_ROWS)]
    for level in content.levels:
        if not scale.beyond(level.price):
            grid[scale.row(level.price)] = [(_MARK, level.style)] * plot
    # The line starts where the samples do, at the right end of the plot.
    _draw_line(grid, [scale.row(price) for price in prices], plot - len(prices))
    labels = _labels(content, scale, prices[-1])
    rows = [(*_spans(cells), label) for cells, label in zip(grid, labels, strict=True)]
    return [*rows, _times(from_ms, to_ms, plot)]


def _by_column(samples: Sequence[tuple[int, float]], plot: int) -> tuple[list[float], int, int]:
    """Return the price at the time of each column, and the time of the first and of the last column."""
    if len(samples) < 2 or plot < 2:
        return [], 0, 0
    last_ms = samples[-1][0]
    first_ms = max(samples[0][0], last_ms - SHOWN_MS)
    if last_ms - first_ms < MINUTE_MS:
        return [], 0, 0
    times = [time_ms for time_ms, _ in samples]
    step = (last_ms - first_ms) / (plot - 1)
    found = [samples[max(0, bisect_right(times, first_ms + round(step * at)) - 1)][1] for at in range(plot)]
    return found, first_ms, last_ms


def _scale(prices: Sequence[float], levels: Sequence[PanelLevel]) -> _Scale:
    """Return a scale that covers the prices and the levels near them. A level far away would flatten the line."""
    highest, lowest = max(prices), min(prices)
    reach = max(highest - lowest, highest * 1e-4) * _FARTHEST
    near = [level.price for level in levels if lowest - reach <= level.price <= highest + reach]
    top, bottom = max([highest, *near]), min([lowest, *near])
    return _Scale(top, bottom) if top > bottom else _Scale(top + reach, bottom - reach)


def _draw_line(grid: list[list[tuple[str, TextStyle]]], line: Sequence[int], first: int) -> None:
    for column, (here, following) in enumerate(zip(line, [*line[1:], line[-1]], strict=True), start=first):
        if here == following:
            grid[here][column] = ("─", TextStyle.STRONG)
            continue
        falls = following > here
        for row in range(min(here, following) + 1, max(here, following)):
            grid[row][column] = ("│", TextStyle.STRONG)
        grid[here][column] = ("╮" if falls else "╯", TextStyle.STRONG)
        grid[following][column] = ("╰" if falls else "╭", TextStyle.STRONG)


def _labels(content: PanelContent, scale: _Scale, price: float) -> list[StyledText]:
    """Return the label of each row: a level's name and price, and the present price.

    If two labels belong to the same row, one of them moves to another row.
    """
    decimals = content.price_decimals
    wanted = [PanelLevel("price", price, TextStyle.STRONG), *content.levels]
    labels: list[StyledText | None] = [None] * _PRICE_ROWS
    for level in wanted:
        row = scale.row(level.price)
        free = sorted((at for at in range(_PRICE_ROWS) if labels[at] is None), key=lambda at: (abs(at - row), at))
        text = f" {level.name} {level.price:.{decimals}f}{scale.beyond(level.price)}"
        labels[free[0]] = StyledText(text[:_LABEL_COLUMNS], level.style)
    return [label or StyledText("") for label in labels]


def _spans(cells: Sequence[tuple[str, TextStyle]]) -> tuple[StyledText, ...]:
    """Join neighbouring characters of the same style into one text."""
    spans: list[StyledText] = [StyledText(" ")]
    for letter, style in cells:
        if spans[-1].style is style:
            spans[-1] = StyledText(spans[-1].text + letter, style)
        else:
            spans.append(StyledText(letter, style))
    return tuple(spans)


def _times(from_ms: int, to_ms: int, plot: int) -> PanelRow:
    first, last = clock_minute(from_ms), f"{clock_minute(to_ms)} UTC"
    gap = " " * max(1, plot - columns(first) - columns(last))
    return (StyledText(f" {first}{gap}{last}", TextStyle.FAINT),)
