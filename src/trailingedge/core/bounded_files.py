"""Bounded reading: the whole content of a file, and of a compressed one, only if it has a size that can be meant.

Neither a size that the file states nor the ratio of a compressor is believed: reading stops at the limit.
"""

import gzip
from pathlib import Path
from typing import Final

_CHUNK: Final = 1 << 20
# What compresses better than that is made to. A record or report compresses to a fifth, with long stretches of equal
# values to a thirtieth; deflate itself reaches a thousandth.
MOST_RATIO: Final = 100
LARGEST_KEY_BYTES: Final = 64 << 10
FREE_BYTES: Final = 16 << 20  # the ratio counts beyond this size only


class TooLarge(Exception):
    """A file has more content than any that was meant; the message says how much is allowed."""


def read(path: Path, most_bytes: int) -> bytes:
    """Return the content of a file. Raises TooLarge if it has more than `most_bytes`, and OSError."""
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise TooLarge(f"larger than {megabytes(most_bytes)}")
    return content


def read_gzip(path: Path, most_bytes: int) -> bytes:
    """Return what a gzip file unpacks to.

    Raises TooLarge if that is more than `most_bytes` or more than a hundred times the file's own
    size, and what `gzip` raises: OSError, EOFError, zlib.error.
    """
    content = bytearray()
    with path.open("rb") as packed, gzip.GzipFile(fileobj=packed) as file:
        while chunk := file.read(_CHUNK):
            content += chunk
            check_ratio(len(content), packed.tell())
            if len(content) > most_bytes:
                raise TooLarge(f"it unpacks to more than {megabytes(most_bytes)}")
    return bytes(content)


def check_ratio(unpacked_bytes: int, packed_bytes: int) -> None:
    """Raise TooLarge if so much from so little can only have been made to fill the memory."""
    if unpacked_bytes > FREE_BYTES + MOST_RATIO * packed_bytes:
        raise TooLarge(f"it unpacks to more than {MOST_RATIO} times its size")


def megabytes(count: int) -> str:
    """The number of bytes as text, in whole megabytes or, below one, in kilobytes: "64 MB"."""
    return f"{count >> 20} MB" if count >> 20 else f"{count >> 10} kB"
