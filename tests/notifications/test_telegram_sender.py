"""Tests of one chat: alerts arrive despite failures, in order and within the rate limit."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from random import Random

import pytest
from tests.background_tasks import running_task
from tests.bot_api import OWNER, Behaviour, refusal
from tests.notifications.telegram_harness import START_MS, TITLE, Stage, on_stage, warnings

from trailingedge.notifications.telegram_api import BotRefused
from trailingedge.notifications.telegram_outbox import MAX_WAITING_ALERTS, SendRateLimit
from trailingedge.notifications.telegram_sender import UNUSABLE_RETRY_S, Chat, TelegramReachability
from trailingedge.simulator.virtual_loop import VirtualClock, run_virtual

GROUP = "-100500"


@contextlib.asynccontextmanager
async def open_chat(stage: Stage, chat_id: str = str(OWNER), seed: int = 0) -> AsyncIterator[Chat]:
    limit = SendRateLimit(group=chat_id.startswith(("-", "@")))
    chat = Chat(chat_id, stage.line(), TITLE, TelegramReachability(), limit, stage.clock, Random(seed))
    try:
        async with running_task(chat.run()):
            yield chat
    finally:
        await chat.client.close()


@on_stage
async def test_an_alert_goes_at_once(stage: Stage) -> None:
    async with open_chat(stage) as chat:
        chat.send("hard stop: 3 < 4 & <b>", logging.WARNING)
        assert chat.waiting == 1
        await asyncio.sleep(0.01)
        assert chat.waiting == 0
    assert stage.api.texts() == ["⚠️ PAPER ETHFDUSD · hard stop: 3 < 4 & <b>"]


@pytest.mark.parametrize("chat_id", [str(OWNER), GROUP, "@our_group"])
def test_a_storm_of_alerts_stays_within_telegrams_limits(chat_id: str, caplog: pytest.LogCaptureFixture) -> None:
    async def play(clock: VirtualClock) -> None:
        stage = Stage(clock)
        stage.api.strict = True
        async with open_chat(stage, chat_id) as chat:
            for number in range(1200):
                chat.send(f"order filled: {number}", logging.INFO)
                await asyncio.sleep(0.1)
            await asyncio.sleep(60.0)
            assert chat.waiting == 0
        shown = "\n".join(stage.api.texts(chat_id))
        assert all(f"filled: {number}\n" in f"{shown}\n" for number in range(1200))

    with caplog.at_level(logging.INFO):
        run_virtual(play, start_unix_ms=START_MS)
    assert "patience" not in caplog.text


@on_stage
async def test_a_flood_limit_is_waited_out_as_long_as_telegram_says(stage: Stage) -> None:
    stage.api.retry_after = 60
    stage.api.misbehave(Behaviour.FLOOD, seconds=60)
    async with open_chat(stage) as chat:
        chat.send("first", logging.ERROR)
        await asyncio.sleep(59.9)
        assert stage.api.calls == ["sendMessage"]
        chat.send("second", logging.INFO)
        await asyncio.sleep(0.2)
    [text] = stage.api.texts()
    assert text.split("\n\n") == ["🛑 PAPER ETHFDUSD", "🛑 13:46 UTC · first", "second"]


@pytest.mark.parametrize("behaviour", [Behaviour.HANG, Behaviour.DOWN])
def test_an_hour_of_failures_loses_no_important_alert(behaviour: Behaviour, caplog: pytest.LogCaptureFixture) -> None:
    async def play(clock: VirtualClock) -> None:
        stage = Stage(clock)
        async with open_chat(stage) as chat:
            stage.api.misbehave(behaviour, seconds=3600)
            for number in range(3600):
                level = logging.INFO if number % 36 else logging.WARNING
                chat.send(f"alert {number:04}", level)
                await asyncio.sleep(1.0)
                assert chat.waiting <= MAX_WAITING_ALERTS + 136  # and one message that is away
            await asyncio.sleep(120.0)
            assert chat.waiting == 0
        shown = "\n".join(stage.api.texts())
        assert all(f"alert {number:04}" in shown for number in range(0, 3600, 36))
        assert "not sent; the log file has them" in shown
        assert len(stage.api.calls) < 300

    with caplog.at_level(logging.INFO):
        run_virtual(play, start_unix_ms=START_MS)
    [warning] = warnings(caplog.records)
    assert "telegram unreachable" in warning
    assert "telegram reachable again" in caplog.text


@on_stage
async def test_after_trouble_it_is_tried_again_within_a_minute(stage: Stage) -> None:
    stage.api.misbehave(Behaviour.DOWN, seconds=7200)
    async with open_chat(stage) as chat:
        chat.send("halted", logging.ERROR)
        await asyncio.sleep(7260.0)
    assert len(stage.api.texts()) == 1


@on_stage
async def test_mark_up_that_telegram_cannot_read_is_sent_plain(stage: Stage) -> None:
    stage.api.reads_html = False
    async with open_chat(stage) as chat:
        chat.send("a < b", logging.INFO)
        await asyncio.sleep(1.0)
    [received] = stage.api.received[str(OWNER)]
    assert (received.text, received.parse_mode) == ("PAPER ETHFDUSD · a < b", "")


@pytest.mark.parametrize(
    ("code", "description"),
    [
        pytest.param(403, "Forbidden: bot was kicked from the supergroup chat", id="kicked"),
        pytest.param(400, "Bad Request: chat not found", id="not found"),
        pytest.param(400, "Bad Request: not enough rights to send text messages to the chat", id="not allowed"),
    ],
)
def test_a_chat_that_takes_nothing_is_given_up_with_one_warning_and_tried_now_and_then(
    code: int, description: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def play(clock: VirtualClock) -> None:
        stage = Stage(clock)
        stage.api.refusals[GROUP] = refusal(code, description)
        async with open_chat(stage, GROUP) as chat:
            for _ in range(10):
                chat.send(f"alert at {clock.now_s():g}", logging.WARNING)
                await asyncio.sleep(UNUSABLE_RETRY_S / 2)
            assert len(stage.api.calls) <= 6
            del stage.api.refusals[GROUP]
            await asyncio.sleep(UNUSABLE_RETRY_S)
            assert chat.waiting == 0
        assert sum(text.count("alert at") for text in stage.api.texts(GROUP)) == 10

    with caplog.at_level(logging.INFO):
        run_virtual(play, start_unix_ms=START_MS)
    [warning] = warnings(caplog.records)
    assert warning.startswith(f"telegram chat unusable chat={GROUP}: {code} {description}")
    assert "telegram chat usable again" in caplog.text


@on_stage
async def test_a_group_that_became_a_supergroup_is_followed(stage: Stage) -> None:
    stage.api.refusals["-55"] = refusal(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-10055)
    async with open_chat(stage, "-55") as chat:
        chat.send("ready", logging.INFO)
        await asyncio.sleep(2.0)
    assert stage.api.texts(-10055) == ["PAPER ETHFDUSD · ready"]


@pytest.mark.parametrize("behaviour", [None, Behaviour.DOWN], ids=["blocked", "unreachable"])
@pytest.mark.parametrize(("chat_id", "names"), [("4711", ("4711",)), ("@our_Group", ("-1005", "@our_group"))])
def test_a_back_off_ends_when_the_chat_writes(
    behaviour: Behaviour | None, chat_id: str, names: tuple[str, ...]
) -> None:
    async def play(clock: VirtualClock) -> None:
        stage = Stage(clock)
        stage.api.refusals[chat_id] = refusal(403, "Forbidden: bot was blocked by the user")
        if behaviour is not None:
            stage.api.misbehave(behaviour, seconds=900)
        async with open_chat(stage, chat_id) as chat:
            chat.send("hard stop", logging.ERROR)
            await asyncio.sleep(900.0 if behaviour is not None else 1.0)
            del stage.api.refusals[chat_id]
            chat.on_activity(("666", "@others"))
            await asyncio.sleep(0.0)
            before = len(stage.api.calls)
            chat.on_activity(names)
            await asyncio.sleep(0.01)
            assert len(stage.api.calls) == before + 1
            assert chat.waiting == 0

    run_virtual(play, start_unix_ms=START_MS)


@on_stage
async def test_good_news_does_not_shorten_telegrams_own_pause(stage: Stage) -> None:
    stage.api.retry_after = 60
    stage.api.misbehave(Behaviour.FLOOD, seconds=60)
    async with open_chat(stage) as chat:
        chat.send("first", logging.ERROR)
        await asyncio.sleep(1.0)
        chat.on_activity((str(OWNER),))
        await asyncio.sleep(58.0)
        assert stage.api.calls == ["sendMessage"]


@on_stage
async def test_a_message_for_a_topic_names_it(stage: Stage) -> None:
    async with open_chat(stage, "-1001:42") as chat:
        chat.send("ready", logging.INFO)
        await asyncio.sleep(1.0)
    assert [message.topic for message in stage.api.received["-1001"]] == [42]


@on_stage
async def test_a_message_that_telegram_refuses_delays_no_other(stage: Stage) -> None:
    stage.api.refusals[str(OWNER)] = refusal(400, "Bad Request: message is too long")
    async with open_chat(stage) as chat:
        chat.send("odd", logging.INFO)
        await asyncio.sleep(2.0)
        stage.api.refusals.clear()
        chat.send("next", logging.INFO)
        await asyncio.sleep(2.0)
    assert stage.api.texts() == ["PAPER ETHFDUSD · next"]


@on_stage
async def test_a_wrong_token_is_raised_to_the_caller(stage: Stage) -> None:
    line, limit = stage.line("1:wrong"), SendRateLimit(group=False)
    chat = Chat(str(OWNER), line, TITLE, TelegramReachability(), limit, stage.clock, Random(0))
    chat.send("ready", logging.INFO)
    with pytest.raises(BotRefused):
        await chat.run()
    assert chat.waiting == 1


@on_stage
async def test_who_is_cancelled_while_sending_keeps_the_alert(stage: Stage) -> None:
    stage.api.behaviour = Behaviour.HANG
    async with open_chat(stage) as chat:
        chat.send("halted", logging.ERROR)
        await asyncio.sleep(1.0)
        assert chat.waiting == 1
    assert chat.waiting == 1


@on_stage
async def test_what_waits_for_its_turn_can_be_sent_at_once(stage: Stage) -> None:
    async with open_chat(stage) as chat:
        chat.send("first", logging.INFO)
        await asyncio.sleep(0.1)
        chat.send("shutdown", logging.INFO)
        await chat.drain(within_s=0.5)
        assert stage.clock.now_s() == pytest.approx(0.1)
    assert stage.api.texts() == ["PAPER ETHFDUSD · first", "PAPER ETHFDUSD · shutdown"]
