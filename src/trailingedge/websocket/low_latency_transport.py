"""Low-latency WebSocket connection: reads and writes frames in the transport's callbacks, without a queue or a task.

Theory of operation. The `websockets` library parses received bytes in `data_received`, puts each message into a queue
and wakes the task that awaits `recv`: the message is handled one event-loop iteration later, after everything else
that is ready. That iteration is a large part of the time from a price to its order. `LowLatencyConnection`
overrides four entry points of the library's connection:

- `data_received` finds complete, unfragmented text frames in the received bytes and passes all frames of one read to
  the handler in one call. The caller sees a burst of book updates at once and can act on the newest alone.
- All other bytes go to the library, unchanged and in order: the handshake, pings, pongs, close frames, fragmented
  messages and all that comes between their parts, frames over 1 MiB. So the library still answers pings, keeps the
  connection alive, enforces the protocol and closes. `_library_bytes` counts how many of the next bytes belong to such
  a frame.
- `process_event` catches the messages that the library parsed that way, before they would enter its queue, and puts
  them among the other frames in their place.
- A text that is not UTF-8 ends the connection with code 1007, as the library's `recv` would. Other texts stay bytes.
- `write` builds a text frame and gives it to the transport, which calls `send()` on the socket at once. The bytes are
  with the kernel when `write` returns, unless the peer reads too slowly.

A frame that the library parses costs some twenty times as much as a text frame, and 16,000 pings fit into one read:
a flood of them would keep the event loop busy for minutes, even while the daemon shuts down. So a connection with more
than `_MAX_CONTROL_FRAMES` pings, pongs and the like in a second, or with a message in more than `_MAX_FRAGMENTS`
pieces, is aborted.

An exception of the handler is kept in `handler_error`, and the connection is aborted: raised here, it would only reach
asyncio's exception handler. `Socket.receive`, which the owner of the connection awaits, raises it later.

All this relies on internals of the library: `ClientConnection` is an `asyncio.Protocol` with the attributes `protocol`,
`transport` and `response` and the methods used below. Therefore `socket_dialer.dial` uses this class only with versions
that it was tested with, and the library's public methods with any other. A test compares both on random streams.
"""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN, Event

try:
    from websockets.speedups import apply_mask
except ImportError:  # the library was built without its C extension
    from websockets.utils import apply_mask

from trailingedge.core.errors import SessionLost

FrameHandler = Callable[[Sequence[str | bytes]], None]

_MESSAGE_OPCODES: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
# The header of a frame (RFC 6455, section 5.2). First byte: FIN, three extension bits, opcode. Second byte: mask bit
# and length; a length of 126 or 127 means that the real one follows in two or eight bytes.
_WHOLE_TEXT: Final = 0x81  # FIN, no extension, opcode text
_MASKED: Final = 0x80  # a client must mask its frames, a server must not (section 5.1)
_LENGTH_IN_TWO_BYTES: Final = 126
_LENGTH_IN_EIGHT_BYTES: Final = 127
_LONG_TEXT_HEADER: Final = bytes((_WHOLE_TEXT, _MASKED | _LENGTH_IN_TWO_BYTES))
_MAX_FAST_WRITE_BYTES: Final = 0xFFFF  # no request is that long; the library would write it
_MAX_FAST_READ_BYTES: Final = 1 << 20  # larger frames go to the library, which enforces `max_size`
_MAX_CONTROL_FRAMES: Final = 100  # in a second; the exchange sends a ping in 20 s
_MAX_FRAGMENTS: Final = 5000  # of a message; 16 MB in pieces of 4 KB are fewer
_CONTROL: Final = 0x08  # the bit of the opcode that control frames have
_MAX_UNDELIVERED: Final = 1000  # frames kept until `start_delivery`; then reading pauses
_END_OF_HEADERS: Final = b"\r\n\r\n"
# After a write this process goes on for longer than the write took: state, log, record. A receiver on the same machine
# (a proxy, the embedded exchange) may have been woken on our core and would wait for all of that, so we offer the core.
_yield_cpu: Final[Callable[[], None]] = getattr(os, "sched_yield", lambda: None)


