"""One session: on which exchange, shown and told through what, watched by whom, and how it ended."""

import asyncio
import contextlib
import gc
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random, SystemRandom
from typing import Any, Final

from trailingedge import VERSION
from trailingedge.accounting.summary_json import summarize_run
from trailingedge.app.environments import TradingEnvironment, open_environment
from trailingedge.app.run_options import RunOptions
from trailingedge.auth import permissions
from trailingedge.commands import setting_flags
from trailingedge.config import Settings, endpoints
from trailingedge.console.hotkeys import Hotkey, read_hotkeys
from trailingedge.console.plain_ui import InteractiveUi
from trailingedge.core.clock import Clock, RealClock
from trailingedge.core.errors import ConfigError, ExchangeUnreachable, ExitCode, LogonRefused, StartFailed, most_severe
from trailingedge.eventlog.session_record import RecordedSession, UnrecordedSession, open_record, start_recording
from trailingedge.live.control_socket import (
    ControlSocket,
    account_fingerprint,
    find_running_daemon,
    socket_candidates,
    socket_path,
)
from trailingedge.live.factory import Runtime
from trailingedge.live.process_signals import sighup_reloads, stop_on_signals
from trailingedge.live.systemd import (
    NotifyingUi,
    Reloader,
    ServiceManager,
    Watchdog,
    service_manager,
    watchdog_interval_s,
)
from trailingedge.live.trading_node import TradingNode
from trailingedge.logging_config import Logging
from trailingedge.model.operator_commands import CommandResult, OperatorCommand
from trailingedge.notifications import messages
from trailingedge.notifications.alerts import AlertFanout, Alerts, LabelledAlerts, LogAlerts
from trailingedge.notifications.telegram_service import TelegramService
from trailingedge.notifications.titles import heading, mode_label
from trailingedge.websocket.frame_buffer import save
from trailingedge.websocket.transport import Dial

logger = logging.getLogger(__name__)

_LAST_ALERTS_S: Final = 1.0

ReplyCallback = Callable[[CommandResult], None]


