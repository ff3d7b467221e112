"""Layout of the live screen: log lines scroll above a status panel.

This module returns the text to write, with escape sequences. It does not write to the terminal.

The rows are, from the bottom up: hints (a list of the hotkeys), the row for typing, the panel, the log lines. Lines
scroll in a scroll region (DECSTBM). Each write sets that region at its beginning and resets it at its end, so that a
process that is killed leaves a usable screen. The terminal itself shows typed characters at the cursor. So each write
saves the cursor and restores it. The hints are the last row because Enter on the last row would scroll the whole
screen.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from trailingedge.console.line_colours import line_style
from trailingedge.console.status_panel import PanelRow, StyledText, columns, fit, wrapped
from trailingedge.core.printable import printable_lines
from trailingedge.notifications.panel_content import TextStyle

MAX_REPLAYED_LINES: Final = 200  # shown again after the terminal has changed its size
MIN_LOG_ROWS: Final = 4
FOOTER_ROWS: Final = 2  # the row for typing, and the hints
PROMPT: Final = "> "

_ESC: Final = "\x1b"
_SAVE, _RESTORE = f"{_ESC}7", f"{_ESC}8"
_HIDE, _SHOW = f"{_ESC}[?25l", f"{_ESC}[?25h"
_WHOLE: Final = f"{_ESC}[r"
_CLEAR_ROW: Final = f"{_ESC}[2K"
_CLEAR_BELOW: Final = f"{_ESC}[J"
_CLEAR_ALL: Final = f"{_ESC}[H{_ESC}[2J"
_PLAIN: Final = f"{_ESC}[0m"
_WEIGHTS: Final = {TextStyle.FAINT: f"{_ESC}[2m", TextStyle.STRONG: f"{_ESC}[1m"}
_COLOURS: Final = {
    TextStyle.GOOD: f"{_ESC}[32m",
    TextStyle.WARNING: f"{_ESC}[33m",
    TextStyle.BAD: f"{_ESC}[31m",
}


class Screen:
    """The state of the screen after the last write. `height` is the panel's row count.

    `hints` are the last row's text in several lengths, the longest first. While `typing` is true, the row above the
    hints is a prompt for hotkeys. If `colours` is False, text is only bold or faint.
    """

    def __init__(self, *hints: str, typing: bool = True, colours: bool = True) -> None:
        self._hints = hints
        self._colours = colours
        self._prompt_text = PROMPT if typing else ""
        self._size: tuple[int, int] | None = None
        self.height = 0  # it never shrinks, because then the lines above would have to move down
        self._shown: list[PanelRow] = []
        self._needs_redraw = False  # parts of an old panel may be on the screen
        self._recent: deque[str] = deque(maxlen=MAX_REPLAYED_LINES)

    def end_typing(self, hints: str) -> None:
        """Stop showing the prompt, and show `hints` as the last row.

        This takes effect with the next `paint` that has `entered` set.
        """
        self._hints = (hints,)
        self._prompt_text = ""

    def redraw_all(self) -> None:
        """Let the next `paint` clear the screen and draw everything, because another program has written on it."""
        self._needs_redraw = True

    def paint(
        self, lines: Sequence[str], rows: Sequence[PanelRow], size: tuple[int, int], *, entered: bool = False
    ) -> str:
        """Return the text that adds `lines` above a panel of `rows`; "" if nothing changes.

        `size` is in columns and rows. If `entered` is True, Enter was pressed: the row for typing is cleared, and the
        newest log lines are written again into the rows above the panel. That is needed because a typed line longer
        than its row has scrolled the whole screen. Whether that happened is not known here, because characters may have
        been erased before Enter.
        """
        lines = _cleaned(lines)
        self._recent.extend(lines)
        if size[1] < FOOTER_ROWS + MIN_LOG_ROWS:
            fresh = "" if self._size is None else _CLEAR_ALL
            self._needs_redraw = self._needs_redraw or bool(fresh)
            return fresh + self.lines_only(lines)
        # A small terminal shows the upper rows of the panel: the heading and the prices matter most.
        rows = [fit(row, size[0]) for row in rows[: size[1] - FOOTER_ROWS - MIN_LOG_ROWS]]
        if self._needs_redraw or self._size not in (None, size):
            return self._redraw_all(lines, rows, size)
        if self._size is None:
            return self._begin(lines, rows, size)
        if not lines and not entered and rows == self._shown:
            return ""
        # Grow first: the new lines must scroll above the larger panel.
        written = (
            self._grow(rows)
            + self._scroll(lines)
            + (self._in_place(self._recent) if entered else "")
            + self._draw(rows)
        )
        return self._framed(written, self._prompt() if entered else _RESTORE)

    def clear(self, lines: Sequence[str]) -> str:
        """Return the text that removes the panel and prints the last `lines`.

        What is written to the terminal later follows these lines.
        """
        end = "" if self._size is None else _at(self._log_rows + 1) + _CLEAR_BELOW
        return end + self.lines_only(lines)

    def lines_only(self, lines: Sequence[str]) -> str:
        """Return the text that prints only `lines`, at the cursor, without the panel.

        The next `paint` draws the whole screen again, so that the panel does not appear twice.
        """
        self._needs_redraw = self._needs_redraw or bool(self._shown)
        self._size, self.height, self._shown = None, 0, []
        return "".join(f"{self._line(line)}\r\n" for line in _cleaned(lines))

    @property
    def _log_rows(self) -> int:
        return 0 if self._size is None else self._size[1] - self.height - FOOTER_ROWS

    def _begin(self, lines: Sequence[str], rows: Sequence[PanelRow], size: tuple[int, int]) -> str:
        """Return the text of the first drawing, below the present content of the screen."""
        self._size, self.height = size, len(rows)
        room = "\r\n" * (self.height + FOOTER_ROWS)
        return self._framed(room + self._scroll(lines) + self._draw(rows), self._prompt())

    def _redraw_all(self, lines: Sequence[str], rows: Sequence[PanelRow], size: tuple[int, int]) -> str:
        """Return the text that draws everything again, as after a change of the terminal's size, and adds `lines`.

        The lines scroll as always, so the user can scroll back to lines that no longer fit.
        """
        self._size, self.height, self._needs_redraw = size, len(rows), False
        before = list(self._recent)[: max(0, len(self._recent) - len(lines))]
        return self._framed(
            _CLEAR_ALL + self._in_place(before) + self._scroll(lines) + self._draw(rows), self._prompt()
        )

    def _in_place(self, lines: Iterable[str]) -> str:
        """Return the text that writes the last of `lines` into the rows of the log, without scrolling."""
        fitting = self._pieces(lines)[-self._log_rows :]
        first = self._log_rows - len(fitting) + 1
        return "".join(f"{_at(first + at)}{_CLEAR_ROW}{piece}" for at, piece in enumerate(fitting))

    def _grow(self, rows: Sequence[PanelRow]) -> str:
        """Return the text that moves the lines up when the panel needs more rows."""
        more = len(rows) - self.height
        if more <= 0:
            return ""
        pushed = self._region() + _at(self._log_rows) + "\r\n" * more + _WHOLE
        self.height += more
        return pushed

    def _scroll(self, lines: Sequence[str]) -> str:
        if not lines or self._size is None:
            return ""
        return self._region() + _at(self._log_rows) + "".join(f"\r\n{piece}" for piece in self._pieces(lines)) + _WHOLE

    def _pieces(self, lines: Iterable[str]) -> list[str]:
        """Cut the lines between words into pieces that each fit into one row, in the style of their line."""
        width = self._size[0] if self._size else 0
        return [self._line(piece, line_style(line)) for line in lines for piece in wrapped(line, width)]

    def _line(self, text: str, style: TextStyle | None = None) -> str:
        return painted((StyledText(text, style or line_style(text)),), colours=self._colours)

    def _region(self) -> str:
        return f"{_ESC}[1;{self._log_rows}r"

    def _draw(self, rows: Sequence[PanelRow]) -> str:
        self._shown = list(rows)
        blank: list[PanelRow] = [()] * (self.height - len(rows))
        drawn = [
            _at(self._log_rows + 1 + at) + _CLEAR_ROW + self._painted(row) for at, row in enumerate([*rows, *blank])
        ]
        width, last = self._size or (0, 0)
        return "".join(drawn) + _at(last) + _CLEAR_ROW + self._painted(self._hint_row(width))

    def _hint_row(self, width: int) -> PanelRow:
        """Return the row with the longest of the hints that fits."""
        rows = [(StyledText(f"  {hints}", TextStyle.FAINT),) for hints in self._hints]
        fitting = (row for row in rows if columns(row[0].text) <= width)
        return next(fitting, fit(rows[-1], width))

    def _painted(self, row: PanelRow) -> str:
        return painted(row, colours=self._colours)

    def _prompt(self) -> str:
        """Return the text that empties the row for typing and puts the cursor on it."""
        return _at(self._log_rows + self.height + 1) + _CLEAR_ROW + self._prompt_text

    @staticmethod
    def _framed(text: str, then: str) -> str:
        """Return `text` between escape sequences that hide and show the cursor.

        `then` is an escape sequence that places the cursor.
        """
        return f"{_HIDE}{_SAVE}{text}{then}{_SHOW}"


def painted(row: PanelRow, *, colours: bool = True) -> str:
    """Return the text of a row, with its styles as escape sequences."""
    codes = _WEIGHTS | _COLOURS if colours else _WEIGHTS
    return "".join(
        f"{codes[span.style]}{span.text}{_PLAIN}" if span.style in codes else span.text for span in row if span.text
    )


def _cleaned(lines: Sequence[str]) -> list[str]:
    return [part for line in lines for part in printable_lines(line).split("\n")]


def _at(row: int) -> str:
    """Return the escape sequence that moves the cursor to the start of a row, counted from 1."""
    return f"{_ESC}[{row};1H"
