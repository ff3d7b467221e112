"""The judgement on one day."""

from dataclasses import dataclass

from tests.simulation.simulated_day import simulate


@dataclass(frozen=True)
class DayResult:
    """`faults` is what must never happen and did; `complete`: an exit of each side, and a flush."""

    seed: int
    faults: list[str]
    is_complete: bool
    replaces: int
    would_take_rejections: int
    replay_command: str


def check_day(seed: int, hours: float = 2.0) -> DayResult:
    """Run one day and ask the exchange's journal about it."""
    day = simulate(seed, hours)
    return DayResult(
        seed=seed,
        faults=day.faults(),
        is_complete=day.is_complete(),
        replaces=day.audit_log.requests["order.cancelReplace"],
        would_take_rejections=day.audit_log.would_take_rejections,
        replay_command=f'uv run python -c "from tests.simulation.day_checks import judge; print(judge({seed}))"',
    )
