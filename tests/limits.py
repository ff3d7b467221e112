"""Limits of waiting: how long a test waits for another process or thread before it fails as hung.

A test waits for a fact: a line of output, an exit, a message, an event. A limit only ends a test whose fact never
comes. So there is one limit for all of them, and it is long: a plain machine needs a second or two for the slowest of
these waits, and a machine with twenty busy processes on two cores needs a minute. No test measures speed by the wall
clock; the few that make a claim about it count the processor time of their own thread.
"""

from typing import Final

PATIENCE_S: Final = 300.0
