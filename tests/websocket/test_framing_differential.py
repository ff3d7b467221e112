"""LowLatencyConnection and the library's own connection do the same with every stream of bytes, however it is split."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Final

import pytest
from tests.websocket.test_low_latency_transport import LIMIT, Bench, MemoryTransport
from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

_TEXT, _BINARY, _CONT, _CLOSE, _PING, _PONG = 1, 2, 0, 8, 9, 10
_BAD_TEXTS: Final = (b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc0\xaf")
_SIZES: Final = (0, 1, 5, 125, 126, 127, 300)
_STREAMS: Final = 250
_TURNS: Final = 3  # of the event loop, until `recv` has returned all messages of a piece


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    mask: bytes | None = None,
    length_bytes: int | None = None,
) -> bytes:
    """One frame as its bytes, right or wrong. `length_bytes` is 0, 2 or 8; the default is the shortest form."""
    size = len(payload)
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 1 << 16 else 8
    short = {0: size, 2: 126, 8: 127}[length_bytes]
    head = bytes((fin << 7 | reserved << 4 | opcode, (0x80 if mask is not None else 0) | short))
    return head + (size.to_bytes(length_bytes, "big") if length_bytes else b"") + (mask or b"") + payload


@dataclass
class Outcome:
    """What a connection did with a stream: its messages, the frames that it sent, how it closed."""

    messages: list[bytes] = field(default_factory=list)
    sent: list[tuple[int, bytes]] = field(default_factory=list)
    state: State = State.CONNECTING
    codes: tuple[object, object] = (None, None)

    def close(self, connection: ClientConnection, transport: MemoryTransport) -> None:
        """Note what was sent before the connection is lost, and how it ended."""
        server = ServerProtocol(state=State.OPEN, max_size=None)
        server.receive_data(bytes(transport.written))
        self.sent = [(each.opcode, bytes(each.data)) for each in server.events_received() if isinstance(each, Frame)]
        self.state = connection.protocol.state
        protocol = connection.protocol
        self.codes = (protocol.close_rcvd, protocol.close_sent)


async def by_library(pieces: Sequence[bytes]) -> Outcome:
    """What the library's own connection and its `recv` do."""
    outcome, transport = Outcome(), MemoryTransport()
    connection = ClientConnection(ClientProtocol(parse_uri("ws://127.0.0.1/"), max_size=LIMIT))
    connection.connection_made(transport)
    handshake = _shake_hands(connection, transport)
    connection.data_received(handshake)

    async def collect() -> None:
        with suppress(ConnectionClosed):
            while True:
                message = await connection.recv()
                outcome.messages.append(message.encode() if isinstance(message, str) else message)

    collecting = asyncio.create_task(collect())
    for piece in pieces:
        connection.data_received(piece)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
    outcome.close(connection, transport)
    connection.connection_lost(None)
    await collecting
    return outcome


async def by_ours(pieces: Sequence[bytes]) -> Outcome:
    """What our connection does."""
    outcome, bench = Outcome(), Bench()
    bench.connection.start_delivery(
        lambda frames: outcome.messages.extend(bytes(each) for each in frames if isinstance(each, bytes))
    )
    bench.receive(bench.handshake_response)
    bench.transport.written.clear()
    for piece in pieces:
        bench.connection.data_received(piece)
    assert bench.connection.handler_error is None
    outcome.close(bench.connection, bench.transport)
    bench.connection.connection_lost(None)
    return outcome


def _shake_hands(connection: ClientConnection, transport: MemoryTransport) -> bytes:
    server = ServerProtocol()
    connection.protocol.send_request(connection.protocol.connect())
    connection.send_data()
    server.receive_data(bytes(transport.written))
    transport.written.clear()
    (asked,) = server.events_received()
    server.send_response(server.accept(asked))  # type: ignore[arg-type]  # the first event is a request
    return b"".join(server.data_to_send())


async def assert_same(pieces: Sequence[bytes]) -> None:
    assert await by_ours(pieces) == await by_library(pieces)