class _Binary(bytes):
    """A binary message, which may hold any bytes."""

    __slots__ = ()


class LowLatencyConnection(ClientConnection):
    """Client connection for `connect(create_connection=…)`. It passes frames to a callback, see `start_delivery`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.handler_error: BaseException | None = None  # what the frame handler raised
        self._on_frames: FrameHandler | None = None
        self._undelivered: list[bytes] = []  # frames that came before `start_delivery`
        self._handshake = b""  # the HTTP response as far as received
        self._partial_frame = b""  # the beginning of a frame whose rest is still to come
        self._library_bytes = 0  # how many of the next bytes go to the library
        self._fragments: list[bytes] = []  # of a message that the library parses
        self._is_text = True  # that message
        self._control_frames = 0  # in the second that began at `_second_began_s`
        self._second_began_s = 0.0
        self._batch: list[bytes] | None = None  # frames of the current read, while `_split` runs

    def start_delivery(self, on_frames: FrameHandler) -> None:
        """Pass the frames received so far to `on_frames`.

        From now on call `on_frames` once per read, with all frames of the read.
        """
        self._on_frames = on_frames
        early, self._undelivered = self._undelivered, []
        if early:
            self.transport.resume_reading()
            self._deliver(early)

    def write(self, text: str) -> None:
        """Send a text frame. The kernel has it when this method returns, unless the peer reads too slowly.

        Raises ConnectionError when the connection is closed.
        """
        if self.protocol.state is not OPEN:
            raise ConnectionError("the connection is closed")
        payload = text.encode()
        size = len(payload)
        if size > _MAX_FAST_WRITE_BYTES:
            self.protocol.send_text(payload)
            self.send_data()
            return
        # These are the bytes that the library would write; its buffers and state checks are skipped. The mask must be
        # unpredictable (RFC 6455, section 5.3), hence `urandom`.
        mask = os.urandom(4)
        head = (
            bytes((_WHOLE_TEXT, _MASKED | size))
            if size < _LENGTH_IN_TWO_BYTES
            else _LONG_TEXT_HEADER + size.to_bytes(2, "big")
        )
        self.transport.write(head + mask + apply_mask(payload, mask))
        _yield_cpu()

    # Called by the transport -----------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self.response is None:
            data = self._end_handshake(data)
        if self.handler_error is not None:
            return  # aborted: what was received already is not read any more
        if self.protocol.state is OPEN:
            self._split(self._partial_frame + data if self._partial_frame else data)
        elif data:
            super().data_received(data)

    def process_event(self, event: Event) -> None:
        """Add `event` to the current batch of frames if it is a message; pass any other event on to the library."""
        if not isinstance(event, Frame) or event.opcode not in _MESSAGE_OPCODES:
            super().process_event(event)
            return
        if event.opcode is not Opcode.CONT:
            self._is_text = event.opcode is Opcode.TEXT
        self._fragments.append(bytes(event.data))
        if event.fin:
            whole = b"".join(self._fragments)
            if not self._is_text:
                whole = _Binary(whole)
            self._fragments.clear()
            if self._batch is None:
                self._deliver([whole])
            else:
                self._batch.append(whole)

    # Reading ---------------------------------------------------------------------------------

    def _end_handshake(self, data: bytes) -> bytes:
        """Pass the bytes of the HTTP response to the library and return the bytes after the response.

        The first frames often come in the same read as the response. The library must not get them: it would parse
        them and put them into its queue.
        """
        known = len(self._handshake)
        self._handshake += data
        end = self._handshake.find(_END_OF_HEADERS)
        if end < 0:
            super().data_received(data)
            return b""
        rest = self._handshake[end + len(_END_OF_HEADERS) :]
        super().data_received(data[: end + len(_END_OF_HEADERS) - known])
        self._handshake = b""
        return rest

    def _split(self, data: bytes) -> None:
        """Split `data` into frames and deliver them.

        `data` begins with a frame, or with the rest of a frame that the library parses.
        """
        frames: list[bytes] = []
        at, end = 0, len(data)
        while at < end:
            if self._library_bytes:
                part = data[at : at + self._library_bytes]
                at += len(part)
                self._library_bytes -= len(part)
                # `process_event` runs inside this call: a fragmented message that ends here is appended to `frames`.
                self._batch = frames
                super().data_received(part)
                self._batch = None
                if self.protocol.state is not OPEN:
                    # After a close frame or an error the library gets the rest. Frames before it are delivered.
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
            if length == _LENGTH_IN_TWO_BYTES:
                start += 2
                length = int.from_bytes(data[at + 2 : start], "big")
            elif length == _LENGTH_IN_EIGHT_BYTES:
                start += 8
                length = int.from_bytes(data[at + 2 : start], "big")
            elif length > _LENGTH_IN_EIGHT_BYTES:  # masked, a violation: the library closes with the proper code
                self._library_bytes = end - at
                continue
            if start > end:  # the header is incomplete, and `length` not yet valid
                break
            if first != _WHOLE_TEXT or length > _MAX_FAST_READ_BYTES or self._fragments:
                if self._floods(first):
                    self._partial_frame = b""
                    return
                self._library_bytes = start + length - at
                continue
            if start + length > end:
                break
            frames.append(data[start : start + length])
            at = start + length
        self._partial_frame = data[at:]
        if frames:
            self._deliver(frames)

    def _floods(self, first: int) -> bool:
        """Return whether too many frames go to the library; if so, abort. `first` is the newest one's first byte."""
        if not first & _CONTROL:
            if len(self._fragments) < _MAX_FRAGMENTS:
                return False
            self._abort(SessionLost(f"a message in more than {_MAX_FRAGMENTS} fragments"))
            return True
        now_s = time.monotonic()
        if now_s - self._second_began_s >= 1.0:
            self._second_began_s, self._control_frames = now_s, 0
        self._control_frames += 1
        if self._control_frames <= _MAX_CONTROL_FRAMES:
            return False
        self._abort(SessionLost(f"more than {_MAX_CONTROL_FRAMES} pings or other control frames in a second"))
        return True

    def _abort(self, failure: BaseException) -> None:
        """End the connection at once; `Socket.receive` then raises `failure`."""
        if self.handler_error is None:
            self.handler_error = failure
        self.transport.abort()

    def _deliver(self, frames: Sequence[bytes]) -> None:
        on_frames = self._on_frames
        if on_frames is None:
            self._undelivered.extend(frames)
            if len(self._undelivered) > _MAX_UNDELIVERED:
                self.transport.pause_reading()
            return
        if self.handler_error is not None:
            return
        if not all(map(bytes.isascii, frames)):
            frames = self._check_texts(frames)
        try:
            if frames:
                on_frames(frames)
        except (Exception, asyncio.CancelledError) as failure:  # noqa: BLE001 - `Socket.receive` raises it
            self._abort(failure)

    def _check_texts(self, frames: Sequence[bytes]) -> Sequence[bytes]:
        """Return `frames` up to the first text that is not UTF-8. It ends the connection (RFC 6455, section 8.1)."""
        for number, frame in enumerate(frames):
            try:
                if not isinstance(frame, _Binary):
                    frame.decode()
            except UnicodeDecodeError as error:
                self.protocol.fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")
                self.send_data()
                self._on_frames = _drop
                # The server has to close the connection; it is not waited for without limit.
                self.loop.call_later(self.close_timeout or 0.0, self.transport.abort)
                self._partial_frame = b""
                return frames[:number]
        return frames


def _drop(_: Sequence[str | bytes]) -> None:
    """Drop frames that arrive after the end of the connection."""
