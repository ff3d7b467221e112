"""LowLatencyConnection delivers what the library would deliver, however the bytes are split."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from trailingedge.core.errors import SessionLost
from trailingedge.websocket.low_latency_transport import LowLatencyConnection

ServerAction = Callable[[ServerProtocol], None]

LIMIT: Final = 3_000_000


class MemoryTransport(asyncio.Transport):
    """Transport that keeps what is written, and whether reading is paused."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.reading = True
        self.aborted = False

    def write(self, data: Any) -> None:
        self.written += data

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self.aborted

    def close(self) -> None:
        self.aborted = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


class Bench:
    """A connection in memory whose peer is the library's server protocol."""

    def __init__(self) -> None:
        self.server = ServerProtocol(max_size=None)
        self.transport = MemoryTransport()
        self.batches: list[list[bytes]] = []
        self.connection = LowLatencyConnection(ClientProtocol(parse_uri("ws://127.0.0.1/"), max_size=LIMIT))
        self.connection.connection_made(self.transport)
        request = self.connection.protocol.connect()
        self.connection.protocol.send_request(request)
        self.connection.send_data()
        self.server.receive_data(bytes(self.transport.written))
        self.transport.written.clear()
        (asked,) = self.server.events_received()
        self.server.send_response(self.server.accept(asked))  # type: ignore[arg-type]  # the first event is a request
        self.handshake_response = b"".join(self.server.data_to_send())

    def on_frames(self, frames: Sequence[str | bytes]) -> None:
        self.batches.append([frame for frame in frames if isinstance(frame, bytes)])

    @property
    def texts(self) -> list[bytes]:
        return [frame for batch in self.batches for frame in batch]

    def server_sends(self, *actions: ServerAction) -> bytes:
        for say in actions:
            say(self.server)
        return b"".join(self.server.data_to_send())

    def receive(self, data: bytes, pieces: Iterator[int] | None = None) -> None:
        at = 0
        while at < len(data):
            size = len(data) if pieces is None else next(pieces)
            self.connection.data_received(data[at : at + size])
            at += size


def text(content: bytes) -> ServerAction:
    return lambda server: server.send_text(content)


def in_fragments(*parts: bytes) -> ServerAction:
    def say(server: ServerProtocol) -> None:
        server.send_text(parts[0], fin=False)
        for part in parts[1:-1]:
            server.send_continuation(part, fin=False)
        server.send_continuation(parts[-1], fin=True)

    return say


def ping(server: ServerProtocol) -> None:
    server.send_ping(b"are you there?")


def first_fragment(server: ServerProtocol) -> None:
    server.send_text(b"a", fin=False)


def last_fragment(server: ServerProtocol) -> None:
    server.send_continuation(b"b", fin=True)


async def opened() -> Bench:
    bench = Bench()
    bench.connection.start_delivery(bench.on_frames)
    bench.receive(bench.handshake_response)
    return bench


MESSAGES: Final[dict[str, list[ServerAction]]] = {
    "one": [text(b"hello")],
    "none": [],
    "empty": [text(b"")],
    "of 125 bytes": [text(b"x" * 125)],
    "of 126 bytes": [text(b"x" * 126)],
    "of 65535 bytes": [text(b"x" * 65535)],
    "of 65536 bytes": [text(b"x" * 65536)],
    "larger than is read here": [text(b"a"), text(b"x" * 1_100_000), text(b"b")],
    "many": [text(b"%d" % number) for number in range(500)],
    "in fragments": [text(b"a"), in_fragments(b"b", b"c", b"d"), text(b"e")],
    "with a ping between": [text(b"a"), ping, text(b"b")],
    "with a ping between fragments": [first_fragment, ping, last_fragment],
}


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("cut", [1 << 30, 4096, 7, 1], ids=["whole", "in pages", "in pieces", "byte by byte"])
async def test_every_message_is_delivered_once_and_in_order_however_the_bytes_are_split(name: str, cut: int) -> None:
    if cut < 4096 and name.startswith(("of 65", "larger")):
        cut = 4096 + cut
    reference, bench = Bench(), Bench()
    bench.connection.start_delivery(bench.on_frames)
    data = bench.handshake_response + bench.server_sends(*MESSAGES[name])
    bench.receive(data, iter(lambda: cut, None))
    expected = parsed_by_library(reference, MESSAGES[name])
    assert bench.texts == expected
    assert bench.connection.protocol.state is OPEN


