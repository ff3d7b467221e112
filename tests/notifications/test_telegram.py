"""Tests of the Telegram bot: alerts arrive, wait or are off, and never raise."""

import asyncio
import logging
import sys
from collections.abc import Callable
from random import Random

import pytest
from tests import processes
from tests.bot_api import OWNER, TOKEN, Behaviour, BotApi, refusal, serve
from tests.limits import PATIENCE_S
from tests.notifications.telegram_harness import START_MS, TITLE, Stage, on_stage, warnings

from trailingedge.core.clock import RealClock
from trailingedge.model.operator_commands import CommandResult, OperatorCommand
from trailingedge.notifications.alert_sinks import Alerts
from trailingedge.notifications.telegram import Telegram
from trailingedge.notifications.telegram_api import Connector
from trailingedge.notifications.telegram_outbox import MAX_WAITING_ALERTS
from trailingedge.simulator.virtual_loop import VirtualClock, run_virtual

GROUPS = ["-1001", "-1002"]


@on_stage
async def test_every_chat_gets_the_alert(stage: Stage) -> None:
    async with stage.running(groups=GROUPS) as telegram:
        alerts: Alerts = telegram
        alerts.send("ready")
        alerts.send("halted: we were wrong", logging.ERROR)
        await asyncio.sleep(3.0)
    expected = "🛑 PAPER ETHFDUSD\n\nready\n\n🛑 halted: we were wrong"
    assert [stage.api.texts(chat) for chat in (OWNER, *GROUPS)] == [[expected]] * 3


@on_stage
async def test_a_chat_that_is_lost_takes_nothing_from_the_others(stage: Stage) -> None:
    stage.api.refusals["-1001"] = refusal(403, "Forbidden: bot was kicked from the group chat")
    async with stage.running(groups=GROUPS) as telegram:
        for _ in range(3):
            telegram.send(f"alert at {stage.clock.now_s():g}")
            await asyncio.sleep(5.0)
        assert [len(stage.api.texts(chat)) for chat in (OWNER, *GROUPS)] == [3, 0, 3]
        assert telegram.waiting == 3


@pytest.mark.parametrize("token", ["987654321:AANobodyHasThisTokenInTheWholeWorld00", "nonsense"])
def test_a_wrong_token_switches_alerts_off_with_one_error(token: str, caplog: pytest.LogCaptureFixture) -> None:
    async def play(clock: VirtualClock) -> None:
        stage = Stage(clock)
        async with stage.running(token, groups=GROUPS) as telegram:
            for _ in range(100):
                telegram.send("alert", logging.ERROR)
                await asyncio.sleep(100.0)
            assert not telegram.on
            assert telegram.waiting == 0
            assert len(stage.api.calls) <= 4
            telegram.reconfigure(TOKEN, str(OWNER))
            telegram.send("back")
            await asyncio.sleep(1.0)
        assert stage.api.texts() == ["PAPER ETHFDUSD · back"]
        assert all(client.is_closed for client in stage.clients)

    with caplog.at_level(logging.DEBUG):
        run_virtual(play, start_unix_ms=START_MS)
    [error] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert error.levelno == logging.ERROR
    assert token not in caplog.text


@pytest.mark.parametrize(
    ("token", "owner"),
    [pytest.param(None, str(OWNER), id="no token"), pytest.param(TOKEN, None, id="no chat")],
)
def test_without_token_or_chat_nothing_is_sent_and_nothing_waits(token: str | None, owner: str | None) -> None:
    async def play(clock: VirtualClock) -> None:
        stage = Stage(clock)
        async with stage.running(token, owner) as telegram:
            telegram.send("ready")
            await asyncio.sleep(100.0)
            assert not telegram.on
            await telegram.flush(1.0)
        assert stage.api.calls == []

    run_virtual(play, start_unix_ms=START_MS)


@pytest.mark.parametrize("owner", ["-1001", "@our_channel"])
def test_an_owner_that_is_no_private_chat_gets_alerts_and_gives_no_commands(owner: str) -> None:
    async def play(clock: VirtualClock) -> None:
        stage = Stage(clock)
        async with stage.running(owner=owner) as telegram:
            telegram.send("ready")
            stage.api.say("/status", -1001, -1001)
            await asyncio.sleep(10.0)
        assert stage.api.texts(owner) == ["PAPER ETHFDUSD · ready"]
        assert "getUpdates" not in stage.api.calls

    run_virtual(play, start_unix_ms=START_MS)


