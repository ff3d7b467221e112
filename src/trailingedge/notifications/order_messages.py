"""Log lines and alerts on single orders. Each ends with the client order id."""

from decimal import Decimal

from trailingedge.model.market import Side, SymbolRules
from trailingedge.notifications.event_messages import order, quantity


def order_placed(rules: SymbolRules, side: Side, amount: Decimal, at: Decimal, client_order_id: str) -> str:
    """Return the log line that a new order rests on the book."""
    return f"order placed: {order(rules, side, amount, at)} ({client_order_id})"


def taker_escape(rules: SymbolRules, side: Side, amount: Decimal, at: Decimal, client_order_id: str) -> str:
    """Return the alert on a taker escape, the only order that may take from the book.

    The exchange cancels its unfilled part at once.
    """
    # The price is the worst that the order accepts, not the one that it will get.
    bound = "or more" if side is Side.SELL else "or less"
    return (
        f"taker escape: {order(rules, side, amount, at)} {bound}, taken from the book at once: "
        f"the filled part pays the taker fee, the rest is cancelled ({client_order_id})"
    )


def order_replaced(rules: SymbolRules, side: Side, amount: Decimal, at: Decimal, client_order_id: str) -> str:
    """Return the log line that the open order was replaced by this order, which has another price or quantity."""
    return f"order replaced by a new one: {order(rules, side, amount, at)} ({client_order_id})"


def order_filled(
    rules: SymbolRules, side: Side, filled: Decimal, at: Decimal, remaining: Decimal, client_order_id: str
) -> str:
    """Return the log line on one fill, which fills the order partly or completely."""
    rest = f"{quantity(rules, remaining)} left" if remaining else "complete"
    return f"order filled: {order(rules, side, filled, at)}, {rest} ({client_order_id})"


def order_cancelled(rules: SymbolRules, side: Side, remaining: Decimal, at: Decimal, client_order_id: str) -> str:
    """Return the log line that an order was cancelled with `remaining` unfilled."""
    return f"order cancelled: {order(rules, side, remaining, at)} ({client_order_id})"


def order_rejected(client_order_id: str, code: int, reason: str, in_a_row: int = 1) -> str:
    """Return the text that the exchange rejected an order, for the `in_a_row`-th time in a row.

    The order is tried again after a pause, which grows with each reject.
    """
    coded = (f"{code} {reason}" if code else reason).rstrip(".")
    times = f", {in_a_row} times in a row" if in_a_row > 1 else ""
    return f"order rejected by the exchange{times}: {coded}; it is tried again ({client_order_id})"


def order_in_doubt(client_order_id: str, reason: str) -> str:
    """Return the log line on a request whose outcome is unknown."""
    return f"order request with unknown outcome: {reason}; querying the order ({client_order_id})"


def order_of_another_instance(client_order_id: str, order_id: int) -> str:
    """Return the alert on an order with this bot's id prefix that it did not send."""
    return (
        f"order {order_id} has this bot's id prefix but was not sent by this process: another instance "
        f"trades this account ({client_order_id})"
    )
