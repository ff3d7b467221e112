"""The diagrams of order states and of replace attempts, drawn from their transition tables.

    python -m tests.execution.order_diagram

It prints what stands in the docstrings of `trailingedge.execution.order` and `replace_attempt`; a test compares them.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final

from trailingedge.execution import order, replace_attempt
from trailingedge.execution.order import OrderState
from trailingedge.execution.replace_attempt import AttemptState

TABLES: Final[Mapping[type[Enum], Mapping[tuple[Enum, Enum], Enum]]] = {
    OrderState: dict(order.TRANSITIONS.items()),
    AttemptState: dict(replace_attempt.TRANSITIONS.items()),
}
_FINAL: Final[frozenset[Enum]] = order.FINAL_STATES


def diagram(states: type[Enum]) -> str:
    """Each state with its triggers and the state that they lead to; triggers with the same target share a line."""
    lines = []
    for state in states:
        branches = _branches(state)
        if not branches:
            lines.append(f"{state.name} is final")
        for index, (triggers, target) in enumerate(branches.items()):
            name = state.name if not index else " " * len(state.name)
            fork = (
                "───" if len(branches) == 1 else "─┬─" if not index else " └─" if index == len(branches) - 1 else " ├─"
            )
            lines.append(f"{name} {fork} {', '.join(triggers)} ──> {target}")
    return "\n".join(lines)


def _branches(state: Enum) -> dict[tuple[str, ...], str]:
    """The targets of one state by the triggers that lead there, in the order of the table."""
    by_target: dict[str, list[str]] = {}
    for (source, trigger), target in TABLES[type(state)].items():
        if source is state:
            by_target.setdefault(_target_name(trigger, target), []).append(trigger.name)
    return {tuple(triggers): target for target, triggers in by_target.items()}


def _target_name(trigger: Enum, target: Enum) -> str:
    if target.name != trigger.name:
        return target.name
    return "the final state of that name" if target in _FINAL else "the state of that name"


if __name__ == "__main__":
    print("\n\n".join(diagram(states) for states in TABLES))
