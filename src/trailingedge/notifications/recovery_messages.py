"""Alert texts of a restart: the state in which the last session ended, and the exit or order that is continued."""

from trailingedge.model.market import Side, SymbolRules
from trailingedge.notifications import event_messages
from trailingedge.reconciliation.history_types import HistoricalExit
from trailingedge.reconciliation.recovery import RecoveredState
from trailingedge.strategy.state import StrategyState
from trailingedge.strategy.unit_value import price_at


def exit_resumed(rules: SymbolRules, past: HistoricalExit) -> str:
    """Return the alert that an unfinished exit of the last session is continued, with its open order if it has one."""
    order, filled = past.open_order, event_messages.quantity(rules, past.base)
    if order is None:
        name = "exit" if past.side is Side.SELL else "buy-back"
        return f"{name} resumed: {event_messages.EXIT_NAMES[past.kind]} {past.side.value}, {filled} filled so far"
    # A pegged order has no price of its own; the exchange reports the one at which it rests.
    open_order = event_messages.order(rules, past.side, order.remaining, order.pegged_price or order.price)
    return f"order adopted: {open_order}, {filled} filled so far ({order.client_order_id})"


def own_open_orders(recovered: RecoveredState, cancelled: int) -> str:
    """Return the result of the step "own open orders": how many were adopted and how many were cancelled."""
    active = recovered.active_exit
    adopted = 0 if active is None or active.open_order is None else 1
    counts = [f"{count} {what}" for count, what in ((adopted, "adopted"), (cancelled, "cancelled")) if count]
    return ", ".join(counts) or "none"


def late_order_cancelled(rules: SymbolRules, past: HistoricalExit) -> str:
    """Return the alert that a late order of the last session was cancelled.

    The order reached the book after this session had begun.
    """
    order = past.orders[-1]
    late = event_messages.order(rules, past.side, order.remaining, order.price)
    return f"late order of the last session cancelled: {late} ({order.client_order_id})"


def summary(rules: SymbolRules, recovered: RecoveredState) -> str:
    """Return the state in which the last session ended, as the result of a step of the start."""
    state = recovered.state
    if state.regime is None:
        return "first start, no earlier trades of this bot found"
    anchor, high = (price_at(state.regime, value) for value in (state.anchor, state.high))
    held = event_messages.held_asset(rules, state.regime)
    prices = f"anchor {event_messages.price(rules, anchor)}, best price since then {event_messages.price(rules, high)}"
    return f"holding {held}, {prices}{_in_progress(state)}"


def anchor_not_stored(reason: str) -> str:
    """Return the alert that the order that stores the anchor could not be placed on the exchange."""
    return f"anchor not stored on the exchange: {reason}; a restart may take the market price as the anchor instead"


def _in_progress(state: StrategyState) -> str:
    if state.exit is not None:
        return f", {event_messages.EXIT_NAMES[state.exit.kind]} goes on"
    return "" if state.gate is None else ", gate shut"
