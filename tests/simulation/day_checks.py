"""The judgement on one day."""

from dataclasses import dataclass

from tests.simulation.simulated_day import simulate


@dataclass(frozen=True)
class Verdict:
    """`faults` is what must never happen and did; `complete`: an exit of each side, and a flush."""

    seed: int
    faults: list[str]
    complete: bool
    replaces: int
    would_take: int
    replay: str


def judge(seed: int, hours: float = 2.0) -> Verdict:
    """Run one day and ask the exchange's journal about it."""
    day = simulate(seed, hours)
    return Verdict(
        seed=seed,
        faults=day.faults(),
        complete=day.complete(),
        replaces=day.journal.requests["order.cancelReplace"],
        would_take=day.journal.would_take_refusals,
        replay=f'uv run python -c "from tests.simulation.day_checks import judge; print(judge({seed}))"',
    )
