"""What people read of the channel: a breakout, a squeeze, and the gate that opens at its middle."""

from trailingedge.model.market import SymbolRules
from trailingedge.notifications.messages import AnyNumber, price


def breakout(rules: SymbolRules, close: AnyNumber, bound: AnyNumber, *, up: bool, followed: bool = True) -> str:
    """`followed`: the settings make an exit of one in this direction."""
    where, setting = ("above", "BREAKOUT_ENTRY") if up else ("below", "BREAKOUT_EXIT")
    text = f"breakout: a candle closed at {price(rules, close)}, {where} the channel's {price(rules, bound)}"
    return text if followed else f"{text}; nothing is done about it ({setting} is false)"


def squeeze(rules: SymbolRules, width: AnyNumber, narrower_frac: float) -> str:
    share = f"{narrower_frac * 100:.0f} %"
    return f"squeeze: the channel is only {price(rules, width)} wide; {share} of the recent ones were narrower"


def gate_shut(rules: SymbolRules, at: AnyNumber, *, by_flush: bool, mid: AnyNumber | None = None) -> str:
    """`mid` is that of the channel in force, where there is one; it moves with each candle."""
    if by_flush:
        cause, side = f"the hard stop has sold at {price(rules, at)}", "above"
    else:
        cause, side = f"a candle closed at {price(rules, at)}, too far above the anchor", "below"
    where = "the channel's middle" if mid is None else f"the channel's middle, now {price(rules, mid)}"
    return f"gate shut: {cause}; no {rules.base_asset} is bought until a candle closes {side} {where}"


def gate_open(rules: SymbolRules, close: AnyNumber, mid: AnyNumber) -> str:
    """The close is the new anchor."""
    crossed = f"a candle closed at {price(rules, close)}, across the channel's middle {price(rules, mid)}"
    return f"gate open: {crossed}; buying back is judged again, from this close as the new anchor"
