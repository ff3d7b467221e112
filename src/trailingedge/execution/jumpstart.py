"""Make the exchange tell us our balances before we trade.

A deep post-only order that cannot fill is placed and cancelled at once: placing moves funds from free to
locked, so the user data stream pushes the balances, which proves the whole way from order to event
before it matters. Exactly these orders are cancelled, and none is ever left behind.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Final, Protocol

from trailingedge.clock import Clock
from trailingedge.errors import OutcomeUnknown, ProtocolViolation, RequestRefused
from trailingedge.execution.ids import OwnId
from trailingedge.market import Balance, BookTop, OrderRecord, Side, SymbolRules, passive
from trailingedge.snapshots import Snapshots
from trailingedge.strategy.want import Kind
from trailingedge.websocket.messages import AccountPosition
from trailingedge.websocket.requests import NewOrder

logger = logging.getLogger(__name__)

_AWAY: Final = Decimal("0.10")
_INSIDE: Final = Decimal("0.01")  # our mid is not quite the exchange's reference price: stay this far inside
_PUSH_PATIENCE_S: Final = 2.0
_CANCEL_PATIENCE_S: Final = 15.0
_UNKNOWN_ORDER: Final = -2011


class Account(Protocol):
    """What a jumpstart needs of the account. Each raises RequestRefused, OutcomeUnknown or SessionLost."""

    async def place(self, order: NewOrder) -> OrderRecord: ...

    async def cancel_order(self, order_id: int | None, client_order_id: str = "") -> OrderRecord: ...

    async def balances(self) -> AccountPosition: ...


@dataclass(frozen=True, slots=True)
class DeepOrder:
    """An order far from the market: the smallest that passes the filters."""

    side: Side
    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class JumpstartResult:
    """`pushed`: the stream told both balances by itself. `differs`: asset, amount told, amount asked for."""

    pushed: bool
    differs: tuple[tuple[str, Decimal, Decimal], ...]


def deep_order(side: Side, top: BookTop, rules: SymbolRules) -> DeepOrder:
    """A BUY 10 % below the bid or a SELL 10 % above the ask, nearer where the percent-price filter is tighter.

    The price rounds away from the market, the quantity up to the first step that passes the filters.
    """
    low, high = rules.percent_bounds(side, top.mid)
    if side is Side.BUY:
        price = passive(max(top.bid * (1 - _AWAY), low * (1 + _INSIDE), rules.min_price), Side.BUY, rules.tick_size)
        if price < max(low, rules.min_price):
            price += rules.tick_size
    else:
        bounds = [top.ask * (1 + _AWAY)]
        bounds += [] if high is None else [high * (1 - _INSIDE)]
        bounds += [] if rules.max_price is None else [rules.max_price - rules.tick_size]
        price = passive(min(bounds), Side.SELL, rules.tick_size)
    steps = (max(rules.min_quantity, rules.min_notional / price) / rules.step_size).to_integral_value(ROUND_CEILING)
    return DeepOrder(side, price, max(steps, Decimal(1)) * rules.step_size)


@dataclass(slots=True)
class _Open:
    """A deep order that is, or might be, on the book. From `sure_from_s` on, "unknown order" means gone."""

    order: DeepOrder
    sure_from_s: float


class Jumpstart:
    """`run` it, once more after a lost connection: it remembers what it must still cancel.

    `told` is given a line of progress: ("placed" | "cancelled", client order id, order). An unanswered
    placement may still be carried out until `absent_after_s` have passed, which is its recvWindow and a bit.
    """

    def __init__(
        self,
        account: Account,
        snapshots: Snapshots,
        rules: SymbolRules,
        clock: Clock,
        told: Callable[[str, str, DeepOrder], None],
        absent_after_s: float = 6.0,
    ) -> None:
        self._account = account
        self._snapshots = snapshots
        self._rules = rules
        self._clock = clock
        self._told = told
        self._absent_after_s = absent_after_s
        self._open: dict[str, _Open] = {}

    @property
    def left(self) -> Mapping[str, DeepOrder]:
        """By client order id, the orders that are not known to be gone."""
        return {client_order_id: open_.order for client_order_id, open_ in self._open.items()}

    async def run(self, top: BookTop, number: int) -> JumpstartResult:
        """Fill the balances. Raises SessionLost, or OutcomeUnknown when an order's fate cannot be learned."""
        await self.withdraw()
        for offset, side in enumerate((Side.BUY, Side.SELL)):
            if await self._rested(deep_order(side, top, self._rules), number + offset) and self._known():
                break
        pushed = self._known()
        return JumpstartResult(pushed, await self._cross_check(pushed))

    async def withdraw(self) -> None:
        """Cancel what is left of an earlier run. Raises as `run` does."""
        for client_order_id in list(self._open):
            await self._cancel(client_order_id)

    async def _rested(self, order: DeepOrder, number: int) -> bool:
        """Place and cancel one deep order; False where the exchange refused it."""
        client_order_id = str(OwnId(Kind.JUMPSTART, number))
        sent_s = self._clock.now_s()
        # Noted before it is sent: whatever interrupts us, somebody knows what to look for.
        self._open[client_order_id] = _Open(order, sent_s + self._absent_after_s)
        try:
            await self._account.place(NewOrder(client_order_id, order.side, order.quantity, order.price))
        except RequestRefused as refused:
            del self._open[client_order_id]
            logger.info("jumpstart refused side=%s client_order_id=%s: %s", order.side.value, client_order_id, refused)
            return False
        except (OutcomeUnknown, ProtocolViolation):
            logger.warning("jumpstart unanswered client_order_id=%s: cancelling whatever it left", client_order_id)
        else:
            self._open[client_order_id].sure_from_s = sent_s
        self._told("placed", client_order_id, order)
        await self._wait(self._known)
        await self._cancel(client_order_id)
        return True

    async def _cancel(self, client_order_id: str) -> None:
        """Cancel until the exchange says that it is gone; "unknown order" counts twice, and only once it is sure."""
        left = self._open[client_order_id]
        give_up_s = max(self._clock.now_s(), left.sure_from_s) + _CANCEL_PATIENCE_S
        unknown, pause_s = 0, 0.25
        while unknown < 2:
            try:
                await self._account.cancel_order(None, client_order_id)
            except RequestRefused as refused:
                if refused.code == _UNKNOWN_ORDER and self._clock.now_s() >= left.sure_from_s:
                    unknown += 1
            except (OutcomeUnknown, ProtocolViolation):
                unknown = 0
            else:
                break
            if self._clock.now_s() >= give_up_s:
                raise OutcomeUnknown(f"the jumpstart order {client_order_id} could not be cancelled")
            await self._clock.sleep(pause_s)
            pause_s = min(1.0, 2 * pause_s)
        del self._open[client_order_id]
        self._told("cancelled", client_order_id, left.order)

    def _known(self) -> bool:
        balances = self._snapshots.balances
        return self._rules.base_asset in balances and self._rules.quote_asset in balances

    async def _cross_check(self, pushed: bool) -> tuple[tuple[str, Decimal, Decimal], ...]:
        """Ask for the balances; what differs from the pushed ones by more than a moment is named."""
        for _ in range(3):
            pushes = self._snapshots.pushes
            asked = await self._account.balances()
            wanted = {self._rules.base_asset, self._rules.quote_asset}
            found = {balance.asset: balance for balance in asked.balances if balance.asset in wanted}
            found |= {asset: Balance(asset, Decimal(0)) for asset in wanted - found.keys()}
            ours = self._snapshots.balances
            differs = tuple(
                (asset, ours[asset].total, found[asset].total)
                for asset in sorted(wanted)
                if pushed and asset in ours and ours[asset].total != found[asset].total
            )
            if not differs:
                break
            await self._clock.sleep(0.5)
        self._snapshots.hear_queried(found.values(), asked.account_ms, pushes, settled_ms=0)
        return differs

    async def _wait(self, true: Callable[[], bool]) -> None:
        deadline_s = self._clock.now_s() + _PUSH_PATIENCE_S
        while not true() and self._clock.now_s() < deadline_s:
            await self._clock.sleep(0.01)
