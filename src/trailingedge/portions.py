"""Work of a thread beside the event loop: in portions, with the interpreter given back between them.

The loop gets the interpreter's lock at once only from who sleeps: whoever lets go of it and asks again gets it back
before the loop has woken up, and keeps it for as long as five milliseconds.
"""

import time
from typing import Final

PORTION_S: Final = 50e-6  # so long, and one line more, may a price wait for its order
REST_S: Final = 50e-6  # the shortest sleep that is one; systems make some more of it


class Portions:
    """`breathe` is called after every little piece of work, and rests where a portion is over."""

    def __init__(self) -> None:
        self._began_s = 0.0

    def breathe(self) -> None:
        """Let the loop have its turn, if it has waited for a portion."""
        if time.perf_counter() - self._began_s >= PORTION_S:
            time.sleep(REST_S)
            self._began_s = time.perf_counter()
