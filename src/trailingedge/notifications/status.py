"""The daemon's state as one line: for 's' and 'w', for the heartbeat, and for whoever asks later."""

from dataclasses import dataclass
from math import isfinite

from trailingedge.market import BookTop, Regime, SymbolRules
from trailingedge.notifications.texts import Number, figure, held_asset, notional, percent, price


@dataclass(frozen=True, slots=True)
class StatusView:
    """What there is to show; None where it does not apply or is not known yet.

    All prices are quote per base, whichever asset is held. `exit` is the exit in progress in words.
    """

    mode: str
    rules: SymbolRules
    phase: str
    regime: Regime | None = None
    top: BookTop | None = None
    anchor: Number | None = None
    value: Number | None = None  # of all that is held, in quote
    gain_frac: float | None = None
    take_profit: Number | None = None
    stop: Number | None = None
    lower: Number | None = None
    mid: Number | None = None
    upper: Number | None = None
    gate_open: bool | None = None
    exit: str | None = None
    data_age_s: float | None = None
    reconnects: int = 0
    held: bool = False
    halted: bool = False


def status(view: StatusView) -> str:
    """Everything that `view` knows, in the order in which one wants to know it."""
    rules = view.rules
    parts = [f"{view.mode} {rules.symbol}", f"{view.phase}, holding {held_asset(rules, view.regime)}"]
    if view.halted:
        parts.append("halted")
    if view.held:
        parts.append("paused")
    if view.top is not None:
        parts.append(f"bid {price(rules, view.top.bid)}, ask {price(rules, view.top.ask)}")
    if view.value is not None:
        parts.append(f"value {notional(rules, view.value)}")
    if view.anchor is not None:
        gain = f" ({percent(view.gain_frac)})" if view.gain_frac is not None else ""
        parts.append(f"anchor {price(rules, view.anchor)}{gain}")
    for name, level in (("take-profit at", view.take_profit), ("stop at", view.stop)):
        if level is not None:
            parts.append(f"{name} {price(rules, level)}")
    if view.lower is not None and view.mid is not None and view.upper is not None:
        bounds = (figure(bound, rules.tick_size) for bound in (view.lower, view.mid, view.upper))
        parts.append(f"channel {' · '.join(bounds)} {rules.quote_asset}")
    if view.gate_open is not None:
        parts.append(f"gate {'open' if view.gate_open else 'shut'}")
    parts.append(view.exit or "no exit")
    if view.data_age_s is not None:
        parts.append(f"data {view.data_age_s:.1f} s old" if isfinite(view.data_age_s) else "no market data")
    if view.reconnects:
        parts.append(f"reconnects {view.reconnects}")
    return " | ".join(parts)
