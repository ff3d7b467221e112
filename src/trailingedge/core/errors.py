"""Errors, named by how the program reacts to them, and the exit codes of the process.

The code that detects a failure raises the error. Exceptions of a library are translated where the
library is called. On the order path, functions return an outcome as a value (see
`model.order_outcomes`); exceptions are used only for connections and for the start.
"""

from collections.abc import Iterator, Sequence
from enum import IntEnum

from trailingedge.core.printable import printable
from trailingedge.core.redaction import redact, redact_words


class TrailingEdgeError(Exception):
    """The base of all errors that this package raises on purpose; any other exception is a bug.

    Its text is one printable line without secrets, because it quotes files, settings and what other hosts say.
    """

    def __init__(self, *texts: str) -> None:
        super().__init__(*map(_safe, texts))


def _safe(text: str) -> str:
    return redact(printable(text))


class ConfigError(TrailingEdgeError):
    """A person must change the settings; `problems` lists everything that is wrong with them."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(map(_safe, problems))


class UsageError(ConfigError):
    """The command line is wrong, no matter which settings and files exist.

    The message does not show words of the command line that look like a secret.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__([redact_words(problem) for problem in problems])


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
    """The request was not sent: the exchange accepts no requests for `wait_s` seconds. The connection may be fine."""


class ExchangeUnreachable(TrailingEdgeError):
    """The exchange could not be reached in the allowed number of attempts."""


class RequestRefused(TrailingEdgeError):
    """The exchange refused a request; `code` and `text` are the exchange's code and message.

    `retry_at_ms` is the time from which the exchange accepts requests again. `refused_at_ms` is the
    time of the reply. Both are by the exchange's clock, and None if the reply does not contain
    them.
    """

    def __init__(self, code: int, text: str, retry_at_ms: int | None = None, refused_at_ms: int | None = None) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = _safe(text)
        self.retry_at_ms = retry_at_ms
        self.refused_at_ms = refused_at_ms

    def wait_s(self, server_ms: int) -> float:
        """Return for how many seconds to send no requests; 0 if the reply sets no limit.

        `server_ms` is our estimate of the exchange's time, used if the time of the reply is
        unknown.
        """
        # Both times are the exchange's own, so that our clock may be wrong by any amount.
        if self.retry_at_ms is None:
            return 0.0
        return max(0.0, (self.retry_at_ms - (server_ms if self.refused_at_ms is None else self.refused_at_ms)) / 1000)


class OutcomeUnknown(TrailingEdgeError):
    """The outcome of a request is unknown (time-out, −1006, −1007, 5xx): a query comes before any other request."""


class ProtocolViolation(TrailingEdgeError):
    """A message that we cannot read: log it and drop the frame."""


class BrokenInvariant(TrailingEdgeError):
    """A bug of ours was detected: cancel the order, halt trading, alert. The process goes on."""


class ExitCode(IntEnum):
    """The exit codes of the process, for scripts and for systemd's RestartPreventExitStatus."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    HALTED = 3  # by a safety rule
    UNREACHABLE = 4  # the exchange; worth a restart
    # EX_CONFIG of sysexits.h. systemd does not restart after it: a restart cannot mend a wrong setting.
    CONFIG = 78  # settings or permissions: a person must act
    INTERRUPTED = 130  # a command, by Ctrl-C, before it had a result; 128 + SIGINT, as shells do


def most_severe(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the most severe failure in `group`, at any depth; of equally severe failures the first.

    The most severe failure is an unexpected exception, which is a bug. Then come errors that a person must correct,
    then temporary errors. A lost session comes last: a task that fails often closes the connection, and the tasks
    beside it then lose their session. Ranking nested groups one by one gives the same result as ranking all failures at
    once.
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
