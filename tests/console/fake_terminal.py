"""A fake terminal: it interprets the escape sequences that we write, and keeps the rows that a person would see."""

import re

_SEQUENCE = re.compile(r"\x1b(?:([78])|\[(\??)([\d;]*)([A-Za-z]))")


class Glass:
    """Rows of text, a cursor, a scroll region, and what has scrolled out at the top. Rows count from 0 here."""

    def __init__(self, columns: int = 40, rows: int = 12) -> None:
        self.columns = columns
        self.grid = [""] * rows
        self.history: list[str] = []
        self.row = self.column = 0
        self._saved = (0, 0)
        self._top, self._bottom = 0, rows - 1

    @property
    def size(self) -> tuple[int, int]:
        return self.columns, len(self.grid)

    @property
    def shown(self) -> list[str]:
        return [row.rstrip() for row in self.grid]

    @property
    def whole(self) -> bool:
        """No part of the screen is kept from scrolling."""
        return (self._top, self._bottom) == (0, len(self.grid) - 1)

    def resize(self, columns: int, rows: int) -> None:
        """As a terminal does that does not reflow: rows at the top are lost, or blank ones come at the bottom."""
        kept = [row[:columns] for row in self.grid[-rows:]]
        self.grid = kept + [""] * (rows - len(kept))
        self.columns = columns
        self._top, self._bottom = 0, rows - 1
        self.row, self.column = min(self.row, rows - 1), min(self.column, columns - 1)

    def type(self, keys: str) -> None:
        """What the terminal itself echoes."""
        self.feed(keys.replace("\n", "\r\n"))

    def feed(self, text: str) -> None:
        at = 0
        while at < len(text):
            found = _SEQUENCE.match(text, at)
            if found is None:
                self._put(text[at])
                at += 1
                continue
            self._obey(*found.groups(default=""))
            at = found.end()

    def _put(self, letter: str) -> None:
        if letter == "\r":
            self.column = 0
        elif letter == "\n":
            self._line_feed()
        elif letter == "\x1b":
            raise LookupError("a sequence that this terminal does not know")
        else:
            if self.column == self.columns:
                self.column = 0
                self._line_feed()
            row = self.grid[self.row].ljust(self.columns)
            self.grid[self.row] = row[: self.column] + letter + row[self.column + 1 :]
            self.column += 1

    def _line_feed(self) -> None:
        if self.row == self._bottom:
            gone = self.grid.pop(self._top)
            self.grid.insert(self._bottom, "")
            if self._top == 0:
                self.history.append(gone.rstrip())
        elif self.row < len(self.grid) - 1:
            self.row += 1

    def _obey(self, saved: str, private: str, numbers: str, final: str) -> None:
        given = [int(number) for number in numbers.split(";") if number]
        match saved or private + final:
            case "7":
                self._saved = self.row, self.column
            case "8":
                self.row, self.column = self._saved
            case "H":
                self.row, self.column = (number - 1 for number in given or [1, 1])
            case "r":
                top, bottom = given or [1, len(self.grid)]
                self._top, self._bottom = top - 1, bottom - 1
                self.row = self.column = 0
            case "K" if given == [2]:
                self.grid[self.row] = ""
            case "J" if given == [2]:
                self.grid = [""] * len(self.grid)
            case "J" if not given:
                self.grid[self.row] = self.grid[self.row][: self.column]
                self.grid[self.row + 1 :] = [""] * (len(self.grid) - self.row - 1)
            case "m" | "?l" | "?h":
                pass
            case other:
                raise LookupError(f"this terminal does not know {other} {given}")
