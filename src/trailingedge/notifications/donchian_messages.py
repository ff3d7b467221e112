"""Alert texts on the Donchian channel: a breakout, a squeeze, and the gate, which opens when a candle closes beyond the
middle of the channel.
"""

from trailingedge.model.market import SymbolRules
from trailingedge.notifications.event_messages import FLIP, AnyNumber, price


def breakout(rules: SymbolRules, close: AnyNumber, bound: AnyNumber, *, up: bool, traded: bool = True) -> str:
    """Return the alert on a breakout. `traded` is true if the settings start an exit in this direction."""
    where, edge, setting = ("above", "upper", "BREAKOUT_ENTRY") if up else ("below", "lower", "BREAKOUT_EXIT")
    at, bounded_by = price(rules, close), price(rules, bound)
    text = f"breakout: a candle closed at {at}, {where} the channel's {edge} edge {bounded_by}"
    return text if traded else f"{text}; no order is placed for it ({setting}=false)"


def squeeze(rules: SymbolRules, width: AnyNumber, narrower_frac: float) -> str:
    """Return the alert that the channel is narrow compared with its recent widths."""
    share = f"{narrower_frac * 100:.0f} %"
    return f"squeeze: the channel is {price(rules, width)} wide, only {share} of its recent widths were narrower"


def gate_shut(rules: SymbolRules, at: AnyNumber, *, by_flush: bool, mid: AnyNumber | None = None) -> str:
    """Return the alert that the gate is shut. `mid` is the middle of the channel; None while candles are too few."""
    if by_flush:
        cause, side = f"the hard stop sold at {price(rules, at)}", "above"
    else:
        cause, side = f"a candle closed at {price(rules, at)}, too far above the anchor", "below"
    # The middle moves with each candle, so the text calls its price the present one.
    now = "once there are enough candles for it" if mid is None else f"now {price(rules, mid)}"
    level = f"the channel's middle ({now})"
    return (
        f"gate shut: {cause}; no buy-back of {rules.base_asset} until a candle closes {side} {level}; "
        f"{FLIP} buys anyway"
    )


def gate_open(rules: SymbolRules, close: AnyNumber, mid: AnyNumber) -> str:
    """Return the alert that the gate is open. `close` is the new anchor."""
    crossed = f"a candle closed at {price(rules, close)}, across the channel's middle {price(rules, mid)}"
    return f"gate open: {crossed}; {rules.base_asset} may be bought back again, and that close is the new anchor"
