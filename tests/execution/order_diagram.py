"""The diagram of the order states, drawn from the transition table.

    python -m tests.execution.order_diagram

It prints what stands in the docstring of `trailingedge.execution.order`; a test compares the two.
"""

from typing import Final

from trailingedge.execution.order import TRANSITIONS, OrderState, OrderTrigger

_SAME_NAME: Final = "the final state of that name"


def order_diagram() -> str:
    """Each state with its triggers and the state that they lead to; triggers with the same target share a line."""
    lines = []
    for state in OrderState:
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


def _branches(state: OrderState) -> dict[tuple[str, ...], str]:
    """The targets of one state by the triggers that lead there, in the order of the table."""
    by_target: dict[str, list[str]] = {}
    for (source, trigger), target in TRANSITIONS.items():
        if source is state:
            by_target.setdefault(_target_name(trigger, target), []).append(trigger.name)
    return {tuple(triggers): target for target, triggers in by_target.items()}


def _target_name(trigger: OrderTrigger, target: OrderState) -> str:
    return _SAME_NAME if target.final and target.name == trigger.name else target.name


if __name__ == "__main__":
    print(order_diagram())
