"""The market's news: one combined connection for bookTicker and klines, written into the snapshots.

While one connection takes over from another both are heard, and their frames are brought into one order.

The book stream speaks only on change. Its silence is therefore measured: at half the age at which a
top counts as stale, `ticker.book` is asked. An answer that agrees proves the top; one that differs, and
is not followed by a frame, means that the stream is dead. Klines missed while a connection was down are
fetched and folded in, in order, before newer ones; the book never waits for them.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.core.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost
from trailingedge.model.market import BookTop, Kline
from trailingedge.model.market_state import MarketState
from trailingedge.websocket import market_fetch
from trailingedge.websocket.api_client import RequestCaller
from trailingedge.websocket.api_session import FrameTap
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
from trailingedge.websocket.preconnect import market_url
from trailingedge.websocket.transport import Backoff, Dial, Socket, ViolationCount, run_together, shown

logger = logging.getLogger(__name__)

_TRANSIENT = (RequestRefused, OutcomeUnknown, ProtocolViolation, SessionLost)
_RETRY_S: Final = 1.0
_FRAME_GRACE_S: Final = 1.0  # a probe may be ahead of a frame that is on its way
_FETCH_ATTEMPTS: Final = 3  # the exchange reads klines from a database, which may lag
_FIRST_FRAME_TIMEOUT_S: Final = 5.0  # klines are told every two seconds
_LATE_FRAMES_S: Final = 1.0  # frames of before the new connection may still be on their way over the old one
_POLL_S: Final = 0.05


async def _always_ready() -> None:
    """There is nothing to wait for."""


class MarketStream:
    """Best prices and klines of one symbol, kept alive and kept honest.

    `api` answers probes and fetches missed klines; while it is away the stream lives on without them, and asks
    as soon as `api_ready` returns.
    """

    def __init__(
        self,
        base_url: str,
        symbol: str,
        interval: str,
        *,
        snapshots: MarketState,
        api: RequestCaller,
        dial: Dial,
        clock: Clock,
        backoff: Backoff,
        stale_after_s: float,
        api_ready: Callable[[], Awaitable[None]] = _always_ready,
        on_down: Callable[[str], None] = lambda _: None,
        note: FrameTap = lambda _direction, _frames: None,
        rotate_after_s: float = ROTATE_AFTER_S,
    ) -> None:
        self._symbol = symbol
        self._interval = interval
        self._snapshots = snapshots
        self._api = api
        self._api_ready = api_ready
        self._clock = clock
        self._probe_after_s = stale_after_s / 2
        self._held_klines: deque[KlineUpdate] = deque()  # klines behind a gap that is being filled
        self._gap_seen = asyncio.Event()
        self._gap_accepted_ms = 0  # the exchange itself has no klines right before this time
        self._tap = note
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
        return self._supervisor.reconnects

    def stop_reconnecting(self) -> None:
        """From now on a lost connection stays lost, and `run` returns."""
        self._supervisor.stop_reconnecting()

    async def run(self) -> None:
        """Until `stay_down`. Raises ExchangeUnreachable."""
        await self._supervisor.run()

    # One connection after another ------------------------------------------------------------

    def _make_handler(self, socket: Socket, follow: RotationCallback) -> "StreamConnection":
        feed = StreamConnection(self, socket, self._clock, follow, self._tap)
        alone = self._supervisor.active is None
        self._handover.add_feed(feed, alone=alone)
        if alone:
            self._kline_event_ms = 0
        return feed

    async def wait_until_caught_up(self, feed: "StreamConnection") -> None:
        """Return when `feed` may follow the one in office. Raises SessionLost where only the other one speaks."""
        before = self._supervisor.active
        while before is not None and before is self._supervisor.active and not self._handover.is_source(feed):
            now_s = self._clock.now_s()
            if feed.first_frame_s is not None and now_s >= feed.first_frame_s + _LATE_FRAMES_S:
                return
            if now_s >= feed.opened_s + _FIRST_FRAME_TIMEOUT_S:
                if before.last_frame_s > feed.opened_s + _FRAME_GRACE_S:
                    raise SessionLost("the new connection is silent")
                return  # so is the old one
            await self._clock.sleep(_POLL_S)

    async def watch(self, feed: "StreamConnection") -> None:
        """Prove the top, fill gaps. Raises SessionLost when `feed` turns out to be dead."""
        self._handover.switch_to(feed)
        await run_together(self._keep_top_confirmed(feed), self._fill_gaps())

    async def _keep_top_confirmed(self, feed: "StreamConnection") -> None:
        """Seed the top after a connect, then prove it whenever the stream is silent."""
        while True:
            due_in_s = self._probe_due_in_s(feed)
            if due_in_s > 0.0:
                await self._clock.sleep(max(0.001, due_in_s))
                continue
            await self._api_ready()
            if self._probe_due_in_s(feed) <= 0.0 and not await self._probe(feed):
                await self._clock.sleep(min(_RETRY_S, self._probe_after_s))

    def _probe_due_in_s(self, feed: "StreamConnection") -> float:
        """How long until the next probe, if the stream says nothing meanwhile."""
        silent_s = self._clock.now_s() - self._snapshots.top_confirmed_s
        return self._probe_after_s - silent_s if self._top_seen_since_open(feed) else 0.0

    def _top_seen_since_open(self, feed: "StreamConnection") -> bool:
        """The top was heard or proved since this connection was opened."""
        return self._snapshots.top_confirmed_s >= feed.opened_s

    async def _probe(self, feed: "StreamConnection") -> bool:
        """Ask for the best prices and compare. False when the exchange could not be asked."""
        proven_s = self._snapshots.top_confirmed_s
        try:
            asked = await market_fetch.book(self._api, self._symbol, self._probe_after_s)
        except _TRANSIENT as error:
            logger.debug("! probe failed reason=%s", error)
            return False
        if self._snapshots.top_confirmed_s != proven_s:
            return True  # the stream spoke meanwhile
        if not self._top_seen_since_open(feed):
            self._snapshots.on_top(asked, self._clock.now_s())
        elif _same_prices(asked, self._snapshots.top):
            self._snapshots.confirm_top(self._clock.now_s())
        else:
            await self._clock.sleep(_FRAME_GRACE_S)
            if self._snapshots.top_confirmed_s == proven_s:
                self._snapshots.invalidate_top()
                raise SessionLost("the book moved and the stream did not say so")
        return True

    # What is heard ---------------------------------------------------------------------------

    def on_message(self, message: StreamMessage, feed: "StreamConnection") -> None:
        """A message, over whichever connection."""
        match message:
            case BookUpdate():
                self.on_book(message, feed)
            case KlineUpdate(symbol=self._symbol, interval=self._interval):
                if message.event_ms >= self._kline_event_ms:  # else another connection told it before
                    self._kline_event_ms = message.event_ms
                    self._on_kline(message)
            case KlineUpdate():
                pass  # not ours
            case InvalidBook():
                logger.debug("! book ignored reason=%s", message.reason)
            case ServerShutdown():
                feed.request_rotation("the server shuts down")
            case StreamError():
                logger.error("the stream refused a request code=%d text=%r", message.code, message.text)
            case ControlReply() | Unrecognized():
                logger.debug("< %s", message)

    def on_book(self, message: BookUpdate, feed: "StreamConnection") -> None:
        """A bookTicker, over whichever connection."""
        if message.symbol == self._symbol:
            self._handover.on_top(feed, message.top)

    def _on_top(self, top: BookTop) -> None:
        self._snapshots.on_top(top, self._clock.now_s(), late=self._handover.late)

    def _on_kline(self, heard: KlineUpdate) -> None:
        if not self._held_klines and not self._is_after_gap(heard.kline):
            self._snapshots.on_kline(heard.kline, heard.event_ms, self._clock.now_s())
            return
        if self._held_klines and self._held_klines[-1].kline.open_ms == heard.kline.open_ms:
            if self._held_klines[-1].kline.closed:
                return
            self._held_klines.pop()  # of a forming kline only the newest word counts
        self._held_klines.append(heard)
        self._gap_seen.set()

    def _is_after_gap(self, kline: Kline) -> bool:
        known = self._snapshots.klines
        return bool(known) and kline.open_ms > max(known[-1].close_ms + 1, self._gap_accepted_ms)

    async def _fill_gaps(self) -> None:
        while True:
            await self._gap_seen.wait()
            await self._api_ready()
            try:
                await self._fetch_missing_klines()
            except _TRANSIENT as error:
                logger.warning("candles that were missed are not fetched yet: %s", error)
                await self._clock.sleep(max(_RETRY_S, error.wait_s if isinstance(error, SessionLost) else 0.0))
                continue
            self._gap_seen.clear()
            waiting = list(self._held_klines)
            self._held_klines.clear()
            for heard in waiting:
                self._on_kline(heard)

    async def _fetch_missing_klines(self) -> None:
        """Fold in what closed between the klines we know and those that wait."""
        for attempt in range(_FETCH_ATTEMPTS):
            if attempt:
                await self._clock.sleep(_RETRY_S)
            from_ms, until_ms = self._snapshots.klines[-1].close_ms + 1, self._held_klines[0].kline.open_ms - 1
            missed = await market_fetch.klines_between(self._api, self._symbol, self._interval, from_ms, until_ms)
            if self._snapshots.klines[-1].close_ms + 1 != from_ms:
                return  # the history was loaded meanwhile and ends elsewhere: what waits is to be judged anew
            for kline in missed:
                self._snapshots.on_kline(kline, kline.close_ms, self._clock.now_s())
            if missed:
                logger.info("missed klines folded in count=%d", len(missed))
            if not self._is_after_gap(self._held_klines[0].kline):
                return
        logger.warning("the exchange has no klines from_ms=%d until_ms=%d", from_ms, until_ms)
        self._gap_accepted_ms = self._held_klines[0].kline.open_ms


class StreamConnection:
    """One connection's frames: a life on the link."""

    def __init__(
        self, stream: MarketStream, socket: Socket, clock: Clock, follow: RotationCallback, note: FrameTap
    ) -> None:
        self.opened_s = clock.now_s()
        self.last_frame_s = float("-inf")
        self.first_frame_s: float | None = None
        self.request_rotation = follow
        self._stream = stream
        self._socket = socket
        self._clock = clock
        self._tap = note
        self._violations = ViolationCount()

    async def run(self) -> None:
        """Hear every frame. Raises SessionLost."""
        await self._socket.receive(self._on_frames)

    def _on_frames(self, frames: Sequence[str | bytes]) -> None:
        """Frames that came together: of their books the newest alone counts, the others are history already.

        Raises SessionLost.
        """
        self._tap("<", frames)
        self.last_frame_s = self._clock.now_s()
        if self.first_frame_s is None:
            self.first_frame_s = self.last_frame_s
        if len(frames) == 1:
            self._on_frame(frames[0], None)
            return
        newest, heard = self._stream.book_frames.newest_book(frames)
        for index, frame in enumerate(frames):
            if index == newest:
                self._on_frame(frame, heard)
            elif index > newest or not self._stream.book_frames.is_book(frame):
                self._on_frame(frame, None)

    def _on_frame(self, frame: str | bytes, heard: BookUpdate | None) -> None:
        """`heard` is what `frame` says, where that is known already."""
        try:
            known = heard or read_top_fast(frame)
            if known is not None:
                self._stream.on_book(known, self)
            else:
                self._stream.on_message(read_stream_frame(frame), self)
        except ProtocolViolation as violation:
            self._violations.add(violation, self._clock.now_s())
        except Exception:  # a handler's mistake must not cut us off from the market
            logger.exception("frame handler failed frame=%s", shown(frame))

    async def open(self) -> None:
        await self._stream.wait_until_caught_up(self)

    async def watch(self) -> None:
        await self._stream.watch(self)

    async def drain(self) -> None:
        """Nothing is owed: the one that follows tells everything since."""

    def on_lost(self, _: SessionLost) -> None:
        """Nothing waits for more."""


def _same_prices(asked: BookTop, heard: BookTop | None) -> bool:
    """The update id is not compared: `ticker.book` has none."""
    return heard is not None and (asked.bid, asked.ask, asked.bid_quantity, asked.ask_quantity) == (
        heard.bid,
        heard.ask,
        heard.bid_quantity,
        heard.ask_quantity,
    )
