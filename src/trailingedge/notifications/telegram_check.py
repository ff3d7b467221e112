"""Telegram test of `doctor`: checks whether the bot exists, and whether it may write to each chat."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from trailingedge.notifications.telegram_address import ChatAddress
from trailingedge.notifications.telegram_api import (
    BOT_API,
    BotApiClient,
    BotRefused,
    BotUnreachable,
    Connect,
    Connector,
)
from trailingedge.notifications.telegram_updates import chat_name

_TIMEOUT_S: Final = 10.0


async def send_test_message(
    token: str,
    chats: Sequence[str],
    text: str,
    *,
    base_url: str = BOT_API,
    connect: Callable[[str], Connect] = Connector,
) -> Mapping[str, str | None]:
    """Request the bot's name, and send `text` to every chat.

    Return the problem of each step, by the step's name. None means that the step succeeded. A
    network failure is returned as a problem and not raised. No problem contains the token. Raises
    ConfigError if the environment names a proxy that cannot be used.
    """
    client = BotApiClient(base_url, token, connect(base_url))
    problems: dict[str, str | None] = {}
    try:
        problems["the bot"] = await _problem(client, "getMe", {})
        for chat in dict.fromkeys(chats):
            problems[f"chat {chat}"] = await _problem(
                client, "sendMessage", ChatAddress.parse(chat).fields() | {"text": text}
            )
    finally:
        await client.close()
    return problems


async def chats_of_bot(
    token: str, *, base_url: str = BOT_API, connect: Callable[[str], Connect] = Connector
) -> Sequence[str]:
    """Return the id and the name of each chat that has written to the bot lately, the newest first.

    Telegram keeps messages for a day; messages that a daemon has fetched are gone. This function does not mark messages
    as read, so a daemon still gets them. Returns nothing if Telegram does not answer. Raises ConfigError as
    `send_test_message` does.
    """
    client = BotApiClient(base_url, token, connect(base_url))
    try:
        updates = await client.call("getUpdates", {"timeout": 0}, _TIMEOUT_S)
    except (BotRefused, BotUnreachable):  # the test messages have said why
        return ()
    finally:
        await client.close()
    found = map(chat_name, reversed(updates)) if isinstance(updates, list) else ()
    return tuple(dict.fromkeys(name for name in found if name is not None))


async def _problem(client: BotApiClient, method: str, fields: Mapping[str, object]) -> str | None:
    try:
        await client.call(method, fields, _TIMEOUT_S)
    except (BotRefused, BotUnreachable) as problem:
        return str(problem)
    return None
