"""The account's silence is measured: agreement proves, silence and unexplained differences do not."""

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
    """An account on paper: each question gets the next of `answers`, the last one for ever."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.snapshots = MarketState(klines_maxlen=10)
        self.snapshots.on_balances([eth("1"), Balance("FDUSD", Decimal(0))], 5)
        self.busy = False
        self.asked_s: list[float] = []
        self.answers: list[Callable[[], AccountPosition]] = [self.agree]
        self.proof = AccountProbe(
            self.snapshots,
            self.clock,
            probe_every_s=60.0,
            busy_every_s=10.0,
            is_busy=lambda: self.busy,
            server_ms=self.clock.unix_ms,
        )
        self.watching: asyncio.Task[None] | None = None

    async def balances(self, patience_s: float) -> AccountPosition:
        self.asked_s.append(self.clock.now_s())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer == self.silence:
            await self.clock.sleep(patience_s)
        return answer()

    def agree(self) -> AccountPosition:
        return AccountPosition((eth("1.00"),), 5)

    def differ(self) -> AccountPosition:
        return AccountPosition((eth("2"),), 6)

    def silence(self) -> AccountPosition:
        raise OutcomeUnknown("timeout")

    def lost(self) -> str | None:
        """Why the watch has ended."""
        assert self.watching is not None
        return str(self.watching.exception()) if self.watching.done() else None


def refuse(error: Exception) -> Callable[[], AccountPosition]:
    def answer() -> AccountPosition:
        raise error

    return answer


@asynccontextmanager
async def watching() -> AsyncIterator[Bench]:
    bench = Bench()
    bench.watching = asyncio.create_task(bench.proof.watch(bench))
    await run_ready_tasks()
    try:
        yield bench
    finally:
        bench.watching.cancel()
        with suppress(asyncio.CancelledError, SessionLost):
            await bench.watching


async def test_an_idle_account_is_asked_every_minute() -> None:
    async with watching() as bench:
        await bench.clock.advance(185.0)
        assert bench.asked_s == [60.0, 120.0, 180.0]
        assert bench.lost() is None


async def test_while_an_exit_is_open_it_is_asked_every_ten_seconds() -> None:
    async with watching() as bench:
        await bench.clock.advance(15.0)
        bench.busy = True
        await bench.clock.advance(20.0)
        bench.busy = False
        await bench.clock.advance(60.0)
        assert bench.asked_s == [20.0, 30.0, 90.0]


async def test_two_silences_mean_a_dead_connection() -> None:
    async with watching() as bench:
        bench.answers = [bench.silence]
        await bench.clock.advance(65.9)
        assert bench.lost() is None
        await bench.clock.advance(0.2)
        assert bench.lost() == "the account does not answer"


async def test_one_silence_is_forgiven() -> None:
    async with watching() as bench:
        bench.answers = [bench.silence, bench.agree]
        await bench.clock.advance(100.0)
        assert bench.lost() is None


async def test_a_difference_that_no_event_explains_means_a_deaf_connection() -> None:
    async with watching() as bench:
        bench.answers = [bench.differ]
        await bench.clock.advance(60.9)
        assert bench.lost() is None
        await bench.clock.advance(0.2)
        assert bench.lost() == "the account moved and its stream did not say so"


async def test_a_difference_that_an_event_explains_is_none() -> None:
    async with watching() as bench:
        bench.answers = [bench.differ]
        await bench.clock.advance(60.5)
        bench.snapshots.on_balances([eth("2")], 6)
        await bench.clock.advance(100.0)
        assert bench.lost() is None


async def test_an_answer_that_lags_behind_the_stream_is_forgiven() -> None:
    async with watching() as bench:
        bench.answers = [bench.differ, bench.agree]
        await bench.clock.advance(100.0)
        assert bench.lost() is None


async def test_balances_that_were_asked_for_meanwhile_explain_nothing() -> None:
    async with watching() as bench:
        bench.answers = [bench.differ, bench.differ, bench.differ, bench.agree]
        await bench.clock.advance(60.5)
        bench.snapshots.on_queried_balances([eth("3")], 6, bench.snapshots.balance_updates, 0)
        await bench.clock.advance(1.0)
        assert bench.lost() is not None


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(RequestRefused(-1003, "too much"), id="refused"),
        pytest.param(ProtocolViolation("nonsense"), id="not understood"),
    ],
)
async def test_an_answer_that_says_nothing_proves_nothing(trouble: Exception) -> None:
    async with watching() as bench:
        bench.answers = [refuse(trouble)]
        await bench.clock.advance(125.0)
        assert bench.asked_s == [60.0, 120.0]
        assert bench.lost() is None


async def test_while_the_exchange_wants_to_be_left_alone_nobody_asks() -> None:
    async with watching() as bench:
        bench.busy = True
        bench.answers = [refuse(RequestRefused(-1003, "too much", bench.clock.unix_ms() + 100_000)), bench.agree]
        await bench.clock.advance(115.0)
        assert bench.asked_s == [10.0, 110.0]


async def test_a_session_that_is_not_logged_on_is_lost() -> None:
    async with watching() as bench:
        bench.answers = [refuse(RequestRefused(-1193, "not authenticated"))]
        await bench.clock.advance(61.0)
        assert bench.lost() == "logged on no more: -1193 not authenticated"
