"""Flip preview: the quantity that a flip would trade now, its price, and what the bot does after the flip.

It is shown before a flip is confirmed. Quantity and price are those of this moment. They may be different when the flip
is confirmed and its order is filled.
"""

from dataclasses import dataclass
from decimal import Decimal

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import ZERO, Regime, Side, SymbolRules, format_on_grid
from trailingedge.model.order_size import order_quantity
from trailingedge.notifications.event_messages import EXIT_NAMES, command_refused, notional, price, quantity
from trailingedge.notifications.status import StatusView


@dataclass(frozen=True, slots=True)
class FlipPreview:
    """The trade of a flip.

    `amount` is in base, `near` is the present price on the side of the order, and `then` is a text on what the bot does
    after the flip.
    """

    rules: SymbolRules
    side: Side
    amount: Decimal
    near: Decimal
    then: str

    @property
    def text(self) -> str:
        """The preview in one sentence."""
        verb = "sell" if self.side is Side.SELL else "buy"
        worth = notional(self.rules, self.amount * self.near)
        return (
            f"flip: {verb} {quantity(self.rules, self.amount)} near {price(self.rules, self.near)}, about {worth}, "
            f"by post-only orders; {self.then}"
        )

    def as_data(self) -> dict[str, object]:
        """The preview for machines."""
        return {
            "side": self.side.value,
            "quantity": format_on_grid(self.amount, self.rules.step_size),
            "price": format_on_grid(self.near, self.rules.tick_size),
            "notional": format_on_grid(self.amount * self.near, self.rules.tick_size),
        }


def flip_preview(view: StatusView, refusal: str | None = None) -> FlipPreview | str:
    """Return what a flip would trade now, or the text of a refusal.

    `refusal` is the reason why a flip cannot buy now; None if it can. A flip that sells is not refused.
    """
    near = view.exit_side_price
    if view.halted:
        return command_refused("flip", f"trading is halted ({view.halt_reason})")
    if view.regime is None:
        return command_refused("flip", "the account holds too little of both assets for an order")
    if near is None or view.not_judged_reason is not None:
        return command_refused("flip", view.not_judged_reason or "no market data")
    side = Side.SELL if view.regime is Regime.BASE else Side.BUY
    if side is Side.BUY and refusal is not None:
        return command_refused("flip", refusal)
    amount = order_quantity(view.rules, side, _funds(view, side), near)
    return FlipPreview(view.rules, side, amount, near, _then(view, side))


def _funds(view: StatusView, side: Side) -> Decimal:
    """Return the funds of a flip: free funds plus the funds that our own order has locked, minus the reserve."""
    balance, reserve = (view.base, view.reserve_base) if side is Side.SELL else (view.quote, view.reserve_quote)
    active = view.active_exit
    locked = ZERO
    if active is not None and active.side is side and active.remaining is not None and active.price is not None:
        locked = active.remaining if side is Side.SELL else active.remaining * active.price
    return (ZERO if balance is None else balance.free) + locked - reserve


def _then(view: StatusView, side: Side) -> str:
    rules, active = view.rules, view.active_exit
    going_on = ""
    if active is not None and active.side is side and active.kind not in (ExitKind.MANUAL, ExitKind.FLUSH):
        going_on = f"the {EXIT_NAMES[active.kind]} in progress now counts as your flip; "
    if side is Side.SELL:
        after = f"then it holds {rules.quote_asset} without a hard stop, and buys back at a lower price"
    else:
        distance = None if view.decision is None else view.decision.stop_distance
        stop = "a hard stop" if distance is None else f"a hard stop {distance * 100:.2f} % below the price paid"
        after = f"then it holds {rules.base_asset}, with {stop}"
    return going_on + after