def parsed_by_library(bench: Bench, actions: Sequence[ServerAction]) -> list[bytes]:
    """Return the messages as the library's parser reads them."""
    protocol = bench.connection.protocol
    protocol.receive_data(bench.handshake_response)
    protocol.receive_data(bench.server_sends(*actions))
    messages: list[bytes] = []
    for event in protocol.events_received():
        if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
            messages.append(bytes(event.data))
        elif isinstance(event, Frame) and event.opcode is Opcode.CONT:
            messages[-1] += bytes(event.data)
    return messages


@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=60, deadline=None)
def test_random_messages_are_delivered_as_the_library_parses_them(seed: int) -> None:
    async def check() -> None:
        chance = Random(seed)
        actions: list[ServerAction] = []
        for _ in range(chance.randrange(1, 30)):
            content = bytes(chance.randrange(97, 123) for _ in range(chance.choice((0, 1, 50, 125, 126, 200, 3000))))
            actions.append(chance.choice((text(content), text(content), in_fragments(content, b"-", content), ping)))
        bench = Bench()
        bench.connection.start_delivery(bench.on_frames)
        data = bench.handshake_response + bench.server_sends(*actions)
        bench.receive(data, iter(lambda: chance.choice((1, 2, 3, 64, 1000)), None))
        assert bench.texts == parsed_by_library(Bench(), actions)

    asyncio.run(check())


async def test_frames_of_one_read_are_delivered_together() -> None:
    bench = await opened()
    bench.receive(bench.server_sends(text(b"a"), text(b"b"), text(b"c")))
    assert bench.batches == [[b"a", b"b", b"c"]]


async def test_a_ping_is_answered_with_its_own_payload() -> None:
    bench = await opened()
    bench.receive(bench.server_sends(text(b"a"), ping))
    bench.server.receive_data(bytes(bench.transport.written))
    (pong,) = bench.server.events_received()
    assert (pong.opcode, bytes(pong.data)) == (Opcode.PONG, b"are you there?")  # type: ignore[union-attr]


async def test_frames_before_a_close_are_delivered() -> None:
    bench = await opened()
    bench.receive(bench.server_sends(text(b"a"), lambda server: server.send_close(1008, "Too many requests")))
    assert bench.texts == [b"a"]
    with pytest.raises(ConnectionError):
        bench.connection.write("anybody there?")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x81\x85\x00\x00\x00\x00hello", id="masked"),
        pytest.param(b"\xc1\x05hello", id="compressed, which was not agreed upon"),
        pytest.param(b"\x83\x05hello", id="an opcode there is not"),
        pytest.param(b"\x81\x7f" + (1 << 40).to_bytes(8, "big"), id="larger than the limit"),
    ],
)
async def test_a_protocol_violation_is_left_to_the_library(data: bytes) -> None:
    bench = await opened()
    bench.receive(bench.server_sends(text(b"a")) + data + b"\x81\x01b")
    assert bench.connection.protocol.state is not OPEN
    assert bench.texts == [b"a"]


async def test_frames_before_start_delivery_are_delivered_first() -> None:
    bench = Bench()
    bench.receive(bench.handshake_response + bench.server_sends(text(b"a")))
    bench.connection.start_delivery(bench.on_frames)
    bench.receive(bench.server_sends(text(b"b")))
    assert bench.batches == [[b"a"], [b"b"]]


