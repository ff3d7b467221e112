"""One session: on which exchange, shown and told through what, watched by whom, and how it ended."""

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from random import Random, SystemRandom
from typing import Any, Final

from trailingedge.auth import permissions
from trailingedge.clock import Clock, RealClock
from trailingedge.commands import flags
from trailingedge.config import Settings
from trailingedge.console.hotkeys import Hotkey, read_hotkeys
from trailingedge.console.lines import Console
from trailingedge.control import ControlSocket, socket_path
from trailingedge.daemon import Daemon, gravest
from trailingedge.errors import ConfigError, ExchangeUnreachable, ExitCode, LogonRefused, StartFailed
from trailingedge.instructions import Answer, Instruction
from trailingedge.logging_config import Logging
from trailingedge.notifications import texts
from trailingedge.notifications.alerts import Alerts, Labelled, LogAlerts, Several
from trailingedge.notifications.telegram import Telegram
from trailingedge.notifications.telegram_line import BOT_API
from trailingedge.results import results
from trailingedge.service import Reloader, ServiceManager, ToldFace, Watchdog, service_manager, watchdog_interval_s
from trailingedge.signals import ends_in_good_order, hang_up_means_reload
from trailingedge.venues import Place, SimMarket, open_place
from trailingedge.websocket.connection import dial
from trailingedge.websocket.last_frames import save
from trailingedge.wiring import Surroundings

logger = logging.getLogger(__name__)

DISTRIBUTION: Final = "trailing-edge"
_LAST_ALERTS_S: Final = 1.0

