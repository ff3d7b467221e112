"""Tests of the error codec: errors that the daemon handles keep their type through a record."""

import pytest

from trailingedge.core.errors import ConfigError, LogonRefused, SessionLost
from trailingedge.eventlog.error_codec import UnknownError, decode_error, encode_error


@pytest.mark.parametrize(
    "error",
    [SessionLost("HTTP 429", 7.0), ConfigError(["one", "two"]), LogonRefused("-2015"), OSError("full")],
    ids=lambda error: type(error).__name__,
)
def test_an_error_that_the_daemon_handles_keeps_its_type_and_text(error: Exception) -> None:
    again = decode_error(encode_error(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_another_error_keeps_its_text() -> None:
    again = decode_error(encode_error(ZeroDivisionError("division by zero")))
    assert isinstance(again, UnknownError)
    assert str(again) == "ZeroDivisionError: division by zero"
