"""Printable text: turns what another party sent into text that can be logged, saved and shown.

An exchange, a chat service, a file or an environment may send any character. Written raw, an escape sequence clears the
terminal, a line break forges another log line, and a change of direction (bidi) shows a number in another order.
`printable` prevents that. It is called where foreign text enters: in the readers of frames and files, in every error of
ours (`core.errors`), and in the log.
"""

from typing import Final

LONGEST_MESSAGE: Final = 1000  # characters of a message from outside; an honest one has fewer than 200
_CUT_MARK: Final = "…"


def printable(text: str, longest: int | None = None) -> str:
    r"""Return `text` with escapes in place of characters that cannot be printed: a line break becomes `\n`.

    These are control characters (C0, DEL and C1), line and paragraph separators, characters that have no width or
    change the direction of text, lone surrogates, and characters that Unicode does not define. A tab or any other blank
    becomes a space. With `longest`, a longer text is first cut to that many characters. Without it, printable text is
    returned unchanged.
    """
    if longest is not None and len(text) > longest:
        text = text[: longest - len(_CUT_MARK)] + _CUT_MARK
    if text.isprintable():  # nearly always, and the check is fast
        return text
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def printable_lines(text: str) -> str:
    """Return `text` with each of its lines printable. Only line feeds separate lines."""
    return "\n".join(map(printable, text.split("\n")))


def _escape(character: str) -> str:
    # Only separators are blanks. A tab is a control character, but common in honest text and of no harm as a space.
    if character == "\t" or (character.isspace() and character not in _LINE_BREAKS):
        return " "
    return character.encode("unicode_escape").decode("ascii")


# What some program or other takes for the end of a line. Source: str.splitlines in Python's documentation.
_LINE_BREAKS: Final = frozenset("\n\r\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029")


def frame_text(frame: str | bytes, longest: int | None = None) -> str:
    """Return the text of a WebSocket frame as printable text; bytes that are not UTF-8 become U+FFFD.

    With `longest`, the text has at most that many characters before it is made printable. The frame is cut before it is
    decoded, because a frame may have megabytes and a log line shows only its beginning.
    """
    part = frame if longest is None else frame[:longest]
    return printable(part if isinstance(part, str) else part.decode(errors="replace"))
