"""Plain characters: a stream whose encoding lacks our signs writes ASCII, and never fails."""

import io

import pytest

from trailingedge.core.plain_characters import in_encoding, make_safe


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("utf-8", "a – b · c ≥ d 币"),
        ("ascii", "a - b | c >= d ?"),
        ("latin-1", "a - b · c >= d ?"),
    ],
)
def test_only_what_the_encoding_lacks_is_replaced(encoding: str, written: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    make_safe(stream)
    stream.write("a – b · c ≥ d 币")
    stream.flush()
    assert raw.getvalue().decode(encoding) == written == in_encoding("a – b · c ≥ d 币", encoding)


def test_a_stream_that_cannot_be_changed_stays_as_it_is() -> None:
    make_safe(io.StringIO())
    make_safe(None)
