"""HTTP client rules: rules for all HTTP requests of this program, and the bounds of the replies.

Theory of operation. Three parts of the program send HTTP requests: the check of the API key's permissions, the client
of Telegram's Bot API, and the client of the archive of past markets. The other side, or a proxy between, may answer
with anything, and the program must not run out of memory or stop trading because of that. So each client sends
`UNCOMPRESSED` among its headers, streams the reply and reads it with `read_body`, which sets three bounds, or a large
file piece by piece with `body_pieces`, which sets two. Each client turns `UnusableReply` into its own error.

This module does not import the HTTP library, which is slow to import: it uses only two members of a reply, which the
protocol below declares.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from trailingedge.core.bounded_files import megabytes
from trailingedge.core.errors import TrailingEdgeError

UNCOMPRESSED: Final[Mapping[str, str]] = MappingProxyType({"Accept-Encoding": "identity"})
MAX_BODY_BYTES: Final = 1 << 20
# One piece costs some 30 µs, and many pieces of one read follow each other without a pause: a body of 1 MiB in chunks
# of one byte would keep the event loop busy for seconds at a time. In TCP's smallest segments it has 1,957 pieces.
MAX_PIECES: Final = 2000
_LIBRARY_LOGGERS: Final = ("httpx", "httpcore")


class UnusableReply(TrailingEdgeError):
    """The body of an HTTP reply is compressed or exceeds a bound; the message says which."""


class StreamedReply(Protocol):
    """A reply whose headers were read and whose body was not: a streamed `httpx.Response`."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    def aiter_bytes(self) -> AsyncIterator[bytes]: ...


async def read_body(reply: StreamedReply) -> bytes:
    """Return the body of a reply, and stop reading where it exceeds a bound.

    Raises UnusableReply if the body is compressed, larger than `MAX_BODY_BYTES`, or in more than `MAX_PIECES` pieces.
    The duration has no bound here: the caller's timeout must include this call.
    """
    body = bytearray()
    pieces = 0
    async for piece in body_pieces(reply, MAX_BODY_BYTES):
        body += piece
        pieces += 1
        if pieces > MAX_PIECES:
            raise UnusableReply(f"the reply comes in more than {MAX_PIECES} pieces")
    return bytes(body)


async def body_pieces(reply: StreamedReply, most_bytes: int) -> AsyncGenerator[bytes, None]:
    """Yield the body of a reply in pieces, as they arrive.

    Raises UnusableReply if it is compressed or larger than `most_bytes`.
    """
    # The library would decompress a body without a bound: 1 MB can become 1 GB.
    if reply.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnusableReply("the reply is compressed, although an uncompressed one was requested")
    read_bytes = 0
    async for piece in reply.aiter_bytes():
        read_bytes += len(piece)
        if read_bytes > most_bytes:
            raise UnusableReply(f"the reply is larger than {megabytes(most_bytes)}")
        yield piece


def silence_http_library() -> None:
    """Set the HTTP library's loggers to WARNING: at lower levels they log URLs, which contain a token or a signature.

    A level that is already higher stays.
    """
    for name in _LIBRARY_LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))
