"""Writing an anchor down on the exchange, where there is no fill that would tell it after a restart.

A note is a deep order, placed and cancelled at once. Its id carries the anchor price, its side the regime:
it is the side that would leave it, of which there are the funds. It waits while an exit is in hand, and what
it says is what we remember when it is written, so that it is never out of date.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.core.errors import OutcomeUnknown, ProtocolViolation, SessionLost
from trailingedge.execution.probe_orders import ProbeAccount, ProbeOrder, ProbeOrders, probe_order
from trailingedge.model.client_order_ids import ClientOrderId
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import BookTop, Regime, Side, SymbolRules
from trailingedge.strategy.signals import Origin, RegimeSet

logger = logging.getLogger(__name__)

_RETRY_S: Final = 0.25
_MAX_LOCKED_S: Final = 1.5  # whatever becomes of a note, it keeps an exit waiting no longer
_PUSH_S: Final = 0.1  # the balances may be told a little later than the cancel is answered


@dataclass(frozen=True, slots=True)
class MarkerContext:
    """What a note is written from: where we are anchored, at which price, and what the market and its rules are.

    `spare` says whether an order can be set aside for a moment without leaving too little to trade.
    """

    regime: Regime
    anchor_price: float
    top: BookTop
    rules: SymbolRules
    number: int
    can_spare: Callable[[ProbeOrder], bool]


def marker_id(number: int, anchor_price: float, tick_size: Decimal) -> ClientOrderId:
    """The id that says it all; the price is rounded to the nearest tick."""
    return ClientOrderId(ExitKind.NOTE, number, ticks=max(1, round(anchor_price / float(tick_size))))


class AnchorMarkerWriter:
    """`hear` what the strategy tells and `run`; at most one note is waiting, and one is being written.

    `look` gives the scene, None while an exit is in hand or the exchange is out of reach. `refused` is told
    why a note could not be written, once for each; `over` is called when one has left the book.
    """

    def __init__(
        self,
        account: ProbeAccount,
        clock: Clock,
        look: Callable[[], MarkerContext | None],
        refused: Callable[[str], None],
        over: Callable[[], None] = lambda: None,
        request_expires_s: float = 6.0,
    ) -> None:
        self._clock = clock
        self._on_done = over
        self._locked_until_s = float("-inf")
        self._context = look
        self._on_rejected = refused
        self._orders = ProbeOrders(account, clock, self._log_progress, request_expires_s)
        self._requested = asyncio.Event()

    @property
    def maybe_open(self) -> Mapping[str, ProbeOrder]:
        """By client order id, notes that are not known to be gone from the book."""
        return self._orders.maybe_open

    @property
    def pending(self) -> bool:
        """A note is waiting, or may be on the book."""
        return self._requested.is_set() or bool(self._orders.maybe_open)

    def locks_funds(self, now_s: float) -> bool:
        """A note has something locked, so that the balances do not show what we hold. Never true for long."""
        return now_s < self._locked_until_s

    def on_event(self, event: object) -> None:
        """Of all that happens, a new anchor matters: one by our own fills needs no note, and undoes a waiting one."""
        if not isinstance(event, RegimeSet):
            return
        if event.origin is Origin.EXIT:
            self._requested.clear()
        else:
            self._requested.set()

    def request(self) -> None:
        """Write down where we are anchored as soon as it can be done."""
        self._requested.set()

    async def run(self) -> None:
        """Write what is wanted, for ever."""
        while True:
            if self._orders.maybe_open:
                await self._cancel_leftovers()
                continue
            await self._requested.wait()
            scene = self._context()
            if scene is None:
                await self._clock.sleep(_RETRY_S)
                continue
            self._requested.clear()
            await self._write(scene)

    async def _cancel_leftovers(self) -> None:
        """Cancel what an interruption may have left on the book, as soon as somebody listens."""
        try:
            await self._orders.cancel_all()
        except (SessionLost, OutcomeUnknown, ProtocolViolation) as trouble:
            logger.debug("! note not cancelled yet: %s", trouble)
            await self._clock.sleep(_RETRY_S)

    async def _write(self, scene: MarkerContext) -> None:
        order = probe_order(scene.regime.exit_side, scene.top, scene.rules)
        own = marker_id(scene.number, scene.anchor_price, scene.rules.tick_size)
        if not scene.can_spare(order):
            self._on_rejected("too little is held to set some aside")
            return
        self._locked_until_s = self._clock.now_s() + _MAX_LOCKED_S
        try:
            refused = await self._orders.place_and_cancel(str(own), order)
        except (SessionLost, OutcomeUnknown, ProtocolViolation) as trouble:
            logger.warning("note interrupted client_order_id=%s: %s; writing it again", own, trouble)
            self._requested.set()
            return
        if refused is not None:
            self._on_rejected(str(refused))
        self._locked_until_s = min(self._locked_until_s, self._clock.now_s() + _PUSH_S)
        await self._clock.sleep(_PUSH_S)
        self._on_done()

    def _log_progress(self, what: str, client_order_id: str, order: ProbeOrder) -> None:
        side: Side = order.side
        logger.debug("note %s side=%s price=%s client_order_id=%s", what, side.value, order.price, client_order_id)
