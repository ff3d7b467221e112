"""Wake-up: waits for the next tick of a loop, and lets all that has arrived by then into the same tick."""

import asyncio


async def wait_for_wake(wake: asyncio.Event) -> None:
    """Wait until `wake` is set, and clear it. Sockets are read and other tasks run once more before the return.

    A reply is followed by reports and balances; with one more round of the event loop, one tick takes in all of them.
    And a tick that asks for another one lets the loop run in between: a signal is heard, a time limit kept. `wake` is
    cleared before the caller's tick, so an event that sets it during the tick causes another tick.
    """
    await wake.wait()
    await asyncio.sleep(0)
    wake.clear()
