from datetime import UTC, datetime
from pathlib import Path

import pytest

from trailingedge.websocket.recent_frames import FILES_KEPT, FrameBuffer, save

NOW = datetime(2026, 7, 2, 12, 34, 56, tzinfo=UTC)


class Ticking:
    """Clock that advances a millisecond at each call."""

    def __init__(self) -> None:
        self.now_ms = round(NOW.timestamp() * 1000)

    def __call__(self) -> int:
        self.now_ms += 1
        return self.now_ms


def test_lines_come_in_the_order_of_the_frames() -> None:
    frames = FrameBuffer(Ticking())
    frames.add("api", ">", ['{"id":1}'])
    frames.add("market", "<", ['{"u":2}'])
    frames.add("api", "<", [b'{"id":1,\n"status":200}'])
    assert frames.lines() == [
        '2026-07-02 12:34:56.001 api > {"id":1}',
        '2026-07-02 12:34:56.002 market < {"u":2}',
        '2026-07-02 12:34:56.003 api < {"id":1,\\n"status":200}',
    ]


def test_a_busy_market_does_not_push_out_account_frames() -> None:
    frames = FrameBuffer(Ticking(), kept=3)
    frames.add("api", "<", ["told"])
    for count in range(10):
        frames.add("market", "<", [str(count)])
    assert [line.split(" ", 2)[2] for line in frames.lines()] == [
        "api < told",
        "market < 7",
        "market < 8",
        "market < 9",
    ]


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param('{"params":{"apiKey":"hush","signature":"hush=="}}', id="a logon"),
        pytest.param('{"signature" : "hush', id="one that was cut off"),
        pytest.param(b'{"apiKey":"hush"}', id="bytes"),
    ],
)
def test_keys_and_signatures_are_redacted(frame: str | bytes) -> None:
    frames = FrameBuffer(Ticking())
    frames.add("api", ">", [frame])
    (line,) = frames.lines()
    assert "hush" not in line


def test_of_an_oversized_frame_the_beginning_is_kept() -> None:
    frames = FrameBuffer(Ticking())
    frames.add("api", "<", ["x" * 1_000_000])
    frames.add("api", "<", [b"\xff" * 1_000_000])
    assert all(len(line) < 3000 for line in frames.lines())


def test_they_are_saved_to_a_file_named_by_its_time(tmp_path: Path) -> None:
    path = save(["one", "two «ü»"], tmp_path / "logs", NOW)
    assert path == tmp_path / "logs" / "frames_2026-07-02_12-34-56.txt"
    assert path.read_text(encoding="utf-8") == "one\ntwo «ü»\n"


def test_a_second_file_of_the_same_second_does_not_replace_the_first(tmp_path: Path) -> None:
    first, second = save(["one"], tmp_path, NOW), save(["two"], tmp_path, NOW)
    assert second.name == "frames_2026-07-02_12-34-56_2.txt"
    assert first.read_text(encoding="utf-8") == "one\n"


def test_only_the_newest_files_stay_and_belong_to_their_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    saved = [save([str(number)], folder, NOW) for number in range(FILES_KEPT + 3)]
    assert set(folder.iterdir()) == set(saved[3:])
    assert {path.stat().st_mode & 0o777 for path in (folder, *saved[3:])} == {0o700, 0o600}


def test_a_disk_error_is_raised(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("not a folder")
    with pytest.raises(OSError, match="logs"):
        save(["one"], tmp_path / "logs", NOW)
