"""An error that came from outside comes back as what it was."""

import pytest

from trailingedge.core.errors import ConfigError, LogonRefused, SessionLost
from trailingedge.eventlog.error_codec import UnknownError, decode_error, encode_error


@pytest.mark.parametrize(
    "error",
    [SessionLost("HTTP 429", 7.0), ConfigError(["one", "two"]), LogonRefused("-2015"), OSError("full")],
    ids=lambda error: type(error).__name__,
)
def test_an_error_that_is_acted_upon_keeps_its_kind_and_its_words(error: Exception) -> None:
    again = decode_error(encode_error(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_any_other_keeps_its_words() -> None:
    again = decode_error(encode_error(ZeroDivisionError("division by zero")))
    assert isinstance(again, UnknownError)
    assert str(again) == "ZeroDivisionError: division by zero"
