"""What people read when a rule that guards the account has something to say.

Worded as `texts` words everything else: one line, the name of the change first.
"""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Final

from trailingedge.execution.breakers import Breaker, Trip
from trailingedge.market import Side, SymbolRules, plain
from trailingedge.notifications.texts import percent, price, quantity, rate

_UNTIL: Final = {
    Breaker.DAILY_LOSS: "until 00:00 UTC",
    Breaker.DRAWDOWN: "until 'r'",
    Breaker.LOSSES: "until 'r'",
}


def breaker_tripped(trip: Trip) -> str:
    """Why nothing new is begun, and until when."""
    return (
        f"breaker: {_measured(trip)}, {trip.breaker.value} is {plain(trip.limit)}; no take-profit, no breakout, "
        f"nothing bought {_UNTIL[trip.breaker]}; the hard stop stays armed"
    )


def breaker_lifted(breaker: Breaker) -> str:
    return f"breaker lifted: {breaker.value} holds no more"


def still_held(trips: Iterable[Trip]) -> str:
    """Said when the operator resumes and a breaker is not his to lift."""
    held = ", ".join(f"{trip.breaker.value} {_UNTIL[trip.breaker]}" for trip in trips)
    return f"still held by {held}"


def fee_unpriced(asset: str, quote_asset: str) -> str:
    return f"breakers: commissions in {asset} count as nothing, for its price in {quote_asset} is not known"


def _measured(trip: Trip) -> str:
    match trip.breaker:
        case Breaker.DAILY_LOSS:
            return f"{percent(-trip.measured)} on today's round trips"
        case Breaker.DRAWDOWN:
            return f"{percent(-trip.measured)} from the best of all round trips"
        case Breaker.LOSSES:
            return f"{plain(trip.measured)} round trips in a row lost"


def balance_moved(asset: str, expected: Decimal, told: Decimal) -> str:
    return (
        f"balance moved: {plain(told)} {asset}, where fills and commissions leave {plain(expected)}; "
        f"asking the account, which counts"
    )


def second_instance(client_order_id: str, order_id: int) -> str:
    return (
        f"second instance: order {order_id} was given by another process that trades this account; "
        f"stopping, look which one should run ({client_order_id})"
    )


def late_order_adopted(rules: SymbolRules, side: Side, rest: Decimal, at: Decimal, client_order_id: str) -> str:
    """An order of an earlier run that reached the book after our start."""
    return f"late order adopted: {_late(rules, side, rest, at)}, from an earlier run ({client_order_id})"


def late_order_cancelled(rules: SymbolRules, side: Side, rest: Decimal, at: Decimal, client_order_id: str) -> str:
    return f"late order cancelled: {_late(rules, side, rest, at)}, from an earlier run ({client_order_id})"


def _late(rules: SymbolRules, side: Side, rest: Decimal, at: Decimal) -> str:
    return f"{side.value} {quantity(rules, rest)} at {price(rules, at)}"


def frames_saved(path: Path) -> str:
    return f"last frames saved: {path}"


def frames_lost(reason: str) -> str:
    return f"last frames not saved: {reason}"


def breaker_limits(daily_loss_frac: Decimal, drawdown_frac: Decimal, losses: int) -> str:
    """The breakers that are set, for the list of steps at the start."""
    said = [f"{rate(daily_loss_frac)} a day"] if daily_loss_frac else []
    said += [f"{rate(drawdown_frac)} from the best"] if drawdown_frac else []
    said += [f"{losses} losses in a row"] if losses else []
    return ", ".join(said) or "off"
