"""What was found when something was looked at, in words and for machines."""

import contextlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from trailingedge.core.errors import ExitCode
from trailingedge.logging_config import setup

_WIDEST_NAME: Final = 16
# Of several failures the one that a person must mend goes before those that may pass.
_GRAVITY: Final = (ExitCode.CONFIG, ExitCode.UNREACHABLE, ExitCode.UNEXPECTED)


class CheckStatus(Enum):
    """How it is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "left out"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One thing that was looked at. A failure has an exit code; what can be mended has a remedy."""

    name: str
    status: CheckStatus
    text: str
    remedy: str = ""
    code: ExitCode = ExitCode.OK

    def __str__(self) -> str:
        said = f"{self.text}; {self.remedy}" if self.remedy else self.text
        return f"{self.status.value:<8}  {self.name:<{_WIDEST_NAME}}  {' '.join(said.split())}"

    def as_json(self) -> dict[str, str]:
        return {"name": self.name, "verdict": self.status.value, "text": self.text, "remedy": self.remedy}


def passed(name: str, text: str) -> CheckResult:
    return CheckResult(name, CheckStatus.OK, text)


def warning(name: str, text: str, remedy: str = "") -> CheckResult:
    return CheckResult(name, CheckStatus.WARNING, text, remedy)


def failure(name: str, text: str, remedy: str = "", *, code: ExitCode = ExitCode.CONFIG) -> CheckResult:
    return CheckResult(name, CheckStatus.FAILED, text, remedy, code)


def skipped(name: str, text: str) -> CheckResult:
    return CheckResult(name, CheckStatus.SKIPPED, text)


def exit_code(findings: Iterable[CheckResult]) -> ExitCode:
    """The code of the gravest failure."""
    codes = {finding.code for finding in findings}
    return next((code for code in _GRAVITY if code in codes), ExitCode.OK)


def summary_line(findings: Iterable[CheckResult]) -> str:
    """How many went wrong: "1 failed, 2 warnings", or that all is well."""
    verdicts = [finding.status for finding in findings]
    failed, warnings = verdicts.count(CheckStatus.FAILED), verdicts.count(CheckStatus.WARNING)
    parts = [f"{failed} failed"] if failed else []
    parts += [f"{warnings} {'warning' if warnings == 1 else 'warnings'}"] if warnings else []
    return ", ".join(parts) or "all is well"


@contextlib.contextmanager
def quiet_log(secrets: Iterable[str]) -> Iterator[None]:
    """Meanwhile findings speak for themselves: of the log, only what is a mistake of ours is shown, on stderr."""
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
