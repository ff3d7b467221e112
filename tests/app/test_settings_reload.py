"""Settings reload: what is applied at once, what waits for a restart, and what the service manager is told."""

import asyncio
import logging
import sys
import threading
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.limits import PATIENCE_S
from tests.notify_socket import Ear

from trailingedge.app.settings_reload import RELOADABLE, Reloader, change
from trailingedge.config import OPTIONS, Settings
from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import ConfigError
from trailingedge.live.systemd import ServiceManager

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such sockets, and no such manager")


def test_what_can_change_is_applied_and_the_rest_waits_for_a_restart() -> None:
    running = Settings()
    read = replace(running, log_level_file="INFO", telegram_chat_id="7", symbol="BTCFDUSD", fee=Decimal("0.001"))
    found = change(running, read)
    assert found.applied == ("TELEGRAM_CHAT_ID", "LOG_LEVEL_FILE")
    assert found.needs_restart == ("SYMBOL", "FEE")
    assert found.settings == replace(running, log_level_file="INFO", telegram_chat_id="7")
    assert found.text == ("reloaded: TELEGRAM_CHAT_ID, LOG_LEVEL_FILE applied; SYMBOL, FEE changed; restart to apply")


def test_no_change_is_said_too() -> None:
    assert change(Settings(), Settings()).text == "reloaded: nothing has changed"


def test_no_value_is_said_since_some_are_secret() -> None:
    read = replace(Settings(), telegram_bot_token="t0ken", binance_ed25519_api_key="k3y")
    said = change(Settings(), read).text
    assert "TELEGRAM_BOT_TOKEN applied" in said
    assert "t0ken" not in said
    assert "k3y" not in said


def test_what_can_be_reloaded_is_a_setting() -> None:
    assert set(OPTIONS) >= RELOADABLE


class Source:
    """Settings that can be read again, and where they are put in force."""

    def __init__(self) -> None:
        self.next: Settings | ConfigError = Settings()
        self.applied: list[Settings] = []

    def read(self) -> Settings:
        if isinstance(self.next, ConfigError):
            raise self.next
        return self.next


async def reload(reloader: Reloader, ear: Ear) -> list[list[str]]:
    """Ask for one and wait until the manager has heard how it came out."""
    reloader.request()
    return await asyncio.to_thread(lambda: [ear.hear(), ear.hear()])


async def test_a_reload_is_told_from_its_begin_to_its_end(
    manager: ServiceManager, ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    source = Source()
    manager.ready("ready")
    ear.heard()
    reloader = Reloader(Settings(), source.read, source.applied.append, manager, ManualClock(now_s=3.0))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reloader.run())
        source.next = replace(Settings(), log_level_console="WARNING", symbol="BTCFDUSD")
        said = "reloaded: LOG_LEVEL_CONSOLE applied; SYMBOL changed; restart to apply"
        assert await reload(reloader, ear) == [["RELOADING=1", "MONOTONIC_USEC=3000000"], ["READY=1", f"STATUS={said}"]]
        assert source.applied == [replace(Settings(), log_level_console="WARNING")]
        _, (_, status) = await reload(reloader, ear)
        assert status == "STATUS=reloaded: SYMBOL changed; restart to apply"  # still, but nothing is applied twice
        assert len(source.applied) == 1
        running.cancel()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


async def test_settings_that_are_wrong_leave_everything_as_it_was(
    manager: ServiceManager, ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source()
    source.next = ConfigError(["FEE is 'abc': this is not a number", "LOOP_SLEEP_SEC is 0"])
    manager.ready("ready")
    ear.heard()
    reloader = Reloader(Settings(), source.read, source.applied.append, manager, ManualClock())
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reloader.run())
        _, (ready, status) = await reload(reloader, ear)
        result = await reloader.request()
        running.cancel()
    assert (result.done, result.text) == (False, status.removeprefix("STATUS="))
    assert ready == "READY=1"
    assert status.startswith("STATUS=not reloaded: FEE is 'abc'")
    assert (source.applied, reloader.settings) == ([], Settings())
    assert [record.getMessage() for record in caplog.records] == [
        "settings not reloaded reason=FEE is 'abc': this is not a number",
        "settings not reloaded reason=LOOP_SLEEP_SEC is 0",
    ] * 2


async def test_each_request_learns_the_result_of_the_reload_that_came_after_it() -> None:
    reading, go_on = threading.Event(), threading.Event()
    source = Source()

    def slow() -> Settings:
        reading.set()
        go_on.wait(PATIENCE_S)
        return source.read()

    reloader = Reloader(Settings(), slow, source.applied.append, ServiceManager(), ManualClock())
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reloader.run())
        first, gone = reloader.request(), reloader.request()
        gone.cancel()  # its client has disconnected
        await asyncio.to_thread(reading.wait, PATIENCE_S)
        second = reloader.request()  # after the first has begun to read
        go_on.set()
        assert (await first).text == "reloaded: nothing has changed"
        source.next = replace(Settings(), log_level_file="INFO")
        assert (await second).text.startswith("reloaded: ")
        assert (await reloader.request()).done
        running.cancel()
    assert source.applied == [source.next]
