"""A start asks until it is answered, waits as long as it is told to, and gives up in the end."""

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
        """At once."""


class Bench:
    """Somebody who is asked again and again; `troubles` come first, then the answer."""

    def __init__(self, *troubles: TrailingEdgeError) -> None:
        self.clock = ManualClock()
        self.troubles = list(troubles)
        self.asked_s: list[float] = []
        api = cast("ApiClient", AlwaysReady())
        self.persistence = Retry(api, self.clock, self.clock.unix_ms, "the exchange")

    async def ask(self) -> str:
        self.asked_s.append(self.clock.now_s())
        if self.troubles:
            raise self.troubles.pop(0)
        return "an answer"

    async def persist(self) -> str:
        asking = asyncio.create_task(self.persistence.run(self.ask))
        await self.clock.advance(600.0)
        return await asking


@pytest.mark.parametrize(
    ("troubles", "asked_s"),
    [
        pytest.param([], [0], id="answered at once"),
        pytest.param([SessionLost("gone")], [0, 1], id="the connection was lost"),
        pytest.param([OutcomeUnknown("silence")] * 4, [0, 1, 3, 7, 15], id="silent four times"),
        pytest.param([RetryLater("banned", 30.0)], [0, 31], id="told to wait"),
        pytest.param([RequestRefused(-1003, "no", 40_000, 0)], [0, 41], id="refused until some time"),
        pytest.param([RetryLater("banned", 30.0)] * 6, [0, 31, 62, 93, 124, 155, 186], id="told to wait for long"),
    ],
)
async def test_it_is_asked_again(troubles: Sequence[TrailingEdgeError], asked_s: list[float]) -> None:
    bench = Bench(*troubles)
    assert await bench.persist() == "an answer"
    assert bench.asked_s == asked_s


async def test_five_failures_in_a_row_are_enough() -> None:
    bench = Bench(*[RequestRefused(-1000, "no")] * 9)
    with pytest.raises(StartFailed, match="the exchange did not answer as needed, 5 times in a row: -1000 no"):
        await bench.persist()
    assert len(bench.asked_s) == 5
