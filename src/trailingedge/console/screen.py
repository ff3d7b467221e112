"""Where text goes on a screen whose last rows are a block that stays. Pure: it returns what to write.

The block is at the bottom, below it the row on which a person types. Lines are scrolled in above, within
a region of the screen that is set for the length of one write: whoever kills us finds a whole screen. The
terminal echoes what is typed; the cursor is put back to where it was, so nothing of it is overwritten. A
row of hints below it takes the cursor when Enter is pressed, so that the screen does not scroll.
"""

import textwrap
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from trailingedge.console.status_panel import PanelRow, StyledText, TextStyle, columns, fit

MAX_REPLAYED_LINES: Final = 200  # lines that are shown again when the terminal changes its size
MIN_LOG_ROWS: Final = 4
FOOTER_ROWS: Final = 2  # the row that is typed on, and the hints
PROMPT: Final = "> "

_ESC: Final = "\x1b"
_SAVE, _RESTORE = f"{_ESC}7", f"{_ESC}8"
_HIDE, _SHOW = f"{_ESC}[?25l", f"{_ESC}[?25h"
_WHOLE: Final = f"{_ESC}[r"
_CLEAR_ROW: Final = f"{_ESC}[2K"
_CLEAR_BELOW: Final = f"{_ESC}[J"
_CLEAR_ALL: Final = f"{_ESC}[H{_ESC}[2J"
_PLAIN: Final = f"{_ESC}[0m"
_TONES: Final = {
    TextStyle.FAINT: f"{_ESC}[2m",
    TextStyle.STRONG: f"{_ESC}[1m",
    TextStyle.GOOD: f"{_ESC}[32m",
    TextStyle.WARNING: f"{_ESC}[33m",
    TextStyle.BAD: f"{_ESC}[31m",
}
_CONTROLS: Final = dict.fromkeys((*range(32), *range(127, 160)), "?") | {ord("\t"): " "}


class Screen:
    """What is on it, as far as we have written it. `hints` is the last row, `height` that of the block."""

    def __init__(self, hints: str) -> None:
        self._hints = StyledText(f"  {hints}", TextStyle.FAINT)
        self._size: tuple[int, int] | None = None
        self.height = 0  # rows of the block; it does not shrink, for then the lines above would have to come down
        self._shown: list[PanelRow] = []
        self._needs_redraw = False  # remains of a block are about
        self._recent: deque[str] = deque(maxlen=MAX_REPLAYED_LINES)

    def paint(
        self, lines: Sequence[str], rows: Sequence[PanelRow], size: tuple[int, int], *, entered: bool = False
    ) -> str:
        """What to write so that `lines` have scrolled in above a block of `rows`; "" when nothing changes.

        `size` is in columns and rows. `entered`: what was typed is done with.
        """
        lines = _cleaned(lines)
        self._recent.extend(lines)
        if size[1] < FOOTER_ROWS + MIN_LOG_ROWS:
            fresh = "" if self._size is None else _CLEAR_ALL
            self._needs_redraw = self._needs_redraw or bool(fresh)
            return fresh + self.lines_only(lines)
        rows = [fit(row, size[0]) for row in rows[: size[1] - FOOTER_ROWS - MIN_LOG_ROWS]]
        if self._needs_redraw or self._size not in (None, size):
            return self._redraw_all(rows, size)
        if self._size is None:
            return self._begin(lines, rows, size)
        if not lines and not entered and rows == self._shown:
            return ""
        written = self._grow(rows) + self._scroll(lines) + self._draw(rows)
        return self._framed(written, self._prompt() if entered else _RESTORE)

    def clear(self, lines: Sequence[str]) -> str:
        """The last lines; the block goes, and what is written next follows them."""
        end = "" if self._size is None else _at(self._log_rows + 1) + _CLEAR_BELOW
        return end + self.lines_only(lines)

    def lines_only(self, lines: Sequence[str]) -> str:
        """The lines alone, wherever the cursor is; the next painting begins anew."""
        self._size, self.height, self._shown = None, 0, []
        return "".join(f"{line}\r\n" for line in _cleaned(lines))

    @property
    def _log_rows(self) -> int:
        return 0 if self._size is None else self._size[1] - self.height - FOOTER_ROWS

    def _begin(self, lines: Sequence[str], rows: Sequence[PanelRow], size: tuple[int, int]) -> str:
        """Make room below whatever is on the screen already."""
        self._size, self.height = size, len(rows)
        room = "\r\n" * (self.height + FOOTER_ROWS)
        return self._framed(room + self._scroll(lines) + self._draw(rows), self._prompt())

    def _redraw_all(self, rows: Sequence[PanelRow], size: tuple[int, int]) -> str:
        """The terminal has moved everything about: draw all of it again."""
        self._size, self.height, self._needs_redraw = size, len(rows), False
        fitting = _wrapped(self._recent, size[0])[-self._log_rows :]
        lines = _at(self._log_rows - len(fitting) + 1) + "\r\n".join(fitting) if fitting else ""
        return self._framed(_CLEAR_ALL + lines + self._draw(rows), self._prompt())

    def _grow(self, rows: Sequence[PanelRow]) -> str:
        """Push the lines up where the block needs another row."""
        more = len(rows) - self.height
        if more <= 0:
            return ""
        pushed = self._region() + _at(self._log_rows) + "\r\n" * more + _WHOLE
        self.height += more
        return pushed

    def _scroll(self, lines: Sequence[str]) -> str:
        if not lines or self._size is None:
            return ""
        pieces = _wrapped(lines, self._size[0])
        return self._region() + _at(self._log_rows) + "".join(f"\r\n{piece}" for piece in pieces) + _WHOLE

    def _region(self) -> str:
        return f"{_ESC}[1;{self._log_rows}r"

    def _draw(self, rows: Sequence[PanelRow]) -> str:
        self._shown = list(rows)
        blank: list[PanelRow] = [()] * (self.height - len(rows))
        drawn = [_at(self._log_rows + 1 + at) + _CLEAR_ROW + painted(row) for at, row in enumerate([*rows, *blank])]
        width, last = self._size or (0, 0)
        return "".join(drawn) + _at(last) + _CLEAR_ROW + painted(fit((self._hints,), width))

    def _prompt(self) -> str:
        """A fresh row to type on."""
        return _at(self._log_rows + self.height + 1) + _CLEAR_ROW + PROMPT

    @staticmethod
    def _framed(text: str, then: str) -> str:
        """One write that leaves the cursor where `then` puts it."""
        return f"{_HIDE}{_SAVE}{text}{then}{_SHOW}"


def painted(row: PanelRow) -> str:
    """A row with its tones as escape sequences."""
    return "".join(
        f"{_TONES[span.style]}{span.text}{_PLAIN}" if span.style in _TONES else span.text for span in row if span.text
    )


def _cleaned(lines: Sequence[str]) -> list[str]:
    return [clean(part) for line in lines for part in line.split("\n")]


def clean(text: str) -> str:
    """`text` without anything that would move the cursor: some of it was worded by others."""
    return text.translate(_CONTROLS)


def _wrapped(lines: Iterable[str], width: int) -> list[str]:
    """The lines in pieces of one row each, broken between words."""
    pieces: list[str] = []
    for line in lines:
        pieces += textwrap.wrap(line, width, break_on_hyphens=False) if columns(line) > width else [line]
    return pieces


def _at(row: int) -> str:
    """The cursor to the beginning of a row, counted from 1."""
    return f"{_ESC}[{row};1H"
