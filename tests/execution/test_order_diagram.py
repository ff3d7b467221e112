"""The diagrams in the docstrings of the order and replace attempt modules are the transition tables."""

import inspect
from enum import Enum
from types import ModuleType

import pytest
from tests.execution.order_diagram import TABLES, diagram

from trailingedge.execution import order, replace_attempt
from trailingedge.execution.order import OrderState
from trailingedge.execution.replace_attempt import AttemptState

STATES = pytest.mark.parametrize("states", TABLES, ids=lambda states: states.__name__)


@pytest.mark.parametrize(("module", "states"), [(order, OrderState), (replace_attempt, AttemptState)])
def test_the_docstring_shows_the_diagram_of_the_table(module: ModuleType, states: type[Enum]) -> None:
    shown = inspect.getdoc(module) or ""
    drawn = diagram(states)
    assert "\n".join(f"    {line}" for line in drawn.splitlines()) in shown, f"paste this diagram:\n{drawn}"


@STATES
def test_the_diagram_names_each_state_once_as_a_source(states: type[Enum]) -> None:
    sources = [line.split()[0] for line in diagram(states).splitlines() if line[0] != " "]
    assert sources == [state.name for state in states]


@STATES
def test_the_diagram_has_all_transitions(states: type[Enum]) -> None:
    triggers = [word for line in diagram(states).splitlines() if "──>" in line for word in _triggers(line)]
    assert sorted(triggers) == sorted(trigger.name for _, trigger in TABLES[states])


def _triggers(line: str) -> list[str]:
    before, _, _ = line.partition(" ──>")
    return before.split("─ ")[-1].split(", ")
