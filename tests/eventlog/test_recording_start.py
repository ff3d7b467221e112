"""Tests of opening a session record beside the log."""

from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.daemon_harness import with_settings

from trailingedge.config import settings_without_secrets
from trailingedge.eventlog.recording_start import open_record, settings_fingerprint
from trailingedge.eventlog.writer import RecordWriter

NOW = datetime(2026, 7, 2, 14, 47, tzinfo=UTC)


def opened(log_file: Path | None, *, wanted: bool = True) -> AbstractContextManager[RecordWriter | None]:
    return open_record(log_file, NOW, [], wanted=wanted, max_mb=500, retention_days=30)


def test_the_record_has_the_name_of_the_log(tmp_path: Path) -> None:
    with opened(tmp_path / "trailingedge_2026-07-02_14-47-00.log") as lines:
        assert lines is not None
    assert [path.name for path in tmp_path.iterdir()] == ["trailingedge_2026-07-02_14-47-00.session.jsonl.gz"]


@pytest.mark.parametrize("wanted", [False, True], ids=["not wanted", "no log"])
def test_without_recording_there_is_no_writer(wanted: bool, tmp_path: Path) -> None:
    with opened(None if wanted else tmp_path / "some.log", wanted=wanted) as lines:
        assert lines is None
    assert list(tmp_path.iterdir()) == []


def test_a_record_that_cannot_be_opened_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with opened(tmp_path / "nowhere" / "a" / "some.log"):
        pass
    (tmp_path / "file").touch()
    with opened(tmp_path / "file" / "some.log") as lines:
        assert lines is None
    (warning,) = caplog.records
    assert warning.getMessage().startswith("session is not recorded")


def test_the_fingerprint_depends_on_settings_but_not_on_secrets() -> None:
    marks = [
        settings_fingerprint(settings_without_secrets(settings))
        for settings in (
            with_settings(),
            with_settings(binance_ed25519_api_key="abcdefghij"),
            with_settings(min_factor=0.2),
        )
    ]
    assert marks[0] == marks[1] != marks[2]
