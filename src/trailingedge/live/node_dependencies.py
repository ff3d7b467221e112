"""Runtime environment of a trading node: endpoints, keys, clock, randomness, and how its trading core is built.

`app` provides the real environment. Tests and simulations provide their own, so the same node runs on the network and
in memory.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Endpoints
from trailingedge.core.clock import Clock
from trailingedge.live.core_factory import BuildCore, build_core
from trailingedge.websocket.socket_dialer import Dial

SaveFrames = Callable[[list[str]], Awaitable[Path]]
"""Writes the last frames to a file for the diagnosis of a halt. Returns the file's path; raises OSError."""

KeyCheck = Callable[[int], Awaitable[None]]
"""Checks the key's permissions. Takes the exchange's time after the logon; raises ConfigError for an unsafe key."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """The objects that a node gets from outside.

    A recorder replaces `build_core` by a function whose core records its inputs and outputs, and wraps `dial` to record
    the frames. `feed_reconnects` returns the number of reconnects that the paper exchange has made to the real market.
    """

    endpoints: Endpoints
    keys: KeyManager
    dial: Dial
    clock: Clock
    random: Random
    save_frames: SaveFrames | None = None
    build_core: BuildCore = build_core
    feed_reconnects: Callable[[], int] = lambda: 0