@on_stage
async def test_an_alert_and_an_answer_of_the_same_words_come_once(stage: Stage) -> None:
    async with stage.running() as telegram:

        def obey(_: OperatorCommand, tell: Callable[[CommandResult], None], _argument: str) -> None:
            telegram.send("paused")
            tell(CommandResult("paused"))

        stage.obey = obey
        assert await stage.converse("/balance") == ["paused"]


@on_stage
async def test_a_mistake_of_ours_ends_neither_alerts_nor_listening(stage: Stage) -> None:
    def fail(_: OperatorCommand, __: Callable[[CommandResult], None], _argument: str) -> None:
        raise RuntimeError("a mistake")

    async with stage.running() as telegram:
        stage.obey = fail
        assert await stage.converse("/why") == [""]
        telegram.send("still here")
        stage.obey = stage.answer_soon
        await asyncio.sleep(70.0)
        assert stage.api.texts() == ["PAPER ETHFDUSD · still here"]
        assert await stage.converse("/why") == ["why <done>"]


# Settings that change


@on_stage
async def test_an_added_chat_gets_alerts_from_then_on_and_a_removed_one_no_more(stage: Stage) -> None:
    async with stage.running(groups=GROUPS[:1]) as telegram:
        telegram.send("first")
        await asyncio.sleep(2.0)
        telegram.reconfigure(TOKEN, str(OWNER), GROUPS[1:])
        telegram.send("second")
        await asyncio.sleep(2.0)
        assert await stage.converse("/why") == ["why <done>"]
    assert [text.partition(" · ")[2] for text in stage.api.texts(GROUPS[0])] == ["first"]
    assert [text.partition(" · ")[2] for text in stage.api.texts(GROUPS[1])] == ["second"]


@on_stage
async def test_what_waits_for_a_chat_that_stays_survives_a_change(stage: Stage) -> None:
    stage.api.behaviour = Behaviour.DOWN
    async with stage.running() as telegram:
        telegram.send("halted", logging.ERROR)
        await asyncio.sleep(10.0)
        stage.api.behaviour = Behaviour.FINE
        telegram.reconfigure(TOKEN, str(OWNER), GROUPS)
        await asyncio.sleep(60.0)
    assert stage.api.texts() == ["🛑 PAPER ETHFDUSD · halted"]


@on_stage
async def test_the_same_settings_again_change_nothing(stage: Stage) -> None:
    async with stage.running() as telegram:
        before = len(stage.api.calls)
        telegram.reconfigure(TOKEN, str(OWNER))
        await asyncio.sleep(2.0)
        assert len(stage.api.calls) == before


@on_stage
async def test_alerts_can_be_switched_off_and_on(stage: Stage) -> None:
    async with stage.running() as telegram:
        telegram.reconfigure(None, None)
        telegram.send("this goes nowhere")
        await asyncio.sleep(5.0)
        telegram.reconfigure(TOKEN, str(OWNER))
        telegram.send("on again")
        await asyncio.sleep(5.0)
    assert stage.api.texts() == ["PAPER ETHFDUSD · on again"]


# The end


@on_stage
async def test_the_last_alerts_go_out_before_the_end(stage: Stage) -> None:
    async with stage.running(groups=GROUPS) as telegram:
        telegram.send("ready")
        await asyncio.sleep(0.1)
        telegram.send("shutdown: quit")
        began_s = stage.clock.now_s()
        await telegram.flush(1.0)
        assert stage.clock.now_s() - began_s < 0.1
    assert all(stage.api.texts(chat)[-1].endswith("shutdown: quit") for chat in (OWNER, *GROUPS))


@on_stage
async def test_a_flush_needs_no_task_beside_it(stage: Stage) -> None:
    telegram = stage.telegram()
    telegram.send("ended: TELEGRAM was set, FEE was not")
    await telegram.flush(1.0)
    assert len(stage.api.texts()) == 1
    assert all(client.is_closed for client in stage.clients)