async def test_reading_pauses_when_too_many_frames_are_undelivered() -> None:
    bench = Bench()
    bench.receive(bench.handshake_response + bench.server_sends(*(text(b"%d" % number) for number in range(1500))))
    read = [bench.transport.reading]
    bench.connection.start_delivery(bench.on_frames)
    read.append(bench.transport.reading)
    assert read == [False, True]
    assert len(bench.texts) == 1500


async def test_an_error_of_the_handler_aborts_the_connection() -> None:
    bench = await opened()
    calls: list[int] = []

    def fail(frames: Sequence[str | bytes]) -> None:
        calls.append(len(frames))
        raise SessionLost("revoked")

    bench.connection.start_delivery(fail)
    bench.receive(bench.server_sends(text(b"a")))
    bench.receive(bench.server_sends(text(b"b")))
    assert calls == [1]
    assert bench.transport.aborted
    assert str(bench.connection.handler_error) == "revoked"


@pytest.mark.parametrize("size", [0, 1, 125, 126, 300, 65_535, 65_536])
async def test_a_frame_is_written_when_write_returns(size: int) -> None:
    bench = await opened()
    bench.connection.write("ü" + "x" * (size - 2) if size >= 2 else "x" * size)
    bench.server.receive_data(bytes(bench.transport.written))
    (frame,) = bench.server.events_received()
    assert isinstance(frame, Frame)
    assert (frame.opcode, frame.fin, len(frame.data)) == (Opcode.TEXT, True, size)
    assert bytes(frame.data).decode().endswith("x" * max(0, size - 2))


async def test_no_two_frames_are_masked_alike() -> None:
    bench = await opened()
    masks = set()
    for _ in range(20):
        bench.transport.written.clear()
        bench.connection.write("hello")
        masks.add(bytes(bench.transport.written[2:6]))
    assert len(masks) > 15


@pytest.mark.parametrize(
    "between",
    [pytest.param(ping, id="a ping"), pytest.param(in_fragments(b"x", b"y"), id="a message of fragments")],
)
async def test_a_library_frame_in_between_does_not_split_the_batch(between: ServerAction) -> None:
    bench = await opened()
    bench.receive(bench.server_sends(text(b"a"), between, text(b"b")))
    assert bench.batches in ([[b"a", b"b"]], [[b"a", b"xy", b"b"]])


def empty_ping(server: ServerProtocol) -> None:
    server.send_ping(b"")


async def test_a_flood_of_pings_ends_the_connection_without_being_read() -> None:
    bench = await opened()
    bench.receive(bench.server_sends(text(b"before"), *[empty_ping] * 20_000, text(b"after")))
    assert isinstance(bench.connection.handler_error, SessionLost)
    assert "more than 100 pings or other control frames in a second" in str(bench.connection.handler_error)
    assert bench.transport.aborted
    assert len(bench.transport.written) < 100 * 7  # a pong has six bytes
    bench.receive(bench.server_sends(*[empty_ping] * 100, text(b"later")))
    assert b"later" not in bench.texts


async def test_pings_up_to_the_limit_are_answered_each_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [10.0]
    monkeypatch.setattr("trailingedge.websocket.low_latency_transport.time.monotonic", lambda: now_s[0])
    bench = await opened()
    for _ in range(3):
        bench.receive(bench.server_sends(*[empty_ping] * 100))
        now_s[0] += 1.0
    assert (bench.connection.handler_error, len(bench.transport.written)) == (None, 300 * 6)


async def test_a_message_in_very_many_fragments_ends_the_connection() -> None:
    bench = await opened()
    bench.receive(bench.server_sends(in_fragments(*[b"x"] * 4_000)))
    assert bench.texts == [b"x" * 4_000]
    bench.receive(bench.server_sends(in_fragments(*[b"x"] * 6_000)))
    assert "a message in more than 5000 fragments" in str(bench.connection.handler_error)
    assert bench.transport.aborted
