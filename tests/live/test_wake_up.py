"""The wait between two ticks: no loop of ticks keeps the rest of the program from running."""

import asyncio

from trailingedge.live.wake_up import wait_for_wake


async def test_a_tick_that_asks_for_another_one_lets_the_event_loop_run() -> None:
    wake, heard = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().call_soon(heard.set)
    for _ in range(3):
        wake.set()
        await wait_for_wake(wake)
    assert heard.is_set()
    assert not wake.is_set()


async def test_it_waits_until_something_happens() -> None:
    wake = asyncio.Event()
    asyncio.get_running_loop().call_soon(wake.set)
    await wait_for_wake(wake)
    assert not wake.is_set()


async def test_what_arrives_right_after_the_event_is_in_the_same_tick() -> None:
    wake, loop, arrived = asyncio.Event(), asyncio.get_running_loop(), asyncio.Event()
    loop.call_soon(wake.set)
    loop.call_soon(loop.call_soon, arrived.set)  # after the waiting task was woken
    await wait_for_wake(wake)
    assert arrived.is_set()
