"""Status of a replayed daemon at one input, kept until it is known whether that input is the point of divergence."""

from dataclasses import dataclass

from trailingedge.live.trading_node import TradingNode
from trailingedge.notifications.explain import why
from trailingedge.notifications.status import StatusView
from trailingedge.strategy.state import ActiveExit


@dataclass(frozen=True, slots=True)
class StatusAt:
    """The status, the exit in progress, and the answer of `why`."""

    view: StatusView
    active_exit: ActiveExit | None
    why: str


def status_of(node: TradingNode | None) -> StatusAt | None:
    """Return the daemon's present status; None before the daemon knows the symbol's rules."""
    node_services = None if node is None else node.services
    if node is None or node_services is None:
        return None
    view = node_services.queries.view(node.client.reconnects)
    return StatusAt(view, node_services.core.state.exit, why(view))