class Runner:
    """Runs once. `face` and `log` are open already and are closed by whoever opened them; `dial` opens connections."""

    def __init__(self, plan: RunOptions, face: InteractiveUi, log: Logging, dial: Dial) -> None:
        self._plan = plan
        self._settings = plan.settings
        self._face = face
        self._log = log
        self._dial = dial
        self._clock: Clock = RealClock()
        self._manager: ServiceManager = service_manager(os.environ)
        self._phone = TelegramService(
            title=heading(self._settings.trading_mode.value, self._settings.symbol),
            obey=partial(self._obey_from_afar, "phone"),
            clock=self._clock,
            chance=SystemRandom(),  # codes are drawn from it, which nobody should foretell
        )
        self._configure_phone(self._settings)
        self._daemon: TradingNode | None = None
        self._opening: asyncio.Timeout | None = None
        self._stopped: tuple[str, ExitCode] | None = None  # before there was a daemon to stop

    async def run(self) -> ExitCode:
        """From the first connection to the last alert."""
        alerts = AlertFanout(self._labelled(LogAlerts()), self._phone)
        telling = asyncio.create_task(self._phone.run())
        try:
            with contextlib.closing(self._manager):
                return await self._watched(alerts)
        except BaseExceptionGroup as group:
            return report_failure(most_severe(group), alerts)
        except Exception as failure:  # noqa: BLE001 - told and logged, whatever it was
            return report_failure(failure, alerts)
        finally:
            try:
                await self._phone.flush(_LAST_ALERTS_S)
            finally:
                telling.cancel()
                await asyncio.wait([telling])

    def stop(self, reason: str, code: ExitCode = ExitCode.OK) -> None:
        """End in good order, wherever we are. Only the first reason counts."""
        if self._daemon is not None:
            self._daemon.stop(reason, code)
        elif self._stopped is None:
            self._stopped = (reason, code)
            self._manager.stopping(reason)
            if self._opening is not None:
                self._opening.reschedule(0.0)

    async def _watched(self, alerts: Alerts) -> ExitCode:
        """The session proper, with everybody who may end it or ask about it beside it from its first moment."""
        other = await self._other_daemon()  # before we listen there ourselves
        if other is not None:
            alerts.send(messages.ended(other), logging.ERROR)
            return ExitCode.HALTED  # no restart by a service manager: both would trade in turns
        loop = asyncio.get_running_loop()
        read_hotkeys(sys.stdin, loop, self._press, self._face.on_enter, self._tell_of_no_more_keys)
        reloader = Reloader(self._settings, self._plan.reread_settings, self._apply, self._manager, self._clock)
        control = ControlSocket(
            socket_path(self._settings.symbol, os.environ, self._settings.log_dir),
            partial(self._obey_from_afar, "socket"),
            account=self._mark(),
        )
        interval_s = watchdog_interval_s(os.environ, os.getpid())
        watchdog = Watchdog(self._manager, self._beats, self._wake, self._clock, interval_s)
        beside: list[Coroutine[Any, Any, None]] = [reloader.run(), control.run(), watchdog.run()]
        if self._plan.duration_s is not None:
            beside.append(self._stop_after(self._plan.duration_s))
        with stop_on_signals(self.stop, reloader.ask if sighup_reloads(os.environ) else None):
            async with asyncio.TaskGroup() as tasks:
                watchers = [tasks.create_task(job) for job in beside]
                try:
                    return await self._on_an_exchange(alerts)
                except Exception as failure:  # noqa: BLE001 - told and logged, and whoever watches is let go
                    return report_failure(_bare(failure), alerts)
                finally:
                    for watcher in watchers:
                        watcher.cancel()

    # Where it trades -------------------------------------------------------------------------

    async def _on_an_exchange(self, alerts: Alerts) -> ExitCode:
        chance = Random(self._plan.seed)
        async with contextlib.AsyncExitStack() as stack:
            place = await self._open(stack, chance)
            if place is None:
                return self._not_begun(alerts)
            alerts.send(self._banner(place))
            world = Runtime(place.endpoints, place.keys, self._dial, self._clock, chance, self._save_frames)
            with open_record(
                self._settings, self._log.file, datetime.now(UTC), setting_flags.secret_values(self._settings)
            ) as lines:
                check = self._key_check(place, alerts)
                life: RecordedSession = UnrecordedSession(world)
                if lines is not None:
                    seed, checks = chance.getrandbits(64), check is not None
                    life = start_recording(self._settings, world, lines, seed=seed, program=VERSION, checks_key=checks)
                daemon = self._daemon = TradingNode(
                    self._settings,
                    life.runtime,
                    NotifyingUi(self._face, self._manager, self._clock, place.shown),
                    life.wrap_alerts(alerts),
                    on_ready=self._tell_ready,
                    on_stop=self._manager.stopping,
                    verify_key=None if check is None else life.wrap_key_check(check),
                )
                code = await self._until_over(daemon, life, place, alerts)
            self._sum_up(daemon, place.gaps)
            return code

    async def _open(self, stack: contextlib.AsyncExitStack, chance: Random) -> TradingEnvironment | None:
        """The exchange, once it is open; None where a stop came first. In paper that may take as long as an outage."""
        try:
            async with asyncio.timeout(None) as self._opening:
                if self._stopped is not None:
                    return None
                opening = open_environment(self._settings, self._plan.simulation, self._clock, chance, self._tell_step)
                return await stack.enter_async_context(opening)
        except TimeoutError:
            if self._stopped is None:
                raise
            return None
        finally:
            self._opening = None

    def _tell_step(self, name: str, result: str) -> None:
        self._face.show_step(name, result)
        self._manager.status(f"starting: {name}: {result}", self._clock.now_s())

    def _not_begun(self, alerts: Alerts) -> ExitCode:
        """A stop came before there was anything to withdraw."""
        reason, code = self._stopped or ("stopped", ExitCode.OK)
        alerts.send(messages.shutdown(reason))
        return code

    async def _other_daemon(self) -> str | None:
        """What to tell where this machine trades the account and symbol already; nobody shares an embedded exchange."""
        settings = self._settings
        if not settings.trading_mode.needs_key:
            return None
        return await find_running_daemon(socket_candidates(settings.symbol, os.environ, settings.log_dir), self._mark())

    def _mark(self) -> str:
        """Of the account and symbol, so that two daemons on one machine can tell whether they share them."""
        at = endpoints(self._settings)
        url = "" if at is None else at.ws_api_url
        return account_fingerprint(self._settings.symbol, url, self._settings.binance_ed25519_api_key or "")

    def _banner(self, place: TradingEnvironment) -> str:
        return messages.banner(
            VERSION,
            self._settings.trading_mode.value,
            self._settings.symbol,
            place.shown.ws_api_url,
            place.shown.ws_stream_url,
            key_is_set=self._settings.binance_ed25519_api_key is not None,
        )

    def _key_check(self, place: TradingEnvironment, alerts: Alerts) -> Callable[[int], Awaitable[None]] | None:
        """Reads what the key may do, where somebody can be asked; raises ConfigError for one that may too much."""
        url = permissions.base_url(self._settings.trading_mode.value, self._settings.binance_ws_api_url)
        if url is None:
            return None

        async def check(server_ms: int) -> None:
            for warning in await permissions.verify(place.keys, url, server_ms):
                alerts.send(warning, logging.WARNING)

        return check

    def _tell_ready(self, text: str) -> None:
        """The start is over, and what it has loaded stays: from now on no collection of garbage looks at it again.

        A full one would hold up a beat for 20 ms, which is what it takes to walk through all modules.
        """
        self._manager.ready(text)
        gc.collect()
        gc.freeze()

    async def _save_frames(self, lines: list[str]) -> Path:
        return await asyncio.to_thread(save, lines, self._settings.log_dir, datetime.now(UTC))

    # Until it is over ------------------------------------------------------------------------

    async def _until_over(
        self, daemon: TradingNode, life: RecordedSession, place: TradingEnvironment, alerts: Alerts
    ) -> ExitCode:
        """Run the daemon until it ends, is told to, or its market is over."""
        async with asyncio.TaskGroup() as tasks:
            watcher = tasks.create_task(self._stop_at_the_end(place))
            try:
                return await life.run_session(daemon.run)
            except Exception as failure:  # noqa: BLE001 - told and logged, and the summary still comes
                return report_failure(_bare(failure), alerts)
            finally:
                watcher.cancel()

    async def _stop_at_the_end(self, place: TradingEnvironment) -> None:
        await place.ended.wait()
        self.stop(place.why_ended)

    async def _stop_after(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self.stop(f"{seconds:g} s are over")

    def _beats(self) -> int:
        return 0 if self._daemon is None else self._daemon.ticks

    def _wake(self) -> None:
        if self._daemon is not None:
            self._daemon.wake()

    # The operator ----------------------------------------------------------------------------

    def _press(self, key: Hotkey) -> None:
        self._obey("terminal", key.command, self._show if key.is_question else lambda _: None)

    def _tell_of_no_more_keys(self) -> None:
        """Ctrl-D, for instance."""
        self._face.print_line(
            "end of input: no hotkeys from now on; Ctrl-C ends it, trailing-edge flip and the like still work"
        )

    def _show(self, answer: CommandResult) -> None:
        self._face.print_line(answer.text)

    def _obey(self, who: str, instruction: OperatorCommand, tell: ReplyCallback) -> None:
        if self._daemon is not None:
            self._daemon.submit(instruction, tell, who=who)
        elif instruction is OperatorCommand.QUIT:
            self.stop("quit")
        else:
            tell(CommandResult("starting, not trading yet", done=False))

    def _obey_from_afar(self, who: str, instruction: OperatorCommand, tell: ReplyCallback) -> None:
        """By phone or socket. A stop from there must outlive a service manager that restarts what has ended well."""
        if instruction is OperatorCommand.QUIT:
            self.stop("stopped from afar", ExitCode.HALTED)
            tell(CommandResult("ending: the order is withdrawn first; start it again where it runs"))
        else:
            self._obey(who, instruction, tell)

    # Telling ---------------------------------------------------------------------------------

    def _configure_phone(self, settings: Settings) -> None:
        self._phone.configure(
            settings.telegram_bot_token, settings.telegram_chat_id, group_chats(settings), settings.telegram_api_url
        )

    def _labelled(self, alerts: Alerts) -> Alerts:
        """On paper each line says so; on the phone the title does."""
        mode = mode_label(self._settings.trading_mode.value)
        return LabelledAlerts(alerts, mode) if mode.isupper() else alerts

    def _apply(self, settings: Settings) -> None:
        """New settings of what may change while it trades. The log learns new secrets before anybody uses them."""
        self._log.configure(settings.log_level_file, settings.log_level_console, setting_flags.secret_values(settings))
        self._configure_phone(settings)

    def _sum_up(self, daemon: TradingNode, gaps: Iterable[str]) -> None:
        """The summary, where the session got far enough to have one."""
        desk = daemon.services
        if desk is None or not desk.statistics.from_ms:
            return
        for line in desk.summary(tuple(gaps)).splitlines():
            logger.info("%s", line)
        if self._plan.as_json and sys.stdout is not None:
            told = summarize_run(self._settings, desk.rules, desk.statistics, tuple(gaps))
            sys.stdout.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
            sys.stdout.flush()


def group_chats(settings: Settings) -> list[str]:
    """The chats that are told beside the owner's."""
    groups = (settings.telegram_group_chat_id_1, settings.telegram_group_chat_id_2)
    return [group for group in groups if group]


def all_chats(settings: Settings) -> list[str]:
    """Everybody who is told."""
    owner = [settings.telegram_chat_id] if settings.telegram_chat_id else []
    return owner + group_chats(settings)


def _bare(failure: Exception) -> BaseException:
    return most_severe(failure) if isinstance(failure, BaseExceptionGroup) else failure


def report_failure(failure: BaseException, alerts: Alerts | None = None) -> ExitCode:
    """Say why the session ended, and the exit code for it."""
    tell = (alerts or LogAlerts()).send
    match failure:
        case ConfigError(problems=problems):
            tell(messages.ended("\n".join(problems)), logging.ERROR)
            return ExitCode.CONFIG
        case LogonRefused():
            tell(messages.ended(str(failure)), logging.ERROR)
            return ExitCode.CONFIG
        case ExchangeUnreachable() | StartFailed():
            tell(messages.ended(str(failure)), logging.ERROR)
            return ExitCode.UNREACHABLE
        case _:
            logger.error("a mistake of ours", exc_info=failure)
            tell(messages.ended(f"unexpectedly, by {type(failure).__name__}: {failure}"), logging.ERROR)
            return ExitCode.UNEXPECTED
