"""Trying Telegram out before anything hangs on it: is there such a bot, and may it write to each chat?"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from trailingedge.notifications.telegram_api import (
    BOT_API,
    BotApiClient,
    BotRefused,
    BotUnreachable,
    Connect,
    Connector,
)

_PATIENCE_S: Final = 10.0


async def send_test_message(
    token: str,
    chats: Sequence[str],
    text: str,
    *,
    base_url: str = BOT_API,
    connect: Callable[[str], Connect] = Connector,
) -> Mapping[str, str | None]:
    """Ask who the bot is and send `text` to every chat. By part, what went wrong there, or None.

    Never raises for reasons of the network, and tells the token to nobody.
    """
    line = BotApiClient(base_url, token, connect(base_url))
    found: dict[str, str | None] = {}
    try:
        found["the bot"] = await _trouble(line, "getMe", {})
        for chat in dict.fromkeys(chats):
            found[f"chat {chat}"] = await _trouble(line, "sendMessage", {"chat_id": chat, "text": text})
    finally:
        await line.close()
    return found


async def _trouble(line: BotApiClient, method: str, fields: Mapping[str, object]) -> str | None:
    try:
        await line.call(method, fields, _PATIENCE_S)
    except (BotRefused, BotUnreachable) as trouble:
        return str(trouble)
    return None
