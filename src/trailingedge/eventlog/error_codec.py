"""Codec for errors from outside: written into a record as JSON, and raised again from it.

Only the kinds that the daemon handles differently keep their type. Any other becomes `UnknownError` with the same text,
which the replayed daemon handles as it handles every unexpected exception.
"""

from collections.abc import Sequence
from typing import Any, Final

from trailingedge.core.errors import ConfigError, LogonRefused, SessionLost

RAISED_BY_HANDLER: Final = "of our own"  # as it stands in records: the daemon's own frame handler raised


class UnknownError(Exception):
    """An error in a replay whose type has no meaning for the daemon."""


def encode_error(error: BaseException) -> list[Any]:
    """The error as JSON: its kind, then its arguments."""
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


def decode_error(encoded: Sequence[Any]) -> Exception:
    """The error that `encode_error` wrote."""
    match list(encoded):
        case ["SessionLost", str(reason), float() | int() as wait_s]:
            return SessionLost(reason, wait_s)
        case ["ConfigError", *problems]:
            return ConfigError([str(problem) for problem in problems])
        case ["LogonRefused", str(text)]:
            return LogonRefused(text)
        case ["OSError", str(text)]:
            return OSError(text)
        case _:
            return UnknownError(": ".join(map(str, encoded)))
