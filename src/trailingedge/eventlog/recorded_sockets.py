"""Recorded sockets: record the frames and the requests of each connection.

Recording must not delay the work. So a frame is recorded after the daemon's handler has processed it and sent the
resulting order, and a request is recorded after it was sent. The time of a frame is read before its handler runs.
"""

from collections.abc import Callable, Sequence

from trailingedge.core.errors import SessionLost
from trailingedge.eventlog.format import BATCH_FROM, FrameBatch, LineSink, RecordEntry
from trailingedge.websocket.socket_dialer import Dial, FrameHandler, Socket

ReadClock = Callable[[], int]


def record_connections(dial: Dial, lines: LineSink, now_ns: ReadClock) -> Dial:
    """Return `dial` wrapped so that the frames and requests of its connections are added to `lines`."""
    count = 0

    async def dial_and_record(url: str) -> Socket:
        nonlocal count
        socket = await dial(url)
        count += 1
        lines.add(("dial", now_ns(), count, url))
        return _RecordedSocket(socket, count, lines, now_ns)

    return dial_and_record


class _RecordedSocket:
    """A socket whose frames and requests are recorded under its number."""

    def __init__(self, socket: Socket, number: int, lines: LineSink, now_ns: ReadClock) -> None:
        self._socket = socket
        self._number = number
        self._lines = lines
        self._now_ns = now_ns

    def send(self, text: str) -> None:
        try:
            self._socket.send(text)
        except SessionLost as lost:
            self._lines.add(("!>", self._now_ns(), self._number, text, str(lost)))
            raise
        self._lines.add((">", self._now_ns(), self._number, text))

    async def receive(self, on_frames: FrameHandler) -> None:
        try:
            await self._socket.receive(self._recording(on_frames))
        except Exception as error:
            self._lines.add(("closed", self._now_ns(), self._number, str(error)))
            raise

    async def close(self) -> None:
        await self._socket.close()

    def _recording(self, handle: FrameHandler) -> FrameHandler:
        # Each price passes through this function before we can send an order, so it uses local variables.
        number, lines, now_ns = self._number, self._lines, self._now_ns

        def on_frames(frames: Sequence[str | bytes]) -> None:
            at_ns = now_ns()
            try:
                handle(frames)
            finally:
                lines.add(_frames_entry(at_ns, number, frames))

        return on_frames


def _frames_entry(at_ns: int, number: int, frames: Sequence[str | bytes]) -> RecordEntry:
    if len(frames) >= BATCH_FROM:
        raw = [frame for frame in frames if isinstance(frame, bytes)]
        if len(raw) == len(frames):  # a batch keeps bytes only; text frames come from test connections, not in floods
            return "<", at_ns, number, FrameBatch(raw)
    return "<", at_ns, number, frames
