"""What is to be run, settled before anything is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trailingedge.config import Settings

if TYPE_CHECKING:  # whoever trades elsewhere has no use for the embedded exchange
    from trailingedge.simulator.feeds.ticks import TickSource

SIM_SPEED: Final = 120.0


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """What sim plays, and how fast at most."""

    source: "TickSource"
    speed: float = SIM_SPEED


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What is to be run. `read_again` reads the settings anew and raises ConfigError."""

    settings: Settings
    simulation: SimulationOptions | None
    seed: int | None
    duration_s: float | None
    as_json: bool
    reread_settings: Callable[[], Settings]
