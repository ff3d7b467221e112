"""Exceptions, named by what we do next.

They are raised where the fact is known; foreign exceptions are translated at the border. On the
order path an outcome is a value (see `websocket/outcomes.py`): exceptions are for sessions and start.
"""

from collections.abc import Iterator, Sequence
from enum import IntEnum


class TrailingEdgeError(Exception):
    """Everything this package raises on purpose."""


class ConfigError(TrailingEdgeError):
    """A person must change the settings; `problems` lists everything that is wrong with them."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class UsageError(ConfigError):
    """The command line is wrong by itself, whatever the settings and the files are."""


class LogonRefused(TrailingEdgeError):
    """The exchange does not accept our key; a person must act."""


class StartFailed(TrailingEdgeError):
    """The exchange answers, but one of the steps to readiness did not come true."""


class SessionLost(TrailingEdgeError):
    """The connection is no use: back off, reconnect, reconcile.

    `wait_s` is how long the exchange asks to be left alone before the next attempt.
    """

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class RetryLater(SessionLost):
    """Nothing was sent: for `wait_s` the exchange wants to hear nothing. The connection may be as good as ever."""


class ExchangeUnreachable(TrailingEdgeError):
    """The reconnect attempts allowed are used up."""


class RequestRefused(TrailingEdgeError):
    """The exchange said no. `code` and `text` are its own.

    Where it tells from when on it will listen again, `retry_at_ms` is that time by its clock, and
    `told_ms` the time at which it said so.
    """

    def __init__(self, code: int, text: str, retry_at_ms: int | None = None, told_ms: int | None = None) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.retry_at_ms = retry_at_ms
        self.refused_at_ms = told_ms

    def wait_s(self, server_ms: int) -> float:
        """How long to leave it alone. `server_ms` is its time as far as we know, where it did not tell."""
        if self.retry_at_ms is None:
            return 0.0
        return max(0.0, (self.retry_at_ms - (server_ms if self.refused_at_ms is None else self.refused_at_ms)) / 1000)


class OutcomeUnknown(TrailingEdgeError):
    """Asked and not heard (time-out, −1006, −1007, 5xx): query before anything else."""


class ProtocolViolation(TrailingEdgeError):
    """A message we cannot read: log it and drop the frame."""


class BrokenInvariant(TrailingEdgeError):
    """We were wrong: withdraw the order, halt trading, alert. The process stays."""


class ExitCode(IntEnum):
    """How the process ends, for scripts and for systemd's RestartPreventExitStatus."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    HALTED = 3  # by a rule of ours
    UNREACHABLE = 4  # the exchange; worth a restart
    CONFIG = 78  # settings or permissions: a person must act
    INTERRUPTED = 130  # a command, by Ctrl-C, before it had anything to tell; as shells count it


def most_severe(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """A mistake of ours before what a person must mend, and that before what may pass."""
    return min(_leaves(group), key=_rank)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for failure in group.exceptions:
        if isinstance(failure, BaseExceptionGroup):
            yield from _leaves(failure)
        else:
            yield failure


def _rank(failure: BaseException) -> int:
    if not isinstance(failure, TrailingEdgeError):
        return 0
    return 1 if isinstance(failure, ConfigError | LogonRefused) else 2
