"""A stalled disk must not delay the daemon: a named pipe without a reader stands in for the disk."""

import logging
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trailingedge.logging_config import setup

NOW = datetime(2025, 6, 1, 12, 30, 15, tzinfo=UTC)
RECORDS = 2000

logger = logging.getLogger("trailingedge.tests")


@pytest.mark.skipif(os.name == "nt", reason="there are no named pipes to stand in for the disk")
def test_a_stalled_disk_delays_no_log_call_and_receives_every_record_in_the_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    logs = setup(tmp_path / "logs", NOW, open_file=lambda _: pipe.open("wb", buffering=0))
    for number in range(RECORDS):  # more than the pipe holds: a direct write would block here for ever
        logger.info("record %d %s", number, "x" * 100)
    os.set_blocking(reader, True)
    written = b""
    while f"record {RECORDS - 1} ".encode() not in written:
        piece = os.read(reader, 1 << 20)
        assert piece, "the log was closed early"
        written += piece
    logs.close()
    os.close(reader)
    assert [line.split()[5] for line in written.decode().splitlines()] == [str(number) for number in range(RECORDS)]
