"""Errors that came from outside, written down and raised again."""

from collections.abc import Sequence
from typing import Any, Final

from trailingedge.core.errors import ConfigError, LogonRefused, SessionLost

RAISED_BY_HANDLER: Final = "of our own"  # raised by whoever heard a frame


class UnknownError(Exception):
    """In a replay, an error of a kind that nobody expects."""


def encode_error(error: BaseException) -> list[Any]:
    """The error as JSON."""
    match error:
        case SessionLost():
            return ["SessionLost", str(error), error.wait_s]
        case ConfigError():
            return ["ConfigError", *error.problems]
        case LogonRefused():
            return ["LogonRefused", str(error)]
        case OSError():
            return ["OSError", str(error)]
        case _:
            return [type(error).__name__, str(error)]


def decode_error(told: Sequence[Any]) -> Exception:
    """The error that was written."""
    match list(told):
        case ["SessionLost", str(reason), float() | int() as wait_s]:
            return SessionLost(reason, wait_s)
        case ["ConfigError", *problems]:
            return ConfigError([str(problem) for problem in problems])
        case ["LogonRefused", str(text)]:
            return LogonRefused(text)
        case ["OSError", str(text)]:
            return OSError(text)
        case _:
            return UnknownError(": ".join(map(str, told)))
