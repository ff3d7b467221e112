"""Alert texts on the account and its connections: funds that suffice or not, the anchor, and data that is missing or
back.
"""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from trailingedge.model.market import ZERO, Regime, SymbolRules, format_on_grid
from trailingedge.model.order_size import largest_order_is_too_small
from trailingedge.notifications.event_messages import AnyNumber, amounts, elapsed, held_asset, notional, price, quantity
from trailingedge.strategy.strategy_events import Origin

# Where an anchor comes from. The enumeration's own values stand in session records.
ORIGINS: Final[Mapping[Origin, str]] = {
    Origin.EXIT: "average price of the last exit",
    Origin.OUTSIDE: "price of a trade made outside this bot",
    Origin.MARKET: "market price",
    Origin.SETTING: "ANCHOR_PRICE",
}
_NONE_LOCKED: Final[Mapping[str, Decimal]] = MappingProxyType({})


def unfunded(
    rules: SymbolRules,
    base: Decimal,
    quote: Decimal,
    reserve_base: Decimal = ZERO,
    reserve_quote: Decimal = ZERO,
    locked: Mapping[str, Decimal] = _NONE_LOCKED,
    bid: Decimal | None = None,
) -> str:
    """Return the alert that neither base nor quote is enough for an order. `base` and `quote` exclude the reserves.

    `locked` is the amounts locked in orders that are not ours, by asset. If at `bid` the largest order that the
    exchange allows is worth less than its smallest one, the alert says that instead.
    """
    free = f"{quantity(rules, base)} and {notional(rules, quote)}"
    if bid is not None and largest_order_is_too_small(rules, bid):
        return f"unfunded: {free} cannot be traded; {no_order_possible(rules, bid)}"
    reserves = [f"RESERVE_BASE {quantity(rules, reserve_base)}"] if reserve_base else []
    reserves += [f"RESERVE_QUOTE {notional(rules, reserve_quote)}"] if reserve_quote else []
    beside = f" (kept back: {', '.join(reserves)})" if reserves else ""
    needed = f"an order needs {notional(rules, rules.min_notional)}"
    elsewhere = locked_elsewhere(rules, locked)
    waits = f"{elsewhere}; waiting until they are free, or for a deposit" if elsewhere else "waiting for a deposit"
    return f"unfunded: {free} are too little to trade{beside}; {needed}; {waits}"


def no_order_possible(rules: SymbolRules, bid: Decimal) -> str:
    """Return the text that at `bid` the exchange's largest order is worth less than its smallest one."""
    by_lot = rules.max_quantity is not None and (
        rules.max_notional is None or rules.max_quantity * bid <= rules.max_notional
    )
    most = quantity(rules, rules.max_quantity or ZERO) if by_lot else notional(rules, rules.max_notional or ZERO)
    return (
        f"the largest order that the exchange allows ({most}) is worth less than the smallest "
        f"({notional(rules, rules.min_notional)}) at {price(rules, bid)}; waiting for another price"
    )


def locked_elsewhere(rules: SymbolRules, locked: Mapping[str, Decimal]) -> str:
    """Return the text on the amounts locked in orders that are not ours.

    The text is empty if nothing is locked.
    """
    if not any(locked.values()):
        return ""
    return f"{amounts(rules, locked)} are locked in orders that this bot did not place"


def funded(rules: SymbolRules, regime: Regime) -> str:
    """Return the alert that the asset held is enough for an order again."""
    return f"funded: there is enough {held_asset(rules, regime)} to trade again"


def holding(rules: SymbolRules, regime: Regime, anchor: AnyNumber, origin: Origin) -> str:
    """Return the log line on the asset held and its anchor, a price in quote per base."""
    return f"holding {held_asset(rules, regime)}: anchor {price(rules, anchor)} ({ORIGINS[origin]})"


def anchor_changed(rules: SymbolRules, regime: Regime, anchor: AnyNumber, origin: Origin) -> str:
    """Return the alert on a new anchor that does not come from an exit of ours.

    A new anchor changes the prices of take-profit and stop.
    """
    # While quote is held, the stop sells nothing: it shuts the gate when a candle closes too far above the anchor.
    stop = "hard stop" if regime is Regime.BASE else "gate"
    return f"{holding(rules, regime, anchor, origin)}; take-profit and {stop} are measured from it now"


def idle_remainder(rules: SymbolRules, amount: Decimal, asset: str) -> str:
    """Return the alert on an amount of `asset` left over from an exit that ended half-way."""
    grid = rules.step_size if asset == rules.base_asset else rules.tick_size
    trade = "buy-back" if asset == rules.base_asset else "sale"
    return f"idle remainder: {format_on_grid(amount, grid)} {asset} are not traded before the next {trade}"


def market_stale(rules: SymbolRules, age_s: float, regime: Regime | None = None, *, stop: bool = False) -> str:
    """Return the alert on missing market data. `stop` is true if a hard stop is set: it cannot act without prices."""
    text = f"no market data for {age_s:.0f} s; no new orders until it returns"
    return text + _holding_without_stop(rules, regime, stop=stop)


def market_recovered(silent_s: float) -> str:
    """Return the alert that market data is back after `silent_s` seconds."""
    return f"market data is back after {elapsed(silent_s)}"


def account_lost(rules: SymbolRules, away_s: float, regime: Regime | None = None, *, stop: bool = False) -> str:
    """Return the alert on the lost account connection. `stop` is true if a hard stop is set: it cannot act now."""
    text = f"no account connection for {away_s:.0f} s; no orders and no cancels until it returns"
    return text + _holding_without_stop(rules, regime, stop=stop)


def _holding_without_stop(rules: SymbolRules, regime: Regime | None, *, stop: bool) -> str:
    """Return a clause that names the asset held.

    If that is base, the clause also says that its hard stop cannot act.
    """
    if regime is None:
        return ""
    unwatched = ", and the hard stop cannot act until then" if stop and regime is Regime.BASE else ""
    return f"; holding {held_asset(rules, regime)}{unwatched}"


def account_back(away_s: float) -> str:
    """Return the alert that the account connection is back after `away_s` seconds."""
    return f"account connection is back after {elapsed(away_s)}"
