"""Alert texts of the risk rules: circuit breakers, unexpected balances, a second instance, saved frames."""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Final

from trailingedge.model.market import SymbolRules, format_plain
from trailingedge.notifications.event_messages import RESUME, counted, percent, stop_stays_active
from trailingedge.risk.circuit_breakers import Breaker, BreakerTrip
from trailingedge.strategy.blocks import REFUSALS, TradeBlock

_NAMES: Final = {Breaker.DAILY_LOSS: "daily loss", Breaker.DRAWDOWN: "drawdown", Breaker.LOSSES: "losses in a row"}
HELD: Final = REFUSALS[TradeBlock.PAUSED]  # the strategy's reason for refusing a flip; people read a longer one
_RESUMED: Final = f"until you resume with {RESUME}"
_UNTIL: Final = {Breaker.DAILY_LOSS: "until 00:00 UTC", Breaker.DRAWDOWN: _RESUMED, Breaker.LOSSES: _RESUMED}


def breaker_name(breaker: Breaker) -> str:
    """Return the name of the breaker, which is the loss that it limits: "daily loss"."""
    return _NAMES[breaker]


def breaker_until(breaker: Breaker) -> str:
    """Return when the pause of a breaker ends: "until 00:00 UTC"."""
    return _UNTIL[breaker]


def breaker_tripped(rules: SymbolRules, trip: BreakerTrip) -> str:
    """Return the alert that a loss limit is reached. It names the limit, what is suspended, and until when."""
    return (
        f"breaker: {measured(trip)}, set by {trip.breaker.value}; no take-profit, no breakout, no buy "
        f"{breaker_until(trip.breaker)}; {stop_stays_active(rules)}"
    )


def breaker_lifted(breaker: Breaker) -> str:
    """Return the alert that a breaker no longer pauses trading. Another breaker or the operator may still pause it."""
    return f"breaker lifted: {breaker_name(breaker)} ({breaker.value}) no longer pauses trading"


def still_paused(trips: Iterable[BreakerTrip]) -> str:
    """Return the answer to a resume command that cannot end the pause, because breakers end only at a set time."""
    return f"still paused by a breaker: {_listed(trips)}"


def refusal_reason(reason: str, trips: Iterable[BreakerTrip], *, paused: bool) -> str:
    """Return why the strategy refused a command.

    If trading is paused, name the cause of the pause and when the pause ends.
    """
    # The strategy only knows that it may not buy. The status knows whether a person, a breaker or a too small balance
    # is the cause. Each cause ends in a different way.
    if reason != HELD:
        return reason
    if paused:
        return f"trading is paused; resume first with {RESUME}"
    listed = _listed(trips)
    if listed:
        return f"a breaker pauses buying: {listed}"
    return "the balance is only just enough for an order, and the last attempt failed; try again in a minute"


def _listed(trips: Iterable[BreakerTrip]) -> str:
    return ", ".join(f"{breaker_name(trip.breaker)} {breaker_until(trip.breaker)}" for trip in trips)


def fee_unpriced(asset: str, quote_asset: str) -> str:
    """Return the alert that the breakers ignore fees in `asset`, whose price is unknown."""
    return f"breakers: fees paid in {asset} are not counted, because the price of {asset} in {quote_asset} is unknown"


def measured(trip: BreakerTrip) -> str:
    """Return a breaker's measured value and its limit: "daily loss -3.12 % (limit -3.00 %)"."""
    if trip.breaker is Breaker.LOSSES:
        return f"{counted(int(trip.measured), 'lost round trip')} in a row (limit {trip.limit:f})"
    # Losses are counted as positive fractions. Both are shown negative, as a trader reads a loss.
    return f"{breaker_name(trip.breaker)} {percent(-trip.measured)} (limit {percent(-trip.limit)})"


def balance_moved(asset: str, expected: Decimal, reported: Decimal) -> str:
    """Return the alert on a balance that our fills and fees do not explain."""
    return (
        f"unexpected balance: {format_plain(reported)} {asset} instead of {format_plain(expected)} "
        "after all fills and fees; the balances are queried again (a deposit, a withdrawal or an order by hand "
        "would explain the difference)"
    )


def second_instance(client_order_id: str, order_id: int) -> str:
    """Return the alert that another process trades the same account, so that this process ends."""
    return (
        f"second instance: another process sent order {order_id} on this account; this process "
        f"stops trading and ends; run only one of the two ({client_order_id})"
    )


def frames_saved(path: Path) -> str:
    """Return the alert that the last WebSocket frames before a halt are saved in a file."""
    return f"last messages of the exchange saved to {path}"


def frames_lost(reason: str) -> str:
    """Return the alert that the last WebSocket frames before a halt could not be saved."""
    return f"last messages of the exchange not saved: {reason}"
