"""MarketStream: frames, probes, gaps in the klines, and rotations."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from tests.background_tasks import running_task
from tests.websocket.fake_sockets import MemoryDial, MemorySocket, PaperExchange, run_ready_tasks

from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import SessionLost
from trailingedge.model.market import Kline
from trailingedge.model.market_state import MarketState
from trailingedge.websocket.market_stream import MarketStream
from trailingedge.websocket.socket_dialer import Backoff

MINUTE_MS = 60_000


def kline(minute: int) -> Kline:
    price = Decimal(10)
    return Kline(minute * MINUTE_MS, (minute + 1) * MINUTE_MS - 1, price, price, price, price)


def kline_frame(minute: int, *, closed: bool) -> dict[str, Any]:
    return {
        "e": "kline",
        "E": (minute + 1) * MINUTE_MS,
        "s": "ETHFDUSD",
        "k": {
            "t": minute * MINUTE_MS,
            "T": (minute + 1) * MINUTE_MS - 1,
            "s": "ETHFDUSD",
            "i": "1m",
            "o": "10",
            "c": "10",
            "h": "10",
            "l": "10",
            "v": "1",
            "x": closed,
        },
    }


def top_frame(bid: str = "10.00", ask: str = "10.01", symbol: str = "ETHFDUSD", u: int = 1) -> dict[str, Any]:
    data = {"u": u, "s": symbol, "b": bid, "B": "1", "a": ask, "A": "2"}
    return {"stream": f"{symbol.lower()}@bookTicker", "data": data}


class Bench:
    """A market stream on memory sockets, with a scripted exchange for its queries."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self.clock = ManualClock(now_s=100.0)
        self.api_is_ready = asyncio.Event()
        self.api_is_ready.set()
        self.dial = MemoryDial()
        self.market_state = MarketState(klines_maxlen=100, changed=changed)
        self.market_state.load_klines([kline(1), kline(2)])
        self.book: object = {"bidPrice": "10.00", "bidQty": "1", "askPrice": "10.01", "askQty": "2"}
        self.minutes: list[int] = list(range(100))
        self.api = PaperExchange(ticker_book=lambda _: self.book, klines=self.klines)
        self.down: list[str] = []
        self.stream = MarketStream(
            "wss://stream.example:9443/",
            "ETHFDUSD",
            "1m",
            market_state=self.market_state,
            api=self.api,
            dial=self.dial,
            clock=self.clock,
            backoff=Backoff(1.0, 1.0, 0, Random(1)),
            stale_after_s=10.0,
            api_ready=self._api_ready,
            on_down=self.down.append,
        )

    async def _api_ready(self) -> None:
        await self.api_is_ready.wait()

    def klines(self, params: Mapping[str, str | int]) -> object:
        start, end = int(params["startTime"]), int(params["endTime"])
        return [
            [minute * MINUTE_MS, "10", "10", "10", "10", "1", (minute + 1) * MINUTE_MS - 1]
            for minute in self.minutes
            if start <= minute * MINUTE_MS <= end
        ]

    async def deliver(self, *frames: object) -> None:
        for frame in frames:
            self.dial.newest.deliver(frame)
        await run_ready_tasks()

    def closed_minutes(self) -> list[int]:
        return [kline.open_ms // MINUTE_MS for kline in self.market_state.klines]

    def age_s(self) -> float:
        return self.market_state.view(self.clock.now_s()).top_age_s


@asynccontextmanager
async def running(*, api_is_ready: bool = True) -> AsyncIterator[Bench]:
    bench = Bench()
    if not api_is_ready:
        bench.api_is_ready.clear()
    async with running_task(bench.stream.run()):
        await run_ready_tasks()
        yield bench


async def test_one_connection_carries_both_streams() -> None:
    async with running() as bench:
        assert bench.dial.urls == ["wss://stream.example:9443/stream?streams=ethfdusd@bookTicker/ethfdusd@kline_1m"]


async def test_the_top_is_fetched_when_no_frame_has_come_yet() -> None:
    async with running() as bench:
        assert bench.market_state.top is not None
        assert bench.market_state.top.bid == 10
        assert bench.age_s() == 0.0


async def test_without_the_api_the_stream_goes_on() -> None:
    bench = Bench()
    bench.book = SessionLost("not connected")
    async with running_task(bench.stream.run()):
        await run_ready_tasks()
        await bench.deliver(top_frame("11", "12"))
        assert bench.market_state.top is not None
        await bench.clock.advance(20.0)
        assert bench.age_s() == 20.0
        assert bench.down == []


async def test_a_probe_waits_until_the_api_is_ready() -> None:
    async with running(api_is_ready=False) as bench:
        await bench.clock.advance(60.0)
        assert (bench.api.methods(), len(bench.dial.urls), bench.down) == ([], 1, [])
        bench.api_is_ready.set()
        await run_ready_tasks()
        assert bench.api.methods() == ["ticker.book"]
        assert bench.age_s() == 0.0


async def test_a_frame_while_waiting_for_the_api_makes_the_probe_unnecessary() -> None:
    async with running(api_is_ready=False) as bench:
        await bench.clock.advance(60.0)
        await bench.deliver(top_frame())
        bench.api_is_ready.set()
        await run_ready_tasks()
        assert bench.api.methods() == []
        await bench.clock.advance(5.0)
        assert bench.api.methods() == ["ticker.book"]


async def test_a_gap_is_filled_once_the_api_is_ready() -> None:
    async with running(api_is_ready=False) as bench:
        await bench.deliver(kline_frame(4, closed=True))
        await bench.clock.advance(300.0)
        assert bench.closed_minutes() == [1, 2]
        bench.api_is_ready.set()
        await run_ready_tasks()
        assert bench.closed_minutes() == [1, 2, 3, 4]


async def test_a_history_loaded_while_a_gap_is_filled_leaves_no_gap() -> None:
    async with running() as bench:
        bench.market_state.load_klines([kline(5)])

        def asked_meanwhile(params: Mapping[str, str | int]) -> object:
            bench.api.answers["klines"] = bench.klines
            bench.market_state.load_klines([kline(minute) for minute in range(3)])  # the exchange's records lag
            return bench.klines(params)

        bench.api.answers["klines"] = asked_meanwhile
        await bench.deliver(kline_frame(8, closed=True))
        await bench.clock.advance(1.0)
        assert bench.closed_minutes() == list(range(9))


async def test_raw_and_combined_frames_are_handled() -> None:
    async with running() as bench:
        await bench.deliver(top_frame("11", "12"))
        assert bench.market_state.top is not None
        heard = [bench.market_state.top.bid]
        await bench.deliver(top_frame("13", "14")["data"])
        heard.append(bench.market_state.top.bid)
        assert heard == [11, 13]


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(top_frame("12", "11"), id="crossed"),
        pytest.param(top_frame("0", "11"), id="no bid"),
        pytest.param(top_frame("11", "12", symbol="BTCUSDT"), id="another symbol"),
        pytest.param("{", id="no JSON"),
        pytest.param({"result": None, "id": 1}, id="acknowledgement"),
        pytest.param({"code": 2, "msg": "Invalid request"}, id="refusal"),
        pytest.param({"e": "aggTrade"}, id="another stream"),
    ],
)
async def test_bad_and_foreign_frames_change_nothing(frame: object) -> None:
    async with running() as bench:
        await bench.deliver(frame)
        assert bench.market_state.top is not None
        assert bench.market_state.top.bid == 10
        assert bench.down == []


