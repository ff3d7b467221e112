"""The text of frames: bytes, broken bytes, and how much of it."""

import pytest

from trailingedge.core.printable import frame_text


@pytest.mark.parametrize(
    ("frame", "longest", "text"),
    [
        pytest.param("{}", None, "{}", id="text"),
        pytest.param("Größe".encode(), None, "Größe", id="bytes"),
        pytest.param(b"a\xffb", None, "a\ufffdb", id="not UTF-8"),
        pytest.param("abcdef", 3, "abc", id="text cut"),
        pytest.param("aö".encode(), 2, "a\ufffd", id="cut within a character"),
    ],
)
def test_a_frame_becomes_text(frame: str | bytes, longest: int | None, text: str) -> None:
    assert frame_text(frame, longest) == text