Tell = Callable[[Answer], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run. `read_again` reads the settings anew and raises ConfigError."""

    settings: Settings
    sim: SimMarket | None
    seed: int | None
    duration_s: float | None
    as_json: bool
    read_again: Callable[[], Settings]


class Session:
    """Runs once. `face` and `log` are open already and are closed by whoever opened them."""

    def __init__(self, plan: Plan, face: Console, log: Logging) -> None:
        self._plan = plan
        self._settings = plan.settings
        self._face = face
        self._log = log
        self._clock: Clock = RealClock()
        self._manager: ServiceManager = service_manager(os.environ)
        self._telegram = self._make_telegram()
        self._daemon: Daemon | None = None

    async def run(self) -> ExitCode:
        """From the first connection to the last alert."""
        alerts = Several(self._labelled(LogAlerts()), self._telegram)
        telling = asyncio.create_task(self._telegram.run())
        try:
            with contextlib.closing(self._manager):
                return await self._on_an_exchange(alerts)
        except BaseExceptionGroup as group:
            return explain(gravest(group), alerts)
        except Exception as failure:  # noqa: BLE001 - told and logged, whatever it was
            return explain(failure, alerts)
        finally:
            await self._telegram.flush(_LAST_ALERTS_S)
            telling.cancel()
            await asyncio.wait([telling])

    # Where it trades -------------------------------------------------------------------------

    async def _on_an_exchange(self, alerts: Alerts) -> ExitCode:
        settings, chance = self._settings, Random(self._plan.seed)
        async with open_place(settings, self._plan.sim, self._clock, chance, self._face.step) as place:
            alerts.send(self._banner(place))
            surroundings = Surroundings(place.endpoints, place.keys, dial, self._clock, chance, self._save_frames)
            daemon = self._daemon = Daemon(
                settings,
                surroundings,
                ToldFace(self._face, self._manager, self._clock, place.shown),
                alerts,
                on_ready=self._manager.ready,
                on_stop=self._manager.stopping,
                verify_key=self._key_check(place, alerts),
            )
            code = await self._until_over(daemon, place, alerts)
            self._sum_up(daemon, place.gaps)
            return code

    def _banner(self, place: Place) -> str:
        return texts.banner(
            version(DISTRIBUTION),
            self._settings.trading_mode.value,
            self._settings.symbol,
            place.shown.ws_api_url,
            place.shown.ws_stream_url,
            key_is_set=self._settings.binance_ed25519_api_key is not None,
        )

    def _key_check(self, place: Place, alerts: Alerts) -> Callable[[int], Awaitable[None]] | None:
        """Reads what the key may do, where somebody can be asked; raises ConfigError for one that may too much."""
        url = permissions.base_url(self._settings.trading_mode.value, self._settings.binance_ws_api_url)
        if url is None:
            return None

        async def check(server_ms: int) -> None:
            for warning in await permissions.verify(place.keys, url, server_ms):
                alerts.send(warning, logging.WARNING)

        return check

    async def _save_frames(self, lines: list[str]) -> Path:
        return await asyncio.to_thread(save, lines, self._settings.log_dir, datetime.now(UTC))

    # Until it is over ------------------------------------------------------------------------

    async def _until_over(self, daemon: Daemon, place: Place, alerts: Alerts) -> ExitCode:
        """Run the daemon until it ends, is told to, or its market or its time is over."""
        loop = asyncio.get_running_loop()
        read_hotkeys(sys.stdin, loop, self._press, self._face.entered)
        reloader = Reloader(self._settings, self._plan.read_again, self._apply, self._manager, self._clock)
        control = ControlSocket(
            socket_path(self._settings.symbol, os.environ, self._settings.log_dir), self._obey_from_afar
        )
        interval_s = watchdog_interval_s(os.environ, os.getpid())
        watchdog = Watchdog(self._manager, lambda: daemon.beats, daemon.wake, self._clock, interval_s)
        beside: list[Coroutine[Any, Any, None]] = [
            self._stop_at_the_end(daemon, place),
            reloader.run(),
            control.run(),
            watchdog.run(),
        ]
        if self._plan.duration_s is not None:
            beside.append(self._stop_after(daemon, self._plan.duration_s))
        with ends_in_good_order(daemon.stop, reloader.ask if hang_up_means_reload(os.environ) else None):
            async with asyncio.TaskGroup() as tasks:
                watchers = [tasks.create_task(job) for job in beside]
                try:
                    return await daemon.run()
                except Exception as failure:  # noqa: BLE001 - told and logged, and the summary still comes
                    return explain(failure, alerts)
                finally:
                    for watcher in watchers:
                        watcher.cancel()

    async def _stop_at_the_end(self, daemon: Daemon, place: Place) -> None:
        await place.ended.wait()
        daemon.stop(place.why_ended)

    async def _stop_after(self, daemon: Daemon, seconds: float) -> None:
        await self._clock.sleep(seconds)
        daemon.stop(f"{seconds:g} s are over")

    # The operator ----------------------------------------------------------------------------

    def _press(self, key: Hotkey) -> None:
        if self._daemon is not None:
            self._daemon.obey(key.instruction, self._show if key.asks else lambda _: None)

    def _show(self, answer: Answer) -> None:
        self._face.line(answer.text)

    def _obey_from_afar(self, instruction: Instruction, tell: Tell) -> None:
        """By phone or socket. A stop from there must outlive a service manager that restarts what has ended well."""
        if self._daemon is None:
            tell(Answer("starting, not trading yet", done=False))
        elif instruction is Instruction.QUIT:
            self._daemon.stop("stopped from afar", ExitCode.HALTED)
            tell(Answer("ending: the order is withdrawn first; start it again where it runs"))
        else:
            self._daemon.obey(instruction, tell)

    # Telling ---------------------------------------------------------------------------------

    def _make_telegram(self) -> Telegram:
        settings = self._settings
        return Telegram(
            settings.telegram_bot_token,
            settings.telegram_chat_id,
            groups_of(settings),
            title=f"{texts.label(settings.trading_mode.value)} {settings.symbol}",
            obey=self._obey_from_afar,
            clock=self._clock,
            chance=SystemRandom(),  # codes are drawn from it, which nobody should foretell
            base_url=settings.telegram_api_url or BOT_API,
        )

    def _labelled(self, alerts: Alerts) -> Alerts:
        """On paper each line says so; on the phone the title does."""
        label = texts.label(self._settings.trading_mode.value)
        return Labelled(alerts, label) if label.isupper() else alerts

    def _apply(self, settings: Settings) -> None:
        """New settings of what may change while it trades. The log learns new secrets before anybody uses them."""
        self._log.adopt(settings.log_level_file, settings.log_level_console, flags.secrets(settings))
        self._telegram.reconfigure(
            settings.telegram_bot_token,
            settings.telegram_chat_id,
            groups_of(settings),
            base_url=settings.telegram_api_url or BOT_API,
        )

    def _sum_up(self, daemon: Daemon, gaps: Iterable[str]) -> None:
        """The summary, where the session got far enough to have one."""
        desk = daemon.desk
        if desk is None or not desk.tally.from_ms:
            return
        for line in desk.summary(tuple(gaps)).splitlines():
            logger.info("%s", line)
        if self._plan.as_json and sys.stdout is not None:
            told = results(self._settings, desk.rules, desk.tally, tuple(gaps))
            sys.stdout.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
            sys.stdout.flush()


def groups_of(settings: Settings) -> list[str]:
    """The chats that are told beside the owner's."""
    groups = (settings.telegram_group_chat_id_1, settings.telegram_group_chat_id_2)
    return [group for group in groups if group]


def chats_of(settings: Settings) -> list[str]:
    """Everybody who is told."""
    owner = [settings.telegram_chat_id] if settings.telegram_chat_id else []
    return owner + groups_of(settings)


def explain(failure: BaseException, alerts: Alerts | None = None) -> ExitCode:
    """Say why the session ended, and the exit code for it."""
    tell = (alerts or LogAlerts()).send
    match failure:
        case ConfigError(problems=problems):
            tell(texts.ended("\n".join(problems)), logging.ERROR)
            return ExitCode.CONFIG
        case LogonRefused():
            tell(texts.ended(str(failure)), logging.ERROR)
            return ExitCode.CONFIG
        case ExchangeUnreachable() | StartFailed():
            tell(texts.ended(str(failure)), logging.ERROR)
            return ExitCode.UNREACHABLE
        case _:
            logger.error("a mistake of ours", exc_info=failure)
            tell(texts.ended(f"unexpectedly, by {type(failure).__name__}: {failure}"), logging.ERROR)
            return ExitCode.UNEXPECTED