async def test_bad_books_never_drop_the_session_but_unreadable_frames_do() -> None:
    async with running() as bench:
        await bench.deliver(*[top_frame("12", "11")] * 50)
        assert bench.down == []
        await bench.deliver(*["{"] * 20)
        assert len(bench.down) == 1


async def test_a_quiet_market_is_confirmed_by_a_probe() -> None:
    async with running() as bench:
        await bench.clock.advance(60.0)
        assert bench.age_s() <= 5.0
        assert bench.down == []


async def test_no_probe_is_sent_while_frames_come() -> None:
    async with running() as bench:
        for _ in range(30):
            await bench.clock.advance(1.0)
            await bench.deliver(top_frame())
        assert bench.api.methods() == ["ticker.book"]


async def test_a_probe_that_differs_means_a_dead_stream() -> None:
    async with running() as bench:
        bench.book = {"bidPrice": "10.00", "bidQty": "1", "askPrice": "10.02", "askQty": "2"}
        await bench.clock.advance(6.1)
        assert bench.age_s() == float("inf")
        assert len(bench.down) == 1
        await bench.clock.advance(1.0)
        assert bench.age_s() <= 1.0
        assert bench.stream.reconnects == 1


async def test_a_probe_ahead_of_its_frame_is_tolerated() -> None:
    async with running() as bench:
        bench.book = {"bidPrice": "10.00", "bidQty": "1", "askPrice": "10.02", "askQty": "2"}
        await bench.clock.advance(5.5)
        await bench.deliver(top_frame("10.00", "10.02"))
        await bench.clock.advance(3.0)
        assert bench.down == []


