"""Errors, exit codes, and the ranking of failures."""

import inspect

import pytest

from trailingedge.core import errors
from trailingedge.core.errors import (
    ConfigError,
    ExchangeUnreachable,
    ExitCode,
    LogonRefused,
    ProtocolViolation,
    RequestRefused,
    RetryLater,
    SessionLost,
    TrailingEdgeError,
    most_severe,
)

RAISED = [error for _, error in inspect.getmembers(errors, inspect.isclass) if issubclass(error, Exception)]


@pytest.mark.parametrize("error", RAISED, ids=lambda error: error.__name__)
def test_everything_raised_on_purpose_can_be_caught_as_ours_and_says_what_to_do_next(error: type[Exception]) -> None:
    assert issubclass(error, TrailingEdgeError)
    assert error.__doc__


def test_a_config_error_lists_everything_that_is_wrong() -> None:
    error = ConfigError(["SYMBOL is empty", "FEE is below the exchange's"])
    assert error.problems == ("SYMBOL is empty", "FEE is below the exchange's")
    assert str(error) == "SYMBOL is empty; FEE is below the exchange's"


def test_a_refusal_keeps_the_exchanges_own_words() -> None:
    error = RequestRefused(-1121, "Invalid symbol.")
    assert (error.code, error.text, str(error)) == (-1121, "Invalid symbol.", "-1121 Invalid symbol.")


@pytest.mark.parametrize(
    ("retry_at_ms", "told_ms", "wait_s"),
    [
        pytest.param(None, None, 0.0, id="not asked for"),
        pytest.param(12_000, None, 2.0, id="by our idea of its clock"),
        pytest.param(12_000, 5_000, 7.0, id="by its own clock"),
        pytest.param(9_000, None, 0.0, id="over"),
    ],
)
def test_a_refusal_says_how_long_to_leave_the_exchange_alone(
    retry_at_ms: int | None, told_ms: int | None, wait_s: float
) -> None:
    assert RequestRefused(-1003, "banned", retry_at_ms, told_ms).wait_s(server_ms=10_000) == wait_s


def test_the_exit_codes_are_the_ones_the_operator_was_promised() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0,
        "UNEXPECTED": 1,
        "USAGE": 2,
        "HALTED": 3,
        "UNREACHABLE": 4,
        "CONFIG": 78,
        "INTERRUPTED": 130,
    }


MISTAKE, INTERRUPT = KeyError("a"), KeyboardInterrupt()
CONFIG, LOGON = ConfigError(["b"]), LogonRefused("c")
UNREACHABLE, VIOLATION = ExchangeUnreachable("d"), ProtocolViolation("e")
LOST, LATER = SessionLost("f"), RetryLater("g")


@pytest.mark.parametrize(
    ("failures", "chosen"),
    [
        pytest.param([LOST, UNREACHABLE], UNREACHABLE, id="a lost session is last"),
        pytest.param([LOST, VIOLATION], VIOLATION, id="a lost session is after a violation"),
        pytest.param([LATER, LOST], LATER, id="of equals the first"),
        pytest.param([UNREACHABLE, VIOLATION], UNREACHABLE, id="of what may pass the first"),
        pytest.param([LOST, UNREACHABLE, LOGON], LOGON, id="what a person must change before what may pass"),
        pytest.param([LOGON, CONFIG], LOGON, id="of what a person must change the first"),
        pytest.param([LOST, CONFIG, UNREACHABLE, MISTAKE], MISTAKE, id="our mistake first"),
        pytest.param([CONFIG, INTERRUPT], INTERRUPT, id="an interrupt before the settings"),
    ],
)
def test_of_several_failures_the_most_severe_decides(failures: list[BaseException], chosen: BaseException) -> None:
    assert most_severe(BaseExceptionGroup("", failures)) is chosen


@pytest.mark.parametrize("chosen", [MISTAKE, LOGON, UNREACHABLE])
def test_ranking_on_the_way_up_is_ranking_at_once(chosen: BaseException) -> None:
    failures: list[BaseException] = [LOST, chosen, LATER]
    for split in range(1, 3):
        inner = BaseExceptionGroup("", failures[split:])
        nested = BaseExceptionGroup("", [*failures[:split], inner])
        stepwise = BaseExceptionGroup("", [*failures[:split], most_severe(inner)])
        assert most_severe(nested) is most_severe(stepwise) is chosen