STREAMS: Final[dict[str, bytes]] = {
    "a text inside a fragmented message": frame(_TEXT, b"a", fin=False) + frame(_TEXT, b"b") + frame(_CONT, b"c"),
    "a text inside one that began empty": frame(_TEXT, fin=False) + frame(_TEXT, b"b"),
    "a ping between fragments": frame(_TEXT, b"a", fin=False) + frame(_PING, b"?") + frame(_CONT, b"b"),
    "a fragmented binary message": frame(_BINARY, b"\xff", fin=False) + frame(_CONT, b"\xfe") + frame(_TEXT, b"a"),
    "a binary message that is no text": frame(_TEXT, b"a") + frame(_BINARY, b"\xff\xfe") + frame(_TEXT, b"b"),
    "a continuation of nothing": frame(_TEXT, b"a") + frame(_CONT, b"b") + frame(_TEXT, b"c"),
    "a text that is not UTF-8": frame(_TEXT, b"a") + frame(_TEXT, b"\xff") + frame(_TEXT, b"b"),
    "a fragmented text that is not UTF-8": frame(_TEXT, b"\xc3", fin=False) + frame(_CONT, b"(") + frame(_TEXT, b"b"),
    "a character in two fragments": frame(_TEXT, b"\xc3", fin=False) + frame(_CONT, b"\xbc") + frame(_TEXT, b"b"),
    "not UTF-8, then a violation": frame(_TEXT, b"\xff") + frame(3, b"b") + frame(_TEXT, b"c"),
    "not UTF-8, then a close": frame(_TEXT, b"\xff") + frame(_CLOSE, b"\x03\xe8") + frame(_TEXT, b"c"),
    "a masked text": frame(_TEXT, b"a") + frame(_TEXT, b"b", mask=b"abcd") + frame(_TEXT, b"c"),
    "a reserved bit": frame(_TEXT, b"a") + frame(_TEXT, b"b", reserved=4) + frame(_TEXT, b"c"),
    "a length that is longer than needed": frame(_TEXT, b"a", length_bytes=8) + frame(_TEXT, b"b", length_bytes=2),
    "a length with the highest bit": bytes((0x81, 127)) + b"\xff" * 8 + frame(_TEXT, b"c"),
    "a long ping": frame(_PING, b"x" * 126) + frame(_TEXT, b"c"),
    "a ping in fragments": frame(_PING, b"x", fin=False) + frame(_TEXT, b"c"),
    "an unsolicited pong": frame(_PONG, b"x") + frame(_TEXT, b"c"),
    "a close with a code": frame(_TEXT, b"a") + frame(_CLOSE, b"\x03\xf0no") + frame(_TEXT, b"b"),
    "a close without a code": frame(_CLOSE) + frame(_TEXT, b"b"),
    "a close of one byte": frame(_CLOSE, b"\x03") + frame(_TEXT, b"b"),
    "a close with a code that is not allowed": frame(_CLOSE, b"\x03\xed") + frame(_TEXT, b"b"),
    "a close whose reason is not UTF-8": frame(_CLOSE, b"\x03\xe8\xff") + frame(_TEXT, b"b"),
    "a close inside a fragmented message": frame(_TEXT, b"a", fin=False) + frame(_CLOSE, b"\x03\xe8"),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_is_handled_alike_split_at_every_byte(name: str) -> None:
    data = STREAMS[name]
    await assert_same([data])
    await assert_same([data[at : at + 1] for at in range(len(data))])
    for at in range(1, len(data)):
        await assert_same([data[:at], data[at:]])


async def test_random_streams_are_handled_alike() -> None:
    for seed in range(_STREAMS):
        chance = Random(seed)
        data = b"".join(_any_frame(chance) for _ in range(chance.randrange(1, 12)))
        outcomes = [await run(_pieces(data, Random(seed))) for run in (by_ours, by_library)]
        assert outcomes[0] == outcomes[1], f"seed {seed}: {data!r}"


def _any_frame(chance: Random) -> bytes:
    """A frame as the exchange sends it, or one that is unusual or wrong."""
    usual: list[Callable[[], bytes]] = [
        lambda: frame(_TEXT, _text(chance)),
        lambda: frame(_TEXT, _text(chance), fin=False) + _maybe(chance, frame(_PING, b"?")) + frame(_CONT, b"end"),
        lambda: frame(_PING, b"x" * chance.choice((0, 4, 125))),
    ]
    unusual: list[Callable[[], bytes]] = [
        lambda: frame(_BINARY, bytes(chance.randrange(256) for _ in range(chance.choice(_SIZES)))),
        lambda: frame(chance.choice((_TEXT, _BINARY)), _text(chance), fin=False),
        lambda: frame(_CONT, _text(chance), fin=chance.random() < 0.5),
        lambda: frame(_PONG, b"x"),
        lambda: frame(_TEXT, "ü€𝄞".encode() * chance.choice((1, 40))),
        lambda: frame(_TEXT, b"a" * chance.choice((0, 130)) + chance.choice(_BAD_TEXTS)),
        lambda: frame(_TEXT, chance.choice(_BAD_TEXTS), fin=False) + frame(_CONT, b"b"),
        lambda: frame(chance.randrange(16), b"x" * chance.choice(_SIZES), fin=chance.random() < 0.5),
        lambda: frame(_TEXT, b"a", reserved=chance.randrange(1, 8)),
        lambda: frame(_TEXT, b"a", mask=bytes(4)),
        lambda: frame(_TEXT, b"a" * 3, length_bytes=chance.choice((2, 8))),
        lambda: bytes((0x81, 127)) + chance.randbytes(8),
        lambda: frame(_CLOSE, chance.randrange(1 << 16).to_bytes(2, "big") + chance.choice((b"", b"gone", b"\xff"))),
        lambda: chance.randbytes(chance.randrange(1, 6)),
    ]
    return chance.choice(usual if chance.random() < 0.7 else unusual)()


def _text(chance: Random) -> bytes:
    return b"x" * chance.choice(_SIZES)


def _maybe(chance: Random, data: bytes) -> bytes:
    return data if chance.random() < 0.5 else b""


def _pieces(data: bytes, chance: Random) -> list[bytes]:
    pieces, at = [], 0
    sizes = chance.choice(((1 << 20,), (1, 2, 3), (1, 64, 700)))
    while at < len(data):
        size = chance.choice(sizes)
        pieces.append(data[at : at + size])
        at += size
    return pieces
