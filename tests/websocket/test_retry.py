"""Retry: repeats a request, waits as long as the exchange asks, and fails in the end."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import (
    OutcomeUnknown,
    RequestRefused,
    RetryLater,
    SessionLost,
    StartFailed,
    TrailingEdgeError,
)
from trailingedge.websocket.api_client import ApiClient
from trailingedge.websocket.retry import Retry


class AlwaysReady:
    async def wait_ready(self) -> None:
        """Return at once."""


class Bench:
    """A request that raises each of `errors` and then succeeds."""

    def __init__(self, *errors: TrailingEdgeError) -> None:
        self.clock = ManualClock()
        self.errors = list(errors)
        self.sent_s: list[float] = []
        api = cast("ApiClient", AlwaysReady())
        self.failed: list[tuple[str, float]] = []
        self.retry = Retry(
            api, self.clock, self.clock.unix_ms, "the exchange", lambda reason, s: self.failed.append((reason, s))
        )

    async def request(self) -> str:
        self.sent_s.append(self.clock.now_s())
        if self.errors:
            raise self.errors.pop(0)
        return "a result"

    async def run(self) -> str:
        running = asyncio.create_task(self.retry.run(self.request))
        await self.clock.advance(600.0)
        return await running


@pytest.mark.parametrize(
    ("errors", "sent_s"),
    [
        pytest.param([], [0], id="answered at once"),
        pytest.param([SessionLost("gone")], [0, 1], id="the connection was lost"),
        pytest.param([OutcomeUnknown("silence")] * 4, [0, 1, 3, 7, 15], id="silent four times"),
        pytest.param([RetryLater("banned", 30.0)], [0, 31], id="told to wait"),
        pytest.param([RequestRefused(-1003, "no", 40_000, 0)], [0, 41], id="refused until some time"),
        pytest.param([RetryLater("banned", 30.0)] * 6, [0, 31, 62, 93, 124, 155, 186], id="told to wait for long"),
    ],
)
async def test_the_request_is_repeated_after_a_pause(errors: Sequence[TrailingEdgeError], sent_s: list[float]) -> None:
    bench = Bench(*errors)
    assert await bench.run() == "a result"
    assert bench.sent_s == sent_s


async def test_each_failed_attempt_is_reported_with_its_reason_and_the_pause_after_it() -> None:
    bench = Bench(OutcomeUnknown("silence"), RetryLater("banned", 30.0), SessionLost("gone"))
    await bench.run()
    assert bench.failed == [("silence", 1.0), ("banned", 31.0), ("gone", 2.0)]


async def test_it_fails_after_five_attempts() -> None:
    bench = Bench(*[RequestRefused(-1000, "no")] * 9)
    with pytest.raises(StartFailed, match="no usable answer from the exchange, 5 times in a row: -1000 no"):
        await bench.run()
    assert len(bench.sent_s) == 5
