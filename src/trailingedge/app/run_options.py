"""Run options: the options of one session, from the command line and the settings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trailingedge.config import Settings

if TYPE_CHECKING:  # a run on a real exchange does not load the embedded one
    from trailingedge.simulator.feeds.ticks import TickSource

SIM_SPEED: Final = 120.0


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """The market that sim mode plays, and the highest speed as a multiple of real time."""

    source: "TickSource"
    speed: float = SIM_SPEED


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of one session. `reread_settings` reads the settings again and raises ConfigError.

    `ignored_lines` is a text that says which lines of the env file are ignored; "" if none is.
    """

    settings: Settings
    simulation: SimulationOptions | None
    seed: int | None
    duration_s: float | None
    as_json: bool
    reread_settings: Callable[[], Settings]
    ignored_lines: str = ""
