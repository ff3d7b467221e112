"""The diagram in the docstring of the order module is the transition table."""

import inspect

from tests.execution.order_diagram import order_diagram

from trailingedge.execution import order
from trailingedge.execution.order import TRANSITIONS, OrderState


def test_the_docstring_shows_the_diagram_of_the_table() -> None:
    shown = inspect.getdoc(order) or ""
    drawn = order_diagram()
    assert "\n".join(f"    {line}" for line in drawn.splitlines()) in shown, f"paste this diagram:\n{drawn}"


def test_the_diagram_names_each_state_once_as_a_source() -> None:
    sources = [line.split()[0] for line in order_diagram().splitlines() if line[0] != " "]
    assert sources == [state.name for state in OrderState]


def test_the_diagram_has_all_transitions() -> None:
    drawn = order_diagram()
    triggers = [word for line in drawn.splitlines() if "──>" in line for word in _triggers(line)]
    assert sorted(triggers) == sorted(trigger.name for _, trigger in TRANSITIONS)


def _triggers(line: str) -> list[str]:
    before, _, _ = line.partition(" ──>")
    return before.split("─ ")[-1].split(", ")
