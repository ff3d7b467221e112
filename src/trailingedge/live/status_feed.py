"""Status feed: sends the state of the daemon and each change of it to the subscribers of the control socket.

Theory of operation. The trading node and the log only append to a queue. Ten times a second, and only while there are
subscribers, `run` encodes the queued lines and writes them to each subscriber. It never waits for a subscriber. A
subscriber whose buffer is full gets no lines until it has read its buffer. Then it gets a line with the number of lost
lines, and the whole state. So a subscriber that never reads costs only the memory of its buffer, and none can delay a
tick.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.execution.trader_events import TraderEvent
from trailingedge.live import feed_format
from trailingedge.live.feed_format import FeedLine, encode, encode_state, line
from trailingedge.model.operator_commands import CommandResult
from trailingedge.notifications.panel_content import panel_content
from trailingedge.notifications.status import StatusView, as_data

logger = logging.getLogger(__name__)

MAX_SUBSCRIBERS: Final = 8
BUFFER_BYTES: Final = 64 * 1024  # of lines that a subscriber has not read, beside what the socket itself takes
FLUSH_S: Final = 0.1
PRICES_S: Final = 0.25
STATUS_S: Final = 1.0
STALLED_S: Final = 10.0  # one that has not read for so long gives way to a new one if there are too many
KEPT_ORDERS: Final = 200
KEPT_LOG_LINES: Final = 100
_QUEUE_LINES: Final = 2000  # between two flushes
_ROWS_AT_ONCE: Final = 40  # of the history are encoded before the loop gets its turn


class _Subscriber:
    """One subscriber. The next line for it is number `first`; None until the state was sent.

    `lost` is the number of lines that it did not get.
    """

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.first: int | None = None
        self.lost = 0
        self.stalled_s: float | None = None  # since when its buffer has been full

    @property
    def is_full(self) -> bool:
        return self.writer.transport.get_write_buffer_size() > BUFFER_BYTES


class StatusFeed:
    """Collects changes and sends them to subscribers.

    `view` returns the present status, or None during the start. During the start, `starting` returns the present step.
    """

    def __init__(
        self, clock: Clock, program: str, view: Callable[[], StatusView | None], starting: Callable[[], str]
    ) -> None:
        self._clock = clock
        self._program = program
        self._view = view
        self._starting = starting
        self._subscribers: set[_Subscriber] = set()
        self._subscribed = asyncio.Event()
        self._queue: deque[FeedLine] = deque(maxlen=_QUEUE_LINES)
        self._queued = 0  # lines so far: the number of the next one
        self._orders: deque[tuple[TraderEvent, int]] = deque(maxlen=KEPT_ORDERS)  # with the market's time
        self._log: deque[FeedLine] = deque(maxlen=KEPT_LOG_LINES)
        self._rows: dict[int, str] = {}  # encoded rows of the history, by market time
        self._shown: tuple[object, object] | None = None  # the prices that were sent last
        self._next_prices_s = self._next_status_s = 0.0
        self._starting_shown = False  # whether the last status was that of a start

    # What happens ----------------------------------------------------------------------------

    def on_event(self, event: TraderEvent, market_ms: int) -> None:
        """Queue a change of state. Its line is composed only if there are subscribers."""
        if isinstance(event, feed_format.ORDER_EVENTS):
            self._orders.append((event, market_ms))
        if self._subscribers and (fields := feed_format.of_event(event, market_ms)) is not None:
            self._append(fields)

    def on_log_line(self, unix_ms: int, level: str, text: str) -> None:
        """Queue a line of the log. Any thread may call this."""
        fields = line("log", time=feed_format.iso_time(unix_ms), level=level, text=text)
        self._log.append(fields)
        self._append(fields)

    def _append(self, fields: FeedLine) -> None:
        if self._subscribers:
            self._queue.append(fields)
            self._queued += 1

    # Subscribers -----------------------------------------------------------------------------

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> CommandResult | None:
        """Send the state and then its changes, until the client disconnects or sends anything.

        Returns an answer if there are too many subscribers already.
        """
        if not self._has_room():
            return CommandResult(f"busy: {MAX_SUBSCRIBERS} are watching already; end one of them", done=False)
        subscriber = _Subscriber(writer)
        self._subscribers.add(subscriber)
        try:
            writer.write(await self._state())
            # Lines that are queued by now are in the state.
            subscriber.first = self._queued
            self._subscribed.set()
            await reader.read(1)
        finally:
            self._subscribers.discard(subscriber)
        return None

    def _has_room(self) -> bool:
        """Return whether one more subscriber is allowed.

        If there are too many, disconnect the one that has been stalled the longest.
        """
        if len(self._subscribers) < MAX_SUBSCRIBERS:
            return True
        now_s = self._clock.now_s()
        stalled = [each for each in self._subscribers if now_s - (each.stalled_s or now_s) >= STALLED_S]
        if not stalled:
            return False
        oldest = min(stalled, key=lambda each: each.stalled_s or now_s)
        self._subscribers.discard(oldest)
        oldest.writer.transport.abort()
        return True

    # Sending ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Send the queued lines, until cancelled."""
        while True:
            await self._subscribed.wait()
            await self._clock.sleep(FLUSH_S)
            try:
                await self._flush(self._clock.now_s())
            except Exception:  # a bug in a line must not end the trading
                logger.exception("lines could not be sent to watching clients, because of a bug")
                self._queue.clear()
            if not self._subscribers:
                self._subscribed.clear()

    async def _flush(self, now_s: float) -> None:
        waiting = list(self._queue)
        self._queue.clear()
        current: list[tuple[_Subscriber, int]] = []  # those who take all lines, and how many of these they know
        behind: list[_Subscriber] = []
        for each in self._subscribers:
            if each.first is None:
                continue
            known = max(0, each.first - (self._queued - len(waiting)))
            each.stalled_s = (each.stalled_s or now_s) if each.is_full else None
            if each.stalled_s is not None or each.lost:
                each.lost += len(waiting) - known
            if each.stalled_s is None and each.lost:
                behind.append(each)
            elif each.stalled_s is None:
                current.append((each, known))
        if current:  # nothing is encoded if no reader can take it
            lines = [encode(fields) for fields in waiting]
            latest = self._latest(now_s, changed=any(fields["type"] != "log" for fields in waiting))
            for each, known in current:
                each.writer.write(b"".join(lines[known:]) + latest)
        for each in behind:
            await self._catch_up(each)
        if self._starting_shown and self._view() is not None:
            self._starting_shown = False
            state = await self._state()  # the first one with a history
            for each, _ in current:
                each.writer.write(state)
                each.first = self._queued

    async def _catch_up(self, subscriber: _Subscriber) -> None:
        """Send the number of lost lines and the whole state to a subscriber that reads again."""
        state = await self._state()
        subscriber.writer.write(encode(line("lost", lines=subscriber.lost)) + state)
        subscriber.first, subscriber.lost = self._queued, 0

    def _latest(self, now_s: float, *, changed: bool) -> bytes:
        """Return a `status` line if one is due or if `changed`.

        Else return a `prices` line if the prices have changed, else b"".
        """
        if not changed and now_s < min(self._next_status_s, self._next_prices_s):
            return b""
        self._next_prices_s = now_s + PRICES_S
        view = self._view()
        prices = None if view is None or view.top is None else (view.top.bid, view.top.ask)
        moved, self._shown = prices != self._shown, prices
        if changed or now_s >= self._next_status_s:
            self._next_status_s = now_s + STATUS_S
            return encode(line("status", **self._status(view)))
        return encode(line("prices", **_prices(as_data(view)))) if moved and view is not None else b""

    def _status(self, view: StatusView | None) -> FeedLine:
        if view is None:
            self._starting_shown = True
            return {"starting": self._starting() or "connecting", "status": None, "panel": None}
        return {"starting": None, "status": as_data(view), "panel": feed_format.of_panel(panel_content(view))}

    async def _state(self) -> bytes:
        """Return the line of the whole state."""
        rows = await self._history()
        view = self._view()
        fields = line(
            "state",
            program=self._program,
            time=None if view is None else feed_format.iso_time(view.market_ms),
            **self._status(view),
            orders=[feed_format.of_event(event, market_ms) for event, market_ms in self._orders],
            log=list(self._log),
        )
        return encode_state(fields, rows)

    async def _history(self) -> list[str]:
        """Return the rows of the history as JSON.

        Each row is encoded only once, and a few at a time, so that no tick waits long.
        """
        view = self._view()
        if view is None:
            return []
        decimals = panel_content(view).price_decimals
        rows: dict[int, str] = {}
        for number, sample in enumerate(view.samples):
            known = self._rows.get(sample.market_ms)
            if known is None:
                known = feed_format.history_row(sample, decimals)
                if number % _ROWS_AT_ONCE == 0:
                    await asyncio.sleep(0)
            rows[sample.market_ms] = known
        self._rows = rows
        return list(rows.values())

    def close(self, reason: str) -> None:
        """Send the queued lines, then tell the subscribers that the daemon ends."""
        last = b"".join(map(encode, self._queue)) + encode(line("end", reason=reason))
        self._queue.clear()
        for each in self._subscribers:
            if not each.is_full:
                each.writer.write(last)


def _prices(status: dict[str, object]) -> FeedLine:
    take_profit, stop = status["take_profit"], status["hard_stop"]
    return {
        **{name: status[name] for name in ("time", "bid", "ask", "value", "gain_frac", "high")},
        "take_profit": take_profit["exits_at"] if isinstance(take_profit, dict) else None,
        "stop": stop["price"] if isinstance(stop, dict) else None,
    }
