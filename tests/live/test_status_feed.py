"""Tests of the status feed: a real node on the embedded exchange, and readers that do or do not read."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from tests.daemon_harness import NodeHarness, ScenarioResult, run_scenario

from trailingedge.core.clock import Clock, ManualClock
from trailingedge.execution.trader_events import MarketFresh
from trailingedge.live.status_feed import BUFFER_BYTES, KEPT_LOG_LINES, MAX_SUBSCRIBERS, STALLED_S, StatusFeed
from trailingedge.model.operator_commands import CommandResult, OperatorCommand


class Watching:
    """A subscriber: its connection is memory. While `reads` is false, what is written stays in its buffer."""

    def __init__(self, feed: StatusFeed) -> None:
        self.reads = True
        self.aborted = False
        self.answer: CommandResult | None = None
        self._received = b""
        self._buffered = b""
        self._reader = asyncio.StreamReader()
        self._task = asyncio.create_task(self._serve(feed))

    @property
    def transport(self) -> "Watching":
        return self

    async def _serve(self, feed: StatusFeed) -> None:
        self.answer = await feed.serve(self._reader, cast("asyncio.StreamWriter", self))

    def write(self, data: bytes) -> None:
        self._buffered += data
        if self.reads:
            self.read()

    def read(self) -> None:
        self._received += self._buffered
        self._buffered = b""

    def get_write_buffer_size(self) -> int:
        return len(self._buffered)

    def abort(self) -> None:
        self.aborted = True
        self._reader.feed_eof()

    async def leave(self) -> None:
        self._reader.feed_eof()
        await self._task

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self._received.splitlines()]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [fields for fields in self.lines if fields["type"] == kind]


def with_feed(scenario: Callable[[NodeHarness, StatusFeed], Awaitable[None]]) -> ScenarioResult:
    """Run a scenario beside a node and the feed of its events."""
    feeds: list[StatusFeed] = []

    async def live(harness: NodeHarness) -> None:
        feed = StatusFeed(harness.clock, "1.2.3", harness.node.status, lambda: "candles, attempt 2")
        feeds.append(feed)
        sending = asyncio.create_task(feed.run())
        try:
            await scenario(harness, feed)
        finally:
            sending.cancel()

    result = run_scenario(live, observe=lambda event, ms: feeds[0].on_event(event, ms) if feeds else None)
    assert result.error is None
    return result


def test_during_the_start_the_state_names_the_step_that_waits() -> None:
    async def scenario(harness: NodeHarness, feed: StatusFeed) -> None:
        watching = Watching(feed)
        await harness.wait(0.001)
        (state,) = watching.lines
        assert (state["type"], state["starting"], state["status"]) == ("state", "candles, attempt 2", None)
        await harness.ready()
        await harness.wait(1.2)
        assert watching.of_type("status")[-1]["status"]["phase"] == "watching"
        # The history is known only now.
        assert len(watching.of_type("state")) == 2
        assert len(watching.of_type("state")[-1]["history"]["rows"]) > 50

    with_feed(scenario)


def test_the_state_comes_first_and_then_each_change() -> None:
    async def scenario(harness: NodeHarness, feed: StatusFeed) -> None:
        await harness.ready()
        watching = Watching(feed)
        await harness.wait(0.01)
        (state,) = watching.lines
        assert (state["program"], state["starting"], state["orders"]) == ("1.2.3", None, [])
        assert state["status"]["bid"] == "2500.00"
        assert state["panel"]["titles"][0] == "sim ETHFDUSD · holding ETH, watching"
        assert [row[1] for row in state["history"]["rows"]] == ["2500.00"] * len(state["history"]["rows"])
        harness.submit(OperatorCommand.FLIP)
        await harness.wait(0.5)
        (placed,) = watching.of_type("order")
        assert (placed["change"], placed["side"], placed["price"]) == ("placed", "SELL", "2500.01")
        assert watching.of_type("event")[0]["name"] == "exit_started"
        await harness.price("2500.05")
        (fill,) = watching.of_type("fill")
        assert (fill["quantity"], fill["quote"], fill["remaining"]) == ("1", "2500.01", "0")
        assert fill["time"].endswith("+00:00")
        assert watching.of_type("status")[-1]["status"]["holding"] == "FDUSD"

    with_feed(scenario)


def test_prices_come_at_most_four_times_a_second() -> None:
    async def scenario(harness: NodeHarness, feed: StatusFeed) -> None:
        await harness.ready()
        watching = Watching(feed)
        await harness.wait(2.0)
        before = len(watching.lines)
        for number in range(100):
            await harness.price(f"2500.{number:02}", wait_s=0.05)
        of_five_s = [fields["type"] for fields in watching.lines[before:]]
        assert 15 <= len(of_five_s) <= 25
        assert {*of_five_s} == {"prices", "status"}

    with_feed(scenario)


def test_nothing_is_sent_again_that_the_state_held() -> None:
    async def scenario(harness: NodeHarness, feed: StatusFeed) -> None:
        await harness.ready()
        first = Watching(feed)
        await harness.wait(0.2)
        harness.submit(OperatorCommand.FLIP)
        await harness.until(lambda: feed._orders, within_s=1.0)
        second = Watching(feed)  # joins while the order waits to be sent
        await harness.wait(0.5)
        assert len(first.of_type("order")) == 1
        assert [fields["change"] for fields in second.of_type("state")[0]["orders"]] == ["placed"]
        assert second.of_type("order") == []

    with_feed(scenario)


def test_a_reader_that_does_not_keep_up_loses_lines_is_told_how_many_and_gets_the_state_again() -> None:
    async def scenario(harness: NodeHarness, feed: StatusFeed) -> None:
        await harness.ready()
        slow, quick = Watching(feed), Watching(feed)
        await harness.wait(0.2)
        slow.reads = False
        sent = 0
        while slow.get_write_buffer_size() <= BUFFER_BYTES:
            sent += 1
            feed.on_log_line(0, "INFO", f"{sent} {'x' * 9000}")
            await harness.wait(0.2)
        for number in range(50):
            feed.on_log_line(0, "INFO", f"lost {number}")
        await harness.wait(0.3)
        assert slow.get_write_buffer_size() < 2 * BUFFER_BYTES
        assert len(quick.of_type("log")) == sent + 50
        slow.reads = True
        slow.read()
        await harness.wait(0.3)
        assert len(slow.of_type("log")) == sent
        assert slow.of_type("lost") == [{"version": 1, "type": "lost", "lines": 50}]
        assert slow.of_type("state")[-1]["log"][-1]["text"] == "lost 49"
        feed.on_log_line(0, "INFO", "and on")
        await harness.wait(0.3)
        assert slow.lines[-1]["type"] in ("log", "status", "prices")
        assert slow.of_type("log")[-1]["text"] == "and on"

    with_feed(scenario)


def test_readers_are_bounded_and_one_that_never_reads_gives_way() -> None:
    async def scenario(harness: NodeHarness, feed: StatusFeed) -> None:
        await harness.ready()
        watchers = [Watching(feed) for _ in range(MAX_SUBSCRIBERS)]
        await harness.wait(0.2)
        late = Watching(feed)
        await harness.wait(0.1)
        assert late.answer is not None
        assert late.answer.text == "busy: 8 are watching already; end one of them"
        watchers[0].reads = False
        watchers[0].write(b"x" * (BUFFER_BYTES + 1))
        await harness.wait(STALLED_S + 0.5)
        later = Watching(feed)
        await harness.wait(0.1)
        assert later.answer is None
        assert watchers[0].aborted
        assert later.of_type("state")

    with_feed(scenario)


def test_the_end_is_told() -> None:
    async def scenario(harness: NodeHarness, feed: StatusFeed) -> None:
        await harness.ready()
        watching = Watching(feed)
        await harness.wait(0.2)
        feed.on_log_line(0, "INFO", "shutdown: quit")
        feed.close("the daemon has ended")
        assert [fields["type"] for fields in watching.lines[-2:]] == ["log", "end"]
        assert watching.lines[-1]["reason"] == "the daemon has ended"

    with_feed(scenario)


class Blind:
    """A feed without a node, on a clock that is advanced by hand."""

    def __init__(self, view: Callable[[], None] = lambda: None) -> None:
        self.clock = ManualClock()
        self.feed = StatusFeed(cast("Clock", self.clock), "1", view, lambda: "")


async def test_without_readers_nothing_is_queued_and_little_is_kept() -> None:
    blind = Blind()
    for number in range(3000):
        blind.feed.on_log_line(0, "INFO", str(number))
        blind.feed.on_event(MarketFresh(1.0), 0)
    assert not blind.feed._queue
    watching = Watching(blind.feed)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    (state,) = watching.lines
    assert [fields["text"] for fields in state["log"]] == [str(at) for at in range(3000 - KEPT_LOG_LINES, 3000)]
    assert (state["orders"], state["starting"]) == ([], "connecting")
    await watching.leave()
    assert not blind.feed._subscribers


async def test_a_mistake_in_a_line_is_logged_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    blind = Blind()
    running = asyncio.create_task(blind.feed.run())
    watching = Watching(blind.feed)
    for _ in range(5):
        await asyncio.sleep(0)
    blind.feed._view = broken
    for _ in range(5):
        await blind.clock.advance(0.3)
    assert not running.done()
    assert "because of a bug" in caplog.text
    await watching.leave()
    running.cancel()
