"""Checks of one simulated day: what went wrong, and whether the day was complete."""

from dataclasses import dataclass

from tests.simulation.simulated_day import simulate
from tests.tight_settings import TIGHT

from trailingedge.config import Settings


@dataclass(frozen=True)
class DayResult:
    """The outcome of one day. `faults` must be empty; `is_complete`: an exit of each side and a hard stop filled."""

    seed: int
    faults: list[str]
    is_complete: bool
    replaces: int
    would_take_rejections: int
    replay_command: str


def check_day(seed: int, hours: float = 1.5) -> DayResult:
    """Simulate one day and check it by the exchange's audit log; odd days with the default settings, else tight."""
    day = simulate(seed, hours, settings=Settings() if seed % 2 else TIGHT)
    return DayResult(
        seed=seed,
        faults=day.faults(),
        is_complete=day.is_complete(),
        replaces=day.audit_log.requests["order.cancelReplace"],
        would_take_rejections=day.audit_log.would_take_rejections,
        replay_command=f'python -c "from tests.simulation.day_checks import check_day; print(check_day({seed}))"',
    )
