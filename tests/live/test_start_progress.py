"""Start progress: the step that waits, its attempts and the last reason, for the log, the status line and answers."""

import logging

import pytest

from trailingedge.live.start_progress import StartProgress


def test_each_failed_attempt_is_told_with_step_number_and_reason(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    progress = StartProgress(told.append)
    assert progress.answer().text == "starting, not trading yet"
    progress.begin("candles")
    assert progress.answer().text == "starting, not trading yet: candles, attempt 1"
    assert progress.on_attempt_failed("wss://a: refused", 1.5)
    assert progress.on_attempt_failed("timed out", 4.0)
    assert told == [
        "candles, attempt 1",
        "candles, attempt 2; attempt 1 failed: wss://a: refused; pause 2 s",
        "candles, attempt 3; attempt 2 failed: timed out; pause 4 s",
    ]
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            logging.WARNING,
            f'start waits: attempt {number} of the step "candles" failed: {reason}; next attempt in {pause_s} s',
        )
        for number, reason, pause_s in ((1, "wss://a: refused", 1.5), (2, "timed out", 4.0))
    ]
    answer = progress.answer()
    assert answer.text == f"starting, not trading yet: {told[-1]}"
    assert answer.data == {"phase": "starting", "step": "candles", "attempt": 3, "last_failure": "timed out"}


def test_the_next_step_begins_with_its_first_attempt() -> None:
    progress = StartProgress()
    progress.begin("candles")
    progress.on_attempt_failed("timed out", 4.0)
    progress.begin("balances")
    assert progress.text == "balances, attempt 1"


def test_after_the_start_a_failure_is_left_to_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    progress = StartProgress(told.append)
    assert not progress.on_attempt_failed("before any step", 1.0)
    progress.begin("balances")
    progress.finish()
    assert not progress.on_attempt_failed("closed 1006", 1.0)
    assert (told, caplog.records) == (["balances, attempt 1"], [])
