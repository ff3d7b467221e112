"""Private files: every file and folder that this program makes belongs to its user alone, under any umask.

A log, a record or a report shows what somebody owns and trades, so files get mode 0600 and folders 0700. Where the
program chose the path, the file must be new (`O_EXCL`): another user may have put a file or a link there. Where a
person chose the path, the file may exist, but a symbolic link is not followed (`O_NOFOLLOW`): it could lead to a file
that the person did not mean.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
_FLAGS: Final = os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def make_folder(path: Path) -> None:
    """Make the folder `path` and its missing parents, each for this user alone. Raises OSError.

    A folder that exists keeps its mode: a person or systemd has chosen it.
    """
    if path.is_dir():
        return
    if path.parent != path:
        make_folder(path.parent)
    try:
        os.mkdir(path, FOLDER_MODE)
    except FileExistsError as error:
        if not path.is_dir():  # else another process was faster
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from error
    else:
        os.chmod(path, FOLDER_MODE)  # the umask may have taken bits away


@contextlib.contextmanager
def restored(folder: Path) -> Iterator[None]:
    """At the end of the `with` block, remove `folder` and its parents if the block created them and they are empty."""
    missing = [each for each in (folder, *folder.parents) if not os.path.exists(each)]  # never raises, innermost first
    try:
        yield
    finally:
        for each in missing:
            with contextlib.suppress(OSError):
                each.rmdir()


def create(path: Path) -> BinaryIO:
    """Make a new file and open it for writing, without a buffer.

    A buffer would keep the bytes that a full disk has refused, and fail on them again when it is
    closed. Raises FileExistsError if anything has that name, even a broken link. May also raise any
    other OSError.
    """
    descriptor = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, FILE_MODE)
    _set_mode(descriptor)
    return open(descriptor, "wb", buffering=0)


def open_chosen(path: Path, *, append: bool = False) -> BinaryIO:
    """Open a file that a person has named, for writing; its content is lost unless `append` is set.

    An existing file keeps its mode. Devices and pipes such as /dev/null are opened as they are.
    Raises OSError; for a symbolic link to a file its message says so.
    """
    try:
        file = create(path)
    except FileExistsError:
        pass
    else:
        return file
    flags = _FLAGS | (os.O_APPEND if append else os.O_TRUNC)
    if not _is_stored(path):
        flags &= ~getattr(os, "O_NOFOLLOW", 0)  # /dev/stdout is a link to a pipe or a terminal
    try:
        return open(os.open(path, flags), "ab" if append else "wb", buffering=0)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a symbolic link; name the file that it leads to", str(path)) from error
        raise


def replace(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader sees the old content or the new, never a part. Raises OSError.

    A link at `path` is replaced, not followed.
    """
    if path.exists() and not _is_stored(path):
        raise OSError(errno.EINVAL, "it is a device or a pipe", str(path))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_all(create(temporary), content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_all(file: BinaryIO, content: bytes) -> None:
    """Write all of `content` to an unbuffered file, and close it. Raises OSError."""
    with file:
        view = memoryview(content)
        while view:
            view = view[file.write(view) :]


def _set_mode(descriptor: int) -> None:
    if hasattr(os, "fchmod"):  # Windows has none, and no modes
        os.fchmod(descriptor, FILE_MODE)


def _is_stored(path: Path) -> bool:
    """Whether `path`, or the target of a link at `path`, is a regular file and not a device or a pipe."""
    try:
        return stat.S_ISREG(path.stat().st_mode) or stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return True  # a link to nothing
