"""Account events into the snapshots, and execution reports to whoever keeps the orders.

While events are held, they wait in order: after a reconnect the account is queried first and the buffer
released then. Each execution is passed on once.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from trailingedge.clock import Clock
from trailingedge.errors import SessionLost
from trailingedge.market import ExecutionReport, ExecutionType
from trailingedge.snapshots import Snapshots
from trailingedge.websocket.messages import (
    AccountEvent,
    AccountPosition,
    BalanceUpdate,
    ExternalLockUpdate,
    ServerShutdown,
    StreamTerminated,
    Unrecognized,
)

logger = logging.getLogger(__name__)

_REMEMBERED: Final = 10_000


class AccountStream:
    """What the user data stream tells. `on_report` hears each execution of the symbol once, all orders alike."""

    def __init__(
        self,
        symbol: str,
        snapshots: Snapshots,
        clock: Clock,
        *,
        on_report: Callable[[ExecutionReport], None],
        on_outside_change: Callable[[BalanceUpdate | ExternalLockUpdate], None] = lambda _: None,
    ) -> None:
        self._symbol = symbol
        self._snapshots = snapshots
        self._clock = clock
        self._on_report = on_report
        self._on_outside_change = on_outside_change
        self._executions = _Memory(_REMEMBERED)
        self._trades = _Memory(_REMEMBERED)
        self._held: list[AccountEvent] | None = None

    def hold(self) -> None:
        """Keep what comes from now on until `release`; what an earlier connection left held is dropped."""
        self._held = []

    def release(self) -> None:
        """Pass on what was held, in order."""
        held, self._held = self._held or [], None
        for event in held:
            self._pass_on(event)

    def hear(self, event: AccountEvent) -> None:
        """An event of the account. Raises SessionLost when the stream ends."""
        if isinstance(event, StreamTerminated):
            raise SessionLost("the user data stream was terminated")
        if self._held is None:
            self._pass_on(event)
        else:
            self._held.append(event)

    def _pass_on(self, event: AccountEvent) -> None:
        match event:
            case ExecutionReport():
                self._snapshots.hear_time(event.event_ms, self._clock.now_s())
                self._hear_report(event)
            case AccountPosition():
                self._snapshots.hear_time(event.account_ms, self._clock.now_s())
                self._snapshots.hear_balances(event.balances, event.account_ms)
            case BalanceUpdate() | ExternalLockUpdate():
                self._snapshots.hear_time(event.event_ms, self._clock.now_s())
                self._on_outside_change(event)
            case Unrecognized():
                logger.debug("! account event ignored kind=%s", event.kind)
            case StreamTerminated() | ServerShutdown():
                pass  # these end the connection and are answered before they get here

    def _hear_report(self, report: ExecutionReport) -> None:
        if report.symbol != self._symbol:
            return
        # A refused order is reported without an execution id.
        if report.execution_id >= 0 and not self._executions.note(report.execution_id):
            return
        if report.execution_type is ExecutionType.TRADE and not self._trades.note(report.trade_id):
            return
        self._on_report(report)


class _Memory:
    """The last so many numbers."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._numbers: OrderedDict[int, None] = OrderedDict()

    def note(self, number: int) -> bool:
        """Remember `number`; False when it was remembered already."""
        if number in self._numbers:
            return False
        self._numbers[number] = None
        if len(self._numbers) > self._length:
            self._numbers.popitem(last=False)
        return True
