"""A picture of a terminal: reads a screen as tmux prints it, with its colours, and writes it as SVG.

`tests.pictures` makes the one in the README with it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final
from xml.sax.saxutils import escape, quoteattr

FONT: Final = "ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace"
FONT_SIZE: Final = 13
COLUMN: Final = 7.83  # width of a character of that size; `textLength` makes other fonts as wide
ROW: Final = 18
MARGIN: Final = 14
BASELINE: Final = 27  # of the first row
BACKGROUND: Final = "#0d1117"
PLAIN: Final = "#d0d7de"
DIM: Final = "#8b949e"
COLOURS: Final = {31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 36: "#79c0ff"}
_WORDS: Final = re.compile(r"[^ ]+(?: [^ ]+)*")
_STYLE: Final = re.compile(r"\x1b\[([0-9;]*)m")


@dataclass(frozen=True, slots=True)
class Style:
    """How characters look. `colour` is the number of the terminal's foreground colour, None for the usual one."""

    bold: bool = False
    dim: bool = False
    colour: int | None = None

    def after(self, codes: str) -> "Style":
        """This style after the codes of an escape sequence. Unknown codes raise ValueError: the picture would lie."""
        style = self
        for code in (int(text or 0) for text in codes.split(";")):
            if code == 0:
                style = Style()
            elif code == 1:
                style = replace(style, bold=True)
            elif code == 2:
                style = replace(style, dim=True)
            elif code in COLOURS:
                style = replace(style, colour=code)
            elif code == 39:
                style = replace(style, colour=None)
            elif code != 49:  # the usual background
                raise ValueError(f"the picture has no style for code {code}")
        return style

    def attributes(self) -> str:
        fill = DIM if self.dim else None if self.colour is None else COLOURS[self.colour]
        return (f' fill="{fill}"' if fill else "") + (' font-weight="bold"' if self.bold else "")


def runs(screen: str) -> Iterator[tuple[int, int, str, Style]]:
    """Row, column, text and style of each run of characters: words with one space between them."""
    style = Style()
    for row, line in enumerate(screen.splitlines()):
        column = 0
        pieces = _STYLE.split(line)
        for number, piece in enumerate(pieces):
            if number % 2:
                style = style.after(piece)
                continue
            # SVG shows one blank where there are several.
            for text in _WORDS.finditer(piece):
                yield row, column + text.start(), text[0], style
            column += len(piece)


def picture(screen: str) -> str:
    """Return the screen as SVG, as wide and as high as its text."""
    found = list(runs(screen))
    width = round(2 * MARGIN + COLUMN * max(column + len(text) for _, column, text, _ in found))
    height = 2 * MARGIN + ROW * (1 + max(row for row, *_ in found))
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        "<title>Trailing Edge in a terminal</title>",
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
        f'<g font-family={quoteattr(FONT)} font-size="{FONT_SIZE}" fill="{PLAIN}" xml:space="preserve">',
    ]
    for row, column, text, style in found:
        lines.append(
            f'<text x="{MARGIN + COLUMN * column:.1f}" y="{BASELINE + ROW * row}" '
            f'textLength="{COLUMN * len(text):.1f}" lengthAdjust="spacingAndGlyphs"{style.attributes()}>'
            f"{escape(text)}</text>"
        )
    return "\n".join([*lines, "</g>", "</svg>", ""])
