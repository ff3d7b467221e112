"""The reentry gate: after a stop nothing is bought until a close crosses the channel's mid.

The hard stop sells because the price fell. Its gate opens when a close crosses mid upwards, which
shows that the fall is over. The QUOTE stop gives up a buy-back because the price rose. Its gate
opens when a close crosses mid downwards, where the price is worth buying again.
"""

from trailingedge.indicators.donchian import Channel
from trailingedge.strategy.state import ReentryGate, ShutBy


def gate_mid(channel: Channel | None) -> float | None:
    """Return the middle of the channel, which a close must cross to open a shut gate.

    Returns None while the channel covers too few candles: until then no close opens the gate.
    """
    return channel.mid if channel is not None and channel.full else None


def gate_opens(gate: ReentryGate, close: float, before: float, channel: Channel | None) -> bool:
    """Whether `close` opens the gate, because it crosses the channel's mid.

    `before` is the previous close. The gate stays shut while the channel does not cover a whole
    window.
    """
    if channel is None or not channel.full:
        return False
    # Both closes are compared with the same mid, or a channel that moves past a price at rest would count as a cross.
    if gate.shut_by is ShutBy.HARD_STOP:
        return before <= channel.mid < close
    return close < channel.mid <= before
