"""Bounded reading: the content of a file, or a refusal before it fills the memory."""

import gzip
from pathlib import Path

import pytest
from tests.bombs import gzip_bomb
from tests.peak_memory import peak_memory_mb

from trailingedge.core.bounded_files import FREE_BYTES, MOST_RATIO, TooLarge, read, read_gzip


def test_a_file_up_to_its_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)
    assert read(path, 1000) == b"x" * 1000
    with pytest.raises(TooLarge, match="larger than 0 kB"):
        read(path, 999)


def test_a_device_without_an_end_is_refused() -> None:
    with pytest.raises(TooLarge, match="larger than 1 MB"):
        read(Path("/dev/zero"), 1 << 20)


def test_what_a_gzip_file_unpacks_to_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(b"a") + gzip.compress(b"b" * (3 << 20)))
    assert len(read_gzip(path, 4 << 20)) == (3 << 20) + 1
    with pytest.raises(TooLarge, match="it unpacks to more than 2 MB"):
        read_gzip(path, 2 << 20)


def test_a_ratio_that_nobody_means_is_refused_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip_bomb([b"0" * (1 << 20)] * 200))
    peak_mb, refused = peak_memory_mb(lambda: read_gzip(path, 1 << 30), TooLarge)
    assert str(refused) == f"it unpacks to more than {MOST_RATIO} times its size"
    assert peak_mb < 4 * (FREE_BYTES + MOST_RATIO * path.stat().st_size) / 1e6
