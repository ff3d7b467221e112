"""Wake-up: the wait of a loop between two ticks, so that no loop of ticks can starve the rest of the program."""

import asyncio


async def wait_for_wake(wake: asyncio.Event) -> None:
    """Wait until `wake` is set, and clear it. The event loop runs at least once before the return.

    Cleared before the caller reads anything: an event that arrives during its tick causes another one.
    """
    if wake.is_set():
        # `Event.wait` returns without a pause where the event is set already. A tick that asks for another one would
        # then run on and on: no signal would be heard, no socket read, no time limit kept.
        await asyncio.sleep(0)
    await wake.wait()
    wake.clear()
