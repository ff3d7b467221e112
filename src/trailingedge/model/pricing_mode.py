"""Pricing modes of exit orders.

This is a module of its own so that `config` can import it without `model.market`.
"""

from enum import Enum


class Pricing(Enum):
    """Price of an exit order, relative to the best prices."""

    OPPOSITE = "opposite"  # one tick away from taking: the most aggressive price that still rests
    IMPROVE = "improve"  # one tick better than the best of others while the spread allows, else join
    JOIN = "join"  # at the best of our side
    PEG = "peg"  # the exchange prices it at entry, on our side of the book
