"""Anchor markers store the anchor on the exchange, for a restart that finds no fill of ours to derive the anchor from.

A marker is a probe order: it is placed far from the market and cancelled at once. Its client order id carries the
anchor price. Its side shows the regime: SELL while we hold base, BUY while we hold quote. That is the side for which we
have funds. No marker is written while an exit is in progress. A marker that had to wait is built from the state at the
time when it is sent, so it is never out of date.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.core.errors import OutcomeUnknown, ProtocolViolation, SessionLost
from trailingedge.execution.off_market_orders import ProbeAccount, ProbeOrder, ProbeOrders, probe_order
from trailingedge.model.client_order_ids import ClientOrderId
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import BookTop, Regime, Side, SymbolRules
from trailingedge.strategy.strategy_events import RegimeSet

logger = logging.getLogger(__name__)

_RETRY_S: Final = 0.25
_MAX_LOCKED_S: Final = 1.5  # a marker keeps an exit waiting no longer than this
_PUSH_S: Final = 0.1  # the push of the balances may come a little later than the reply to the cancel


@dataclass(frozen=True, slots=True)
class MarkerContext:
    """The state from which a marker order is built: regime, anchor price, market and rules.

    `can_spare` returns whether the funds that remain are enough to trade while a given order locks its part.
    """

    regime: Regime
    anchor_price: float
    top: BookTop
    rules: SymbolRules
    number: int
    can_spare: Callable[[ProbeOrder], bool]


def marker_id(number: int, anchor_price: float, tick_size: Decimal) -> ClientOrderId:
    """Return the client order id of a marker order. It contains the anchor price, rounded to the nearest tick."""
    return ClientOrderId(ExitKind.NOTE, number, ticks=max(1, round(anchor_price / float(tick_size))))


class AnchorMarkerWriter:
    """Places and cancels marker orders, one at a time. At most one further request waits.

    `get_context` returns None while an exit is in progress or the exchange is out of reach. `on_rejected` gets the
    reason why a marker could not be placed. `on_done` is called when a marker has left the book. `lock_balances` is
    called with a time in monotonic seconds: until then a marker may lock funds, so the free balances may be smaller
    than our holdings.
    """

    def __init__(
        self,
        account: ProbeAccount,
        clock: Clock,
        get_context: Callable[[], MarkerContext | None],
        on_rejected: Callable[[str], None],
        on_done: Callable[[], None] = lambda: None,
        request_expires_s: float = 6.0,
        lock_balances: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._on_done = on_done
        self._lock_balances = lock_balances
        self._locked_until_s = float("-inf")
        self._context = get_context
        self._on_rejected = on_rejected
        self._orders = ProbeOrders(account, clock, self._log_progress, request_expires_s)
        self._requested = asyncio.Event()

    @property
    def maybe_open(self) -> Mapping[str, ProbeOrder]:
        """The marker orders that may still be on the book, by client order id."""
        return self._orders.maybe_open

    @property
    def pending(self) -> bool:
        """Whether a marker order waits to be placed, or one may still be on the book."""
        return self._requested.is_set() or bool(self._orders.maybe_open)

    def on_event(self, event: object) -> None:
        """Request a marker order for a new anchor. No marker is needed if our own fills prove the anchor."""
        if not isinstance(event, RegimeSet):
            return
        # The fills of an exit are on record for good, so they prove the anchor by themselves. Any other change (first
        # start, a trade by hand, a deposit) leaves no order of ours behind.
        if event.origin.is_on_record:
            self._requested.clear()
        else:
            self._requested.set()

    def request(self) -> None:
        """Request a marker order for the current anchor. `run` places it as soon as possible."""
        self._requested.set()

    async def run(self) -> None:
        """Place and cancel each requested marker order, until this task is cancelled."""
        while True:
            if self._orders.maybe_open:
                await self._cancel_leftovers()
                continue
            await self._requested.wait()
            context = self._context()
            if context is None:
                await self._clock.sleep(_RETRY_S)
                continue
            self._requested.clear()
            await self._write(context)

    async def _cancel_leftovers(self) -> None:
        """Try once to cancel marker orders that an interruption left on the book.

        If that fails, wait a moment before returning.
        """
        try:
            await self._orders.cancel_all()
        except (SessionLost, OutcomeUnknown, ProtocolViolation) as failure:
            logger.debug("! anchor marker could not be cancelled yet, trying again: %s", failure)
            await self._clock.sleep(_RETRY_S)

    async def _write(self, context: MarkerContext) -> None:
        order = probe_order(context.regime.exit_side, context.top, context.rules)
        client_order_id = marker_id(context.number, context.anchor_price, context.rules.tick_size)
        # While the marker rests, its part of the balance is locked. If the rest were below the
        # minimum, the strategy would see an untradable side and change it.
        if not context.can_spare(order):
            self._on_rejected("the balance is too small to lock a part of it for the marker")
            return
        self._lock_until(self._clock.now_s() + _MAX_LOCKED_S)
        try:
            on_rejected = await self._orders.place_and_cancel(str(client_order_id), order)
        except (SessionLost, OutcomeUnknown, ProtocolViolation) as failure:
            logger.warning(
                "anchor marker not completed client_order_id=%s reason=%s; writing a new one",
                client_order_id,
                failure,
            )
            self._requested.set()
            return
        if on_rejected is not None:
            self._on_rejected(str(on_rejected))
        # The cancel freed the funds, but the push that says so may still be on its way. Until then the balances must
        # not be read as final.
        self._lock_until(min(self._locked_until_s, self._clock.now_s() + _PUSH_S))
        await self._clock.sleep(_PUSH_S)
        self._on_done()

    def _lock_until(self, until_s: float) -> None:
        self._locked_until_s = until_s
        self._lock_balances(until_s)

    def _log_progress(self, what: str, client_order_id: str, order: ProbeOrder) -> None:
        side: Side = order.side
        logger.debug(
            "anchor marker %s side=%s price=%s client_order_id=%s", what, side.value, order.price, client_order_id
        )
