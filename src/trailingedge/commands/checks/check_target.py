"""Check environment: the exchange that a command connects to, and the connection tools that it uses."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from random import Random

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Endpoints, Settings
from trailingedge.core.clock import Clock, RealClock
from trailingedge.websocket.socket_dialer import Dial, dial


@dataclass(frozen=True, slots=True)
class CheckTarget:
    """The URLs of an exchange to connect to, and the keys for the logon there."""

    endpoints: Endpoints
    keys: KeyManager


OpenCheckTarget = Callable[[Settings], AbstractAsyncContextManager[CheckTarget]]
"""Opens the exchange of these settings, also the embedded one, for as long as it is used. Raises ConfigError."""

TelegramCheck = Callable[[Settings, str], Awaitable[Mapping[str, str | None]]]
"""Sends a text to every chat. Returns for the bot and for each chat what went wrong there, or None.

A rejection by Telegram itself begins with its code. Network failures are returned too, not raised, and no text
contains the token. Raises ConfigError if the environment names a proxy that cannot be used.
"""


ChatSearch = Callable[[Settings], Awaitable[Sequence[str]]]
"""Returns the id and the name of each chat that has written to the bot. Raises ConfigError as a `TelegramCheck`."""


async def no_chats(_: Settings) -> Sequence[str]:
    """Return no chats: the default for a command that does not look for any."""
    return ()


@dataclass(frozen=True, slots=True)
class CheckTools:
    """How a check connects: dial function, clock and randomness, by default those of the daemon."""

    dial: Dial = dial
    clock: Clock = field(default_factory=RealClock)
    random: Random = field(default_factory=Random)
