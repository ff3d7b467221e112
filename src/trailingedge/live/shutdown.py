"""The end of a session: what is ours leaves the book, or a person is told what does not."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from trailingedge.core.clock import Clock, within
from trailingedge.core.errors import BrokenInvariant, OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost
from trailingedge.execution.anchor_marker import AnchorMarkerWriter
from trailingedge.execution.gateway import Gateway
from trailingedge.execution.order import Order
from trailingedge.live.exchange_client import ExchangeClient
from trailingedge.live.node_services import NodeServices
from trailingedge.live.startup import Startup
from trailingedge.model.market import ZERO, OrderRecord, Side
from trailingedge.notifications import messages, order_messages
from trailingedge.notifications.alerts import Alerts
from trailingedge.reconciliation.recovery import cancel_leftovers
from trailingedge.risk.duplicate_instance import UnexpectedOrderAction

logger = logging.getLogger(__name__)

# The whole end, with logging out and closing the sockets, is to take less than five seconds.
_WOUND_DOWN_WITHIN_S: Final = 1.3
_SWEPT_WITHIN_S: Final = 1.3
_NOTE_OVER_WITHIN_S: Final = 0.7
_GLANCE_S: Final = 0.1
_SHORT_GLANCE_S: Final = 0.02

_NOT_CONFIRMED: Final = (
    TimeoutError,
    SessionLost,
    OutcomeUnknown,
    RequestRefused,
    ProtocolViolation,
    BrokenInvariant,
)


class Shutdown:
    """Withdraws what the desk or a start that was broken off has on the book; with `leave`, only names it."""

    def __init__(
        self,
        wire: ExchangeClient,
        gateway: Gateway,
        notes: AnchorMarkerWriter,
        clock: Clock,
        alerts: Alerts,
        wake: asyncio.Event,
        *,
        leave: bool,
        request_expires_s: float,
    ) -> None:
        self._wire = wire
        self._gateway = gateway
        self._notes = notes
        self._clock = clock
        self._alerts = alerts
        self._wake = wake
        self._leave = leave
        self._request_expires_s = request_expires_s

    async def withdraw(self, desk: NodeServices | None, steps: Startup | None, *, stopped: bool = False) -> bool:
        """Whether nothing of ours is on the book that should not be. What may be is named. Never raises our errors.

        `stopped` by the operator, so that what an earlier session has left, which nobody has seen to yet, goes as well.
        """
        self._wire.api.retry_quickly()
        leftovers = steps is not None and (steps.clearing or (stopped and steps.unrecovered))
        withdrawn = await self._withdraw_orders(desk, steps, leftovers=leftovers)
        with contextlib.suppress(TimeoutError):
            async with within(self._clock, _NOTE_OVER_WITHIN_S):
                while self._notes.maybe_open:  # whoever writes it cancels it, too
                    await self._clock.sleep(_SHORT_GLANCE_S)
        if desk is not None:
            for own, order in self._notes.maybe_open.items():
                text = messages.order_left(desk.rules, order.side, order.quantity, order.price, own)
                self._alerts.send(text, logging.ERROR)
        return withdrawn and not self._notes.maybe_open

    async def _withdraw_orders(self, desk: NodeServices | None, steps: Startup | None, *, leftovers: bool) -> bool:
        try:
            if steps is not None and steps.left:
                async with within(self._clock, _SWEPT_WITHIN_S):
                    await self._insist(steps.withdraw)
            if leftovers and not self._leave:
                async with within(self._clock, _SWEPT_WITHIN_S):
                    await self._insist(lambda: cancel_leftovers(self._wire.account, self._clock, lambda _: None))
            if desk is not None and self._leave:
                self.name_orders(desk, steps, logging.WARNING)
            elif desk is not None:
                await self._withdraw(desk)
        except _NOT_CONFIRMED as trouble:
            logger.warning("withdrawal not confirmed: %s", str(trouble) or "time is over")
            self.name_orders(desk, steps, logging.ERROR)
            if leftovers:
                self._alerts.send(messages.leftovers_unclear(), logging.ERROR)
            return False
        return True

    def name_orders(self, desk: NodeServices | None, steps: Startup | None, level: int) -> None:
        """Say which orders of ours are, or may be, on the book, so that a person can look after them."""
        if desk is None:
            return
        begun = {} if steps is None else steps.left
        left = [(own, deep.side, deep.quantity, deep.price) for own, deep in begun.items()]
        alive = desk.core.maker_exit.alive
        left += [(order.client_order_id, order.side, order.remaining, order.price or ZERO) for order in alive]
        for own, side, remaining, price in left:
            self._alerts.send(messages.order_left(desk.rules, side, remaining, price, own), level)

    async def _withdraw(self, desk: NodeServices) -> None:
        """By the chase, which knows its order; else by the list of open orders, which shows ours by their ids.

        Raises what tells that it is not confirmed.
        """
        try:
            async with within(self._clock, _WOUND_DOWN_WITHIN_S):
                await self._wind_down(desk)
            return
        except (TimeoutError, BrokenInvariant) as trouble:
            logger.warning("withdrawal takes long: %s", str(trouble) or "nobody has confirmed it yet")
        swept: list[OrderRecord] = []
        async with within(self._clock, _SWEPT_WITHIN_S):
            await self._insist(lambda: self._sweep(desk, swept))

    async def _insist(self, withdraw: Callable[[], Awaitable[object]]) -> None:
        """On one connection after the other, until it is done or there is no time left."""
        while True:
            await self._wire.api.wait_ready()
            try:
                await withdraw()
            except SessionLost as lost:
                logger.warning("withdrawal begins anew: %s", lost)
                await self._clock.sleep(_SHORT_GLANCE_S)
            else:
                return

    async def _sweep(self, desk: NodeServices, swept: list[OrderRecord]) -> None:
        """Cancel whatever of ours is open, adding it to `swept`, and see what has become of the chase's own."""

        def told(gone: OrderRecord) -> None:
            swept.append(gone)
            side, own = gone.side or Side.SELL, gone.client_order_id
            logger.info("%s", order_messages.order_cancelled(desk.rules, side, gone.remaining, gone.price, own))

        await cancel_leftovers(self._wire.account, self._clock, told, _of_another_instance(desk))
        for order in desk.core.maker_exit.alive:
            if not (_is_among(order, swept) or await self._is_over(order)):
                raise OutcomeUnknown(f"{order.client_order_id} may be on the book, or still reach it")

    async def _is_over(self, order: Order) -> bool:
        """Whether it is off the book for good. The list of open orders, in which it was not, may lag behind."""
        if order.order_id is None:
            return self._clock.now_s() - order.sent_s >= self._request_expires_s
        told = await self._wire.account.order_status(order.order_id)
        return told.status is not None and told.status.final

    async def _wind_down(self, desk: NodeServices) -> None:
        """Beats that only withdraw, until nothing of the exit is on the book, in flight or in doubt."""
        while not desk.core.maker_exit.idle:
            view = self._wire.market_state.view(self._clock.now_s())
            for command in desk.core.shutdown_tick(view, self._wire.server_clock.now_ms()):
                self._gateway.send(command)
            desk.publish_events()
            if not desk.core.maker_exit.idle:
                with contextlib.suppress(TimeoutError):
                    async with within(self._clock, _GLANCE_S):
                        await self._wake.wait()
                self._wake.clear()


def _of_another_instance(desk: NodeServices) -> Callable[[OrderRecord], bool]:
    """Which orders bear our name and are not ours to cancel."""
    return lambda told: desk.core.risk.instance_check.classify(told, busy=False) is UnexpectedOrderAction.STOP


def _is_among(order: Order, swept: Iterable[OrderRecord]) -> bool:
    """Whether it was cancelled in the sweep; one of which no order id was ever told by its name."""
    if order.order_id is not None:
        return any(record.order_id == order.order_id for record in swept)
    return any(record.client_order_id == order.client_order_id for record in swept)
