"""HTTP client rules: which bodies of replies are read, and where reading stops."""

import gzip
import logging
from collections.abc import AsyncIterator, Iterable

import httpx
import pytest

from trailingedge.core.http_client import (
    MAX_BODY_BYTES,
    MAX_PIECES,
    UnusableReply,
    body_pieces,
    read_body,
    silence_http_library,
)


async def pieces_of(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def body_of(pieces: Iterable[bytes], headers: dict[str, str] | None = None) -> bytes:
    """What `read_body` returns for a streamed reply of the HTTP library."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=pieces_of(pieces), headers=headers or {}))
    async with (
        httpx.AsyncClient(transport=transport, trust_env=False) as client,
        client.stream("GET", "https://host.example/") as reply,
    ):
        return await read_body(reply)


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([], id="empty"),
        pytest.param([b'{"ok": ', b"true}"], id="in two pieces"),
        pytest.param([b"x" * MAX_BODY_BYTES], id="as large as allowed"),
        pytest.param([b"x"] * MAX_PIECES, id="in as many pieces as allowed"),
    ],
)
async def test_a_body_within_the_bounds_is_read_whole(pieces: list[bytes]) -> None:
    assert await body_of(pieces) == b"".join(pieces)


@pytest.mark.parametrize(
    ("pieces", "most_read", "words"),
    [
        pytest.param([b"x" * (1 << 14)] * 128, 65, "the reply is larger than 1 MB", id="2 MiB"),
        pytest.param([b"x" * (MAX_BODY_BYTES + 1), b""], 1, "the reply is larger than 1 MB", id="a byte too large"),
        pytest.param([b"x"] * 10_000, 2001, "the reply comes in more than 2000 pieces", id="in tiny pieces"),
    ],
)
async def test_reading_stops_at_the_bound(pieces: list[bytes], most_read: int, words: str) -> None:
    rest = iter(pieces)
    with pytest.raises(UnusableReply) as refused:
        await body_of(rest)
    assert str(refused.value) == words
    assert len(list(rest)) == len(pieces) - most_read


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "identity, gzip", "unheard-of"])
async def test_a_compressed_body_is_not_read(encoding: str) -> None:
    rest = iter([gzip.compress(b"x" * 100)])
    with pytest.raises(UnusableReply, match="the reply is compressed, although an uncompressed one was requested"):
        await body_of(rest, {"Content-Encoding": encoding})
    assert len(list(rest)) == 1


@pytest.mark.parametrize("encoding", ["identity", " Identity "])
async def test_a_body_that_is_said_to_be_uncompressed_is_read(encoding: str) -> None:
    assert await body_of([b"{}"], {"Content-Encoding": encoding}) == b"{}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(logging.NOTSET, logging.WARNING, id="raised"),
        pytest.param(logging.DEBUG, logging.WARNING, id="raised from DEBUG"),
        pytest.param(logging.ERROR, logging.ERROR, id="higher already"),
    ],
)
def test_the_library_logs_no_address(before: int, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    loggers = [logging.getLogger(name) for name in ("httpx", "httpcore")]
    for logger in loggers:
        monkeypatch.setattr(logger, "level", before)
    silence_http_library()
    assert [logger.level for logger in loggers] == [after, after]


async def test_a_large_file_is_read_piece_by_piece_up_to_its_own_bound() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=pieces_of([b"x" * 1024] * 2048)))
    async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
        async with client.stream("GET", "https://host.example/") as reply:
            assert [len(piece) async for piece in body_pieces(reply, 2 << 20)] == [1024] * 2048
        async with client.stream("GET", "https://host.example/") as reply:
            with pytest.raises(UnusableReply, match="larger than 1 MB"):
                [piece async for piece in body_pieces(reply, (2 << 20) - 1)]
