"""Runtime environment of a trading node: endpoints, keys, clock, randomness, and the hooks of a recorder.

`app` provides the real environment. Tests, simulations and session replay provide their own, so
the same node runs on the network and on a recording.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Endpoints
from trailingedge.core.clock import Clock
from trailingedge.execution.trading_core import TradingCore
from trailingedge.model.market import ExecutionReport
from trailingedge.model.market_state import StateView
from trailingedge.websocket.socket_dialer import Dial

SaveFrames = Callable[[list[str]], Awaitable[Path]]
"""Writes the last frames to a file for the diagnosis of a halt. Returns the file's path; raises OSError."""

KeyCheck = Callable[[int], Awaitable[None]]
"""Checks the key's permissions. Takes the exchange's time after the logon; raises ConfigError for an unsafe key."""

InputEntry = tuple[str | int, ...]
InputGate = Callable[[InputEntry, Callable[[], None]], None]
"""Passes on an input from outside (command, stop, wake-up). Takes its record entry and a call that applies it."""


class Observer(Protocol):
    """Read-only observer of trading cycles."""

    def on_tick(self, core: TradingCore, view: StateView) -> None:
        """Called after a tick has decided and sent its commands, before its events are published."""
        ...

    def on_report(self, report: ExecutionReport) -> None:
        """Called with an execution report, for an order of ours or of another client, before it is processed."""
        ...


def _pass_at_once(_: InputEntry, act: Callable[[], None]) -> None:
    act()


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a node needs from its surroundings.

    `stopwatch` measures our own processing time. Without it `clock` is used, which cannot measure
    this in a recorded session: there it stands still between two inputs. `feed_reconnects` returns
    the number of reconnects that the paper exchange has made to the real market.
    """

    endpoints: Endpoints
    keys: KeyManager
    dial: Dial
    clock: Clock
    random: Random
    save_frames: SaveFrames | None = None
    stopwatch: Clock | None = None
    input_gate: InputGate = _pass_at_once
    observer: Observer | None = None
    feed_reconnects: Callable[[], int] = lambda: 0
