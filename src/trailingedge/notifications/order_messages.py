"""What people read of single orders. Each line bears the client order id."""

from decimal import Decimal

from trailingedge.model.market import Side, SymbolRules
from trailingedge.notifications.messages import order, quantity


def order_placed(rules: SymbolRules, side: Side, amount: Decimal, at: Decimal, client_order_id: str) -> str:
    return f"order placed: {order(rules, side, amount, at)} ({client_order_id})"


def taker_escape(rules: SymbolRules, side: Side, amount: Decimal, at: Decimal, client_order_id: str) -> str:
    """The one order that may take: what it does not get at once is given up."""
    bound = "or more" if side is Side.SELL else "or less"
    return (
        f"taker escape: {order(rules, side, amount, at)} {bound}, at once from the book: what fills costs "
        f"the taker fee, the rest is withdrawn ({client_order_id})"
    )


def order_replaced(rules: SymbolRules, side: Side, amount: Decimal, at: Decimal, client_order_id: str) -> str:
    return f"order replaced: {order(rules, side, amount, at)} ({client_order_id})"


def order_filled(
    rules: SymbolRules, side: Side, filled: Decimal, at: Decimal, remaining: Decimal, client_order_id: str
) -> str:
    """One fill, which may leave a rest."""
    rest = f"{quantity(rules, remaining)} left" if remaining else "all of it"
    return f"order filled: {order(rules, side, filled, at)}, {rest} ({client_order_id})"


def order_cancelled(rules: SymbolRules, side: Side, remaining: Decimal, at: Decimal, client_order_id: str) -> str:
    return f"order withdrawn: {order(rules, side, remaining, at)} ({client_order_id})"


def order_rejected(client_order_id: str, code: int, reason: str) -> str:
    return f"order refused: {code} {reason} ({client_order_id})"


def order_in_doubt(client_order_id: str, reason: str) -> str:
    return f"order in doubt: {reason}; asking the exchange ({client_order_id})"


def order_of_another_instance(client_order_id: str, order_id: int) -> str:
    return f"stranger: order {order_id} bears our id and is not ours; another instance trades ({client_order_id})"
