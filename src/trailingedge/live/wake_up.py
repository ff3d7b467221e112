"""Wake-up: waits for the next tick of a loop. Other tasks run first, even if the tick is due at once."""

import asyncio


async def wait_for_wake(wake: asyncio.Event) -> None:
    """Wait until `wake` is set, and clear it. Other tasks run at least once before the return.

    `wake` is cleared before the caller's tick, so an event that sets it during the tick causes another tick.
    """
    if wake.is_set():
        # `Event.wait` returns without a pause where the event is set already. A tick that asks for another one would
        # then run on and on: no signal would be heard, no socket read, no time limit kept.
        await asyncio.sleep(0)
    await wake.wait()
    wake.clear()
