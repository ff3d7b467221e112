"""Trading node during its start: market events lost, repeated or late while the account connects."""

import logging
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import pytest
from tests.daemon_harness import START_MS, D, NodeHarness, only_start, run_scenario, with_settings
from tests.tight_settings import TIGHT

from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import ExchangeUnreachable, ExitCode, LogonRefused, StartFailed
from trailingedge.core.time_units import MINUTE_MS
from trailingedge.live import factory
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.simulator.faults import RequestFault

# Each candle closes elsewhere, so that one too many or one too few shows in the channel.
RISING: Final[Sequence[Decimal]] = tuple(D(2400) + minute for minute in range(100))
NO_ACCOUNT: Final = frozenset({"ws-api"})
NO_MARKET: Final = frozenset({"/stream"})


async def minutes(it: NodeHarness, count: int) -> None:
    """So many candles close, each elsewhere."""
    for _ in range(count):
        await it.wait(60 - it.clock.now_s() % 60)
        await it.price(D(2500) + round(it.clock.now_s()), wait_s=0.5)


def candles_are_whole(it: NodeHarness) -> None:
    """What is known of the past has no gap and no end but the present, and the channel is that of just these."""
    known = list(it.node.market_state.klines)
    opened = [kline.open_ms for kline in known]
    first_ms = START_MS - len(RISING) * MINUTE_MS
    assert opened == list(range(first_ms, it.market_ms // MINUTE_MS * MINUTE_MS, MINUTE_MS))
    channel = factory.donchian_channel(TIGHT)
    for kline in known:
        channel.push(kline)
    assert it.node.services is not None
    assert it.node.services.core._channel.current == channel.current


async def ready_and_whole(it: NodeHarness) -> None:
    it.keep_klines()
    await it.until(lambda: it.alerts_starting_with("ready:"), within_s=120)
    await it.wait(3)
    candles_are_whole(it)
    await minutes(it, 2)
    candles_are_whole(it)


def test_a_start_at_a_market_that_stands_still_takes_no_longer_than_its_questions() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        assert it.clock.now_s() < 1.0

    assert run_scenario(story).code is ExitCode.OK


class Stopwatch(ManualClock):
    """A clock that a test moves, and that moves by `step_s` with each reading."""

    def __init__(self, step_s: float = 0.0) -> None:
        super().__init__()
        self.reading_s = 0.0
        self._step_s = step_s

    def now_s(self) -> float:
        self.reading_s += self._step_s
        return self.reading_s


def test_slow_work_is_done_before_trading_begins_and_outside_any_tick(caplog: pytest.LogCaptureFixture) -> None:
    stopwatch = Stopwatch()
    ready_before: list[bool] = []
    harness: list[NodeHarness] = []

    def collect_garbage() -> None:
        stopwatch.reading_s += 1.0
        ready_before.append(bool(harness[0].alerts_starting_with("ready:")))

    async def story(it: NodeHarness) -> None:
        harness.append(it)
        await it.ready()
        await it.wait(5)

    with caplog.at_level(logging.WARNING):
        assert run_scenario(story, stopwatch=stopwatch, before_ready=collect_garbage).code is ExitCode.OK
    assert ready_before == [False]
    assert caplog.messages == []


def test_a_slow_tick_is_warned_of_only_after_the_start(caplog: pytest.LogCaptureFixture) -> None:
    async def story(it: NodeHarness) -> None:
        await it.until(lambda: it.alerts_starting_with("ready:"))
        assert caplog.text.count("slow tick") < it.node.ticks
        await it.wait(2)
        assert "slow tick" in caplog.text

    with caplog.at_level(logging.WARNING):
        assert run_scenario(story, stopwatch=Stopwatch(step_s=0.1)).code is ExitCode.OK


def test_a_start_that_waits_says_which_step_which_attempt_and_why() -> None:
    async def story(it: NodeHarness) -> None:
        await it.until(lambda: it.network.dials > 5)
        for command in (OperatorCommand.STATUS, OperatorCommand.WHY):
            it.submit(command)
            answer = it.output.lines[-1]
            assert re.match(
                r"starting, not trading yet: connect and log on, attempt [4-9]; attempt [3-9] failed: "
                r"ws://memory/ws-api/v3: connection refused; pause \d+ s$",
                answer,
            ), answer
        it.network.blocked.clear()
        await it.until(lambda: it.alerts_starting_with("ready:"), within_s=120)

    assert run_scenario(story, shut=NO_ACCOUNT).code is ExitCode.OK


def test_a_step_that_is_refused_says_so_while_it_waits() -> None:
    async def story(it: NodeHarness) -> None:
        for _ in range(3):
            it.faults.schedule("klines", "busy")
        await it.until(lambda: "klines" in it.node.submit(OperatorCommand.STATUS).result().text)
        text = it.node.submit(OperatorCommand.WHY).result().text
        assert text.startswith("starting, not trading yet: candles, attempt 2; attempt 1 failed: ")
        assert "overloaded" in text
        await it.ready()

    assert run_scenario(story).code is ExitCode.OK


def test_a_market_that_cannot_be_reached_ends_the_start_with_its_reason() -> None:
    async def story(it: NodeHarness) -> None:
        await it.wait(60)

    end = run_scenario(story, shut=NO_MARKET)
    assert isinstance(end.error, StartFailed)
    assert "connection refused" in str(end.error)


def test_the_market_is_heard_while_the_account_is_out_of_reach() -> None:
    async def story(it: NodeHarness) -> None:
        await it.wait(1)
        await it.price("2490")
        assert it.node.market_state.top is not None
        assert it.node.market_state.top.bid == 2490
        await minutes(it, 5)
        assert it.node.client.market.reconnects == 0
        it.network.blocked.clear()
        await ready_and_whole(it)

    assert run_scenario(story, closes=RISING, shut=NO_ACCOUNT).code is ExitCode.OK


def test_a_candle_that_closes_while_the_history_is_on_its_way_joins_it() -> None:
    async def story(it: NodeHarness) -> None:
        it.faults.schedule("klines", RequestFault(reply_delay_s=8.0))
        await it.wait(53)
        it.network.blocked.clear()
        await it.until(lambda: it.requests_sent("klines"), within_s=6)
        await minutes(it, 1)
        assert [kline.open_ms for kline in it.node.market_state.klines] == [START_MS]
        await ready_and_whole(it)

    settings = with_settings(reconnect_max_sec=1.0)
    assert run_scenario(story, settings=settings, closes=RISING, shut=NO_ACCOUNT).code is ExitCode.OK


def test_candles_missed_before_the_history_was_there_are_fetched_with_it() -> None:
    async def story(it: NodeHarness) -> None:
        await minutes(it, 1)
        it.network.blocked |= NO_MARKET
        it.cut(streams=True)
        await minutes(it, 3)
        it.network.blocked -= NO_MARKET
        await minutes(it, 3)
        assert [kline.open_ms for kline in it.node.market_state.klines] == [START_MS]
        it.network.blocked.clear()
        await ready_and_whole(it)

    assert run_scenario(story, closes=RISING, shut=NO_ACCOUNT).code is ExitCode.OK


def test_prices_of_a_market_that_is_gone_again_are_none_to_start_with() -> None:
    async def story(it: NodeHarness) -> None:
        await it.wait(1)
        await it.price("2490")
        it.network.blocked |= NO_MARKET
        it.cut(streams=True)
        await it.wait(60)
        it.network.blocked -= NO_ACCOUNT
        await it.wait(120)

    end = run_scenario(story, shut=NO_ACCOUNT)
    assert isinstance(end.error, StartFailed)
    assert "no best bid and ask of ETHFDUSD within 10 s" in str(end.error)
    assert end.audit_log.placed == 0


def test_a_market_out_of_reach_ends_it_once_the_attempts_are_used_up() -> None:
    end = run_scenario(
        only_start, settings=with_settings(reconnect_max_retries=2, reconnect_max_sec=1.0), shut=NO_MARKET
    )
    assert isinstance(end.error, ExchangeUnreachable)
    assert str(end.error).startswith("market ws://memory/stream")


def test_a_key_that_is_refused_ends_it_however_well_the_market_is() -> None:
    async def story(it: NodeHarness) -> None:
        await minutes(it, 3)
        it.network.blocked.clear()
        await it.wait(120)

    end = run_scenario(story, shut=NO_ACCOUNT, key_is_known=False)
    assert isinstance(end.error, LogonRefused)
