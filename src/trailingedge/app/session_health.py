"""Session health: collects the facts by which a monitor judges the running session."""

import asyncio
from dataclasses import replace

from trailingedge.live.start_progress import StartProgress
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.operator_commands import CommandResult
from trailingedge.notifications.health import HealthFacts, assess, plugin_line

Reply = asyncio.Future[CommandResult]


def health_facts(
    session: HealthFacts, node: TradingNode | None, progress: StartProgress, disk_free: int | None
) -> HealthFacts:
    """Return the facts of this moment. `session` has the facts that do not change.

    `node` is None until it is built, `disk_free` if it is not known.
    """
    facts = replace(session, starting=progress.text, disk_free=disk_free)
    if node is None:
        return facts
    clock = node.client.server_clock
    facts = replace(
        facts, ticks=node.ticks, clock_offset_s=clock.offset_ms / 1000, latency_s=clock.round_trip_ms / 1000
    )
    services = node.services
    if services is None or not node.trading:
        return facts
    return replace(
        facts,
        view=services.queries.view(node.client.reconnects),
        replaces=services.statistics.replaces,
        result_frac=services.statistics.equity_point().growth - 1.0,
    )


def with_health(status: Reply, facts: HealthFacts) -> Reply:
    """Return the reply `status` with the judgement of `facts` and the line of a monitoring plugin."""
    health = assess(facts)
    data = {"health": {**health.as_data(), "line": plugin_line(facts, health)}}
    reply: Reply = asyncio.get_running_loop().create_future()

    def answer(done: Reply) -> None:
        if not reply.done():  # cancelled by a client that waits no longer
            reply.set_result(replace(done.result(), data={**done.result().data, **data}))

    status.add_done_callback(answer)
    return reply
