"""Tests of the Telegram service: nothing is loaded or sent before a bot is configured."""

import asyncio
from random import Random

import pytest
from tests.bot_api import OWNER, TOKEN, BotApi, serve
from tests.notifications.telegram_harness import TITLE

from trailingedge.core.clock import RealClock
from trailingedge.notifications.alert_sinks import Alerts
from trailingedge.notifications.telegram_loader import TelegramService


def phone() -> TelegramService:
    return TelegramService(
        title=TITLE, obey=lambda _instruction, _tell, _argument: None, clock=RealClock(), chance=Random(0)
    )


@pytest.mark.parametrize("token", [None, ""])
async def test_without_a_bot_alerts_go_nowhere_and_the_end_waits_for_nothing(token: str | None) -> None:
    silent = phone()
    silent.configure(token, str(OWNER), [], None)
    task = asyncio.create_task(silent.run())
    silent.send("ready")
    await asyncio.sleep(0)
    await silent.flush(5.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_bot_that_comes_later_is_used_from_then_on_and_one_that_goes_is_let_go() -> None:
    api = BotApi(RealClock().unix_ms)
    told = phone()
    alerts: Alerts = told
    async with serve(api) as url:
        told.configure(None, str(OWNER), [], url)
        task = asyncio.create_task(told.run())
        alerts.send("before there was one")
        told.configure(TOKEN, str(OWNER), [], url)
        alerts.send("since")
        await told.flush(5.0)
        told.configure(None, str(OWNER), [], url)
        alerts.send("after it was gone")
        await told.flush(5.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert api.texts() == ["PAPER ETHFDUSD · since"]
