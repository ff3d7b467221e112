"""Trigger mode of the strategy: which prices take-profit, hard stop and high follow.

This is a module of its own so that `config` can import it without the strategy.
"""

from enum import Enum


class TriggerOn(Enum):
    """The prices that take-profit, hard stop (BASE) and high are judged by.

    `at_close` is for code that runs at every tick: on CPython 3.11 `TriggerOn.CLOSE` costs five times as much.
    """

    TICK = "tick"  # every best price
    CLOSE = "close"  # the closes of candles alone

    def __init__(self, prices: str) -> None:
        self.at_close = prices == "close"
