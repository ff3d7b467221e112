"""Check result: what a check found, as a line for people and as JSON."""

import contextlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from trailingedge.core.errors import ExitCode
from trailingedge.core.printable import printable
from trailingedge.logging_config import setup

_WIDEST_NAME: Final = 16  # "key permissions", with a space to spare
# Most severe first: what a person must correct, then what may pass by itself.
_SEVERITY: Final = (ExitCode.CONFIG, ExitCode.UNREACHABLE, ExitCode.UNEXPECTED)


class CheckStatus(Enum):
    """How a check ended. JSON contains the values."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "left out"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One finding. A failure has an exit code; `remedy` says what to do about it."""

    name: str
    status: CheckStatus
    text: str
    remedy: str = ""
    code: ExitCode = ExitCode.OK

    def __post_init__(self) -> None:
        # Findings quote paths, the environment and what the exchange says.
        for name in ("name", "text", "remedy"):
            object.__setattr__(self, name, printable(" ".join(getattr(self, name).split())))

    def __str__(self) -> str:
        text = f"{self.text}; {self.remedy}" if self.remedy else self.text
        status = "skipped" if self.status is CheckStatus.SKIPPED else self.status.value
        return f"{status:<8}  {self.name:<{_WIDEST_NAME}}  {text}"

    def as_json(self) -> dict[str, str]:
        """The finding as `doctor --json` prints it."""
        return {"name": self.name, "verdict": self.status.value, "text": self.text, "remedy": self.remedy}


def passed(name: str, text: str) -> CheckResult:
    """Return the result of a check that found nothing wrong."""
    return CheckResult(name, CheckStatus.OK, text)


def warning(name: str, text: str, remedy: str = "") -> CheckResult:
    """Return a finding that does not prevent trading."""
    return CheckResult(name, CheckStatus.WARNING, text, remedy)


def failure(name: str, text: str, remedy: str = "", *, code: ExitCode = ExitCode.CONFIG) -> CheckResult:
    """Return a finding that prevents trading."""
    return CheckResult(name, CheckStatus.FAILED, text, remedy, code)


def skipped(name: str, text: str) -> CheckResult:
    """Return the result of a check that was not made; `text` says why."""
    return CheckResult(name, CheckStatus.SKIPPED, text)


def exit_code(results: Iterable[CheckResult]) -> ExitCode:
    """Return the exit code of the most severe failure; OK if nothing failed."""
    codes = {result.code for result in results}
    return next((code for code in _SEVERITY if code in codes), ExitCode.OK)


def summary_line(results: Iterable[CheckResult]) -> str:
    """How many checks failed or warned: "1 failed, 2 warnings", or "all is well"."""
    found = [result.status for result in results]
    failed, warnings = found.count(CheckStatus.FAILED), found.count(CheckStatus.WARNING)
    parts = [f"{failed} failed"] if failed else []
    parts += [f"{warnings} {'warning' if warnings == 1 else 'warnings'}"] if warnings else []
    return ", ".join(parts) or "all is well"


@contextlib.contextmanager
def quiet_log(secrets: Iterable[str]) -> Iterator[None]:
    """Suppress the log until the `with` block ends, so that it does not mix with the findings.

    Only ERROR records still go to stderr; they mean a bug in this program.
    """
    log = setup(
        None,
        datetime.now(UTC),
        console=lambda line: print(line, file=sys.stderr),
        console_level="ERROR",
        secrets=secrets,
    )
    try:
        yield
    finally:
        log.close()
