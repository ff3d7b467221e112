"""Trigger mode of the strategy: which prices take-profit, hard stop and high follow.

This is a module of its own so that `config` can import it without the strategy.
"""

from enum import Enum


class TriggerOn(Enum):
    """The prices that take-profit, hard stop (BASE) and high are judged by."""

    TICK = "tick"  # every best price
    CLOSE = "close"  # the closes of candles alone
