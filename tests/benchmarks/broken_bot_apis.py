"""Failing Bot APIs: fake Telegram servers, each in a process of its own so that it takes no time of the exchange's."""

import contextlib
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from enum import Enum
from typing import Final

from tests import processes
from tests.bot_api import OWNER, Behaviour

_RETRY_AFTER_S: Final = 60


class ApiFailure(Enum):
    """How Telegram fails; the values are the words of the table."""

    HANGING = "hanging"
    TOO_MANY = "answering 429"
    DOWN = "down"


_BEHAVIOURS: Final[Mapping[ApiFailure, Behaviour]] = {
    ApiFailure.HANGING: Behaviour.HANG,
    ApiFailure.TOO_MANY: Behaviour.FLOOD,
    ApiFailure.DOWN: Behaviour.DOWN,
}


@contextlib.asynccontextmanager
async def failing_bot_api(trouble: ApiFailure) -> AsyncIterator[Mapping[str, str]]:
    """Run a failing Bot API within the block. Yields the settings that point a daemon to it."""
    behaviour = _BEHAVIOURS[trouble].value
    words = ("-m", "tests.bot_api", "--behaviour", behaviour, "--retry-after", str(_RETRY_AFTER_S))
    async with processes.started_async([sys.executable, *words], stdout=PIPE) as process:
        if process.stdout is None:
            raise RuntimeError("the Bot API has no output")
        line = json.loads(await process.stdout.readline())
        yield {
            "TELEGRAM_BOT_TOKEN": line["token"],
            "TELEGRAM_CHAT_ID": str(OWNER),
            "TELEGRAM_API_URL": line["url"],
        }
