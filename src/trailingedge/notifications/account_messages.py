"""What people read of the account: whether it can be traded, from where it is measured, and whether it is watched."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from trailingedge.model.market import ZERO, Regime, SymbolRules, format_on_grid
from trailingedge.notifications.messages import AnyNumber, amounts, elapsed, held_asset, notional, price, quantity

_NOTHING: Final[Mapping[str, Decimal]] = MappingProxyType({})


def unfunded(
    rules: SymbolRules,
    base: Decimal,
    quote: Decimal,
    reserve_base: Decimal = ZERO,
    reserve_quote: Decimal = ZERO,
    locked: Mapping[str, Decimal] = _NOTHING,
) -> str:
    """`base` and `quote` are what is left to trade with once the reserves are kept back.

    `locked` is what orders of others hold, by asset.
    """
    held = f"{quantity(rules, base)} and {notional(rules, quote)}"
    kept = [f"RESERVE_BASE {quantity(rules, reserve_base)}"] if reserve_base else []
    kept += [f"RESERVE_QUOTE {notional(rules, reserve_quote)}"] if reserve_quote else []
    beside = f" beside {' and '.join(kept)}" if kept else ""
    needed = f"an order needs {notional(rules, rules.min_notional)}"
    elsewhere = locked_elsewhere(rules, locked)
    waits = f"{elsewhere}; waiting until they are free, or for a deposit" if elsewhere else "waiting for a deposit"
    return f"unfunded: {held} are too little to trade{beside}; {needed}; {waits}"


def locked_elsewhere(rules: SymbolRules, locked: Mapping[str, Decimal]) -> str:
    """What orders of others hold: "2425.00 FDUSD are locked in orders that are not ours"; empty for nothing."""
    if not any(locked.values()):
        return ""
    return f"{amounts(rules, locked)} are locked in orders that are not ours"


def funded(rules: SymbolRules, regime: Regime) -> str:
    return f"funded: {held_asset(rules, regime)} can be traded again"


def holding(rules: SymbolRules, held: Regime, anchor: AnyNumber, origin: str) -> str:
    """`anchor` is a price, `origin` where it comes from."""
    return f"holding {held_asset(rules, held)}: anchor {price(rules, anchor)} ({origin})"


def idle_remainder(rules: SymbolRules, amount: Decimal, asset: str) -> str:
    grid = rules.step_size if asset == rules.base_asset else rules.tick_size
    return f"idle remainder: {format_on_grid(amount, grid)} {asset} stay idle and join the next flip"


def anchor_changed(rules: SymbolRules, held: Regime, anchor: AnyNumber, origin: str) -> str:
    """The same where it moves the prices at which something happens."""
    return f"{holding(rules, held, anchor, origin)}; gain and stop are measured from there now"


def market_stale(rules: SymbolRules, age_s: float, held: Regime | None = None, *, stop: bool = False) -> str:
    """`stop`: the hard stop would be judged if there were prices."""
    text = f"market stale: nothing heard for {age_s:.0f} s; nothing new is ordered until it speaks again"
    return text + _meanwhile(rules, held, stop=stop)


def market_recovered(silent_s: float) -> str:
    return f"market recovered: heard again after {elapsed(silent_s)}"


def account_lost(rules: SymbolRules, away_s: float, held: Regime | None = None, *, stop: bool = False) -> str:
    """`stop`: the hard stop would be judged if anything could be ordered."""
    text = f"account connection lost: away for {away_s:.0f} s; nothing can be ordered or withdrawn until it is back"
    return text + _meanwhile(rules, held, stop=stop)


def _meanwhile(rules: SymbolRules, held: Regime | None, *, stop: bool) -> str:
    """What is held, and that nobody looks after it."""
    if held is None:
        return ""
    unwatched = ", whose hard stop is not judged meanwhile" if stop and held is Regime.BASE else ""
    return f"; holding {held_asset(rules, held)}{unwatched}"


def account_back(away_s: float) -> str:
    return f"account connection back after {elapsed(away_s)}"
