"""Tests of the poller: only the owner's new messages count, and no failure ends the polling."""

import asyncio
import logging

import pytest
from tests.bot_api import OWNER, TOKEN, Behaviour, refusal
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


@pytest.mark.parametrize("confirms_future", [True, False], ids=["offset as documented", "offset above all ids ignored"])
def test_each_command_is_carried_out_once_when_the_ids_start_again_lower(confirms_future: bool) -> None:
    async def play(clock: VirtualClock) -> None:
        stage = Stage(clock)
        stage.api.confirms_future = confirms_future
        async with stage.running():
            await stage.converse("/why")
            await asyncio.sleep(120.0)  # a long poll without an update
            stage.api.restart_ids(5)
            await stage.converse("/status", "/balance")
            before = len(stage.api.calls)
            await asyncio.sleep(120.0)
            assert len(stage.api.calls) - before < 300
        assert stage.asked == [OperatorCommand.WHY, OperatorCommand.STATUS, OperatorCommand.BALANCE]

    run_virtual(play, start_unix_ms=START_MS)


@on_stage
async def test_a_server_that_repeats_its_updates_is_neither_obeyed_again_nor_flooded(stage: Stage) -> None:
    stage.api.forgets = False
    async with stage.running():
        await stage.converse("/why", "/status")
        before = len(stage.api.calls)
        await asyncio.sleep(60.0)
        assert len(stage.api.calls) - before < 150
    assert stage.asked == [OperatorCommand.WHY, OperatorCommand.STATUS]


@pytest.mark.parametrize(
    ("code", "description"),
    [(403, "Forbidden: bot was blocked by the user"), (400, "Bad Request: chat not found")],
    ids=["blocked", "not found"],
)
def test_an_owner_who_writes_is_answered_at_once_although_his_chat_refused(code: int, description: str) -> None:
    async def play(clock: VirtualClock) -> None:
        stage = Stage(clock)
        stage.api.refusals[str(OWNER)] = refusal(code, description)
        async with stage.running() as telegram:
            telegram.send("ready")
            await asyncio.sleep(60.0)
            stage.api.refusals.clear()
            [answer] = await stage.converse("/why")
            assert "ready" in answer
            assert "why <done>" in answer

    run_virtual(play, start_unix_ms=START_MS)


@on_stage
async def test_a_group_that_adds_the_bot_gets_its_alerts_at_once(stage: Stage) -> None:
    stage.api.refusals[str(GROUP)] = refusal(403, "Forbidden: bot is not a member of the supergroup chat")
    async with stage.running(groups=[str(GROUP)]) as telegram:
        telegram.send("ready")
        await asyncio.sleep(60.0)
        stage.api.refusals.clear()
        stage.api.update({"my_chat_member": {"chat": {"id": GROUP}, "new_chat_member": {"status": "member"}}})
        await asyncio.sleep(1.0)
        assert len(stage.api.texts(GROUP)) == 1


@pytest.mark.parametrize("returns", [False, True], ids=["once", "set again by another program"])
def test_a_webhook_is_removed_once_and_said(returns: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def play(clock: VirtualClock) -> None:
        stage = Stage(clock)
        stage.api.webhook, stage.api.webhook_returns = True, returns
        async with stage.running():
            answers = await stage.converse("/why")
            assert answers == ([""] if returns else ["why <done>"])
            await asyncio.sleep(600.0)
        assert stage.api.calls.count("deleteWebhook") == 1

    with caplog.at_level(logging.INFO):
        run_virtual(play, start_unix_ms=START_MS)
    removed, *rest = warnings(caplog.records)
    assert "webhook of this bot removed" in removed
    assert ["call the Bot API's deleteWebhook" in warning for warning in rest] == [True] * returns
    assert TOKEN not in caplog.text


@on_stage
async def test_a_command_for_another_bot_is_ignored(stage: Stage) -> None:
    async with stage.running():
        assert await stage.converse("/why@other_bot", "/why@Stand_In_Bot") == ["", "why <done>"]
    assert stage.asked == [OperatorCommand.WHY]
