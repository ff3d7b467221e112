"""Graceful shutdown: cancels our open order, or reports the order that could not be cancelled.

Theory of operation. `MakerExit` knows its order and the requests in flight, so the shutdown first runs ticks that only
cancel. If these do not finish in time, it goes through the exchange's list of open orders (the sweep): it cancels every
listed order that has one of our client order ids, and queries each order of ours that the list lacks, because the list
may lag behind the book. An alert names each order whose state is still unknown after that, so that a person can check
it. An order that the sweep has cancelled is not named, even if the sweep failed at another order.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Final

from trailingedge.core.clock import Clock, within
from trailingedge.core.errors import BrokenInvariant, OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost
from trailingedge.execution.gateway import Gateway
from trailingedge.execution.order import Order
from trailingedge.live.exchange_client import ExchangeClient
from trailingedge.live.node_components import NodeServices
from trailingedge.live.startup import Startup
from trailingedge.live.wake_up import wait_for_wake
from trailingedge.model.market import ZERO, OrderRecord, Side
from trailingedge.notifications import event_messages, order_messages
from trailingedge.notifications.alert_sinks import Alerts
from trailingedge.reconciliation.recovery import cancel_leftovers
from trailingedge.risk.duplicate_instance import UnexpectedOrderAction

logger = logging.getLogger(__name__)

# The whole shutdown, logout and closing of the sockets included, is to take less than five seconds: a service
# manager or a closing terminal may not wait much longer.
# All cancels share these seconds; the others are for the logout (0.4 s), the sockets (0.5 s) and the last alerts (1 s).
_CANCEL_WITHIN_S: Final = 3.0
_TICKS_WITHIN_S: Final = 1.3  # while the account is connected
_SILENT_AFTER_S: Final = 1.0  # a connection without a single frame for so long after our request is replaced
_REPLACE_WITHIN_S: Final = 1.2
_POLL_S: Final = 0.1
_SHORT_POLL_S: Final = 0.02
_RETRY_S: Final = 0.2

_NOT_CONFIRMED: Final = (
    TimeoutError,
    SessionLost,
    OutcomeUnknown,
    RequestRefused,
    ProtocolViolation,
    BrokenInvariant,
)


class Shutdown:
    """Cancels the orders of a node, or only reports them if `leave` is set."""

    def __init__(
        self,
        client: ExchangeClient,
        gateway: Gateway,
        startup: Startup,
        clock: Clock,
        alerts: Alerts,
        wake: asyncio.Event,
        *,
        leave: bool,
        request_expires_s: float,
    ) -> None:
        self._client = client
        self._gateway = gateway
        self._startup = startup
        self._clock = clock
        self._alerts = alerts
        self._wake = wake
        self._leave = leave
        self._request_expires_s = request_expires_s
        self._deadline_s = float("inf")
        self._swept: list[OrderRecord] = []  # cancelled by the sweep

    async def cancel_orders(self, services: NodeServices | None, *, stopped: bool = False) -> bool:
        """Cancel our orders. Returns False if one may still be on the book; raises no TrailingEdgeError.

        `services` is None if the start had not built them yet. `stopped`: the operator ended the session. Orders of an
        earlier session are then cancelled too, even if recovery has not handled them yet.
        """
        self._client.api.retry_quickly()  # a reconnect must not wait out its backoff now
        self._deadline_s = self._clock.now_s() + _CANCEL_WITHIN_S
        # A start that fails by itself leaves orders that recovery has not judged: the next start can adopt them.
        leftovers = self._startup.recovering or (stopped and self._startup.recovery_due)
        cancelled = await self._cancel_all(services, leftovers=leftovers)
        if services is None:
            return cancelled
        markers = services.anchor_markers
        with contextlib.suppress(TimeoutError):
            async with self._until_deadline():
                while markers.maybe_open:  # the marker writer cancels its order itself
                    await self._clock.sleep(_SHORT_POLL_S)
        for client_order_id, order in markers.maybe_open.items():
            text = event_messages.order_left(services.rules, order.side, order.quantity, order.price, client_order_id)
            self._alerts.send(text, logging.ERROR)
        return cancelled and not markers.maybe_open

    async def _cancel_all(self, services: NodeServices | None, *, leftovers: bool) -> bool:
        try:
            if self._startup.left:
                async with self._until_deadline():
                    await self._until_done(self._startup.cancel_left)
            if leftovers and not self._leave:
                async with self._until_deadline():
                    await self._until_done(lambda: cancel_leftovers(self._client.account, self._clock, lambda _: None))
            if services is not None and self._leave:
                self.name_orders(services, logging.WARNING)
            elif services is not None:
                await self._cancel_exit(services)
        except _NOT_CONFIRMED as error:
            logger.warning(
                "shutdown: cancel not confirmed, an order may still be on the book reason=%s",
                str(error) or "timeout",
            )
            self.name_orders(services, logging.ERROR)
            if leftovers:
                self._alerts.send(event_messages.leftovers_unclear(), logging.ERROR)
            return False
        return True

    def name_orders(self, services: NodeServices | None, level: int) -> None:
        """Send an alert for each order of ours that is or may be on the book."""
        if services is None:
            return
        left = [(own, probe.side, probe.quantity, probe.price) for own, probe in self._startup.left.items()]
        alive = [order for order in services.core.maker_exit.alive if not self._is_swept_at_its_price(order)]
        left += [(order.client_order_id, order.side, order.remaining, order.price or ZERO) for order in alive]
        for client_order_id, side, remaining, price in left:
            self._alerts.send(event_messages.order_left(services.rules, side, remaining, price, client_order_id), level)

    async def _cancel_exit(self, services: NodeServices) -> None:
        """Cancel the exit's order by ticks that only cancel; if that fails, cancel all our open orders.

        Raises an error unless the exchange has confirmed that no order of ours is left.
        """
        try:
            async with self._until_deadline():
                await self._tick_until_idle(services)
            return
        except (TimeoutError, BrokenInvariant) as error:
            logger.warning(
                "shutdown: order not cancelled yet, cancelling all our open orders reason=%s",
                str(error) or "not confirmed yet",
            )
        async with self._until_deadline():
            await self._replace_if_silent()
            await self._until_done(lambda: self._sweep(services))

    def _until_deadline(self) -> AbstractAsyncContextManager[None]:
        """Return a context manager that raises TimeoutError at the deadline that all cancels share."""
        return within(self._clock, max(0.0, self._deadline_s - self._clock.now_s()))

    def _is_silent(self) -> bool:
        """Whether the open connection has delivered no frame for a while: its socket may be dead."""
        session = self._client.api.active
        return session is not None and self._clock.now_s() - session.received_s >= _SILENT_AFTER_S

    async def _replace_if_silent(self) -> None:
        """If the connection may be dead, open another one. Return when that is active, or after a second."""
        session = self._client.api.active
        if session is None or not self._is_silent():
            return
        session.request_rotation("no reply during the shutdown")
        with contextlib.suppress(TimeoutError):
            async with within(self._clock, _REPLACE_WITHIN_S):
                while self._client.api.active is session:
                    await self._clock.sleep(_SHORT_POLL_S)

    async def _until_done(self, cancel: Callable[[], Awaitable[object]]) -> None:
        """Repeat `cancel` until it succeeds. After a lost connection, wait for the next. The caller limits the time."""
        reason = ""
        while True:
            await self._client.api.wait_ready()
            try:
                await cancel()
            except (SessionLost, OutcomeUnknown, RequestRefused) as failure:
                level = logging.DEBUG if str(failure) == reason else logging.WARNING
                reason = str(failure)
                logger.log(level, "shutdown: cancel not done yet, it is repeated reason=%s", reason)
                await self._clock.sleep(_RETRY_S)
            else:
                return

    async def _sweep(self, services: NodeServices) -> None:
        """Cancel every open order of ours, and note each as swept. Then check the exit's orders.

        Raises OutcomeUnknown if one of the exit's orders may still be on the book, or may still
        reach it.
        """

        def on_cancelled(gone: OrderRecord) -> None:
            self._swept.append(gone)
            side, own = gone.side or Side.SELL, gone.client_order_id
            logger.info("%s", order_messages.order_cancelled(services.rules, side, gone.remaining, gone.price, own))

        await cancel_leftovers(self._client.account, self._clock, on_cancelled, _of_another_instance(services))
        services.core.take_in(self._clock.now_s())  # replies that came after the last tick
        for order in services.core.maker_exit.alive:
            if not (_is_among(order, self._swept) or await self._is_final(order)):
                raise OutcomeUnknown(f"{order.client_order_id} may be on the book, or may still reach it")

    def _is_swept_at_its_price(self, order: Order) -> bool:
        """Whether the sweep has cancelled `order` itself, and not another order that has the same client order id.

        All orders of an exit have the same client order id. If the order id of `order` is not known, only its price
        tells it from the others.
        """
        return _is_among(order, [record for record in self._swept if record.price == order.price])

    async def _is_final(self, order: Order) -> bool:
        """Whether the exchange has said that `order` is off the book for good.

        Its absence from the list of open orders is no proof.
        """
        if order.order_id is None:  # no reply had its id, so it cannot be queried: wait out its recvWindow
            return self._clock.now_s() - order.sent_s >= self._request_expires_s
        record = await self._client.account.order_status(order.order_id)
        return record.status is not None and record.status.final

    async def _tick_until_idle(self, services: NodeServices) -> None:
        """Run ticks that only cancel, until no order of the exit is on the book, in flight or unknown."""
        core = services.core
        connected_s: float | None = None
        while not core.maker_exit.idle or core.state.exit is not None:
            view = self._client.market_state.view(self._clock.now_s())
            # Only the time with a connection counts: without one there is nothing to do but to wait for the next.
            if not view.account_proven:
                connected_s = None
            elif connected_s is None:
                connected_s = view.now_s
            elif view.now_s - connected_s >= (_SILENT_AFTER_S if self._is_silent() else _TICKS_WITHIN_S):
                raise TimeoutError
            for command in core.shutdown_tick(view, self._client.server_clock.now_ms()):
                self._gateway.send(command)
            services.publish_events()
            if not core.maker_exit.idle:
                with contextlib.suppress(TimeoutError):
                    async with within(self._clock, _POLL_S):
                        await wait_for_wake(self._wake)


def _of_another_instance(services: NodeServices) -> Callable[[OrderRecord], bool]:
    """Return a test whether an order has our client-order-id prefix but belongs to another instance.

    Such orders are not cancelled.
    """
    core = services.core

    def is_foreign(record: OrderRecord) -> bool:
        # Beside another instance with our exit's number only the order id tells its orders from ours.
        if core.risk.duplicate_instance is not None and not core.maker_exit.owns(record.order_id):
            return True
        return core.risk.instance_check.classify(record, busy=False) is UnexpectedOrderAction.STOP

    return is_foreign


def _is_among(order: Order, swept: Iterable[OrderRecord]) -> bool:
    """Whether `order` is among the cancelled orders `swept`. If it has no order id, compare client order ids."""
    if order.order_id is not None:
        return any(record.order_id == order.order_id for record in swept)
    return any(record.client_order_id == order.client_order_id for record in swept)
