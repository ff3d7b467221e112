"""Printable text: turns what another party sent into text that can be logged, saved and shown."""


def frame_text(frame: str | bytes, longest: int | None = None) -> str:
    """Return the text of a WebSocket frame; bytes that are not UTF-8 become U+FFFD.

    With `longest`, the text has at most that many characters. The frame is cut before it is
    decoded, because a frame may have megabytes and a log line shows only its beginning.
    """
    part = frame if longest is None else frame[:longest]
    return part if isinstance(part, str) else part.decode(errors="replace")
