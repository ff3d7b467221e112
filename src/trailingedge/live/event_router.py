"""Event router: receives what the exchange, the order gateway and the market state report, and wakes the main loop.

Theory of operation. The node is built bottom-up, and what receives events must exist before what sends them, so
the router comes first. During the start no core exists yet; the router then only wakes the main loop, and reports
before that point reach the core through recovery instead. Once the exchange's rules are known, `attach` hands over
the services and the fast requoter, and from then on each event goes to the core's inbox.

Each event but a newer book makes the precomputed requote plan void before it wakes the main loop: the plan holds
only while nothing but the best price changes. A newer book goes to the fast requoter first, because the time from
that frame to our order is what the bot is measured by.
"""

import asyncio

from trailingedge.core.errors import BrokenInvariant
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.live.fast_requote import FastRequoter
from trailingedge.live.frame_dump import FrameDump
from trailingedge.live.node_components import NodeServices
from trailingedge.live.node_dependencies import Observer
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
        observer: Observer | None,
    ) -> None:
        self.services: NodeServices | None = None
        self._wake = wake
        self._budget = budget
        self._server_clock = server_clock
        self._frame_dump = frame_dump
        self._observer = observer
        self._requoter: FastRequoter | None = None

    def attach(self, services: NodeServices, requoter: FastRequoter) -> None:
        """Pass events to `services` and newer books to `requoter` from now on. Called once."""
        self.services = services
        self._requoter = requoter

    # The main loop ---------------------------------------------------------------------------

    def request_tick(self) -> None:
        """Something other than the best price has changed: the main loop has to decide again."""
        self.invalidate_plan()
        self._wake.set()

    def invalidate_plan(self) -> None:
        """Send no more requotes from the market callback until the next tick."""
        if self.services is not None and self._requoter is not None:
            self._requoter.invalidate()
            self.services.core.invalidate_plan()

    def halt(self, broken: BrokenInvariant) -> None:
        """Halt trading because of a mistake of ours, and save the frames that led to it."""
        if self.services is not None and self.services.halt(str(broken)):
            self.request_tick()
            self._frame_dump.request()

    # The market ------------------------------------------------------------------------------

    def on_book(self, top: BookTop, now_s: float) -> None:
        """A newer book: send the prepared requote first, then let the main loop follow."""
        if self._requoter is not None and self.services is not None:
            try:
                self._requoter.on_book(self.services.core, top, now_s)
            except BrokenInvariant as broken:
                self.halt(broken)
        self._wake.set()

    # The account -----------------------------------------------------------------------------

    def deliver(self, incoming: OrderInput) -> None:
        """A reply to an order request, or the state of our orders after a reconnect."""
        if self.services is not None:
            self.services.core.inbox.append(incoming)
            self.request_tick()

    def on_report(self, report: ExecutionReport) -> None:
        """An execution report, ours or another's."""
        if self.services is not None:
            # The observer first: a recorder writes the report down before anything that follows from it.
            if self._observer is not None:
                self._observer.on_report(report)
            self.services.on_report(report)
            self.request_tick()

    def on_limits(self, limits: tuple[RateLimit, ...]) -> None:
        """The exchange reports how much of its rate limits is used."""
        # The order rate may no longer allow what the plan would send.
        self.invalidate_plan()
        self._budget.update_limits(limits, self._server_clock.now_ms())

    def on_reconnected(self, open_orders: tuple[OrderRecord, ...]) -> None:
        """Logged on again after a loss. No reply to a request of the old connection will arrive."""
        if self.services is not None:
            self.services.requery_orders()
            # Behind the reports that the catch-up has just delivered, so that the core compares its newest state.
            self.deliver(Reconciled(open_orders))

    def on_account_lost(self, _reason: str) -> None:
        """The account's connection is lost, and with it the replies that were due."""
        if self.services is not None:
            self.services.requery_orders()

    def on_outside_change(self, change: OutsideChange) -> None:
        """A deposit, a withdrawal or a lock changed the balances. They are legitimate, so the audit has to know."""
        if self.services is None:
            return
        audit = self.services.core.risk.audit
        if isinstance(change, BalanceUpdate):
            audit.on_transfer(change.asset, change.delta)
        else:
            audit.accept_change(change.asset)

    def exit_is_open(self) -> bool:
        """Whether an exit of ours is in progress."""
        return self.services is not None and self.services.core.state.exit is not None

    async def read_balances(self, account: AccountSession) -> None:
        """Read the balances over `account`. During the start the start reads them itself."""
        if self.services is not None:
            await self.services.read_balances(account)
