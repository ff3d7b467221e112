"""Logging: files, levels, the terminal, slow and full disks, redaction."""

import errno
import logging
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.limits import PATIENCE_S

from trailingedge.core.background_threads import CLOSE_TIMEOUT_S
from trailingedge.core.errors import ConfigError
from trailingedge.core.redaction import REDACTED
from trailingedge.core.session_log import LONGEST_RECORD
from trailingedge.logging_config import (
    QUIET,
    Logging,
    setup,
    under_journald,
)

NOW = datetime(2025, 6, 1, 12, 30, 15, tzinfo=UTC)
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END PRIVATE KEY-----"

logger = logging.getLogger("trailingedge.tests")


@pytest.fixture(autouse=True)
def _the_end_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the last line, however busy the machine is."""
    monkeypatch.setattr("trailingedge.core.background_threads.CLOSE_TIMEOUT_S", PATIENCE_S)


@pytest.fixture
def install() -> Iterator[Callable[..., Logging]]:
    installed: list[Logging] = []

    def install(*args: object, **options: object) -> Logging:
        installed.append(setup(*args, **options))  # type: ignore[arg-type]  # passed on as the test wrote them
        return installed[-1]

    yield install
    for logs in installed:
        logs.close()


Install = Callable[..., Logging]


def test_a_session_has_its_own_file_and_latest_shows_it(tmp_path: Path, install: Install) -> None:
    logs = install(tmp_path / "logs", NOW)
    logger.info("order placed price=%s", "1.5")
    logs.close()
    assert logs.file == tmp_path / "logs" / "trailingedge_2025-06-01_12-30-15.log"
    assert "INFO    trailingedge.tests: order placed price=1.5\n" in logs.file.read_text()
    assert (tmp_path / "logs" / "latest.log").read_text() == logs.file.read_text()


def test_the_file_is_named_in_utc(tmp_path: Path, install: Install) -> None:
    elsewhere = datetime.fromisoformat("2025-06-01T23:30:15-05:00")
    assert install(tmp_path, elsewhere).file == tmp_path / "trailingedge_2025-06-02_04-30-15.log"


def test_a_later_session_takes_latest_over(tmp_path: Path, install: Install) -> None:
    install(tmp_path, NOW).close()
    logs = install(tmp_path, NOW + timedelta(seconds=1))
    logger.info("the second")
    logs.close()
    assert "the second" in (tmp_path / "latest.log").read_text()


def test_latest_is_a_copy_where_links_fail(tmp_path: Path, install: Install) -> None:
    def refuse(new: Path, target: Path) -> None:
        raise OSError(f"no link {new} to {target}")

    install(tmp_path, NOW, link_to=refuse).close()
    logs = install(tmp_path, NOW + timedelta(seconds=1), link_to=refuse)
    logger.info("copied")
    logs.close()
    latest = tmp_path / "latest.log"
    assert not latest.is_symlink()
    assert logs.file is not None
    assert latest.read_text() == logs.file.read_text()
    assert latest.read_text().endswith("copied\n")


def test_a_latest_that_cannot_be_made_is_done_without(tmp_path: Path, install: Install) -> None:
    (tmp_path / "latest.log").mkdir()
    logs = install(tmp_path, NOW)
    logger.info("all the same")
    logs.close()
    assert logs.file is not None
    assert "all the same" in logs.file.read_text()


def test_each_place_has_its_level(tmp_path: Path, install: Install) -> None:
    shown: list[str] = []
    logs = install(tmp_path, NOW, file_level="INFO", console=shown.append, console_level="WARNING", console_times=False)
    logger.debug("wire")
    logger.info("money")
    logger.warning("worse")
    logs.close()
    assert logs.file is not None
    assert [line.split(": ")[1] for line in logs.file.read_text().splitlines()] == ["money", "worse"]
    assert shown == ["WARNING worse"]


def test_the_terminal_shows_the_time_of_day_unless_the_journal_does(install: Install) -> None:
    shown: list[str] = []
    logs = install(None, NOW, console=shown.append)
    logger.info("with")
    logs.close()
    logs = install(None, NOW, console=shown.append, console_times=False)
    logger.info("without")
    logs.close()
    hour, minute, rest = shown[0].split(":")
    assert hour.isdigit()
    assert minute.isdigit()
    assert rest.endswith(" with")
    assert shown[1] == "without"
    assert logs.file is None


def test_the_journal_gets_the_level_of_each_line(install: Install) -> None:
    shown: list[str] = []
    logs = install(None, NOW, console=shown.append, console_level="DEBUG", console_times=False, console_journal=True)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logger.log(level, "one\ntwo", exc_info=ValueError("bad"))
    logs.close()
    assert [line.split("\n") for line in shown] == [
        ["<7>one\\ntwo", "<7>  ValueError: bad"],
        ["<6>one\\ntwo", "<6>  ValueError: bad"],
        ["<4>WARNING one\\ntwo", "<4>  ValueError: bad"],
        ["<3>ERROR one\\ntwo", "<3>  ValueError: bad"],
    ]


def test_a_text_from_outside_makes_no_line_of_its_own(tmp_path: Path, install: Install) -> None:
    shown: list[str] = []
    hostile = "\x1b[2J\x07\u202e\x9b\r\n2025-06-01 12:30:15.000 INFO    trailingedge.live: order filled"
    logs = install(tmp_path, NOW, console=shown.append)
    logger.warning("request refused reason=%s", hostile)
    logger.warning("request failed", exc_info=ValueError(hostile))
    logs.close()
    assert logs.file is not None
    for line in (*logs.file.read_text().splitlines(), *(line for text in shown for line in text.splitlines())):
        assert line.isprintable()
        assert not line.startswith("2025-06-01 12:30:15.000 INFO")
    assert len([line for line in logs.file.read_text().splitlines() if line.startswith("20")]) == 2


def test_levels_and_secrets_can_change_while_it_runs(tmp_path: Path, install: Install) -> None:
    shown: list[str] = []
    logs = install(tmp_path, NOW, file_level="WARNING", console=shown.append, console_times=False)
    assert not logger.isEnabledFor(logging.DEBUG)
    logs.configure("DEBUG", "ERROR", ["n3w-token"])
    logger.debug("detail of n3w-token")
    logger.warning("worse")
    logs.close()
    assert logs.file is not None
    assert [line.split(": ")[1] for line in logs.file.read_text().splitlines()] == [f"detail of {REDACTED}", "worse"]
    assert shown == []


def test_a_virtual_run_installs_nothing(install: Install) -> None:
    before = logging.getLogger().handlers[:]
    install(None, NOW)
    assert logging.getLogger().handlers == before


def test_closing_twice_leaves_logging_as_it_was(tmp_path: Path, install: Install) -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, {name: logging.getLogger(name).level for name in QUIET})
    logs = install(tmp_path, NOW, console=lambda _: None)
    assert root.level == logging.DEBUG
    assert logging.getLogger("httpx").level == logging.WARNING
    logs.close()
    logs.close()
    assert (root.handlers, root.level, {name: logging.getLogger(name).level for name in QUIET}) == before


def test_everything_said_is_in_the_file_after_closing(tmp_path: Path, install: Install) -> None:
    logs = install(tmp_path, NOW)
    for number in range(5000):
        logger.info("line %d", number)
    logs.close()
    assert logs.file is not None
    assert logs.file.read_text().splitlines()[-1].endswith("line 4999")


# --- A disk that is full, slow, or gone -------------------------------------------------------


class Disk:
    """A file that can be full, that takes a little at a time, and that can keep its writer waiting."""

    def __init__(self, _: Path) -> None:
        self.data = b""
        self.room = 10**9
        self.bite = 7
        self.refused = threading.Event()
        self.answers = threading.Event()
        self.answers.set()
        self.asked = threading.Event()

    def write(self, data: bytes, /) -> int:
        self.asked.set()
        self.answers.wait(PATIENCE_S)
        taken = data[: min(self.bite, self.room)]
        if not taken:
            self.refused.set()
            raise OSError(errno.ENOSPC, "No space left on device")
        self.data += taken
        self.room -= len(taken)
        return len(taken)

    def close(self) -> None:
        self.room = 0


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def test_what_a_full_disk_refuses_is_written_once_there_is_room(tmp_path: Path, install: Install, disk: Disk) -> None:
    shown: list[str] = []
    logs = install(tmp_path, NOW, console=shown.append, console_times=False, open_file=lambda _: disk)
    disk.room = 40
    logger.warning("first, cut in the middle")
    assert disk.refused.wait(PATIENCE_S)
    disk.room = 10**9
    logger.warning("second")
    logs.close()
    *_, second = lines = disk.data.decode().splitlines()
    assert lines[0].endswith("first, cut in the middle")
    assert second.endswith("second")
    assert len(lines) == 3
    assert shown[1] == "WARNING session log cannot be written, trying again reason=[Errno 28] No space left on device"


@pytest.fixture
def most_waiting(monkeypatch: pytest.MonkeyPatch) -> int:
    """As many records as may wait, which are fewer here than they are."""
    monkeypatch.setattr("trailingedge.core.session_log.MOST_WAITING", 1000)
    return 1000


def fill_behind_a_stalled_disk(disk: Disk, most_waiting: int) -> None:
    """Log 500 records more than may wait while the disk does not answer."""
    disk.answers.clear()
    logger.warning("the disk hangs on this one")
    assert disk.asked.wait(PATIENCE_S)
    for number in range(most_waiting + 500):
        logger.info("record %d", number)


def test_a_disk_that_does_not_answer_delays_no_record_and_no_end(
    tmp_path: Path, install: Install, disk: Disk, most_waiting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = install(tmp_path, NOW, open_file=lambda _: disk)
    fill_behind_a_stalled_disk(disk, most_waiting)
    assert CLOSE_TIMEOUT_S <= 1
    monkeypatch.setattr("trailingedge.core.background_threads.CLOSE_TIMEOUT_S", 0.01)
    logs.close()
    assert disk.data == b""
    disk.answers.set()


def test_what_found_no_room_is_counted_where_it_is_missing(
    tmp_path: Path, install: Install, disk: Disk, most_waiting: int
) -> None:
    logs = install(tmp_path, NOW, open_file=lambda _: disk)
    fill_behind_a_stalled_disk(disk, most_waiting)
    disk.bite = 10**9
    disk.answers.set()
    logs.close()
    lines = disk.data.decode().splitlines()
    assert lines[-2].endswith(f"record {most_waiting - 1}")
    assert lines[-1] == "500 records are missing here: the disk was too slow"


# --- Secrets ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("""> {"params":{"apiKey":"K3y","signature":"s1g+/=="},"id":1}""", id="request"),
        pytest.param("params {'signature': 's1g+/==', 'apiKey': 'K3y'}", id="dictionary"),
        pytest.param("GET /order?apiKey=K3y&signature=s1g%2B", id="query"),
        pytest.param(PEM, id="PEM"),
        pytest.param(PEM[:-20], id="half a PEM"),
        pytest.param("POST https://host/bot123456789:AAs1g-abcdefghijklmnopqrstuvwxyz_12/send", id="Telegram"),
        pytest.param("the key is K3y-configured", id="a given secret"),
    ],
)
def test_nothing_secret_is_written(said: str, tmp_path: Path, install: Install) -> None:
    shown: list[str] = []
    logs = install(tmp_path, NOW, console=shown.append, secrets=["K3y", "K3y-configured", ""])
    logger.info("%s", said)
    try:
        raise ValueError(said)
    except ValueError:
        logger.exception("failed")
    logs.close()
    assert logs.file is not None
    written = logs.file.read_text() + "\n".join(shown)
    assert written.count(REDACTED) >= 4
    assert not any(secret in written for secret in ("s1g", "K3y", "MC4CAQ", "configured"))


def test_a_record_that_cannot_be_worded_ends_nothing(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    shown: list[str] = []
    install(None, NOW, console=shown.append)
    record = logger.makeRecord(logger.name, logging.INFO, __file__, 1, "%d orders", ("many",), None)
    logging.getLogger().handlers[-1].handle(record)
    assert shown == []
    assert "Logging error" in capsys.readouterr().err


def test_old_sessions_are_forgotten_and_nothing_else(tmp_path: Path, install: Install) -> None:
    old = ["trailingedge_2025-05-01_00-00-00.log", "trailingedge_2025-05-22_12-30-14.log"]
    kept = ["trailingedge_2025-05-22_12-30-15.log", "trailingedge_notes.log", "other_2020-01-01_00-00-00.log"]
    for name in [*old, *kept]:
        (tmp_path / name).touch()
    logs = install(tmp_path, NOW, retention_days=10)
    assert logs.file is not None
    assert {path.name for path in tmp_path.iterdir()} == {*kept, logs.file.name, "latest.log"}


def test_nothing_is_forgotten_where_all_is_kept(tmp_path: Path, install: Install) -> None:
    ancient = tmp_path / "trailingedge_2001-01-01_00-00-00.log"
    ancient.touch()
    install(tmp_path, NOW, retention_days=0)
    assert ancient.exists()


def test_a_folder_that_cannot_be_written_is_a_matter_of_settings(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(ConfigError, match="LOG_DIR"):
        setup(tmp_path / "logs", NOW)


def test_the_journal_is_known_by_its_stream(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as stream:
        status = os.fstat(stream.fileno())
        assert under_journald({"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}, stream)
        assert not under_journald({"JOURNAL_STREAM": "8:1"}, stream)
        assert not under_journald({}, stream)
    assert not under_journald({"JOURNAL_STREAM": "8:1"}, stream)  # closed


# --- Size, modes and links --------------------------------------------------------------------


def log_sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.glob("trailingedge_*")}


def test_a_flood_goes_on_in_parts_that_keep_to_the_limit_and_say_so(
    tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trailingedge.core.session_log.MEGABYTE", 400_000)
    older = tmp_path / "trailingedge_2025-05-31_00-00-00.log"
    older.write_bytes(b"x" * 200_000)
    logs = install(tmp_path, NOW, max_mb=1)
    for number in range(10_000):
        logger.debug("flood %d %s", number, "x" * 100)
    logs.close()
    assert logs.file is not None
    sizes = log_sizes(tmp_path)
    latest = (tmp_path / "latest.log").readlink().name
    assert older.name not in sizes
    assert {logs.file.name, latest} <= sizes.keys()
    assert "part" in latest
    assert sum(sizes.values()) <= 400_000 + 100_000  # and one batch
    begins = (tmp_path / latest).read_text().splitlines()[:2]
    assert begins[0].startswith("part ")
    assert begins[0].endswith("had reached a quarter of LOG_MAX_MB")
    assert "older log files deleted, because all logs together exceed LOG_MAX_MB: trailingedge_2025-06-01" in begins[1]
    assert (tmp_path / latest).read_text().splitlines()[-1].split(": ")[1].startswith("flood 9999 ")
    assert "flood 0 " in logs.file.read_text()


def test_logs_of_earlier_sessions_beyond_the_limit_are_deleted_at_the_start(tmp_path: Path, install: Install) -> None:
    for day in (1, 2, 3):
        (tmp_path / f"trailingedge_2025-05-0{day}_00-00-00.log").write_bytes(b"x" * 400_000)
    logs = install(tmp_path, NOW, max_mb=1)
    logs.close()
    assert logs.file is not None
    assert log_sizes(tmp_path).keys() == {"trailingedge_2025-05-03_00-00-00.log", logs.file.name}
    assert "2 older log files deleted" in logs.file.read_text()


def test_a_record_of_megabytes_is_cut_in_file_and_terminal(tmp_path: Path, install: Install) -> None:
    shown: list[str] = []
    logs = install(tmp_path, NOW, console=shown.append, console_times=False, secrets=["K3y-configured"])
    logger.info("frame %sK3y-configured%s", "x" * (LONGEST_RECORD - 50), "y" * (16 << 20))
    logs.close()
    assert logs.file is not None
    for text in (shown[0], logs.file.read_text()):
        assert len(text) < LONGEST_RECORD + 200
        assert "K3y" not in text
        assert "… (cut off: a record has at most 10000 characters)" in text


def test_of_a_record_of_megabytes_only_the_beginning_is_made_printable(
    tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []

    def counted(text: str) -> str:
        lengths.append(len(text))
        return text

    monkeypatch.setattr("trailingedge.logging_config.printable", counted)
    monkeypatch.setattr("trailingedge.logging_config.printable_lines", counted)
    logs = install(tmp_path, NOW)
    try:
        raise ValueError("\x1b" * (16 << 20))
    except ValueError as error:
        logger.exception("frame %s", error)
    logs.close()
    assert len(lengths) == 2
    assert max(lengths) < 2 * LONGEST_RECORD


def test_long_records_wait_for_a_slow_disk_only_up_to_a_limit(
    tmp_path: Path, install: Install, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trailingedge.core.session_log.MOST_WAITING_CHARACTERS", 100_000)
    logs = install(tmp_path, NOW, open_file=lambda _: disk)
    disk.answers.clear()
    logger.warning("the disk hangs on this one")
    assert disk.asked.wait(PATIENCE_S)
    for _ in range(20):
        logger.info("x" * 9_000)
    disk.bite = 10**9
    disk.answers.set()
    logs.close()
    assert disk.data.decode().splitlines()[-1] == "9 records are missing here: the disk was too slow"


@pytest.mark.skipif(os.name == "nt", reason="files have no such modes there")
def test_log_and_folder_belong_to_their_user_alone_whatever_the_umask(tmp_path: Path, install: Install) -> None:
    def refuse(new: Path, target: Path) -> None:
        raise OSError(f"no link {new} to {target}")

    before = os.umask(0)
    try:
        logs = install(tmp_path / "a" / "logs", NOW, link_to=refuse)
    finally:
        os.umask(before)
    logs.close()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "a").rglob("*")}
    assert logs.file is not None
    assert modes == {"logs": 0o700, logs.file.name: 0o600, "latest.log": 0o600}
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700


def test_a_link_in_the_place_of_the_log_is_not_followed(tmp_path: Path, install: Install) -> None:
    logs_dir, other = tmp_path / "logs", tmp_path / "other"
    logs_dir.mkdir()
    other.write_text("kept")
    (logs_dir / "trailingedge_2025-06-01_12-30-15.log").symlink_to(other)
    (logs_dir / "trailingedge_2025-06-01_12-30-16.log").symlink_to(tmp_path / "nowhere")
    (logs_dir / "latest.log").symlink_to(other)
    logs = install(logs_dir, NOW)
    logger.info("said")
    logs.close()
    assert logs.file == logs_dir / "trailingedge_2025-06-01_12-30-17.log"
    assert (other.read_text(), (tmp_path / "nowhere").exists()) == ("kept", False)
    assert "said" in (logs_dir / "latest.log").read_text()


def test_sessions_of_the_same_second_do_not_share_a_file(tmp_path: Path) -> None:
    first = setup(tmp_path, NOW)
    first.close()
    second = setup(tmp_path, NOW)
    second.close()
    assert first.file != second.file
