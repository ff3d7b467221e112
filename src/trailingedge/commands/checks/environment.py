"""Where a command tries out what the daemon would do, and with what."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from random import Random

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Endpoints, Settings
from trailingedge.core.clock import Clock, RealClock
from trailingedge.websocket.transport import Dial, dial


@dataclass(frozen=True, slots=True)
class CheckTarget:
    """An exchange that can be connected to, and the key that it knows us by."""

    endpoints: Endpoints
    keys: KeyManager


OpenCheckTarget = Callable[[Settings], AbstractAsyncContextManager[CheckTarget]]
"""The exchange of these settings, the embedded one included, for as long as it is needed. Raises ConfigError."""


@dataclass(frozen=True, slots=True)
class CheckTools:
    """The wire, the clock and chance, as the daemon has them."""

    dial: Dial = dial
    clock: Clock = field(default_factory=RealClock)
    random: Random = field(default_factory=Random)
