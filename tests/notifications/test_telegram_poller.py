"""Tests of the poller: only the owner's new messages count, and no failure ends the polling."""

import asyncio
import logging

import pytest
from tests.bot_api import OWNER, TOKEN, Behaviour
from tests.notifications.telegram_harness import START_MS, Stage, on_stage, warnings

from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.simulator.virtual_loop import VirtualClock, run_virtual

STRANGER = 666
GROUP = -100500


@on_stage
async def test_the_owner_is_answered_in_his_chat_alone(stage: Stage) -> None:
    async with stage.running(groups=[str(GROUP)]):
        assert await stage.converse("/why") == ["why <done>"]
    assert stage.asked == [OperatorCommand.WHY]
    assert stage.api.texts(GROUP) == []


@on_stage
async def test_an_action_is_done_when_its_line_is_sent_back(stage: Stage) -> None:
    async with stage.running():
        [asked] = await stage.converse("/flip")
        assert stage.asked == []
        line = asked.splitlines()[-1]
        assert await stage.converse(line) == ["flip <done>"]
        [refused] = await stage.converse(line)
        assert "wrong or has expired" in refused
    assert stage.asked == [OperatorCommand.FLIP]


@on_stage
async def test_a_confirmation_that_comes_too_late_is_refused(stage: Stage) -> None:
    async with stage.running():
        [asked] = await stage.converse("/stop")
        await asyncio.sleep(60.0)
        [refused] = await stage.converse(asked.splitlines()[-1])
        assert "wrong or has expired" in refused
    assert stage.asked == []


@pytest.mark.parametrize(
    ("chat_id", "sender_id"),
    [
        pytest.param(STRANGER, STRANGER, id="a stranger"),
        pytest.param(GROUP, OWNER, id="the owner in a group"),
        pytest.param(GROUP, STRANGER, id="a stranger in a group"),
        pytest.param(OWNER, STRANGER, id="a forged chat"),
    ],
)
def test_everybody_else_is_ignored_in_silence(chat_id: int, sender_id: int, caplog: pytest.LogCaptureFixture) -> None:
    async def play(clock: VirtualClock) -> None:
        stage = Stage(clock)
        async with stage.running(groups=[str(GROUP)]):
            for text in ("/status", "/flip", "/help", "hello"):
                stage.api.say(text, chat_id, sender_id)
            await asyncio.sleep(10.0)
        assert stage.asked == []
        assert not any(stage.api.received.values())

    with caplog.at_level(logging.INFO):
        run_virtual(play, start_unix_ms=START_MS)
    assert warnings(caplog.records) == []
    assert "ignored" not in caplog.text


@on_stage
async def test_messages_from_before_the_start_are_skipped(stage: Stage) -> None:
    for text in ("/status", "/why", "/stop"):
        stage.api.say(text)
    await asyncio.sleep(30.0)
    async with stage.running():
        stage.api.say("/today", date_s=START_MS // 1000 + 29)  # it reaches us late
        await asyncio.sleep(10.0)
        assert stage.asked == []
        await stage.converse("/balance")
    assert stage.asked == [OperatorCommand.BALANCE]


def test_a_wrong_local_clock_does_not_drop_messages() -> None:
    class FastClock(VirtualClock):
        def unix_ms(self) -> int:
            return super().unix_ms() + 3_600_000

    async def play(clock: VirtualClock) -> None:
        stage = Stage(clock)
        stage.clock = FastClock(clock._loop, START_MS)
        async with stage.running():
            await stage.converse("/why")
        assert stage.asked == [OperatorCommand.WHY]

    run_virtual(play, start_unix_ms=START_MS)


@on_stage
async def test_the_phone_is_offered_the_commands_once(stage: Stage) -> None:
    async with stage.running():
        await stage.converse("/why", "/why")
    assert [entry["command"] for entry in stage.api.menu][:2] == ["status", "why"]
    assert stage.api.calls.count("setMyCommands") == 1


def test_a_second_poller_is_logged_once_and_polling_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def play(clock: VirtualClock) -> None:
        stage = Stage(clock)
        async with stage.running():
            stage.api.foreign_poller = True
            await asyncio.sleep(3600.0)
            assert 60 < stage.api.calls.count("getUpdates") < 300
            stage.api.foreign_poller = False
            await asyncio.sleep(60.0)
            assert await stage.converse("/why") == ["why <done>"]

    with caplog.at_level(logging.INFO):
        run_virtual(play, start_unix_ms=START_MS)
    [warning] = warnings(caplog.records)
    assert "409" in warning
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    "behaviour", [Behaviour.HANG, Behaviour.FLOOD, Behaviour.ERROR, Behaviour.PROXY, Behaviour.DOWN]
)
@pytest.mark.parametrize("since_start", [True, False], ids=["from the start", "later"])
def test_trouble_on_the_line_is_waited_out(behaviour: Behaviour, since_start: bool) -> None:
    async def play(clock: VirtualClock) -> None:
        stage = Stage(clock)
        if since_start:
            stage.api.misbehave(behaviour, seconds=3600)
        async with stage.running():
            stage.api.misbehave(behaviour, seconds=3600)
            await asyncio.sleep(3600.0 + 62.0)
            assert len(stage.api.calls) < 1000
            assert await stage.converse("/why") == ["why <done>"]

    run_virtual(play, start_unix_ms=START_MS)


@on_stage
async def test_a_server_that_answers_at_once_is_not_flooded(stage: Stage) -> None:
    stage.api.holds = False
    async with stage.running():
        await asyncio.sleep(60.0)
    assert len(stage.api.calls) < 150
