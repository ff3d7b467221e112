import asyncio

import pytest
from tests.simulator.exchange_builders import START_MS, tick

from trailingedge.core.clock import ManualClock
from trailingedge.simulator.feeds.ticks import Tick
from trailingedge.simulator.pacing import Pacer


class Stage:
    """Notes when each tick is played, and lets `answer_s` pass before it says that it was answered."""

    def __init__(self, clock: ManualClock, heard: bool = True, answer_s: float = 0.0) -> None:
        self._clock = clock
        self._heard = heard
        self._answer_s = answer_s
        self.played_s: list[float] = []

    def play(self, _: Tick) -> bool:
        self.played_s.append(round(self._clock.now_s(), 6))
        return self._heard

    async def answered(self) -> None:
        if self._answer_s:
            await self._clock.sleep(self._answer_s)


async def run(clock: ManualClock, stage: Stage, speed: float, seconds: list[float]) -> list[float]:
    pump = Pacer(clock, speed, stage.play, stage.answered)
    async with asyncio.TaskGroup() as group:
        group.create_task(pump.run(START_MS, iter([tick(at_s=at_s) for at_s in seconds])))
        await clock.advance(100.0)
    return stage.played_s


async def test_ticks_are_played_when_they_are_due() -> None:
    clock = ManualClock()
    assert await run(clock, Stage(clock), 1.0, [1, 2.5, 4]) == [1.0, 2.5, 4.0]


async def test_a_faster_market_plays_them_in_less_time() -> None:
    clock = ManualClock()
    assert await run(clock, Stage(clock), 10.0, [1, 2.5, 4]) == [0.1, 0.25, 0.4]


async def test_the_market_waits_for_its_answers() -> None:
    clock = ManualClock()
    assert await run(clock, Stage(clock, answer_s=2.0), 1.0, [1, 2, 3]) == [1.0, 3.0, 5.0]


async def test_nobody_is_waited_for_who_was_told_nothing() -> None:
    clock = ManualClock()
    assert await run(clock, Stage(clock, heard=False, answer_s=9.0), 1.0, [1, 2, 3]) == [1.0, 2.0, 3.0]


async def test_a_little_delay_is_made_up_for() -> None:
    clock = ManualClock()
    assert await run(clock, Stage(clock, answer_s=0.2), 10.0, [1, 2, 9]) == [0.1, 0.3, 0.9]


async def test_a_market_far_behind_does_not_sprint() -> None:
    clock = ManualClock()
    played = await run(clock, Stage(clock, answer_s=3.0), 1.0, [1, 2, 12])
    assert played == [1.0, 4.0, 14.0]  # ten seconds after the tick before, as on the tape


def test_a_market_cannot_stand_still() -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="speed 0"):
        Pacer(clock, 0, Stage(clock).play, Stage(clock).answered)
