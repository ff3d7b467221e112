"""AccountProbe: when it queries, what it tolerates, and what ends the connection."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from decimal import Decimal

import pytest
from tests.websocket.fake_sockets import run_ready_tasks

from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost
from trailingedge.model.market import Balance
from trailingedge.model.market_state import MarketState
from trailingedge.websocket.account_probe import AccountProbe
from trailingedge.websocket.event_parser import AccountPosition


def eth(amount: str) -> Balance:
    return Balance("ETH", Decimal(amount))


class Bench:
    """A scripted account: each query gets the next of `replies`, and the last one again and again."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.market_state = MarketState(klines_maxlen=10)
        self.market_state.on_balances([eth("1"), Balance("FDUSD", Decimal(0))], 5)
        self.busy = False
        self.probed_s: list[float] = []
        self.replies: list[Callable[[], AccountPosition]] = [self.agree]
        self.probe = AccountProbe(
            self.market_state,
            self.clock,
            probe_every_s=60.0,
            busy_every_s=10.0,
            is_busy=lambda: self.busy,
            server_ms=self.clock.unix_ms,
        )
        self.watching: asyncio.Task[None] | None = None

    async def balances(self, timeout_s: float) -> AccountPosition:
        self.probed_s.append(self.clock.now_s())
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if reply == self.time_out:
            await self.clock.sleep(timeout_s)
        return reply()

    def agree(self) -> AccountPosition:
        return AccountPosition((eth("1.00"),), 5)

    def differ(self) -> AccountPosition:
        return AccountPosition((eth("2"),), 6)

    def time_out(self) -> AccountPosition:
        raise OutcomeUnknown("timeout")

    def lost(self) -> str | None:
        """Return why `watch` has ended; None while it runs."""
        assert self.watching is not None
        return str(self.watching.exception()) if self.watching.done() else None


def refuse(error: Exception) -> Callable[[], AccountPosition]:
    def reply() -> AccountPosition:
        raise error

    return reply


@asynccontextmanager
async def watching() -> AsyncIterator[Bench]:
    bench = Bench()
    bench.watching = asyncio.create_task(bench.probe.watch(bench))
    await run_ready_tasks()
    try:
        yield bench
    finally:
        bench.watching.cancel()
        with suppress(asyncio.CancelledError, SessionLost):
            await bench.watching


async def test_an_idle_account_is_probed_every_minute() -> None:
    async with watching() as bench:
        await bench.clock.advance(185.0)
        assert bench.probed_s == [60.0, 120.0, 180.0]
        assert bench.lost() is None


async def test_with_an_open_exit_the_account_is_probed_every_ten_seconds() -> None:
    async with watching() as bench:
        await bench.clock.advance(15.0)
        bench.busy = True
        await bench.clock.advance(20.0)
        bench.busy = False
        await bench.clock.advance(60.0)
        assert bench.probed_s == [20.0, 30.0, 90.0]


async def test_two_timeouts_mean_a_dead_connection() -> None:
    async with watching() as bench:
        bench.replies = [bench.time_out]
        await bench.clock.advance(65.9)
        assert bench.lost() is None
        await bench.clock.advance(0.2)
        assert bench.lost() == "no reply to the account probe"


async def test_one_timeout_is_tolerated() -> None:
    async with watching() as bench:
        bench.replies = [bench.time_out, bench.agree]
        await bench.clock.advance(100.0)
        assert bench.lost() is None


async def test_a_difference_without_an_event_means_a_dead_stream() -> None:
    async with watching() as bench:
        bench.replies = [bench.differ]
        await bench.clock.advance(60.9)
        assert bench.lost() is None
        await bench.clock.advance(0.2)
        assert bench.lost() == "the balances changed and the stream did not report it"


async def test_a_difference_that_an_event_explains_is_tolerated() -> None:
    async with watching() as bench:
        bench.replies = [bench.differ]
        await bench.clock.advance(60.5)
        bench.market_state.on_balances([eth("2")], 6)
        await bench.clock.advance(100.0)
        assert bench.lost() is None


async def test_a_reply_that_lags_behind_the_stream_is_tolerated() -> None:
    async with watching() as bench:
        bench.replies = [bench.differ, bench.agree]
        await bench.clock.advance(100.0)
        assert bench.lost() is None


async def test_balances_of_another_query_do_not_explain_a_difference() -> None:
    async with watching() as bench:
        bench.replies = [bench.differ, bench.differ, bench.differ, bench.agree]
        await bench.clock.advance(60.5)
        bench.market_state.on_queried_balances([eth("3")], 6, bench.market_state.balance_updates, 0)
        await bench.clock.advance(1.0)
        assert bench.lost() is not None


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(RequestRefused(-1003, "too much"), id="refused"),
        pytest.param(ProtocolViolation("nonsense"), id="not understood"),
    ],
)
async def test_an_error_reply_proves_nothing(trouble: Exception) -> None:
    async with watching() as bench:
        bench.replies = [refuse(trouble)]
        await bench.clock.advance(125.0)
        assert bench.probed_s == [60.0, 120.0]
        assert bench.lost() is None


async def test_no_probe_is_sent_during_a_ban() -> None:
    async with watching() as bench:
        bench.busy = True
        bench.replies = [refuse(RequestRefused(-1003, "too much", bench.clock.unix_ms() + 100_000)), bench.agree]
        await bench.clock.advance(115.0)
        assert bench.probed_s == [10.0, 110.0]


async def test_a_session_that_is_not_logged_on_is_lost() -> None:
    async with watching() as bench:
        bench.replies = [refuse(RequestRefused(-1193, "not authenticated"))]
        await bench.clock.advance(61.0)
        assert bench.lost() == "no longer logged on: -1193 not authenticated"
