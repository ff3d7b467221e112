"""Printable text: turns what another party sent into text that can be logged, saved and shown."""


def frame_text(frame: str | bytes, longest: int | None = None) -> str:
    """The text of a WebSocket frame, at most `longest` characters of it; bytes that are not UTF-8 become U+FFFD.

    The frame is cut before it is decoded: an answer may be of megabytes, of which a log line shows the beginning.
    """
    part = frame if longest is None else frame[:longest]
    return part if isinstance(part, str) else part.decode(errors="replace")
