"""Check results: one line for people, one JSON object for machines, and one exit code of all."""

import logging

import pytest

from trailingedge.commands.checks.result import (
    CheckResult,
    exit_code,
    failure,
    passed,
    quiet_log,
    skipped,
    summary_line,
    warning,
)
from trailingedge.core.errors import ExitCode

FINE = passed("clock", "it is right")
WARNED = warning("clock", "it is off", "set it")
LEFT = skipped("clock", "there is no connection")
WRONG = failure("settings", "FEE is 2", "lower it")
AWAY = failure("connection", "refused", code=ExitCode.UNREACHABLE)
ODD = failure("rules", "unheard of", code=ExitCode.UNEXPECTED)


@pytest.mark.parametrize(
    ("finding", "line"),
    [
        pytest.param(FINE, "ok        clock             it is right", id="fine"),
        pytest.param(WARNED, "warning   clock             it is off; set it", id="a warning with its remedy"),
        pytest.param(WRONG, "failed    settings          FEE is 2; lower it", id="a failure"),
        pytest.param(LEFT, "skipped   clock             there is no connection", id="left out"),
        pytest.param(passed("a", "two\nlines"), "ok        a                 two lines", id="never two lines"),
    ],
)
def test_a_finding_is_one_line(finding: CheckResult, line: str) -> None:
    assert str(finding) == line


def test_a_machine_reads_the_same() -> None:
    assert WARNED.as_json() == {"name": "clock", "verdict": "warning", "text": "it is off", "remedy": "set it"}


@pytest.mark.parametrize(
    ("findings", "code", "said"),
    [
        pytest.param([], 0, "all is well", id="nothing"),
        pytest.param([FINE, LEFT], 0, "all is well", id="fine"),
        pytest.param([FINE, WARNED], 0, "1 warning", id="a warning is no failure"),
        pytest.param([WARNED, AWAY, WARNED], 4, "1 failed, 2 warnings", id="away"),
        pytest.param([AWAY, WRONG, ODD], 78, "3 failed", id="what a person must mend goes first"),
        pytest.param([ODD, AWAY], 4, "2 failed", id="then what may pass"),
        pytest.param([ODD], 1, "1 failed", id="what nobody foresaw"),
    ],
)
def test_the_gravest_failure_decides(findings: list[CheckResult], code: int, said: str) -> None:
    assert (exit_code(findings), summary_line(findings)) == (code, said)


def test_of_the_log_only_mistakes_are_shown_and_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("trailingedge.anything")
    with quiet_log(["hush-hush"]):
        logger.warning("worse than usual")
        logger.error("a mistake with hush-hush")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "worse than usual" not in shown.err
    assert "a mistake with" in shown.err
    assert "hush-hush" not in shown.err
