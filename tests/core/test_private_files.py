"""Private files: modes whatever the umask, links that are not followed, names that are taken."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from trailingedge.core import private_files

pytestmark = pytest.mark.skipif(os.name == "nt", reason="files have no such modes there")


@pytest.fixture(params=[0o000, 0o022, 0o277], ids=lambda umask: f"umask {umask:03o}")
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.usefixtures("_umask")
def test_files_and_folders_belong_to_their_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    private_files.make_folder(folder)
    private_files.write_all(private_files.create(folder / "made"), b"1")
    private_files.write_all(private_files.open_chosen(folder / "chosen"), b"2")
    private_files.replace(folder / "replaced", b"3")
    assert {mode(path) for path in (folder, folder.parent)} == {0o700}
    assert {path.name: mode(path) for path in folder.iterdir()} == {"made": 0o600, "chosen": 0o600, "replaced": 0o600}


def test_a_folder_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    private_files.make_folder(tmp_path)
    assert mode(tmp_path) == 0o750


def test_a_folder_cannot_be_made_in_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        private_files.make_folder(tmp_path / "file")


@pytest.mark.parametrize("target", ["there", "nowhere"])
def test_a_name_that_is_taken_is_not_written_to(tmp_path: Path, target: str) -> None:
    (tmp_path / "there").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / target)
    for taken in ("there", "link"):
        with pytest.raises(FileExistsError):
            private_files.create(tmp_path / taken)
    assert (tmp_path / "there").read_text() == "kept"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("append", [True, False])
@pytest.mark.parametrize("target", ["there", "nowhere"])
def test_a_link_that_was_chosen_is_refused_in_words(tmp_path: Path, target: str, append: bool) -> None:
    (tmp_path / "there").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / target)
    with pytest.raises(OSError, match="it is a symbolic link; name the file that it leads to"):
        private_files.open_chosen(tmp_path / "link", append=append)
    assert (tmp_path / "there").read_text() == "kept"
    assert not (tmp_path / "nowhere").exists()


def test_a_chosen_file_is_emptied_or_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "chosen"
    path.write_text("before ")
    path.chmod(0o640)
    private_files.write_all(private_files.open_chosen(path, append=True), b"after")
    assert path.read_text() == "before after"
    private_files.write_all(private_files.open_chosen(path), b"new")
    assert (path.read_text(), mode(path)) == ("new", 0o640)


def test_devices_and_pipes_are_opened_as_they_are(tmp_path: Path) -> None:
    private_files.write_all(private_files.open_chosen(Path(os.devnull)), b"gone")
    reads, writes = os.pipe()
    (tmp_path / "link").symlink_to(f"/proc/self/fd/{writes}")
    private_files.write_all(private_files.open_chosen(tmp_path / "link"), b"through the pipe")
    os.close(writes)
    with open(reads, "rb") as pipe:
        assert pipe.read() == b"through the pipe"


def test_a_device_is_not_replaced() -> None:
    with pytest.raises(OSError, match="it is a device or a pipe"):
        private_files.replace(Path(os.devnull), b"x")
    assert Path(os.devnull).is_char_device()


def test_a_failed_replacement_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        private_files.replace(tmp_path / "folder", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
