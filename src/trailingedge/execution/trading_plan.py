"""Trading plan: the actions that are due at the next best prices, computed before these prices arrive.

Theory of operation. Each tick results in commands, a decision and, if the action at the next best prices can be
computed in advance, a plan. The market data callback asks the plan and nothing else:

- the prices are within the limits of the strategy, and no order of ours has to follow them: nothing is done;
- our order rests, and the new prices require another order: the plan gives the cancel-replace, which is sent at once
  and recorded right after that;
- anything else: an ordinary tick decides.

A plan is made only while nothing but the best prices and time can change what has to be done: no request is open, or
nothing can be sent before its reply; no order is UNKNOWN. It expires when the next wait ends, such as a time-out or the
confirmation of a stop (`TradingCore.due_s`). Any input other than best prices makes it void. So a plan always does the
same as the tick that it replaces; a test compares the two at random states, prices and times.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum

from trailingedge.execution.quote_prices import LeftOrders, RestingOrder, resting_price
from trailingedge.model.intent import OrderIntent
from trailingedge.model.market import BookTop, Side, SymbolRules
from trailingedge.model.order_commands import Replace
from trailingedge.model.order_size import order_quantity
from trailingedge.strategy.plan import PriceLimits


class NextStep(Enum):
    """The next step at a new price that needs no prepared cancel-replace."""

    NOTHING = "nothing"
    TICK = "a tick"


@dataclass(frozen=True, slots=True)
class RequotePlan:
    """A resting order, and all inputs that decide its new price and quantity when the market price changes.

    `replace_like` is the cancel-replace of the order, complete except for price and quantity; None if a tick must
    choose the command, because the order is partially filled. `left_orders` have just left the book: if the best price
    may be that of one of them, a tick decides. `quantity` is None if it depends on the price.
    """

    intent: OrderIntent
    order_id: int
    replace_like: Replace | None
    resting: RestingOrder
    left_orders: LeftOrders
    rules: SymbolRules
    quantity: Decimal | None

    def next_step(self, top: BookTop, now_s: float) -> Replace | NextStep:
        """Return the cancel-replace to send for this book, or else the other step that is due."""
        intent, rules = self.intent, self.rules
        price = resting_price(intent.pricing, intent.side, top, rules.tick_size, self.resting)
        if price == self.resting.price:
            return NextStep.NOTHING
        if self.replace_like is None or self.left_orders.explain_until(intent.side, top, now_s) is not None:
            return NextStep.TICK
        quantity = self.quantity or order_quantity(rules, intent.side, intent.funds, price)
        if rules.failed_filter(price, quantity) is not None:
            return NextStep.TICK
        # The pre-trade checks have the same limits, but see this command only after it was sent. So check here.
        if intent.side is Side.SELL:
            safe = price > top.bid and quantity <= intent.funds
        else:
            safe = price < top.ask and quantity * price <= intent.funds
        return replace(self.replace_like, price=price, quantity=quantity) if safe else NextStep.TICK


@dataclass(frozen=True, slots=True)
class TradingPlan:
    """The actions that are due at the next best prices. It is valid until anything else changes.

    `limits` are the prices at which the strategy does nothing. At `due_s`, in monotonic seconds, something is due at
    any prices. `requote` is None while no order of ours has to follow the prices: none rests, or a request is open.
    """

    limits: PriceLimits
    due_s: float
    requote: RequotePlan | None = None

    def next_step(self, top: BookTop, now_s: float) -> Replace | NextStep:
        """Return the cancel-replace to send for these best prices, or else the other step that is due."""
        if now_s >= self.due_s or not self.limits.contain(float(top.bid), float(top.ask)):
            return NextStep.TICK
        return NextStep.NOTHING if self.requote is None else self.requote.next_step(top, now_s)
