"""The reentry gate: after a stop nothing is bought until a close crosses the channel's mid.

A hard stop sold into a fall: its gate opens when a close crosses mid upwards, which shows that the fall is over. A
QUOTE stop gave up on a rise: its gate opens when a close crosses mid downwards, back at prices worth buying.
"""

from trailingedge.indicators.donchian import Channel
from trailingedge.strategy.state import ReentryGate, ShutBy


def gate_opens(gate: ReentryGate, close: float, before: float, channel: Channel | None) -> bool:
    """Whether a close crosses the mid of the channel in force; `before` is the close before it.

    A channel that is not full opens nothing.
    """
    if channel is None or not channel.full:
        return False
    # Both closes are compared with the same mid, or a channel that moves past a price at rest would count as a cross.
    if gate.shut_by is ShutBy.HARD_STOP:
        return before <= channel.mid < close
    return close < channel.mid <= before
