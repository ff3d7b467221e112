"""What people read when the bot comes back to an account that it has traded before."""

from trailingedge.model.market import SymbolRules
from trailingedge.notifications import messages
from trailingedge.reconciliation.exit_history import HistoricalExit
from trailingedge.reconciliation.recovery import RecoveredState
from trailingedge.strategy.regime import price_at
from trailingedge.strategy.state import StrategyState


def exit_resumed(rules: SymbolRules, past: HistoricalExit) -> str:
    """An exit goes on."""
    order, filled = past.open_order, messages.quantity(rules, past.base)
    if order is None:
        return f"exit resumed: {messages.EXIT_NAMES[past.kind]} {past.side.value}, {filled} filled so far"
    amount, price = messages.quantity(rules, order.remaining), messages.price(rules, order.pegged_price or order.price)
    return f"order adopted: {past.side.value} {amount} at {price} ({order.client_order_id}), {filled} filled so far"


def late_order_cancelled(rules: SymbolRules, past: HistoricalExit) -> str:
    """An order of the last session reached the book after this one had begun, and is taken away."""
    order = past.orders[-1]
    amount, price = messages.quantity(rules, order.remaining), messages.price(rules, order.price)
    return f"late order of the last session cancelled: {past.side.value} {amount} at {price} ({order.client_order_id})"


def summary(rules: SymbolRules, recovered: RecoveredState) -> str:
    """Where the last session left us, for the list of steps."""
    memory = recovered.state
    if memory.regime is None:
        return "first start, nothing on record"
    anchor, high = (price_at(memory.regime, value) for value in (memory.anchor, memory.high))
    held = messages.held_asset(rules, memory.regime)
    text = f"holding {held}, anchor {messages.price(rules, anchor)}, best since {messages.price(rules, high)}"
    return text + _standing(memory)


def anchor_not_stored(reason: str) -> str:
    """The anchor is not written down."""
    return f"anchor note not written: {reason}; after a restart the anchor may be taken from the market"


def _standing(memory: StrategyState) -> str:
    if memory.exit is not None:
        return f", {messages.EXIT_NAMES[memory.exit.kind]} goes on"
    return "" if memory.gate is None else ", gate shut"
