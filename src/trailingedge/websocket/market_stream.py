"""Market stream: receives best prices (bookTicker) and klines of one symbol and writes them into the MarketState.

Theory of operation. `MarketStream` owns a `ConnectionSupervisor` whose handlers are `StreamConnection`s. A connection
reads frames and passes each message to the stream, which writes the market state. Four things can go wrong, and each
has its own remedy:

- Silence. A bookTicker frame comes only when the best prices change, so an unchanged market and a dead stream look the
  same. At half of the stale age a probe asks for the best prices (`ticker.book`). If they are the same, the top is
  confirmed. If they differ, the reply may be ahead of a frame that is on its way. If no frame comes within a second,
  the stream is dead: the top is invalidated and the connection is replaced.
- Rotation. For a few seconds an old and a new connection both deliver, and neither is always ahead. `FeedHandover`
  merges their books into one sequence by update id. Kline frames carry an event time: a frame older than the last is
  ignored. The new connection becomes active only after it has caught up, see `wait_until_caught_up`.
- A gap in the klines, after a connection was down: the first kline that does not continue the history and all
  later ones are held until the missing klines are fetched. Then all enter the history in order. Books are not held.
- A burst. When several frames arrive in one read, all books but the newest are outdated: only that one is parsed and
  delivered. All klines are delivered.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.core.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost
from trailingedge.model.market import BookTop, Kline
from trailingedge.model.market_state import CLOSE_LAG_MS, MarketState
from trailingedge.websocket import market_fetch
from trailingedge.websocket.api_client import RequestCaller
from trailingedge.websocket.api_connection import FrameTap
from trailingedge.websocket.connection_supervisor import ROTATE_AFTER_S, ConnectionSupervisor, RotationCallback
from trailingedge.websocket.event_parser import (
    BookFrames,
    BookUpdate,
    ControlReply,
    InvalidBook,
    KlineUpdate,
    ServerShutdown,
    StreamError,
    StreamMessage,
    Unrecognized,
    read_stream_frame,
    read_top_fast,
)
from trailingedge.websocket.feed_handover import FeedHandover
from trailingedge.websocket.socket_dialer import Backoff, Dial, Socket, ViolationCount, run_together, shown
from trailingedge.websocket.startup_dial import market_url

logger = logging.getLogger(__name__)

_TRANSIENT = (RequestRefused, OutcomeUnknown, ProtocolViolation, SessionLost)
_RETRY_S: Final = 1.0
_FRAME_GRACE_S: Final = 1.0  # the reply to a probe may be ahead of a frame that is on its way
_FETCH_ATTEMPTS: Final = 3  # `klines` is read from a database (web-socket-api.md, "Data sources"), which may lag
# Kline frames come every 2 s, for the interval 1s every second (web-socket-streams.md, "Kline/Candlestick Streams").
_FIRST_FRAME_TIMEOUT_S: Final = 5.0
_LATE_FRAMES_S: Final = 1.0  # frames from before the new connection may still be on their way over the old one
_POLL_S: Final = 0.05


async def _always_ready() -> None:
    """Return at once: there is no connection to wait for."""


class MarketStream:
    """Writes best prices and klines of one symbol into `market_state`.

    Missing klines and probes (queries of the best prices) are requested over `api`. While `api` is down, the stream
    goes on without them and awaits `api_ready`. Prices are stale after `stale_after_s`; probes start at half that age.
    """

    def __init__(
        self,
        base_url: str,
        symbol: str,
        interval: str,
        *,
        market_state: MarketState,
        api: RequestCaller,
        dial: Dial,
        clock: Clock,
        backoff: Backoff,
        stale_after_s: float,
        api_ready: Callable[[], Awaitable[None]] = _always_ready,
        on_down: Callable[[str], None] = lambda _: None,
        tap: FrameTap = lambda _direction, _frames: None,
        rotate_after_s: float = ROTATE_AFTER_S,
    ) -> None:
        self._symbol = symbol
        self._interval = interval
        self._market_state = market_state
        self._api = api
        self._api_ready = api_ready
        self._clock = clock
        self._probe_after_s = stale_after_s / 2
        self._held_klines: deque[KlineUpdate] = deque()  # klines after a gap that is being filled
        self._gap_seen = asyncio.Event()
        self._gap_accepted_ms = 0  # the exchange itself has no klines right before this time
        self._tap = tap
        self._handover = FeedHandover(self._on_top)
        self._kline_event_ms = 0
        self.book_frames = BookFrames(symbol)
        self._supervisor = ConnectionSupervisor(
            "market",
            market_url(base_url, symbol, interval),
            self._make_handler,
            dial=dial,
            clock=clock,
            backoff=backoff,
            on_down=on_down,
            rotate_after_s=rotate_after_s,
        )

    @property
    def reconnects(self) -> int:
        """How many connections became active after a loss."""
        return self._supervisor.reconnects

    @property
    def last_failure(self) -> str:
        """Why the last attempt to connect failed; "" while connected."""
        return self._supervisor.last_failure

    def stop_reconnecting(self) -> None:
        """Open no further connection; `run` returns when the active one has ended."""
        self._supervisor.stop_reconnecting()

    async def run(self) -> None:
        """Keep a connection open until `stop_reconnecting` is called. Raises ExchangeUnreachable."""
        await self._supervisor.run()

    # Connections -----------------------------------------------------------------------------

    def _make_handler(self, socket: Socket, request_rotation: RotationCallback) -> "StreamConnection":
        feed = StreamConnection(self, socket, self._clock, request_rotation, self._tap)
        alone = self._supervisor.active is None
        self._handover.add_feed(feed, alone=alone)
        if alone:
            # Event times may restart as well, when another server or another exchange answers.
            self._kline_event_ms = 0
        return feed

    async def wait_until_caught_up(self, feed: "StreamConnection") -> None:
        """Return when `feed`, a new connection, can replace the active one. If no connection is active, return at once.

        `feed` can do so when the books of both connections are merged, or when neither connection delivers. It also can
        when its first frame is a second old: late frames of the old connection had time to come. Raises SessionLost if
        only the old connection delivers.
        """
        old = self._supervisor.active
        while old is not None and old is self._supervisor.active and not self._handover.is_source(feed):
            now_s = self._clock.now_s()
            if feed.first_frame_s is not None and now_s >= feed.first_frame_s + _LATE_FRAMES_S:
                return
            if now_s >= feed.opened_s + _FIRST_FRAME_TIMEOUT_S:
                if old.last_frame_s > feed.opened_s + _FRAME_GRACE_S:
                    raise SessionLost("no frames on the new connection")
                return
            await self._clock.sleep(_POLL_S)

    async def watch(self, feed: "StreamConnection") -> None:
        """Confirm the best prices and fill gaps in the klines while `feed` is active.

        Raises SessionLost when the stream is dead.
        """
        self._handover.switch_to(feed)
        await run_together(self._keep_top_confirmed(feed), self._fill_gaps())

    async def _keep_top_confirmed(self, feed: "StreamConnection") -> None:
        """Query the best prices after a connect, and whenever no book has come for half of the stale age."""
        while True:
            due_in_s = self._probe_due_in_s(feed)
            if due_in_s > 0.0:
                await self._clock.sleep(max(0.001, due_in_s))
                continue
            await self._api_ready()
            # Checked again, because a frame may have come while the API was down.
            if self._probe_due_in_s(feed) <= 0.0 and not await self._probe(feed):
                await self._clock.sleep(min(_RETRY_S, self._probe_after_s))

    def _probe_due_in_s(self, feed: "StreamConnection") -> float:
        """Return the seconds until the next probe (a query of the best prices) if no book comes before.

        If the result is 0 or less, the probe is due now.
        """
        silent_s = self._clock.now_s() - self._market_state.top_confirmed_s
        return self._probe_after_s - silent_s if self._top_seen_since_open(feed) else 0.0

    def _top_seen_since_open(self, feed: "StreamConnection") -> bool:
        """Return whether best prices were received or confirmed since `feed` was opened."""
        return self._market_state.top_confirmed_s >= feed.opened_s

    async def _probe(self, feed: "StreamConnection") -> bool:
        """Query the best prices and compare them with the streamed ones.

        Returns False without a usable reply. Raises SessionLost if the prices differ and the stream
        does not report the change within a second.
        """
        proven_s = self._market_state.top_confirmed_s
        try:
            fetched = await market_fetch.book(self._api, self._symbol, self._probe_after_s)
        except _TRANSIENT as error:
            logger.debug("! probe of the best prices failed reason=%s", error)
            return False
        if self._market_state.top_confirmed_s != proven_s:
            return True  # a book came while the request was under way, and is newer than the reply
        if not self._top_seen_since_open(feed):
            self._market_state.on_top(fetched, self._clock.now_s())
        elif _same_prices(fetched, self._market_state.top):
            self._market_state.confirm_top(self._clock.now_s())
        else:
            await self._clock.sleep(_FRAME_GRACE_S)
            if self._market_state.top_confirmed_s == proven_s:
                self._market_state.invalidate_top()
                raise SessionLost("the book changed and the stream did not report it")
        return True

    # Messages --------------------------------------------------------------------------------

    def on_message(self, message: StreamMessage, feed: "StreamConnection") -> None:
        """Handle a message that `feed` received. During a rotation two connections call this."""
        match message:
            case BookUpdate():
                self.on_book(message, feed)
            case KlineUpdate(symbol=self._symbol, interval=self._interval):
                if message.event_ms >= self._kline_event_ms:  # else the other connection was ahead
                    # One frame with a time far in the future must not make every later one look old.
                    self._kline_event_ms = min(message.event_ms, message.kline.close_ms + CLOSE_LAG_MS)
                    self._on_kline(message)
            case KlineUpdate():
                pass  # of another symbol or interval
            case InvalidBook():
                logger.debug("! invalid book ignored reason=%s", message.reason)
            case ServerShutdown():
                feed.request_rotation("the server shuts down")
            case StreamError():
                logger.error("market stream refused a request code=%d text=%r", message.code, message.text)
            case ControlReply() | Unrecognized():
                logger.debug("< %s", message)

    def on_book(self, message: BookUpdate, feed: "StreamConnection") -> None:
        """Handle a bookTicker that `feed` received."""
        if message.symbol == self._symbol:
            self._handover.on_top(feed, message.top)

    def _on_top(self, top: BookTop) -> None:
        self._market_state.on_top(top, self._clock.now_s(), late=self._handover.late)

    def _on_kline(self, update: KlineUpdate) -> None:
        if not self._held_klines and not self._is_after_gap(update.kline):
            self._market_state.on_kline(update.kline, update.event_ms, self._clock.now_s())
            return
        if self._held_klines and self._held_klines[-1].kline.open_ms == update.kline.open_ms:
            if self._held_klines[-1].kline.closed:
                return
            self._held_klines.pop()  # of a forming kline only the newest update counts
        self._held_klines.append(update)
        self._gap_seen.set()

    def _is_after_gap(self, kline: Kline) -> bool:
        known = self._market_state.klines
        return bool(known) and kline.open_ms > max(known[-1].close_ms + 1, self._gap_accepted_ms)

    async def _fill_gaps(self) -> None:
        while True:
            await self._gap_seen.wait()
            await self._api_ready()
            try:
                await self._fetch_missing_klines()
            except _TRANSIENT as error:
                logger.warning("missing klines not fetched, trying again reason=%r", str(error))
                await self._clock.sleep(max(_RETRY_S, error.wait_s if isinstance(error, SessionLost) else 0.0))
                continue
            self._gap_seen.clear()
            # Handled like new ones, since there may be another gap among them.
            held = list(self._held_klines)
            self._held_klines.clear()
            for update in held:
                self._on_kline(update)

    async def _fetch_missing_klines(self) -> None:
        """Fetch the klines between the end of the history and the first kline held back. Add them to the history."""
        for attempt in range(_FETCH_ATTEMPTS):
            if attempt:
                await self._clock.sleep(_RETRY_S)
            from_ms, until_ms = self._market_state.klines[-1].close_ms + 1, self._held_klines[0].kline.open_ms - 1
            missed = await market_fetch.klines_between(self._api, self._symbol, self._interval, from_ms, until_ms)
            if self._market_state.klines[-1].close_ms + 1 != from_ms:
                return  # the history was loaded during the request and ends elsewhere: check the held ones again
            for kline in missed:
                self._market_state.on_kline(kline, kline.close_ms, self._clock.now_s())
            if missed:
                logger.info("missing klines added count=%d", len(missed))
            if not self._is_after_gap(self._held_klines[0].kline):
                return
        # The exchange has none: maintenance, or a symbol that was halted. Accept the gap instead of waiting for ever.
        logger.warning(
            "exchange lacks klines, going on without them missing_from_ms=%d missing_until_ms=%d", from_ms, until_ms
        )
        self._gap_accepted_ms = self._held_klines[0].kline.open_ms


class StreamConnection:
    """Reads the frames of one connection of the market stream, as its `ConnectionHandler`."""

    def __init__(
        self, stream: MarketStream, socket: Socket, clock: Clock, request_rotation: RotationCallback, tap: FrameTap
    ) -> None:
        self.opened_s = clock.now_s()
        self.last_frame_s = float("-inf")
        self.first_frame_s: float | None = None
        self.request_rotation = request_rotation
        self._stream = stream
        self._socket = socket
        self._clock = clock
        self._tap = tap
        self._violations = ViolationCount()

    async def run(self) -> None:
        """Read every frame until the connection is lost. Raises SessionLost."""
        await self._socket.receive(self._on_frames)

    def _on_frames(self, frames: Sequence[str | bytes]) -> None:
        """Handle the frames of one read, but only the newest of the book frames among them. Raises SessionLost."""
        self._tap("<", frames)
        self.last_frame_s = self._clock.now_s()
        if self.first_frame_s is None:
            self.first_frame_s = self.last_frame_s
        if len(frames) == 1:
            self._on_frame(frames[0], None)
            return
        newest, book = self._stream.book_frames.newest_book(frames)
        for index, frame in enumerate(frames):
            if index == newest:
                self._on_frame(frame, book)
            elif index > newest or not self._stream.book_frames.is_book(frame):
                self._on_frame(frame, None)

    def _on_frame(self, frame: str | bytes, parsed: BookUpdate | None) -> None:
        """Handle a frame. `parsed` is its content if it has been parsed already, else None."""
        try:
            book = parsed or read_top_fast(frame)
            if book is not None:
                self._stream.on_book(book, self)
            else:
                self._stream.on_message(read_stream_frame(frame), self)
        except ProtocolViolation as violation:
            self._violations.add(violation, self._clock.now_s())
        except Exception:  # an error in a handler must not cut us off from the market
            logger.exception("market frame handler failed frame=%s", shown(frame))

    async def open(self) -> None:
        """Wait until this connection has caught up with the active one."""
        await self._stream.wait_until_caught_up(self)

    async def watch(self) -> None:
        """Confirm the best prices and fill gaps in the klines while this connection is active."""
        await self._stream.watch(self)

    async def drain(self) -> None:
        """Return at once: no request is pending, and the successor delivers everything newer."""

    def on_lost(self, _: SessionLost) -> None:
        """Do nothing: no caller waits for this connection."""


def _same_prices(fetched: BookTop, streamed: BookTop | None) -> bool:
    """Return whether prices and quantities are equal. The reply of `ticker.book` has no update id to compare."""
    return streamed is not None and (fetched.bid, fetched.ask, fetched.bid_quantity, fetched.ask_quantity) == (
        streamed.bid,
        streamed.ask,
        streamed.bid_quantity,
        streamed.ask_quantity,
    )
