"""Wake-up: waits for the next tick of a loop, and collects everything that has arrived by then for the same tick."""

import asyncio


async def wait_for_wake(wake: asyncio.Event) -> None:
    """Wait until `wake` is set, and clear it. Before it returns, sockets are read and other tasks run once more.

    A reply is followed by reports and balances; with one more round of the event loop, a single tick handles all of
    them. A tick that requests another one also lets the event loop run in between, so that signals and time limits are
    handled. `wake` is cleared before the caller's tick, so an event that sets it during the tick causes another tick.
    """
    await wake.wait()
    await asyncio.sleep(0)
    wake.clear()
