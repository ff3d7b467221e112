"""Frames where the library's transport delivers them, and writes that leave before the call returns.

The library hands a frame from its parser through a queue to a task that waits for it: one turn of the loop
and a good part of the way from a price to its order. Here a text frame that came whole is cut out of the
received bytes at once, and all that came together is handed over together. Everything else (the handshake,
pings, closes, fragments, frames of unusual size) goes to the library, byte for byte and in its turn; it
keeps the connection alive and ends it.

This leans on what the library does not promise: `ClientConnection` is an `asyncio.Protocol` with the methods
and attributes used below. Hence `connection` imports this only beside a version that it was tested with, and
goes the ordinary way beside any other.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Event

try:
    from websockets.speedups import apply_mask
except ImportError:  # the library was built without them
    from websockets.utils import apply_mask

FrameHandler = Callable[[Sequence[str | bytes]], None]

_MESSAGE_OPCODES: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
_WHOLE_TEXT: Final = 0x81  # FIN, no extension, opcode text
_MASKED: Final = 0x80
_LENGTH_IN_TWO_BYTES: Final = 126  # in place of a size: it is in the two bytes that follow
_LONG_TEXT_HEADER: Final = bytes((_WHOLE_TEXT, _MASKED | _LENGTH_IN_TWO_BYTES))
_MAX_FAST_WRITE_BYTES: Final = 0xFFFF  # bytes; longer requests, which there are none of, are written by the library
_MAX_FAST_READ_BYTES: Final = 1 << 20  # bytes; larger frames are the library's, which has the limit
_MAX_UNDELIVERED: Final = 1000  # kept for whoever is not listening yet
_END_OF_HEADERS: Final = b"\r\n\r\n"
# What follows a write takes longer than the write. Who waits for our bytes on this machine, a proxy or an
# exchange of its own, may have been woken on our core, and would wait for all of it.
_yield_cpu: Final[Callable[[], None]] = getattr(os, "sched_yield", lambda: None)


class LowLatencyConnection(ClientConnection):
    """The library's connection, for `connect(create_connection=…)`. Nobody calls its `recv` but at the end."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.handler_error: BaseException | None = None  # what the listener raised
        self._hear: FrameHandler | None = None
        self._undelivered: list[str | bytes] = []
        self._head = b""  # of the handshake's answer, as far as it has come
        self._partial_frame = b""  # the beginning of a frame whose rest is still to come
        self._library_bytes = 0  # bytes of a frame that belong to the library
        self._parts: list[bytes] = []  # of a fragmented message
        self._together: list[str | bytes] | None = None  # while bytes are being cut, what came with them

    def start_delivery(self, hear: FrameHandler) -> None:
        """Hand over what has come so far, and from now on everything as it comes."""
        self._hear = hear
        early, self._undelivered = self._undelivered, []
        if early:
            self.transport.resume_reading()
            self._deliver(early)

    def write(self, text: str) -> None:
        """A text frame, to the kernel before this returns, unless the other side reads too slowly.

        Raises ConnectionError where the connection is not open any more.
        """
        if self.protocol.state is not OPEN:
            raise ConnectionError("the connection is closed")
        payload = text.encode()
        size = len(payload)
        if size > _MAX_FAST_WRITE_BYTES:
            self.protocol.send_text(payload)
            self.send_data()
            return
        # What the library would write, by a shorter way.
        mask = os.urandom(4)
        head = (
            bytes((_WHOLE_TEXT, _MASKED | size))
            if size < _LENGTH_IN_TWO_BYTES
            else _LONG_TEXT_HEADER + size.to_bytes(2, "big")
        )
        self.transport.write(head + mask + apply_mask(payload, mask))
        _yield_cpu()

    # What the transport calls ----------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self.response is None:
            data = self._end_handshake(data)
        if self.protocol.state is OPEN:
            self._cut(self._partial_frame + data if self._partial_frame else data)
        elif data:
            super().data_received(data)

    def process_event(self, event: Event) -> None:
        """An event of the library's; of messages only those that it was left to parse."""
        if not isinstance(event, Frame) or event.opcode not in _MESSAGE_OPCODES:
            super().process_event(event)
            return
        self._parts.append(bytes(event.data))
        if event.fin:
            whole = b"".join(self._parts)
            self._parts.clear()
            if self._together is None:
                self._deliver([whole])
            else:
                self._together.append(whole)

    # -----------------------------------------------------------------------------------------

    def _end_handshake(self, data: bytes) -> bytes:
        """Let the library have what belongs to its handshake; what comes after that."""
        known = len(self._head)
        self._head += data
        end = self._head.find(_END_OF_HEADERS)
        if end < 0:
            super().data_received(data)
            return b""
        rest = self._head[end + len(_END_OF_HEADERS) :]
        super().data_received(data[: end + len(_END_OF_HEADERS) - known])
        self._head = b""
        return rest

    def _cut(self, data: bytes) -> None:
        """Cut the frames out of `data`, which begins where a frame does, or in one that is the library's."""
        frames: list[str | bytes] = []
        at, end = 0, len(data)
        while at < end:
            if self._library_bytes:
                part = data[at : at + self._library_bytes]
                at += len(part)
                self._library_bytes -= len(part)
                self._together = frames  # a message of fragments takes its place among the others
                super().data_received(part)
                self._together = None
                if self.protocol.state is not OPEN:  # whatever follows is the library's to read or to ignore
                    self._partial_frame = b""
                    if frames:
                        self._deliver(frames)
                    if at < end:
                        super().data_received(data[at:])
                    return
                continue
            if end - at < 2:
                break
            first, length = data[at], data[at + 1]
            start = at + 2
            if length == 126:
                start += 2
                length = int.from_bytes(data[at + 2 : start], "big")
            elif length == 127:
                start += 8
                length = int.from_bytes(data[at + 2 : start], "big")
            elif length > 127:  # masked, which a server must not do: the library will say so
                self._library_bytes = end - at
                continue
            if start > end:
                break
            if first != _WHOLE_TEXT or length > _MAX_FAST_READ_BYTES:
                self._library_bytes = start + length - at
                continue
            if start + length > end:
                break
            frames.append(data[start : start + length])
            at = start + length
        self._partial_frame = data[at:]
        if frames:
            self._deliver(frames)

    def _deliver(self, frames: Sequence[str | bytes]) -> None:
        if self._hear is None:
            self._undelivered.extend(frames)
            if len(self._undelivered) > _MAX_UNDELIVERED:
                self.transport.pause_reading()
            return
        if self.handler_error is not None:
            return
        try:
            self._hear(frames)
        except (Exception, asyncio.CancelledError) as failure:  # noqa: BLE001 - `listen` raises it where it is awaited
            self.handler_error = failure
            self.transport.abort()
