"""Tests of opening a session record beside the log."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.daemon_harness import with_settings

from trailingedge.accounting.summary_json import settings_without_secrets
from trailingedge.config import Settings
from trailingedge.eventlog.recording_start import open_record, settings_fingerprint

NOW = datetime(2026, 7, 2, 14, 47, tzinfo=UTC)


def test_the_record_has_the_name_of_the_log(tmp_path: Path) -> None:
    with open_record(Settings(), tmp_path / "trailingedge_2026-07-02_14-47-00.log", NOW, []) as lines:
        assert lines is not None
    assert [path.name for path in tmp_path.iterdir()] == ["trailingedge_2026-07-02_14-47-00.session.jsonl.gz"]


@pytest.mark.parametrize("settings", [with_settings(record=False), Settings()], ids=["not wanted", "no log"])
def test_without_recording_there_is_no_writer(settings: Settings, tmp_path: Path) -> None:
    with open_record(settings, None if settings.record else tmp_path / "some.log", NOW, []) as lines:
        assert lines is None
    assert list(tmp_path.iterdir()) == []


def test_a_record_that_cannot_be_opened_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_record(Settings(), tmp_path / "nowhere" / "a" / "some.log", NOW, []):
        pass
    (tmp_path / "file").touch()
    with open_record(Settings(), tmp_path / "file" / "some.log", NOW, []) as lines:
        assert lines is None
    (warning,) = caplog.records
    assert warning.getMessage().startswith("session is not recorded")


def test_the_fingerprint_depends_on_settings_but_not_on_secrets() -> None:
    marks = [
        settings_fingerprint(settings_without_secrets(settings))
        for settings in (
            Settings(),
            with_settings(binance_ed25519_api_key="abcdefghij"),
            with_settings(min_factor=0.2),
        )
    ]
    assert marks[0] == marks[1] != marks[2]
