"""Errors, named by what we do next, and the exit codes of the process.

An error is raised where the fact is known; exceptions of libraries are translated where they are called. On the order
path an outcome is a value (see `model.order_outcomes`): exceptions are for connections and for the start.
"""

from collections.abc import Iterator, Sequence
from enum import IntEnum


class TrailingEdgeError(Exception):
    """The base of all errors that this package raises on purpose; any other exception is a mistake of ours."""


class ConfigError(TrailingEdgeError):
    """A person must change the settings; `problems` lists everything that is wrong with them."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class UsageError(ConfigError):
    """The command line itself is wrong, with any settings and files."""


class LogonRefused(TrailingEdgeError):
    """The exchange does not accept our key; a person must act."""


class StartFailed(TrailingEdgeError):
    """The exchange answers, but a step of the start failed."""


class SessionLost(TrailingEdgeError):
    """The connection is lost or useless: back off, reconnect, reconcile.

    `wait_s` is how long the exchange asks us to wait before the next attempt.
    """

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class RetryLater(SessionLost):
    """Nothing was sent, because the exchange accepts nothing for `wait_s`. The connection may be fine."""


class ExchangeUnreachable(TrailingEdgeError):
    """The reconnect attempts allowed are used up."""


class RequestRefused(TrailingEdgeError):
    """The exchange refused a request; `code` and `text` are its own.

    Where the reply has a time from which requests are accepted again, `retry_at_ms` is that time by the exchange's
    clock, and `refused_at_ms` the time of the reply.
    """

    def __init__(self, code: int, text: str, retry_at_ms: int | None = None, refused_at_ms: int | None = None) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.retry_at_ms = retry_at_ms
        self.refused_at_ms = refused_at_ms

    def wait_s(self, server_ms: int) -> float:
        """How long to send nothing. `server_ms` is our estimate of its time, used where the reply had none."""
        # Both times are the exchange's own, so that our clock may be wrong by any amount.
        if self.retry_at_ms is None:
            return 0.0
        return max(0.0, (self.retry_at_ms - (server_ms if self.refused_at_ms is None else self.refused_at_ms)) / 1000)


class OutcomeUnknown(TrailingEdgeError):
    """A request without a reply (time-out, −1006, −1007, 5xx): query before anything else."""


class ProtocolViolation(TrailingEdgeError):
    """A message that we cannot read: log it and drop the frame."""


class BrokenInvariant(TrailingEdgeError):
    """A mistake of ours: cancel the order, halt trading, alert. The process goes on."""


class ExitCode(IntEnum):
    """How the process ends, for scripts and for systemd's RestartPreventExitStatus."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    HALTED = 3  # by a safety rule
    UNREACHABLE = 4  # the exchange; worth a restart
    # EX_CONFIG of sysexits.h. systemd does not restart after it: a restart cannot mend a wrong setting.
    CONFIG = 78  # settings or permissions: a person must act
    INTERRUPTED = 130  # a command, by Ctrl-C, before it had a result; 128 + SIGINT, as shells do


def most_severe(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure in `group` to act on, at any depth: of equally severe ones the first.

    A mistake of ours comes before what a person must change, that before what may pass, and a lost session comes
    last: a task that fails often closes the connection, and the tasks beside it then lose their session. Ranking
    group by group on the way up gives the same failure as ranking all of them at once.
    """
    return min(_leaves(group), key=_severity_rank)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for failure in group.exceptions:
        if isinstance(failure, BaseExceptionGroup):
            yield from _leaves(failure)
        else:
            yield failure


def _severity_rank(failure: BaseException) -> int:
    match failure:
        case ConfigError() | LogonRefused():
            return 1
        case SessionLost():
            return 3
        case TrailingEdgeError():
            return 2
        case _:
            return 0
