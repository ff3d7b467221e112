"""The session's health goes with the status, and a start has one too."""

import asyncio

from trailingedge.app.session_health import health_facts, with_health
from trailingedge.live.start_progress import StartProgress
from trailingedge.model.operator_commands import CommandResult
from trailingedge.notifications.health import HealthFacts

SESSION = HealthFacts("sim", "ETHFDUSD", None, stale_after_s=10.0)


async def test_a_start_that_waits_is_a_warning_beside_the_status() -> None:
    progress = StartProgress()
    progress.begin("candles")
    status: asyncio.Future[CommandResult] = asyncio.get_running_loop().create_future()
    reply = with_health(status, health_facts(SESSION, None, progress, disk_free=10**9))
    status.set_result(CommandResult("starting", done=False, data={"phase": "starting"}))
    result = await reply
    assert (result.text, result.done, result.data["phase"]) == ("starting", False, "starting")
    health = result.data["health"]
    assert isinstance(health, dict)
    assert (health["level"], health["problems"]) == (1, ["not trading yet: candles, attempt 1"])
    assert health["line"].startswith("TRAILING-EDGE WARNING - sim ETHFDUSD: ")
