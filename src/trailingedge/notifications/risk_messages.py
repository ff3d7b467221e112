"""What people read when a rule that guards the account has something to say.

Worded as `texts` words everything else: one line, the name of the change first.
"""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Final

from trailingedge.model.market import Side, SymbolRules, format_plain
from trailingedge.notifications.messages import counted, percent, price, quantity, rate, stop_goes_on
from trailingedge.risk.circuit_breakers import Breaker, BreakerTrip
from trailingedge.strategy.blocks import REFUSALS, TradeBlock

_NAMES: Final = {Breaker.DAILY_LOSS: "daily loss", Breaker.DRAWDOWN: "drawdown", Breaker.LOSSES: "losses in a row"}
HELD: Final = REFUSALS[TradeBlock.PAUSED]  # how the strategy refuses a flip, whatever holds
_RESUMED: Final = "until you resume ('r' or /resume)"
_UNTIL: Final = {Breaker.DAILY_LOSS: "until 00:00 UTC", Breaker.DRAWDOWN: _RESUMED, Breaker.LOSSES: _RESUMED}


def breaker_name(breaker: Breaker) -> str:
    """What it counts: "daily loss"."""
    return _NAMES[breaker]


def breaker_until(breaker: Breaker) -> str:
    """How long it holds: "until 00:00 UTC"."""
    return _UNTIL[breaker]


def breaker_tripped(rules: SymbolRules, trip: BreakerTrip) -> str:
    """Why nothing new is begun, and until when."""
    return (
        f"breaker: {measured(trip)} ({trip.breaker.value} is {format_plain(trip.limit)}); no take-profit, no breakout, "
        f"nothing bought {breaker_until(trip.breaker)}; {stop_goes_on(rules)}"
    )


def breaker_lifted(breaker: Breaker) -> str:
    return f"breaker lifted: {breaker_name(breaker)} ({breaker.value}) holds nothing back any more"


def still_paused(trips: Iterable[BreakerTrip]) -> str:
    """Said when the operator resumes and a breaker is not his to lift."""
    return f"still held by a breaker: {_listed(trips)}"


def refusal_reason(reason: str, trips: Iterable[BreakerTrip], *, paused: bool) -> str:
    """Why a command was refused; where a hold is the reason, which one, and what lifts it."""
    if reason != HELD:
        return reason
    if paused:
        return "paused; resume first ('r' or /resume)"
    held = _listed(trips)
    if held:
        return f"nothing is bought while a breaker holds: {held}"
    return "the funds only just make up an order, and the last try came to nothing; try again in a minute"


def _listed(trips: Iterable[BreakerTrip]) -> str:
    return ", ".join(f"{breaker_name(trip.breaker)} {breaker_until(trip.breaker)}" for trip in trips)


def fee_unpriced(asset: str, quote_asset: str) -> str:
    return f"breakers: fees paid in {asset} are left out of the count, its price in {quote_asset} is not known"


def measured(trip: BreakerTrip) -> str:
    """What a breaker has counted."""
    match trip.breaker:
        case Breaker.DAILY_LOSS:
            return f"{percent(-trip.measured)} on today's round trips"
        case Breaker.DRAWDOWN:
            return f"{percent(-trip.measured)} from the best of all round trips"
        case Breaker.LOSSES:
            return f"{counted(int(trip.measured), 'round trip')} in a row lost"


def balance_moved(asset: str, expected: Decimal, told: Decimal) -> str:
    return (
        f"balance moved: {format_plain(told)} {asset}, where fills and fees leave {format_plain(expected)}; "
        f"reading the account again (a deposit, a withdrawal or another hand's order would explain it)"
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
