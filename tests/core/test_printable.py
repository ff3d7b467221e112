"""Foreign text: which characters are escaped, and the text of frames."""

import sys
import unicodedata

import pytest

from trailingedge.core.errors import ConfigError, ExchangeUnreachable, RequestRefused, SessionLost
from trailingedge.core.printable import frame_text, printable

HOSTILE = "\x1b[2J\x07\x9b31m\u202eevil\u2066\r\n2026-01-01 00:00:00.000 INFO order filled\u2028\u200b\ud800\x00"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("order filled 0.5 ETH · 2,500.10 ≥ ö", "order filled 0.5 ETH · 2,500.10 ≥ ö", id="honest"),
        pytest.param("币安人生USDT 🚀", "币安人生USDT 🚀", id="other scripts"),
        pytest.param("a\r\nb", r"a\r\nb", id="line break"),
        pytest.param("\x1b[31mred\x07", r"\x1b[31mred\x07", id="escape sequence and bell"),
        pytest.param("\x9b31m\x85", r"\x9b31m\x85", id="C1"),
        pytest.param("1\u202e23\u202c", r"1\u202e23\u202c", id="bidi"),
        pytest.param("a\u2028b\u2029c", r"a\u2028b\u2029c", id="separators"),
        pytest.param("a\tb\u00a0c\u3000d", "a b c d", id="blanks"),
        pytest.param("a\u200bb\ufeffc", r"a\u200bb\ufeffc", id="no width"),
        pytest.param("a\ud800b", r"a\ud800b", id="lone surrogate"),
    ],
)
def test_what_cannot_be_printed_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_no_character_of_unicode_can_control_or_break_a_line() -> None:
    # The planes between have letters only, those above nothing that is printed.
    shown = printable("".join(map(chr, (*range(0x20000), *range(0xE0000, 0xE0200), sys.maxunicode))))
    assert shown.isprintable()
    assert len(shown.splitlines()) == 1
    assert not {unicodedata.category(character) for character in set(shown)} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_a_long_text_is_cut() -> None:
    assert printable("x" * 5000, 10) == "xxxxxxxxx…"
    assert printable("x" * 10, 10) == "x" * 10


@pytest.mark.parametrize(
    "error",
    [
        SessionLost(f"closed 1008 {HOSTILE}"),
        RequestRefused(-2010, HOSTILE),
        ConfigError([f"{HOSTILE}: no such file"]),
        ExchangeUnreachable(HOSTILE),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_one_printable_line(error: Exception) -> None:
    assert str(error).isprintable()
    assert getattr(error, "text", "").isprintable()
    assert all(problem.isprintable() for problem in getattr(error, "problems", ()))


@pytest.mark.parametrize(
    ("frame", "longest", "text"),
    [
        pytest.param("{}", None, "{}", id="text"),
        pytest.param("Größe".encode(), None, "Größe", id="bytes"),
        pytest.param(b"a\xffb", None, "a\ufffdb", id="not UTF-8"),
        pytest.param("abcdef", 3, "abc", id="text cut"),
        pytest.param("aö".encode(), 2, "a\ufffd", id="cut within a character"),
        pytest.param(b"a\x1b\nb", None, r"a\x1b\nb", id="control characters"),
    ],
)
def test_a_frame_becomes_text(frame: str | bytes, longest: int | None, text: str) -> None:
    assert frame_text(frame, longest) == text
