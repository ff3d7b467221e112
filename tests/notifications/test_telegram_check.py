"""Tests of the Telegram check of `doctor`."""

from tests.bot_api import OWNER, TOKEN, Behaviour, refusal
from tests.notifications.telegram_harness import Stage, on_stage

from trailingedge.notifications.telegram_check import chats_of_bot, send_test_message

CHATS = [str(OWNER), "-1001"]


async def tried(stage: Stage, token: str = TOKEN) -> dict[str, str | None]:
    return dict(await send_test_message(token, CHATS, "does 1 < 2 arrive?", connect=lambda _: stage.connect))


@on_stage
async def test_what_works_has_no_trouble(stage: Stage) -> None:
    assert await tried(stage) == {"the bot": None, "chat 4711": None, "chat -1001": None}
    assert stage.api.texts("-1001") == ["does 1 < 2 arrive?"]
    assert all(client.is_closed for client in stage.clients)


@on_stage
async def test_a_chat_that_refuses_is_named_and_the_others_are_tried(stage: Stage) -> None:
    stage.api.refusals["4711"] = refusal(403, "Forbidden: bot was blocked by the user")
    assert await tried(stage) == {
        "the bot": None,
        "chat 4711": "403 Forbidden: bot was blocked by the user",
        "chat -1001": None,
    }


@on_stage
async def test_a_wrong_token_is_not_shown(stage: Stage) -> None:
    wrong = TOKEN[:-1] + "X"
    assert set((await tried(stage, wrong)).values()) == {"401 Unauthorized"}


@on_stage
async def test_an_unreachable_server_is_the_problem_of_every_part(stage: Stage) -> None:
    stage.api.behaviour = Behaviour.DOWN
    assert all(trouble is not None and "ConnectError" in trouble for trouble in (await tried(stage)).values())


@on_stage
async def test_chats_that_wrote_to_the_bot_are_named_once_and_stay_unread(stage: Stage) -> None:
    stage.api.say("hello", chat_id=4711)
    stage.api.say("again", chat_id=4711)
    stage.api.say("me too", chat_id=12)
    for _ in range(2):
        found = await chats_of_bot(TOKEN, connect=lambda _: stage.connect)
        assert [name.split()[0] for name in found] == ["12", "4711"]
        assert "private" in found[0]
    assert all(client.is_closed for client in stage.clients)


@on_stage
async def test_a_bot_that_does_not_answer_shows_no_chats(stage: Stage) -> None:
    stage.api.webhook = True
    assert await chats_of_bot(TOKEN, connect=lambda _: stage.connect) == ()
