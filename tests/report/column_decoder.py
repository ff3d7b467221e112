"""Column decoder: decodes the columns of the report page in Python, as its script does."""

from collections.abc import Mapping
from typing import Any


def decoded(columns: Mapping[str, Any]) -> dict[str, list[float | None]]:
    """Each column by its name."""
    return {name: _values(column["unit"], column["steps"]) for name, column in columns.items()}


def _values(unit: float, steps: list[int | None]) -> list[float | None]:
    values: list[float | None] = []
    number = 0
    for step in steps:
        number += step or 0
        values.append(None if step is None else number * unit)
    return values