async def test_klines_reach_the_market_state() -> None:
    async with running() as bench:
        await bench.deliver(kline_frame(3, closed=False), kline_frame(3, closed=True), kline_frame(4, closed=False))
        assert bench.closed_minutes() == [1, 2, 3]
        assert bench.market_state.forming is not None
        assert bench.market_state.forming.open_ms == 4 * MINUTE_MS
        assert bench.api.methods() == ["ticker.book"]


async def test_a_kline_dated_far_ahead_does_not_make_every_later_one_look_old() -> None:
    async with running() as bench:
        await bench.deliver({**kline_frame(3, closed=False), "E": 1000 * MINUTE_MS})
        await bench.deliver(kline_frame(4, closed=True), kline_frame(5, closed=True))
        assert bench.closed_minutes() == [1, 2, 3, 4, 5]


async def test_klines_of_another_interval_are_ignored() -> None:
    async with running() as bench:
        frame = kline_frame(3, closed=True)
        frame["k"]["i"] = "5m"
        await bench.deliver(frame)
        assert bench.closed_minutes() == [1, 2]


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "forming"])
async def test_missing_klines_are_added_before_the_newer_one(closed: bool) -> None:
    async with running() as bench:
        await bench.deliver(kline_frame(6, closed=closed))
        assert bench.closed_minutes() == [1, 2, 3, 4, 5] + [6] * closed
        fresh = [kline.open_ms // MINUTE_MS for kline in bench.market_state.view(0.0).closed_klines]
        assert fresh == [3, 4, 5] + [6] * closed


async def test_klines_after_a_gap_wait_and_the_book_does_not() -> None:
    async with running() as bench:
        bench.minutes = []  # the database lags
        await bench.deliver(kline_frame(6, closed=False), kline_frame(6, closed=True), kline_frame(7, closed=False))
        await bench.deliver(kline_frame(7, closed=True), top_frame("11", "12"))
        assert bench.closed_minutes() == [1, 2]
        assert bench.market_state.top is not None
        assert bench.market_state.top.bid == 11
        bench.minutes = list(range(100))
        await bench.clock.advance(1.1)
        assert bench.closed_minutes() == [1, 2, 3, 4, 5, 6, 7]


async def test_a_gap_that_the_exchange_cannot_fill_is_accepted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running() as bench:
        bench.minutes = [3]
        await bench.deliver(kline_frame(6, closed=False))
        await bench.clock.advance(3.0)
        asked = len(bench.api.requests)
        await bench.deliver(kline_frame(6, closed=False), kline_frame(6, closed=True), kline_frame(7, closed=True))
        assert bench.closed_minutes() == [1, 2, 3, 6, 7]
        assert len(bench.api.requests) == asked
        assert "exchange lacks klines" in caplog.text


async def test_two_gaps_are_filled_one_after_the_other() -> None:
    async with running() as bench:
        bench.minutes = []
        await bench.deliver(kline_frame(5, closed=False), kline_frame(9, closed=True))
        bench.minutes = list(range(100))
        await bench.clock.advance(5.0)
        assert bench.closed_minutes() == [1, 2, 3, 4, 5, 6, 7, 8, 9]


async def test_missing_klines_are_requested_again_after_an_error() -> None:
    async with running() as bench:
        answer = bench.api.answers["klines"]
        bench.api.answers["klines"] = lambda _: SessionLost("not connected")
        await bench.deliver(kline_frame(6, closed=True))
        await bench.clock.advance(3.0)
        assert bench.closed_minutes() == [1, 2]
        bench.api.answers["klines"] = answer
        await bench.clock.advance(1.1)
        assert bench.closed_minutes() == [1, 2, 3, 4, 5, 6]
        assert bench.down == []


async def test_missing_klines_are_added_after_a_reconnect() -> None:
    async with running() as bench:
        await bench.deliver(kline_frame(3, closed=True))
        bench.dial.newest.drop("closed 1006")
        await bench.clock.advance(1.1)
        await bench.deliver(kline_frame(8, closed=False))
        assert bench.closed_minutes() == [1, 2, 3, 4, 5, 6, 7]
        assert bench.stream.reconnects == 1


SHUTDOWN = {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 5}}


@asynccontextmanager
async def rotating() -> AsyncIterator[tuple[Bench, MemorySocket, MemorySocket]]:
    """Run a stream with an active connection and a new one that has delivered nothing yet."""
    async with running() as bench:
        await bench.clock.advance(61.0)
        old = bench.dial.newest
        await bench.deliver(top_frame("10", "11", u=10), SHUTDOWN)
        yield bench, old, bench.dial.newest


