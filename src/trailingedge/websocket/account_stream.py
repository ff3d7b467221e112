"""Account events into the snapshots, and execution reports to whoever keeps the orders.

Each connection has an `EventBuffer` of its own. What it hears is held, in order, until the account has been
queried over that connection; then it is released. While one connection takes over from another
everything is heard twice: each execution is passed on once, and balances come from one ear alone.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.core.errors import SessionLost
from trailingedge.model.market import ExecutionReport, ExecutionType
from trailingedge.model.market_state import MarketState
from trailingedge.websocket.event_parser import (
    AccountEvent,
    AccountPosition,
    BalanceUpdate,
    ExternalLockUpdate,
    ServerShutdown,
    StreamTerminated,
    Unrecognized,
)

logger = logging.getLogger(__name__)

_MAX_REMEMBERED_IDS: Final = 10_000

OutsideChange = BalanceUpdate | ExternalLockUpdate


class AccountStream:
    """What the user data stream tells. `on_report` hears each execution of the symbol once, all orders alike.

    `on_outside_change` hears what else moves balances, each once.
    """

    def __init__(
        self,
        symbol: str,
        snapshots: MarketState,
        clock: Clock,
        *,
        on_report: Callable[[ExecutionReport], None],
        on_outside_change: Callable[[OutsideChange], None] = lambda _: None,
    ) -> None:
        self._symbol = symbol
        self._snapshots = snapshots
        self._clock = clock
        self._on_report = on_report
        self._on_outside_change = on_outside_change
        self._executions = _RecentIds(_MAX_REMEMBERED_IDS)
        self._trades = _RecentIds(_MAX_REMEMBERED_IDS)
        self._changes = _RecentIds(_MAX_REMEMBERED_IDS)
        self._balance_source: EventBuffer | None = None

    def open_buffer(self, on_end: Callable[[str], None]) -> "EventBuffer":
        """For a new connection. `on_end` is told when it will hear no more, though the connection lives on."""
        return EventBuffer(self._on_event, self._set_balance_source, on_end)

    def knows_trade(self, trade_id: int) -> bool:
        """That fill was passed on; one older than all that are remembered must have been."""
        oldest = self._trades.oldest
        return trade_id in self._trades or (isinstance(oldest, int) and trade_id < oldest)

    def on_recovered_fill(self, report: ExecutionReport) -> bool:
        """A fill that no event told; whether it is news."""
        if self.knows_trade(report.trade_id):
            return False
        self._on_report_once(report)
        return True

    def _set_balance_source(self, ear: "EventBuffer") -> None:
        self._balance_source = ear

    def _on_event(self, event: AccountEvent, ear: "EventBuffer") -> None:
        match event:
            case ExecutionReport():
                self._on_event_time(event.event_ms)
                self._on_report_once(event)
            case AccountPosition():
                believable = self._on_event_time(event.account_ms)
                if ear is self._balance_source and believable:
                    self._snapshots.on_balances(event.balances, event.account_ms)
                elif ear is self._balance_source:
                    self._snapshots.mark_balances_in_doubt()
            case BalanceUpdate() | ExternalLockUpdate():
                self._on_event_time(event.event_ms)
                if self._changes.add(event):
                    self._on_outside_change(event)
            case Unrecognized():
                logger.debug("! account event ignored kind=%s", event.kind)
            case StreamTerminated() | ServerShutdown():
                pass  # these are answered before they get here

    def _on_event_time(self, event_ms: int) -> bool:
        """Whether an event can be of that time. One from far ahead would age an exit by hours at once."""
        now_s = self._clock.now_s()
        believable = self._snapshots.is_plausible_time(event_ms, now_s)
        if believable:
            self._snapshots.on_event_time(event_ms, now_s)
        else:
            logger.warning("account event from far ahead is not believed event_ms=%d", event_ms)
        return believable

    def _on_report_once(self, report: ExecutionReport) -> None:
        if report.symbol != self._symbol:
            return
        # A refused order is reported without an execution id, a fill read from a list as well.
        if report.execution_id >= 0:
            execution = (report.order_id, report.execution_id, report.execution_type)
            if not self._executions.add(execution):
                return
        if report.execution_type is ExecutionType.TRADE and not self._trades.add(report.trade_id):
            return
        self._on_report(report)


class EventBuffer:
    """What one connection tells of the account: held until `release`, then passed on as it comes."""

    def __init__(
        self,
        pass_on: Callable[[AccountEvent, "EventBuffer"], None],
        come_first: Callable[["EventBuffer"], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._pass_on = pass_on
        self._come_first = come_first
        self._on_end = on_end
        self._held: list[AccountEvent] | None = []

    def on_event(self, event: AccountEvent) -> None:
        """An event of the account. Raises SessionLost where there is nothing to wait for any more."""
        if isinstance(event, StreamTerminated):
            if self._held is not None:
                raise SessionLost("the user data stream was terminated")
            self._on_end("the user data stream was terminated")
        elif self._held is None:
            self._pass_on(event, self)
        else:
            self._held.append(event)

    def has_trade(self, trade_id: int) -> bool:
        """That fill was told and waits for the release."""
        return any(isinstance(event, ExecutionReport) and event.trade_id == trade_id for event in self._held or [])

    def release(self, balances_ms: int = 0) -> None:
        """Pass on what was held, in order, but balances of before `balances_ms`: newer ones were read since.

        From now on this ear alone is believed about balances.
        """
        held, self._held = self._held or [], None
        self._come_first(self)
        for event in held:
            if not (isinstance(event, AccountPosition) and event.account_ms < balances_ms):
                self._pass_on(event, self)


class _RecentIds:
    """The last so many things."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._things: OrderedDict[Hashable, None] = OrderedDict()

    def __contains__(self, thing: Hashable) -> bool:
        return thing in self._things

    @property
    def oldest(self) -> Hashable:
        """The oldest thing remembered, once anything had to be forgotten; else None."""
        return next(iter(self._things)) if len(self._things) == self._length else None

    def add(self, thing: Hashable) -> bool:
        """Remember `thing`; False when it was remembered already."""
        if thing in self._things:
            return False
        self._things[thing] = None
        if len(self._things) > self._length:
            self._things.popitem(last=False)
        return True
