"""Event router: receives the events of the exchange, the order gateway and the market state, and wakes the main loop.

Theory of operation. The node is built bottom-up. A receiver of events must exist before their senders, so the router is
built first. The core is built only during the start, once the exchange's rules are known; until then the router only
wakes the main loop, and recovery later gives the core the state that results from the events before. `attach` gives the
router the services, which include the core. From then on the router passes order and account events to the core's
inbox.

Every event except newer best prices makes the core's plan void before it wakes the main loop, because the plan holds
only while nothing but the best prices changes. From `follow_prices` on, newer prices do not wake the main loop: they go
to the trading node at once, because the time from their frame to our order must be as short as possible.
"""

import asyncio
from collections.abc import Callable

from trailingedge.core.errors import BrokenInvariant
from trailingedge.execution.order_rate_budget import ORDERS, OrderRateBudget
from trailingedge.live.frame_dump import FrameDump
from trailingedge.live.node_components import NodeServices
from trailingedge.model.market import BookTop, ExecutionReport, OrderRecord, RateLimit
from trailingedge.model.order_commands import OrderInput, Reconciled
from trailingedge.websocket.account import AccountSession, ServerClock
from trailingedge.websocket.account_stream import OutsideChange
from trailingedge.websocket.event_parser import BalanceUpdate


class EventRouter:
    """Passes events to the services once they are attached, and sets `wake` for the main loop."""

    def __init__(
        self,
        wake: asyncio.Event,
        budget: OrderRateBudget,
        server_clock: ServerClock,
        frame_dump: FrameDump,
    ) -> None:
        self.services: NodeServices | None = None
        self._wake = wake
        self._budget = budget
        self._server_clock = server_clock
        self._frame_dump = frame_dump
        self._on_prices: Callable[[BookTop, float], None] | None = None

    def attach(self, services: NodeServices) -> None:
        """Pass events to `services` from now on. Called once."""
        self.services = services

    def follow_prices(self, on_prices: Callable[[BookTop, float], None] | None) -> None:
        """Call `on_prices` for newer best prices from now on.

        If `on_prices` is None, newer best prices wake the main loop instead, as they do during the start.
        """
        self._on_prices = on_prices

    # The main loop ---------------------------------------------------------------------------

    def request_tick(self) -> None:
        """Make the plan void and wake the main loop. Called after every change except one of the best prices."""
        self.invalidate_plan()
        self._wake.set()

    def invalidate_plan(self) -> None:
        """Make the core's plan void, so that the next prices cause a tick."""
        if self.services is not None:
            self.services.core.invalidate_plan()

    def halt(self, broken: BrokenInvariant) -> None:
        """Halt trading because of a bug in this program, and save the frames that led to it."""
        if self.services is not None and self.services.halt(str(broken)):
            self.request_tick()
            self._frame_dump.request()

    # The market ------------------------------------------------------------------------------

    def on_book(self, top: BookTop, now_s: float) -> None:
        """Handle newer best prices."""
        if self._on_prices is None:
            self._wake.set()
        else:
            self._on_prices(top, now_s)

    # The account -----------------------------------------------------------------------------

    def deliver(self, incoming: OrderInput) -> None:
        """Queue `incoming` for the core: a reply to an order request, or all open orders after a reconnect."""
        if self.services is not None:
            self.services.core.deliver(incoming)
            self.request_tick()

    def on_report(self, report: ExecutionReport) -> None:
        """Pass on an execution report, for an order of ours or of another client."""
        if self.services is not None:
            self.services.on_report(report)
            self.request_tick()

    def on_limits(self, limits: tuple[RateLimit, ...]) -> None:
        """Give the order budget the exchange's rate limits, with how much of each is used."""
        # Most replies report only the weight of the requests, which is no concern of the core.
        counted = tuple(limit for limit in limits if limit.kind == ORDERS)
        if not counted:
            return
        # The order rate may no longer allow the requote that the plan would send.
        self.invalidate_plan()
        server_ms = self._server_clock.now_ms()
        if self.services is None:
            self._budget.update_limits(counted, server_ms)
        else:
            self.services.core.update_limits(counted, server_ms)

    def on_reconnected(self, open_orders: tuple[OrderRecord, ...]) -> None:
        """After a new logon, mark our orders to be queried again, and pass `open_orders` to the core.

        The query is needed because replies to requests over the old connection cannot arrive any more.
        """
        if self.services is not None:
            self.services.requery_orders()
            # Queued after the reports that the catch-up has just delivered: the core compares its newest state.
            self.deliver(Reconciled(open_orders))

    def on_account_lost(self, _reason: str) -> None:
        """Mark our orders to be queried again: the account connection is lost, and with it the replies that are due."""
        if self.services is not None:
            self.services.requery_orders()

    def on_outside_change(self, change: OutsideChange) -> None:
        """Pass on a change of the account from outside this program: a deposit, a withdrawal or a lock."""
        if self.services is None:
            return
        if isinstance(change, BalanceUpdate):
            self.services.on_transfer(change.asset, change.delta)
        else:
            self.services.core.accept_change(change.asset)

    def exit_is_open(self) -> bool:
        """Whether an exit of ours is in progress."""
        return self.services is not None and self.services.core.state.exit is not None

    async def read_balances(self, account: AccountSession) -> None:
        """Read the balances over `account`. Does nothing before the services are attached."""
        if self.services is not None:
            await self.services.read_balances(account)
