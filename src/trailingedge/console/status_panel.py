"""The layout of the status panel: rows of styled text that fit a given width. `console.screen` draws the rows."""

import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trailingedge.notifications.panel_content import PanelCell, PanelContent, TextStyle

LABEL_WIDTH: Final = 13
CELL_GAP: Final = 3  # columns between two cells of a row
UPDATE_OVERDUE_S: Final = 3.0  # the status comes once a second; when it is older than this, the main loop is stuck


@dataclass(frozen=True, slots=True)
class StyledText:
    """A piece of text in one style."""

    text: str
    style: TextStyle = TextStyle.PLAIN


PanelRow = tuple[StyledText, ...]


def as_lines(content: PanelContent, width: int, quiet_s: float = 0.0) -> list[str]:
    """The rows as bare text, none of them wider than `width` columns."""
    return [text_of(row) for row in panel_rows(content, width, quiet_s)]


def panel_rows(content: PanelContent, width: int, quiet_s: float = 0.0) -> list[PanelRow]:
    """Return the rows: a heading, the position and the next levels. `quiet_s` is the age of `content` in seconds.

    Two cells share a row if each fits into half of the width.
    """
    body = [*_paired(content.pairs, width), *map(_cell_row, content.rows)]
    return [*_head(content, width, quiet_s), *(fit(row, width) for row in body)]


def starting_rows(title: str, width: int, state: str = "starting") -> list[PanelRow]:
    """Return the rows of the panel while there is no status to show. `state` gives the reason."""
    return _ruled((title,), StyledText(state), width)


def text_of(row: PanelRow) -> str:
    """A row without its styles."""
    return "".join(span.text for span in row)


def fit(row: PanelRow, width: int) -> PanelRow:
    """Cut `row` to `width` columns. An ellipsis at the end shows that something was cut."""
    if columns(text_of(row)) <= width:
        return row
    room = width - 1
    kept: list[StyledText] = []
    for span in row:
        text = _cut(span.text, room)
        kept.append(StyledText(text, span.style))
        room -= columns(text)
        if text != span.text:
            break
    return (*kept, StyledText("…"[: max(0, width)]))


def wrapped(line: str, width: int) -> list[str]:
    """Cut `line` between words into pieces of at most `width` columns. A longer word is cut inside."""
    if columns(line) <= width:
        return [line]
    pieces = textwrap.wrap(line, max(1, width), break_on_hyphens=False)
    # textwrap counts characters, but some of them take two columns.
    while any(columns(piece) > width for piece in pieces) and width > 1:
        pieces = [part for piece in pieces for part in _halves(piece, width)]
    return pieces


def _halves(piece: str, width: int) -> list[str]:
    head = _cut(piece, width)
    return [piece] if head == piece or not head else [head, piece[len(head) :]]


def _cut(text: str, room: int) -> str:
    """Return as much of the beginning of `text` as fits into `room` columns."""
    while text and columns(text) > room:
        text = text[:-1]
    return text


def columns(text: str) -> int:
    """Return the width of `text` on a terminal in columns: East Asian letters take two, combining marks none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


# --- rows -----------------------------------------------------------------------------------------


def _head(content: PanelContent, width: int, quiet_s: float) -> list[PanelRow]:
    """Return the heading: the title and the age of the data.

    On a narrow screen the title is shortened. If that is not enough, the age gets its own row.
    """
    return _ruled(content.titles, _health(content, quiet_s), width, content.title_style)


def _ruled(titles: Sequence[str], right: StyledText, width: int, style: TextStyle = TextStyle.STRONG) -> list[PanelRow]:
    """Return a full-width line with a title and `right`.

    The title is the longest of `titles` that leaves room for `right`.
    """
    for title in titles:
        rule = width - columns(title) - columns(right.text) - 8
        if rule >= 1:
            left = (
                StyledText("── ", TextStyle.FAINT),
                StyledText(title, style),
                StyledText(f" {'─' * rule} ", TextStyle.FAINT),
            )
            return [(*left, right, StyledText(" ──", TextStyle.FAINT))]
    rest = max(0, width - columns(titles[-1]) - 4)
    alone = (
        StyledText("── ", TextStyle.FAINT),
        StyledText(titles[-1], style),
        StyledText(f" {'─' * rest}", TextStyle.FAINT),
    )
    return [fit(alone, width), fit((StyledText(" "), right), width)]


def _health(content: PanelContent, quiet_s: float) -> StyledText:
    """Return the age of the data, or name the missing data or connection."""
    reconnects = f" · reconnects {content.reconnects}" if content.reconnects else ""
    # First of all: if the status is old, all the rest on the panel is old as well.
    if quiet_s >= UPDATE_OVERDUE_S:
        return StyledText(f"not updated for {quiet_s:.0f} s{reconnects}", TextStyle.BAD)
    return StyledText(f"{content.health}{reconnects}", content.health_style)


def _paired(pairs: Sequence[tuple[PanelCell, PanelCell]], width: int) -> list[PanelRow]:
    """Lay out pairs of cells. A pair gets one row if both cells fit side by side, else two rows."""
    half = (width - CELL_GAP) // 2
    rows: list[PanelRow] = []
    for left, right in pairs:
        cells = (_cell_row(left), _cell_row(right))
        fits = all(columns(text_of(cell)) <= half for cell in cells)
        rows += [_beside(*cells, half)] if fits else cells
    return rows


def _beside(one: PanelRow, other: PanelRow, half: int) -> PanelRow:
    return (*one, StyledText(" " * (half - columns(text_of(one)) + CELL_GAP)), *other)


def _cell_row(cell: PanelCell) -> PanelRow:
    return (StyledText(f" {cell.label:<{LABEL_WIDTH - 1}}", TextStyle.FAINT), StyledText(cell.text, cell.style))
