"""Codec for errors from outside: encodes them as JSON for a record, and decodes them for a replay.

Only error types that the daemon handles in different ways keep their type. Any other error becomes
`UnknownError` with the same text. The replayed daemon handles it like any unexpected exception.
"""

from collections.abc import Sequence
from typing import Any, Final

from trailingedge.core.errors import ConfigError, LogonRefused, SessionLost

RAISED_BY_HANDLER: Final = "of our own"  # as it stands in records: the daemon's own frame handler raised


class UnknownError(Exception):
    """Replaces, in a replay, a recorded error that the daemon handles like any unexpected exception."""


def encode_error(error: BaseException) -> list[Any]:
    """Return the error as JSON: its type, then its arguments."""
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
    """Return the encoded error. A type that the daemon handles like any unexpected exception becomes UnknownError."""
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
