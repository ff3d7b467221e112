"""Bounded reading: returns the whole content of a plain or gzip file, unless it is larger than a limit.

Reading stops at the limit. The size that a file states is not trusted, so a gzip bomb cannot fill the memory.
"""

from pathlib import Path
from typing import Final

_CHUNK: Final = 1 << 20
# What compresses better than that is made to. A record or report compresses to a fifth, with long stretches of equal
# values to a thirtieth; deflate itself reaches a thousandth.
MOST_RATIO: Final = 100
LARGEST_KEY_BYTES: Final = 64 << 10
FREE_BYTES: Final = 16 << 20  # the ratio counts beyond this size only


class TooLarge(Exception):
    """A file has more content than the limit, which the message names."""


def read(path: Path, most_bytes: int) -> bytes:
    """Return the content of a file. Raises TooLarge if it is larger than `most_bytes`, OSError if it is unreadable."""
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise TooLarge(f"larger than {megabytes(most_bytes)}")
    return content


def read_gzip(path: Path, most_bytes: int) -> bytes:
    """Return the unpacked content of a gzip file.

    Raises TooLarge if the content is larger than `most_bytes`, or if `check_ratio` finds a gzip
    bomb. For a damaged file `gzip` raises OSError, EOFError or zlib.error.
    """
    import gzip  # late: a daemon reads no such file

    content = bytearray()
    with path.open("rb") as packed, gzip.GzipFile(fileobj=packed) as file:
        while chunk := file.read(_CHUNK):
            content += chunk
            check_ratio(len(content), packed.tell())
            if len(content) > most_bytes:
                raise TooLarge(f"it unpacks to more than {megabytes(most_bytes)}")
    return bytes(content)


def check_ratio(unpacked_bytes: int, packed_bytes: int) -> None:
    """Raise TooLarge if the compression ratio is that of a gzip bomb (above 100; the first 16 MB are exempt)."""
    if unpacked_bytes > FREE_BYTES + MOST_RATIO * packed_bytes:
        raise TooLarge(f"it unpacks to more than {MOST_RATIO} times its size")


def megabytes(count: int) -> str:
    """Return a number of bytes as text: in megabytes, such as "64 MB", or in kilobytes below 1 MB."""
    return f"{count >> 20} MB" if count >> 20 else f"{count >> 10} kB"
