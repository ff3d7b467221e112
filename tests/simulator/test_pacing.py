import asyncio

import pytest
from tests.simulator.exchange_builders import START_MS, tick

from trailingedge.core.clock import ManualClock
from trailingedge.simulator.feeds.ticks import Tick
from trailingedge.simulator.pacing import Pacer


class SlowClient:
    """Records when each tick is played; its clients take `processing_s` to process one."""

    def __init__(self, clock: ManualClock, sent: bool = True, processing_s: float = 0.0) -> None:
        self._clock = clock
        self._sent = sent
        self._processing_s = processing_s
        self.played_s: list[float] = []

    def on_tick(self, _: Tick) -> bool:
        self.played_s.append(round(self._clock.now_s(), 6))
        return self._sent

    async def settled(self) -> None:
        if self._processing_s:
            await self._clock.sleep(self._processing_s)


async def run(clock: ManualClock, client: SlowClient, speed: float, seconds: list[float]) -> list[float]:
    pacer = Pacer(clock, speed, client.on_tick, client.settled)
    async with asyncio.TaskGroup() as group:
        group.create_task(pacer.run(START_MS, iter([tick(at_s=at_s) for at_s in seconds])))
        await clock.advance(1000.0)
    return client.played_s


async def test_ticks_are_played_when_they_are_due() -> None:
    clock = ManualClock()
    assert await run(clock, SlowClient(clock), 1.0, [1, 2.5, 4]) == [1.0, 2.5, 4.0]


async def test_a_faster_market_plays_them_in_less_time() -> None:
    clock = ManualClock()
    assert await run(clock, SlowClient(clock), 10.0, [1, 2.5, 4]) == [0.1, 0.25, 0.4]


async def test_the_market_waits_until_its_clients_have_processed_a_tick() -> None:
    clock = ManualClock()
    assert await run(clock, SlowClient(clock, processing_s=2.0), 1.0, [1, 2, 3]) == [1.0, 3.0, 5.0]


async def test_a_tick_that_sent_nothing_is_not_waited_for() -> None:
    clock = ManualClock()
    assert await run(clock, SlowClient(clock, sent=False, processing_s=9.0), 1.0, [1, 2, 3]) == [1.0, 2.0, 3.0]


async def test_a_little_delay_is_made_up_for() -> None:
    clock = ManualClock()
    assert await run(clock, SlowClient(clock, processing_s=0.2), 10.0, [1, 2, 9]) == [0.1, 0.3, 0.9]


async def test_a_market_far_behind_moves_its_schedule_instead_of_catching_up() -> None:
    clock = ManualClock()
    played = await run(clock, SlowClient(clock, processing_s=40.0), 1.0, [1, 2, 52])
    assert played == [1.0, 41.0, 91.0]  # fifty seconds after the tick before, as in the source


async def test_a_market_at_real_speed_makes_up_for_seconds() -> None:
    clock = ManualClock()
    assert await run(clock, SlowClient(clock, processing_s=5.0), 1.0, [1, 2, 12]) == [1.0, 6.0, 12.0]


async def test_ticks_of_a_time_that_has_passed_are_played_at_once() -> None:
    clock = ManualClock()
    client = SlowClient(clock, processing_s=9.0)
    pacer = Pacer(clock, 1.0, client.on_tick, client.settled)
    rest = await pacer.skip_to(START_MS + 3000, iter([tick(at_s=at_s) for at_s in (1, 3, 4)]))
    assert client.played_s == [0.0, 0.0]
    assert [each.time_ms for each in rest] == [START_MS + 4000]
    assert list(await pacer.skip_to(START_MS, iter([]))) == []


def test_a_speed_must_be_above_zero() -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="speed 0"):
        Pacer(clock, 0, SlowClient(clock).on_tick, SlowClient(clock).settled)
