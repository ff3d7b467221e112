"""How things stood with a daemon that lives again, kept for when it turns out that they mattered."""

from dataclasses import dataclass

from trailingedge.live.trading_node import TradingNode
from trailingedge.notifications.explain import why
from trailingedge.notifications.status import StatusView
from trailingedge.strategy.state import ActiveExit


@dataclass(frozen=True, slots=True)
class StatusAt:
    """What there was to see, the exit in progress, and the reasons for what it did."""

    view: StatusView
    active_exit: ActiveExit | None
    why: str


def status_of(daemon: TradingNode | None) -> StatusAt | None:
    """Now. None before it knows what it trades."""
    desk = None if daemon is None else daemon.services
    if daemon is None or desk is None:
        return None
    view = desk.status(daemon.client.reconnects)
    return StatusAt(view, desk.core.state.exit, why(view, desk.core.decision))