@pytest.mark.parametrize("behaviour", [Behaviour.HANG, Behaviour.FLOOD, Behaviour.ERROR, Behaviour.DOWN])
def test_the_end_waits_no_longer_than_it_may(behaviour: Behaviour, caplog: pytest.LogCaptureFixture) -> None:
    async def play(clock: VirtualClock) -> None:
        stage = Stage(clock)
        stage.api.behaviour = behaviour
        async with stage.running(groups=GROUPS) as telegram:
            telegram.send("halted", logging.ERROR)
            telegram.send("shutdown")
            await asyncio.sleep(1.0)
            began_s = clock.now_s()
            await telegram.flush(1.5)
            assert clock.now_s() - began_s <= 1.5

    run_virtual(play, start_unix_ms=START_MS)
    assert "telegram alerts not sent count=6; the log file has them" in warnings(caplog.records)


@on_stage
async def test_trouble_that_passes_in_time_is_waited_out_at_the_end(stage: Stage) -> None:
    stage.api.misbehave(Behaviour.DOWN, seconds=1.0)
    telegram = stage.telegram()
    telegram.send("shutdown")
    await telegram.flush(5.0)
    assert len(stage.api.texts()) == 1


# What the beat sees of it


@pytest.mark.parametrize("behaviour", list(Behaviour))
def test_a_send_never_waits_and_memory_is_bounded(behaviour: Behaviour) -> None:
    async def play(clock: VirtualClock) -> None:
        stage = Stage(clock)
        stage.api.behaviour = behaviour
        async with stage.running() as telegram:
            began_s = clock.now_s()
            for number in range(3 * MAX_WAITING_ALERTS):
                telegram.send(f"alert {number}")
            assert clock.now_s() == began_s
            assert telegram.waiting == MAX_WAITING_ALERTS

    run_virtual(play, start_unix_ms=START_MS)


def test_what_needs_no_telegram_does_not_load_its_library() -> None:
    code = "import sys, trailingedge.notifications.telegram; raise SystemExit('httpx' in sys.modules)"
    assert processes.run([sys.executable, "-c", code]).returncode == 0


async def test_over_loopback_alerts_arrive_and_commands_are_answered() -> None:
    clock = RealClock()
    api = BotApi(clock.unix_ms)
    done = asyncio.Event()

    def obey(instruction: OperatorCommand, tell: Callable[[CommandResult], None], _argument: str) -> None:
        tell(CommandResult(f"{instruction.value}: fine"))
        done.set()

    async with serve(api) as url:
        telegram = Telegram(TOKEN, str(OWNER), title=TITLE, obey=obey, clock=clock, chance=Random(0), base_url=url)
        task = asyncio.create_task(telegram.run())
        telegram.send("ready <now>")
        async with asyncio.timeout(PATIENCE_S):
            await api.asked_for("setMyCommands")
            api.say("/status")
            await done.wait()
        await telegram.flush(5.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert "\n\n".join(api.texts()) == "PAPER ETHFDUSD · ready <now>\n\nPAPER ETHFDUSD · status: fine"


@on_stage
async def test_one_message_rate_holds_for_all_topics_of_a_group(stage: Stage) -> None:
    stage.api.strict = True
    async with stage.running(groups=["-1001:5", "-1001:6"]) as telegram:
        for number in range(3):
            telegram.send(f"alert {number}")
            await asyncio.sleep(3.0)
    assert sorted(message.topic or 0 for message in stage.api.received["-1001"]) == [5, 5, 5, 6, 6, 6]


def test_a_wrong_proxy_switches_alerts_off_with_one_error(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost,[::1]")

    async def play(clock: VirtualClock) -> None:
        telegram = Telegram(
            TOKEN, str(OWNER), title=TITLE, obey=lambda *_: None, clock=clock, chance=Random(1), connect=Connector
        )
        running = asyncio.create_task(telegram.run())
        for _ in range(10):
            telegram.send("hard stop", logging.ERROR)
            await asyncio.sleep(100.0)
        assert (telegram.on, telegram.waiting) == (False, 0)
        telegram.reconfigure(TOKEN, str(OWNER), base_url="http://127.0.0.1:9")
        assert telegram.on
        running.cancel()

    run_virtual(play, start_unix_ms=START_MS)
    [error] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "NO_PROXY has the entry [::1]" in error
    assert "alerts on the phone are off" in error
    assert TOKEN not in caplog.text
