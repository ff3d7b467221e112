"""A file has its name only when it is whole, and counts as there only with the sum beside it."""

import hashlib
import os
from pathlib import Path

import pytest

from trailingedge.commands.market_history import verified_files
from trailingedge.commands.market_history.verified_files import FileInUse, open_part

CONTENT = b"PK the whole file"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ETHUSDT-1m-2025-06-02.zip"


def test_a_part_becomes_the_file_with_its_sum_and_no_one_elses(path: Path) -> None:
    with open_part(path) as part:
        part.append(CONTENT[:5])
    assert not path.exists()
    with open_part(path) as part:
        assert part.size == 5
        part.append(CONTENT[5:])
        assert not part.publish("0" * 64)
        assert not path.exists()
        assert part.publish(DIGEST)
    assert path.read_bytes() == CONTENT
    assert verified_files.is_verified(path)
    assert sorted(os.listdir(path.parent)) == [path.name, f"{path.name}.CHECKSUM"]


@pytest.mark.parametrize("damage", ["content", "no sum", "half a sum", "the sum of another"])
def test_a_file_that_does_not_agree_with_its_sum_is_not_there(path: Path, damage: str) -> None:
    with open_part(path) as part:
        part.append(CONTENT)
        part.publish(DIGEST)
    sums = verified_files.sum_path(path)
    match damage:
        case "content":
            path.write_bytes(CONTENT[:-1])
        case "no sum":
            sums.unlink()
        case "half a sum":
            sums.write_bytes(sums.read_bytes()[:40])
        case _:
            sums.write_text(f"{DIGEST}  other.zip\n")
    assert not verified_files.is_verified(path)


@pytest.mark.parametrize(
    ("line", "sum_"),
    [
        (f"{DIGEST}  a.zip\n".encode(), DIGEST),
        (f"{DIGEST} *a.zip\r\n".encode(), DIGEST),
        (f"{DIGEST}  b.zip\n".encode(), None),
        (b"<html>" + DIGEST.encode(), None),
        (f"{DIGEST[:-1]}  a.zip\n".encode(), None),
        (b"", None),
    ],
)
def test_only_a_line_of_sha256sum_for_this_file_is_a_sum(line: bytes, sum_: str | None) -> None:
    assert verified_files.read_sum(line, "a.zip") == sum_


def test_two_runs_do_not_write_the_same_file(path: Path) -> None:
    with open_part(path) as part:
        part.append(CONTENT)
        with pytest.raises(FileInUse, match="another run"), open_part(path):
            pytest.fail("the part was opened twice")
        assert part.publish(DIGEST)
    assert verified_files.is_verified(path)


def test_an_empty_part_is_not_left_behind(path: Path) -> None:
    with open_part(path):
        pass
    assert os.listdir(path.parent) == []
