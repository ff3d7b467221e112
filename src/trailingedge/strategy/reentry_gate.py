"""The gate: after a stop, cash is held until price has earned the next entry.

A flush sold into a fall: its gate opens when a close crosses the channel's mid upwards. A QUOTE stop gave up
on a rise: its gate opens when one crosses mid downwards.
"""

from trailingedge.indicators.donchian import Channel
from trailingedge.strategy.state import ReentryGate, ShutBy


def gate_opens(gate: ReentryGate, close: float, before: float, channel: Channel | None) -> bool:
    """Whether a close crosses the mid of the channel in force; `before` is the close before it.

    Both are compared with the same mid. A channel that is not full opens nothing.
    """
    if channel is None or not channel.full:
        return False
    if gate.shut_by is ShutBy.HARD_STOP:
        return before <= channel.mid < close
    return close < channel.mid <= before
