"""Account stream: writes user data events into the MarketState and passes execution reports on.

Theory of operation. User data events come over the WebSocket API connection that subscribed to them, between the
replies ("Event format" in web-socket-api.md). The stream does not repeat events from times without a connection, so
after each logon except the first we query the account's open orders, balances and fills. Query results and events must
take effect in the right order, and an `EventBuffer` per connection ensures that:

1. The subscription is open before the queries are sent, and the buffer holds every event from then on. So no event
   is lost between subscription and query.
2. The results of the queries are applied: balances, open orders, fills that no event reported.
3. The buffer is released: the held events take effect in their order, except balances that are older than the queried
   ones. Later events take effect as they come.

During a rotation two connections deliver the same events. An execution is passed on once, identified by order id,
execution id and type; a fill that came from the trade list is identified by its trade id, since the list has no
execution ids. Balances are absolute amounts, and a connection that lags would overwrite newer
ones. So balances are taken only from the connection whose buffer was released last.

Each event time is checked before it sets the exchange's time: one event dated hours ahead would shift every deadline
that is measured by that time. The balances of such an event are not used; the known
balances are in doubt until a query.
"""

import logging
from collections.abc import Callable
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.core.errors import SessionLost
from trailingedge.core.recent_ids import RecentIds
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
    """Handles the user data stream of one account. `on_report` gets each execution of any order of the symbol once.

    `on_outside_change` gets each deposit, withdrawal and transfer once, and each lock by another product of the
    exchange.
    """

    def __init__(
        self,
        symbol: str,
        market_state: MarketState,
        clock: Clock,
        *,
        on_report: Callable[[ExecutionReport], None],
        on_outside_change: Callable[[OutsideChange], None] = lambda _: None,
    ) -> None:
        self._symbol = symbol
        self._market_state = market_state
        self._clock = clock
        self._on_report = on_report
        self._on_outside_change = on_outside_change
        self._executions = RecentIds(_MAX_REMEMBERED_IDS)
        self._trades = RecentIds(_MAX_REMEMBERED_IDS)
        self._changes = RecentIds(_MAX_REMEMBERED_IDS)
        self._balance_source: EventBuffer | None = None

    def open_buffer(self, on_end: Callable[[str], None]) -> "EventBuffer":
        """Return the event buffer of a new connection.

        `on_end` gets the reason when the stream ends although the connection stays open.
        """
        return EventBuffer(self._on_event, self._set_balance_source, on_end)

    def knows_trade(self, trade_id: int) -> bool:
        """Return whether the fill with this trade id was passed on.

        A fill older than all remembered trade ids counts as passed on.
        """
        oldest = self._trades.oldest
        return trade_id in self._trades or (isinstance(oldest, int) and trade_id < oldest)

    def on_recovered_fill(self, report: ExecutionReport) -> bool:
        """Pass on a fill that was read from the trade list.

        Returns False if the fill was passed on before, for example because its event came in the
        meantime.
        """
        if self.knows_trade(report.trade_id):
            return False
        self._on_report_once(report)
        return True

    def _set_balance_source(self, buffer: "EventBuffer") -> None:
        self._balance_source = buffer

    def _on_event(self, event: AccountEvent, buffer: "EventBuffer") -> None:
        match event:
            case ExecutionReport():
                self._on_event_time(event.event_ms)
                self._on_report_once(event)
            case AccountPosition():
                believable = self._on_event_time(event.account_ms)
                # An older connection's balances may be those from before the query of the newer one.
                if buffer is self._balance_source and believable:
                    self._market_state.on_balances(event.balances, event.account_ms)
                elif buffer is self._balance_source:
                    self._market_state.mark_balances_in_doubt()
            case BalanceUpdate() | ExternalLockUpdate():
                self._on_event_time(event.event_ms)
                if self._changes.add(event):
                    self._on_outside_change(event)
            case Unrecognized():
                logger.debug("! account event ignored kind=%s", event.kind)
            case StreamTerminated() | ServerShutdown():
                pass  # `EventBuffer` and `ApiSession` handle these

    def _on_event_time(self, event_ms: int) -> bool:
        """Use the time of an event as the exchange's time. Returns False if that time is too far ahead to be true."""
        now_s = self._clock.now_s()
        believable = self._market_state.is_plausible_time(event_ms, now_s)
        if believable:
            self._market_state.on_event_time(event_ms, now_s)
        else:
            logger.warning("account event time ignored, too far ahead event_ms=%d", event_ms)
        return believable

    def _on_report_once(self, report: ExecutionReport) -> None:
        if report.symbol != self._symbol:
            return
        # A rejected order is reported without an execution id, and so is a fill that was read from the trade list.
        if report.execution_id >= 0:
            execution = (report.order_id, report.execution_id, report.execution_type)
            if not self._executions.add(execution):
                return
        if report.execution_type is ExecutionType.TRADE and not self._trades.add(report.trade_id):
            return
        self._on_report(report)


class EventBuffer:
    """Holds the events of one connection until `release`; from then on passes each event on as it comes."""

    def __init__(
        self,
        forward: Callable[[AccountEvent, "EventBuffer"], None],
        become_balance_source: Callable[["EventBuffer"], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._forward = forward
        self._become_balance_source = become_balance_source
        self._on_end = on_end
        self._held: list[AccountEvent] | None = []

    def on_event(self, event: AccountEvent) -> None:
        """Handle an event of the account. Raises SessionLost when the stream ends before the release."""
        if isinstance(event, StreamTerminated):
            # Before the release this connection is not active yet, and useless without events. After the release its
            # requests still work, so `on_end` asks for a successor, and this connection stays until that is active.
            if self._held is not None:
                raise SessionLost("the user data stream was terminated")
            self._on_end("the user data stream was terminated")
        elif self._held is None:
            self._forward(event, self)
        else:
            self._held.append(event)

    def has_trade(self, trade_id: int) -> bool:
        """Return whether the buffer holds a report of the fill with this trade id."""
        return any(isinstance(event, ExecutionReport) and event.trade_id == trade_id for event in self._held or [])

    def release(self, balances_ms: int = 0) -> None:
        """Pass on the held events in order, except balances that are older than `balances_ms`.

        `balances_ms` is the time of the queried balances. From now on balances are taken from this
        connection alone.
        """
        held, self._held = self._held or [], None
        self._become_balance_source(self)
        for event in held:
            if not (isinstance(event, AccountPosition) and event.account_ms < balances_ms):
                self._forward(event, self)
