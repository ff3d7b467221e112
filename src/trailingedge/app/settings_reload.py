"""Settings reload: reads the settings again on request and applies those that may change while the daemon trades."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from trailingedge.config import OPTIONS, Settings
from trailingedge.core.clock import Clock
from trailingedge.core.errors import ConfigError
from trailingedge.live.systemd import ServiceManager
from trailingedge.model.operator_commands import CommandResult

logger = logging.getLogger(__name__)

# Log levels and Telegram touch no order. Everything else takes effect at the start, where it is checked against the
# exchange and the account.
RELOADABLE: Final = frozenset(
    {
        "LOG_LEVEL_CONSOLE",
        "LOG_LEVEL_FILE",
        "TELEGRAM_BOT_TOKEN",
        "TELEGRAM_CHAT_ID",
        "TELEGRAM_GROUP_CHAT_ID_1",
        "TELEGRAM_GROUP_CHAT_ID_2",
        "TELEGRAM_API_URL",
    }
)


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """Difference between two readings of the settings: the names of the changed settings.

    The changes named in `applied` take effect now, those in `needs_restart` at the next start. `settings` are the
    settings in force from now on. Names are in the order in which the settings are declared.
    """

    settings: Settings
    applied: tuple[str, ...]
    needs_restart: tuple[str, ...]

    @property
    def text(self) -> str:
        """The change in words, without values, because some are secret."""
        parts = [f"{', '.join(self.applied)} applied"] if self.applied else []
        parts += [f"{', '.join(self.needs_restart)} changed; restart to apply"] if self.needs_restart else []
        return f"reloaded: {'; '.join(parts) or 'nothing has changed'}"


def change(running: Settings, read: Settings) -> SettingsChange:
    """Compare two readings of the settings: which changes can be applied now, and which need a restart."""
    different = [name for name, option in OPTIONS.items() if option.of(running) != option.of(read)]
    applied = tuple(name for name in different if name in RELOADABLE)
    values = {name.lower(): OPTIONS[name].of(read) for name in applied}
    return SettingsChange(
        replace(running, **values), applied, tuple(name for name in different if name not in RELOADABLE)
    )


class Reloader:
    """Reloads on request, and notifies the service manager.

    `read` reads the settings; it may block and raises ConfigError. `apply` receives the settings now in force.
    """

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Settings],
        apply: Callable[[Settings], None],
        manager: ServiceManager,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self._read = read
        self._apply = apply
        self._manager = manager
        self._clock = clock
        self._requested = asyncio.Event()
        self._waiting: list[asyncio.Future[CommandResult]] = []

    def request(self) -> asyncio.Future[CommandResult]:
        """Request a reload and return a future with its result. All requests made before it begins share one reload."""
        reply: asyncio.Future[CommandResult] = asyncio.get_running_loop().create_future()
        self._waiting.append(reply)
        self._requested.set()
        return reply

    async def run(self) -> None:
        """Reload on request, until cancelled."""
        while True:
            await self._requested.wait()
            # Cleared first: a request that arrives during the reload causes another one, with the newest files.
            self._requested.clear()
            waiting, self._waiting = self._waiting, []
            self._manager.reloading(self._clock.now_s())
            result = await self._reload()
            self._manager.reloaded(result.text)
            for reply in waiting:
                if not reply.done():  # a client that has gone away cancels its own
                    reply.set_result(result)

    async def _reload(self) -> CommandResult:
        try:
            # The env file may lie on a slow disk; a thread reads it, so that no tick waits.
            found = change(self.settings, await asyncio.to_thread(self._read))
        except ConfigError as wrong:
            for problem in wrong.problems:
                logger.error("settings not reloaded reason=%s", problem)
            return CommandResult(f"not reloaded: {'; '.join(wrong.problems)}", done=False)
        self.settings = found.settings
        if found.applied:
            self._apply(found.settings)
        logger.log(logging.WARNING if found.needs_restart else logging.INFO, "%s", found.text)
        return CommandResult(found.text)
