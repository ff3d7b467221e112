"""Pricing modes of exit orders. A module of its own, so that `config` can import it without the market values."""

from enum import Enum


class Pricing(Enum):
    """Where an exit order rests."""

    OPPOSITE = "opposite"  # one tick away from taking: the most aggressive price that still rests
    IMPROVE = "improve"  # one tick better than the best of others while the spread allows, else join
    JOIN = "join"  # at the best of our side
    PEG = "peg"  # the exchange prices it at entry, on our side of the book
