"""The keys of the JSON summary, which are an interface."""

from typing import Final

SHAPE: Final = [
    "version",
    "symbol",
    "from",
    "to",
    "settings",
    "orders",
    "round_trips",
    "totals",
    "metrics",
    "robustness",
    "transfers",
    "gaps",
]