def bid(bench: Bench) -> Decimal:
    assert bench.market_state.top is not None
    return bench.market_state.top.bid


async def bids_after(bench: Bench, *frames: tuple[MemorySocket, object]) -> list[int]:
    """Deliver each frame and return the bid after it."""
    bids = []
    for socket, frame in frames:
        socket.deliver(frame)
        await run_ready_tasks()
        bids.append(int(bid(bench)))
    return bids


async def test_after_a_server_shutdown_the_stream_switches_when_the_new_connection_delivers() -> None:
    async with rotating() as (bench, old, new):
        closed = [old.closed]
        new.deliver(kline_frame(3, closed=False))
        await bench.clock.advance(1.1)
        assert [*closed, old.closed, new.closed] == [False, True, False]
        assert (bench.down, bench.stream.reconnects) == ([], 0)


async def test_the_books_of_both_connections_are_one_sequence() -> None:
    async with rotating() as (bench, old, new):
        bids = await bids_after(
            bench,
            (old, top_frame("12", "20", u=12)),
            (new, top_frame("11", "20", u=11)),  # behind
            (new, top_frame("12", "20", u=12)),
            (new, top_frame("13", "20", u=13)),
            (old, top_frame("13", "20", u=13)),
            (old, top_frame("14", "20", u=14)),
            (new, top_frame("14", "20", u=14)),
        )
        assert bids == [12, 12, 12, 13, 13, 14, 14]


async def test_an_update_of_both_connections_is_published_once() -> None:
    async with rotating() as (bench, old, new):
        await bids_after(bench, (old, top_frame("12", "20", u=12)))
        await bench.clock.advance(0.01)
        proven_s = bench.market_state.top_confirmed_s
        await bids_after(bench, (new, top_frame("12", "20", u=12)))
        assert bench.market_state.top_confirmed_s == proven_s


async def test_late_frames_do_not_set_the_price_back_after_the_switch() -> None:
    async with rotating() as (bench, old, new):
        await bids_after(bench, (old, top_frame("15", "20", u=15)), (new, kline_frame(3, closed=False)))
        await bench.clock.advance(1.1)
        assert old.closed
        assert await bids_after(bench, (new, top_frame("14", "20", u=14)), (new, top_frame("16", "20", u=16))) == [
            15,
            16,
        ]


async def test_restarted_update_ids_are_accepted_after_a_loss() -> None:
    async with rotating() as (bench, old, new):
        old.drop()
        new.drop()
        await bench.clock.advance(2.0)
        assert await bids_after(bench, (bench.dial.newest, top_frame("9", "20", u=1))) == [9]


async def test_restarted_update_ids_over_the_new_connection_are_found_by_a_probe() -> None:
    async with rotating() as (bench, old, new):
        await bids_after(bench, (new, kline_frame(3, closed=False)))
        await bench.clock.advance(1.1)
        assert old.closed
        bench.book = {"bidPrice": "9", "bidQty": "1", "askPrice": "20", "askQty": "2"}
        assert await bids_after(bench, (new, top_frame("9", "20", u=1))) == [10]
        await bench.clock.advance(8.0)
        assert int(bid(bench)) == 9
        assert await bids_after(bench, (bench.dial.newest, top_frame("8", "20", u=2))) == [8]


async def test_an_older_frame_does_not_set_the_price_back() -> None:
    async with running() as bench:
        await bench.deliver(top_frame("12", "20", u=12), top_frame("11", "20", u=11))
        assert bid(bench) == 12


async def test_a_new_connection_that_is_ahead_waits_for_the_old_one() -> None:
    async with rotating() as (bench, old, new):
        bids = await bids_after(
            bench,
            (new, top_frame("13", "20", u=13)),
            (old, top_frame("11", "20", u=11)),
            (old, top_frame("12", "20", u=12)),
            (new, top_frame("14", "20", u=14)),
            (old, top_frame("13", "20", u=13)),
        )
        assert bids == [10, 11, 12, 12, 14]


async def test_the_switch_does_not_wait_long_for_a_quiet_old_connection() -> None:
    async with rotating() as (bench, old, new):
        assert await bids_after(bench, (new, top_frame("13", "20", u=13))) == [10]
        await bench.clock.advance(1.1)
        assert (int(bid(bench)), old.closed) == (13, True)


