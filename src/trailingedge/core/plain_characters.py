"""Plain characters: replacements for characters that a terminal's encoding lacks.

An encoding such as ASCII or Latin-1 lacks some of the dashes, dots and lines that our texts use. `make_safe` lets a
stream replace them while it encodes, so that a text can be printed on any terminal without an error.
"""

import codecs
from typing import Final, TextIO

_SIGNS: Final = "─│├└┬┴·…–−×µ²" + "╭╮╰╯┄↑↓" + "▁▂▃▄▅▆▇█"  # of texts, of the chart, and of bars from low to high
_PLAIN: Final = "-|++++|.--xu2" + "/\\\\/.^v" + "_.-~=+*#"
_LONGER: Final = {"≥": ">=", "≤": "<=", "±": "+-", "√": "sqrt", "Σ": "sum", "✓": "ok"}
TO_ASCII: Final = str.maketrans(dict(zip(_SIGNS, _PLAIN, strict=True)) | _LONGER)
_HANDLER: Final = "trailingedge.plain"


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """Return what to write in place of characters that the encoding lacks: ASCII, or a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    plain = error.object[error.start : error.end].translate(TO_ASCII)
    return plain.encode("ascii", "replace").decode("ascii"), error.end


codecs.register_error(_HANDLER, _replaced)


def in_encoding(text: str, encoding: str) -> str:
    """Return `text` with plain characters in place of those that `encoding` lacks."""
    return text.encode(encoding, _HANDLER).decode(encoding)


def make_safe(stream: TextIO | None) -> None:
    """Let `stream` write plain characters in place of those that its encoding lacks.

    A stream that cannot be changed, for example one in memory, stays as it is.
    """
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors=_HANDLER)
