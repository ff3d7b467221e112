"""Off-market orders: probe orders, which are post-only, far from the market, cancelled at once, and not meant to fill.

Each probe order is noted before it is sent. So after any interruption we know which ones may still be on the book, and
cancel these and no other order.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Final, Protocol

from trailingedge.core.clock import Clock
from trailingedge.core.errors import OutcomeUnknown, ProtocolViolation, RequestRefused
from trailingedge.model.market import Balance, BookTop, OrderRecord, Side, SymbolRules, round_to_passive_tick
from trailingedge.model.order_requests import NewOrderRequest

logger = logging.getLogger(__name__)

_DISTANCE_FRAC: Final = Decimal("0.10")
_MARGIN_FRAC: Final = Decimal(
    "0.01"
)  # the filter's reference price is an average, not our mid price: stay this far inside
_CANCEL_TIMEOUT_S: Final = 15.0
_UNKNOWN_ORDER: Final = -2011


class ProbeAccount(Protocol):
    """The account requests of a probe order. Each raises RequestRefused, OutcomeUnknown or SessionLost."""

    async def place(self, order: NewOrderRequest) -> OrderRecord: ...

    async def cancel_order(self, order_id: int | None, client_order_id: str = "") -> OrderRecord: ...


@dataclass(frozen=True, slots=True)
class ProbeOrder:
    """The smallest order that passes the exchange's filters, at a price far from the market."""

    side: Side
    price: Decimal
    quantity: Decimal


def probe_order(side: Side, top: BookTop, rules: SymbolRules) -> ProbeOrder:
    """Return a probe order: a BUY 10 % below the bid or a SELL 10 % above the ask.

    It is nearer to the market if the percent-price filter requires that. The price is rounded away
    from the market. The quantity is rounded up to the first step that passes the filters.
    """
    low, high = rules.percent_bounds(side, top.mid)
    if side is Side.BUY:
        price = round_to_passive_tick(
            max(top.bid * (1 - _DISTANCE_FRAC), low * (1 + _MARGIN_FRAC), rules.min_price), Side.BUY, rules.tick_size
        )
        # Rounding down may have left the filter's range; one tick up is inside it.
        if price < max(low, rules.min_price):
            price += rules.tick_size
    else:
        bounds = [top.ask * (1 + _DISTANCE_FRAC)]
        bounds += [] if high is None else [high * (1 - _MARGIN_FRAC)]
        bounds += [] if rules.max_price is None else [rules.max_price - rules.tick_size]
        price = round_to_passive_tick(min(bounds), Side.SELL, rules.tick_size)
    steps = (max(rules.min_quantity, rules.min_notional / price) / rules.step_size).to_integral_value(ROUND_CEILING)
    return ProbeOrder(side, price, max(steps, Decimal(1)) * rules.step_size)


def is_covered(order: ProbeOrder, balances: Iterable[Balance], rules: SymbolRules) -> bool:
    """Whether the free balances suffice for `order`; if not, the exchange would reject it."""
    selling = order.side is Side.SELL
    asset = rules.base_asset if selling else rules.quote_asset
    needed = order.quantity if selling else order.quantity * order.price
    return any(balance.asset == asset and balance.free >= needed for balance in balances)


@dataclass(slots=True)
class _Open:
    """A probe order that is, or might be, on the book.

    From `not_found_final_from_s` on, the answer "unknown order" means that it is gone.
    """

    order: ProbeOrder
    not_found_final_from_s: float


class ProbeOrders:
    """Places and cancels probe orders one at a time.

    `on_progress` is given "placed" or "cancelled", the client order id, and the order.
    `request_expires_s` is the recvWindow and a little more: a placement without a reply may still
    be executed for so long after it was sent.
    """

    def __init__(
        self,
        account: ProbeAccount,
        clock: Clock,
        on_progress: Callable[[str, str, ProbeOrder], None],
        request_expires_s: float = 6.0,
    ) -> None:
        self._account = account
        self._clock = clock
        self._on_progress = on_progress
        self._request_expires_s = request_expires_s
        self._open: dict[str, _Open] = {}

    @property
    def maybe_open(self) -> Mapping[str, ProbeOrder]:
        """The probe orders that may still be on the book, by client order id."""
        return {client_order_id: open_.order for client_order_id, open_ in self._open.items()}

    async def cancel_all(self) -> None:
        """Cancel the probe orders that may still be on the book. Raises SessionLost or OutcomeUnknown."""
        for client_order_id in list(self._open):
            await self._cancel(client_order_id)

    async def place_and_cancel(
        self, client_order_id: str, order: ProbeOrder, while_open: Callable[[], Awaitable[None]] | None = None
    ) -> RequestRefused | None:
        """Place `order`, await `while_open`, then cancel. Returns the rejection if the exchange rejected the order.

        Raises SessionLost, or OutcomeUnknown if the order may still be on the book after all attempts to cancel it.
        """
        sent_s = self._clock.now_s()
        # Noted before it is sent: if this task is cancelled at any await below, `maybe_open` still has it.
        self._open[client_order_id] = _Open(order, sent_s + self._request_expires_s)
        try:
            await self._account.place(NewOrderRequest(client_order_id, order.side, order.quantity, order.price))
        except RequestRefused as refused:
            del self._open[client_order_id]
            logger.debug(
                "probe order rejected side=%s client_order_id=%s: %s", order.side.value, client_order_id, refused
            )
            return refused
        except (OutcomeUnknown, ProtocolViolation):
            logger.warning(
                "probe order got no usable reply client_order_id=%s; cancelling it",
                client_order_id,
            )
        else:
            self._open[client_order_id].not_found_final_from_s = sent_s
        self._on_progress("placed", client_order_id, order)
        if while_open is not None:
            await while_open()
        await self._cancel(client_order_id)
        return None

    async def _cancel(self, client_order_id: str) -> None:
        """Cancel the probe order until the exchange says that it is gone.

        The answer "unknown order" must come twice, and after the time at which the placement can no
        longer be executed. Else it proves nothing.
        """
        probe = self._open[client_order_id]
        deadline_s = max(self._clock.now_s(), probe.not_found_final_from_s) + _CANCEL_TIMEOUT_S
        not_found, pause_s = 0, 0.25
        while not_found < 2:
            try:
                await self._account.cancel_order(None, client_order_id)
            except RequestRefused as refused:
                if refused.code == _UNKNOWN_ORDER and self._clock.now_s() >= probe.not_found_final_from_s:
                    not_found += 1
            except (OutcomeUnknown, ProtocolViolation):
                not_found = 0
            else:
                break
            if self._clock.now_s() >= deadline_s:
                raise OutcomeUnknown(f"the order {client_order_id} could not be cancelled")
            await self._clock.sleep(pause_s)
            pause_s = min(1.0, 2 * pause_s)
        del self._open[client_order_id]
        self._on_progress("cancelled", client_order_id, probe.order)