async def test_klines_of_both_connections_are_one_history() -> None:
    async with rotating() as (bench, old, new):
        for socket in (old, new):
            socket.deliver(kline_frame(3, closed=True))
            await run_ready_tasks()
        old.deliver(kline_frame(4, closed=True))
        await run_ready_tasks()
        new.deliver(kline_frame(3, closed=False))  # behind
        await bench.clock.advance(0.1)
        new.deliver(kline_frame(4, closed=True))
        new.deliver(kline_frame(5, closed=True))
        await run_ready_tasks()
        assert bench.closed_minutes() == [1, 2, 3, 4, 5]
        assert bench.market_state.forming is None


async def test_a_gap_seen_by_the_old_connection_is_filled_after_the_switch() -> None:
    async with rotating() as (bench, old, new):
        bench.minutes = []
        await bids_after(bench, (old, kline_frame(6, closed=True)), (new, kline_frame(7, closed=False)))
        await bench.clock.advance(1.1)
        assert old.closed
        bench.minutes = list(range(100))
        await bench.clock.advance(3.0)
        assert bench.closed_minutes() == [1, 2, 3, 4, 5, 6]


async def test_a_silent_successor_is_refused_while_the_old_connection_delivers() -> None:
    async with rotating() as (bench, old, new):
        for number in range(6):
            await bids_after(bench, (old, top_frame("11", "20", u=11 + number)))
            await bench.clock.advance(1.0)
        assert new.closed
        assert not old.closed
        assert bench.down == []


async def test_a_silent_successor_is_accepted_when_the_old_connection_is_silent_too() -> None:
    async with rotating() as (bench, old, new):
        bench.book = {"bidPrice": "10", "bidQty": "1", "askPrice": "11", "askQty": "2"}
        await bench.clock.advance(5.1)
        assert (old.closed, new.closed) == (True, False)


async def test_a_half_open_stream_is_found_before_its_prices_are_stale() -> None:
    async with running() as bench:
        await bench.deliver(top_frame("10", "11", u=10))
        bench.book = {"bidPrice": "10", "bidQty": "1", "askPrice": "12", "askQty": "2"}
        await bench.clock.advance(9.9)
        assert len(bench.down) == 1


async def test_a_failing_handler_does_not_end_the_stream(caplog: pytest.LogCaptureFixture) -> None:
    def stumble() -> None:
        raise KeyError("mistake")

    bench = Bench(changed=stumble)
    bench.book = SessionLost("not connected")
    async with running_task(bench.stream.run()):
        await run_ready_tasks()
        await bench.deliver(top_frame("11", "12"), top_frame("13", "14"))
        assert bench.market_state.top is not None
        assert bench.market_state.top.bid == 13
        assert bench.down == []
        assert "frame handler failed" in caplog.text


def raw(message: object) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


async def test_of_the_books_of_one_read_the_newest_counts_and_of_the_klines_each() -> None:
    async with running() as bench:
        told: list[int] = []
        bench.market_state.on_top_moved = lambda top, _: told.append(top.update_id)
        together = [
            raw(top_frame(u=1)),
            raw(kline_frame(3, closed=True)),
            raw(top_frame(u=2)),
            raw(top_frame(bid="9.00", u=3)),
            raw(kline_frame(4, closed=True)),
            raw(top_frame(bid="10.02", u=4)),  # crossed: no book
            raw(top_frame(u=5, symbol="BTCUSDT")),
        ]
        bench.dial.newest.deliver_together(*together)
        await run_ready_tasks()
        assert told == [3]
        assert bench.market_state.top is not None
        assert bench.market_state.top.bid == Decimal("9.00")
        assert bench.closed_minutes() == [1, 2, 3, 4]


async def test_unreadable_frames_in_a_batch_are_counted() -> None:
    async with running() as bench:
        bench.dial.newest.deliver_together(*[b"garbage"] * 19, raw(top_frame(u=7)))
        await run_ready_tasks()
        assert bench.market_state.top is not None
        bench.dial.newest.deliver_together(b"garbage", b"garbage")
        await run_ready_tasks()
        assert bench.down == ["20 unreadable frames within 60 s"]


async def test_held_books_are_published_as_late() -> None:
    async with rotating() as (bench, old, new):
        answered: list[int] = []
        bench.market_state.on_top_moved = lambda top, _: answered.append(top.update_id)
        told = await bids_after(
            bench, (new, top_frame(u=50)), (new, top_frame(bid="9.00", u=51)), (old, top_frame(u=50))
        )
        assert told[-1] == 9
        assert 51 not in answered
        await bids_after(bench, (new, top_frame(u=52)))
        assert answered[-1] == 52
