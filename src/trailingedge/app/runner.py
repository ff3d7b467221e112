"""Session runner: runs one trading session on its environment, with user interface, alerts, record and watchdog."""

import asyncio
import contextlib
import gc
import json
import logging
import os
import shlex
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random, SystemRandom
from typing import Any, Final

from trailingedge import DISTRIBUTION, VERSION
from trailingedge.accounting.summary_json import build_summary
from trailingedge.app.environments import TradingEnvironment, open_environment
from trailingedge.app.flip_confirmation import FlipConfirmation, TerminalFlip
from trailingedge.app.run_options import RunOptions
from trailingedge.app.session_health import health_facts, with_health
from trailingedge.app.settings_reload import Reloader
from trailingedge.auth import api_key_permissions
from trailingedge.commands import setting_flags
from trailingedge.config import (
    ConfirmFlip,
    Settings,
    TradingMode,
    endpoints,
    settings_without_secrets,
    shareable_settings,
)
from trailingedge.console.hotkeys import Hotkey, UnknownKey, read_hotkeys
from trailingedge.console.plain_ui import InteractiveUi
from trailingedge.core.clock import Clock, RealClock
from trailingedge.core.errors import ConfigError, ExchangeUnreachable, ExitCode, LogonRefused, StartFailed, most_severe
from trailingedge.core.loop_watch import SleepTest
from trailingedge.eventlog.recording_start import RecordedSession, UnrecordedSession, open_record, start_recording
from trailingedge.live.control_socket import (
    ControlSocket,
    account_fingerprint,
    find_running_daemon,
    socket_candidates,
    socket_path,
)
from trailingedge.live.factory import node_params
from trailingedge.live.health_monitor import HealthMonitor
from trailingedge.live.node_builder import build_node
from trailingedge.live.node_dependencies import Runtime
from trailingedge.live.process_signals import keep_running, sighup_reloads, stop_on_signals
from trailingedge.live.start_progress import StartProgress
from trailingedge.live.status_feed import StatusFeed
from trailingedge.live.systemd import NotifyingUi, ServiceManager, Watchdog, service_manager, watchdog_interval_s
from trailingedge.live.trading_node import TradingNode
from trailingedge.logging_config import Logging
from trailingedge.model.operator_commands import CommandResult, OperatorCommand
from trailingedge.notifications import event_messages
from trailingedge.notifications.alert_sinks import AlertFanout, Alerts, LabelledAlerts, LogAlerts
from trailingedge.notifications.health import HealthFacts
from trailingedge.notifications.session_heading import heading, mode_label
from trailingedge.notifications.status import StatusView
from trailingedge.notifications.telegram_loader import TelegramService
from trailingedge.websocket.recent_frames import save
from trailingedge.websocket.socket_dialer import Dial

logger = logging.getLogger(__name__)

_LAST_ALERTS_S: Final = 1.0

Reply = asyncio.Future[CommandResult]


class Runner:
    """Runs one session. The caller opens and closes `ui` and `log`; `dial` opens connections.

    `loop_sleeps` returns whether the event loop sleeps; the writer of the record uses it.
    """

    def __init__(
        self, options: RunOptions, ui: InteractiveUi, log: Logging, dial: Dial, loop_sleeps: SleepTest
    ) -> None:
        self._loop_sleeps = loop_sleeps
        self._options = options
        self._settings = options.settings
        self._ui = ui
        self._log = log
        self._dial = dial
        self._clock: Clock = RealClock()
        self._manager: ServiceManager = service_manager(os.environ)
        self._telegram = TelegramService(
            title=heading(self._settings.trading_mode.value, self._settings.symbol),
            obey=self._submit_from_telegram,
            clock=self._clock,
            chance=SystemRandom(),  # draws the confirmation codes, which must not be predictable
        )
        self._configure_telegram(self._settings)
        self._progress = StartProgress(self._manager.starting)
        self._feed = StatusFeed(self._clock, VERSION, self._status, lambda: self._progress.text)
        log.follow(options.settings.log_level_console, self._feed.on_log_line)
        self._node: TradingNode | None = None
        needed = self._settings.confirm_flip is ConfirmFlip.ALWAYS or self._settings.trading_mode is TradingMode.LIVE
        typed, self._socket_flips = (
            FlipConfirmation(partial(self._submit, source), needed=needed, now_s=self._clock.now_s)
            for source in ("terminal", "socket")
        )
        self._terminal_flip = TerminalFlip(typed, ui.print_line)
        self._opening: asyncio.Timeout | None = None
        self._stopped: tuple[str, ExitCode] | None = None  # a stop before there was a node

    async def run(self) -> ExitCode:
        """Run from the first connection to the last alert."""
        alerts = AlertFanout(self._labelled(LogAlerts()), self._telegram)
        sending = asyncio.create_task(self._telegram.run())
        try:
            with contextlib.closing(self._manager):
                return await self._run_with_watchers(alerts)
        except BaseExceptionGroup as group:
            return report_failure(most_severe(group), alerts)
        except Exception as failure:  # noqa: BLE001 - whatever the failure is, it is reported and becomes an exit code
            return report_failure(failure, alerts)
        finally:
            try:
                # The alert with the reason of the end is the one that matters most: give it time to leave.
                await self._telegram.flush(_LAST_ALERTS_S)
            finally:
                sending.cancel()
                await asyncio.wait([sending])

    def stop(self, reason: str, code: ExitCode = ExitCode.OK) -> None:
        """Stop the session, even while it is still starting. Later requests are ignored."""
        if self._node is not None:
            self._node.stop(reason, code)
        elif self._stopped is None:
            self._stopped = (reason, code)
            self._manager.stopping(reason)
            # A time in the past: interrupts the opening at once, which may wait for an unreachable market.
            if self._opening is not None:
                self._opening.reschedule(0.0)

    async def _run_with_watchers(self, alerts: Alerts) -> ExitCode:
        """Run the session, together with signals, hotkeys, control socket, watchdog and reload of the settings."""
        other = await self._find_other_daemon()  # before we listen at the same path ourselves
        if other is not None:
            alerts.send(event_messages.ended(other), logging.ERROR)
            return ExitCode.HALTED  # a service manager must not restart us: both daemons would trade in turns
        loop = asyncio.get_running_loop()
        read_hotkeys(sys.stdin, loop, self._on_hotkey, self._ui.on_enter, self._on_end_of_input)
        reloader = Reloader(self._settings, self._options.reread_settings, self._apply, self._manager, self._clock)
        control = ControlSocket(
            socket_path(self._settings.symbol, os.environ, self._settings.log_dir),
            partial(self._submit_from_socket, reloader),
            account=self._fingerprint(),
            subscription=self._feed.serve,
        )
        settings = self._settings
        session = HealthFacts(settings.trading_mode.value, settings.symbol, None, settings.stale_after_sec)
        self._health = HealthMonitor(
            self._settings.log_dir,
            self._settings.health_file,
            self._clock,
            lambda disk_free: health_facts(session, self._node, self._progress, disk_free),
        )
        # All of these run from the beginning, also while a paper exchange opens or a start waits for an outage.
        interval_s = watchdog_interval_s(os.environ, os.getpid())
        watchdog = Watchdog(self._manager, self._ticks, self._wake, self._clock, interval_s)
        always = (reloader.run(), control.run(), self._feed.run(), watchdog.run(), self._health.run())
        jobs: list[Coroutine[Any, Any, None]] = [*always]
        if self._options.duration_s is not None:
            jobs.append(self._stop_after(self._options.duration_s))
        reload = reloader.request if sighup_reloads(os.environ) else None
        with stop_on_signals(self.stop, reload), keep_running(self._on_suspend, self._ui.redraw):
            async with asyncio.TaskGroup() as tasks:
                watchers = [tasks.create_task(job) for job in jobs]
                try:
                    return await self._trade(alerts)
                except Exception as failure:  # noqa: BLE001 - it must not cancel the watchers as a failed group would
                    return report_failure(_ungrouped(failure), alerts)
                finally:
                    self._feed.close("the daemon has ended")
                    for watcher in watchers:
                        watcher.cancel()

    # The environment -------------------------------------------------------------------------

    async def _trade(self, alerts: Alerts) -> ExitCode:
        random = Random(self._options.seed)
        async with contextlib.AsyncExitStack() as stack:
            environment = await self._open(stack, random, alerts)
            if environment is None:
                return self._report_early_stop(alerts)
            alerts.send(self._banner(environment))
            runtime = Runtime(
                environment.endpoints,
                environment.keys,
                self._dial,
                self._clock,
                random,
                self._save_frames,
                feed_reconnects=environment.reconnects,
            )
            with open_record(
                self._log.file,
                datetime.now(UTC),
                setting_flags.secret_values(self._settings),
                wanted=self._settings.record,
                max_mb=self._settings.record_max_mb,
                retention_days=self._settings.log_retention_days,
                loop_sleeps=self._loop_sleeps,
            ) as lines:
                session: RecordedSession = UnrecordedSession(runtime)
                if lines is not None:
                    shown = settings_without_secrets(self._settings)
                    session = start_recording(shown, runtime, lines, program=VERSION)
                node = self._node = build_node(
                    node_params(self._settings),
                    session.runtime,
                    NotifyingUi(self._ui, self._manager, environment.shown),
                    session.wrap_alerts(alerts),
                    before_ready=self._before_ready,
                    on_ready=self._manager.ready,
                    on_stop=self._manager.stopping,
                    verify_key=self._key_check(environment, alerts),
                    progress=self._progress,
                    on_event=self._feed.on_event,
                )
                code = await self._run_node(node, session, environment, alerts)
            self._print_summary(node, environment.gaps)
            self._print_files(None if lines is None else lines.path)
            return code

    async def _open(
        self, stack: contextlib.AsyncExitStack, random: Random, alerts: Alerts
    ) -> TradingEnvironment | None:
        """Open the exchange. Returns None if the session is stopped first.

        In paper mode the opening can take long: if the real market cannot be reached, it waits until that is possible
        again.
        """
        try:
            async with asyncio.timeout(None) as self._opening:
                if self._stopped is not None:
                    return None
                opening = open_environment(
                    self._settings,
                    self._options.simulation,
                    self._clock,
                    random,
                    self._ui.show_step,
                    partial(alerts.send, level=logging.WARNING),
                    self._progress,
                )
                return await stack.enter_async_context(opening)
        except TimeoutError:
            if self._stopped is None:
                raise
            return None
        finally:
            self._opening = None

    def _report_early_stop(self, alerts: Alerts) -> ExitCode:
        reason, code = self._stopped or ("stopped", ExitCode.OK)
        alerts.send(event_messages.shutdown(reason))
        return code

    async def _find_other_daemon(self) -> str | None:
        """Return a message if another daemon on this machine trades this account and symbol already, else None."""
        settings = self._settings
        if not settings.trading_mode.needs_key:  # each session has an embedded exchange of its own
            return None
        candidates = socket_candidates(settings.symbol, os.environ, settings.log_dir)
        return await find_running_daemon(candidates, self._fingerprint())

    def _fingerprint(self) -> str:
        """Return a text that identifies the account and the symbol, by which a second daemon for them is detected."""
        at = endpoints(self._settings)
        url = "" if at is None else at.ws_api_url
        return account_fingerprint(self._settings.symbol, url, self._settings.binance_ed25519_api_key or "")

    def _banner(self, environment: TradingEnvironment) -> str:
        return event_messages.banner(
            VERSION,
            self._settings.trading_mode.value,
            self._settings.symbol,
            environment.shown.ws_api_url,
            environment.shown.ws_stream_url,
            key_is_set=self._settings.binance_ed25519_api_key is not None,
        )

    def _key_check(self, environment: TradingEnvironment, alerts: Alerts) -> Callable[[int], Awaitable[None]] | None:
        """Return a function that checks the API key's permissions; None if they cannot be queried.

        The function raises ConfigError if the permissions prevent a start, for example if the key may be used to
        withdraw.
        """
        url = api_key_permissions.base_url(self._settings.trading_mode.value, self._settings.binance_ws_api_url)
        if url is None:
            return None

        async def check(server_ms: int) -> None:
            for warning in await api_key_permissions.verify(environment.keys, url, server_ms):
                alerts.send(warning, logging.WARNING)

        return check

    async def _save_frames(self, lines: list[str]) -> Path:
        return await asyncio.to_thread(save, lines, self._settings.log_dir, datetime.now(UTC))

    # The node --------------------------------------------------------------------------------

    async def _run_node(
        self, node: TradingNode, session: RecordedSession, environment: TradingEnvironment, alerts: Alerts
    ) -> ExitCode:
        """Run the node until it ends, the session is stopped, or the market ends."""
        async with asyncio.TaskGroup() as tasks:
            watcher = tasks.create_task(self._stop_with_the_market(environment))
            try:
                return await session.run_session(node.run)
            except Exception as failure:  # noqa: BLE001 - reported here, so that the summary is still printed
                return report_failure(_ungrouped(failure), alerts)
            finally:
                watcher.cancel()

    def _before_ready(self) -> None:
        _exempt_from_garbage_collection()
        # The warnings at the start are far above by now, and a misspelt limit is no limit.
        if self._options.ignored_lines:
            self._ui.show_step("settings", self._options.ignored_lines)

    async def _stop_with_the_market(self, environment: TradingEnvironment) -> None:
        await environment.ended.wait()
        self.stop(environment.why_ended)

    async def _stop_after(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self.stop(f"--duration reached ({seconds:g} s)")

    def _status(self) -> StatusView | None:
        return None if self._node is None else self._node.status()

    def _ticks(self) -> int:
        return 0 if self._node is None else self._node.ticks

    def _wake(self) -> None:
        if self._node is not None:
            self._node.wake()

    # Operator commands -----------------------------------------------------------------------

    def _on_hotkey(self, key: Hotkey | UnknownKey) -> None:
        if key is Hotkey.CONFIRM:
            self._terminal_flip.confirm()
            return
        self._terminal_flip.drop()
        if isinstance(key, UnknownKey):
            self._ui.print_line(key.text)
            return
        if key is Hotkey.FLIP:
            self._terminal_flip.ask()
            return
        reply = self._submit("terminal", key.command)
        if (
            key.is_question
        ):  # the effect of any other command is announced by an alert, which the terminal shows as well
            reply.add_done_callback(self._show_reply)

    def _on_end_of_input(self) -> None:
        """Tell the user that the terminal's input has ended, for example by Ctrl-D, and remove prompt and hotkeys."""
        self._ui.on_end_of_input()
        self._ui.print_line(
            "the terminal's input has ended: no hotkeys from now on; Ctrl-C ends the bot, and commands such as "
            "trailing-edge flip still work"
        )

    def _on_suspend(self) -> None:
        """Tell the user that Ctrl-Z does not stop the process."""
        self._ui.redraw()  # the terminal has echoed ^Z
        logger.warning(
            "Ctrl-Z refused: a stopped process would neither trade nor check the hard stop; p and Enter pauses "
            "trading, Ctrl-C ends it"
        )

    def _show_reply(self, reply: Reply) -> None:
        self._ui.print_line(reply.result().text)

    def _submit(self, source: str, command: OperatorCommand, argument: str = "") -> Reply:
        if self._node is not None:
            level = logging.DEBUG if command.is_question else logging.INFO
            logger.log(level, "operator command=%s source=%s", command.shown, source)
            return self._node.submit(command, argument)
        if command is OperatorCommand.QUIT:
            self.stop("quit")
            return _answered(CommandResult("ending: the open order is cancelled first"))
        return _answered(self._progress.answer())

    def _submit_remote(self, source: str, command: OperatorCommand, argument: str) -> Reply:
        """Submit a command from the phone or the control socket.

        QUIT ends the daemon with exit code HALTED, so that a service manager does not restart it.
        """
        if command is OperatorCommand.QUIT:
            self.stop("stopped by phone or control socket", ExitCode.HALTED)
            return _answered(
                CommandResult(
                    "ending: the open order is cancelled first; to start the bot again, use the machine that it ran on"
                )
            )
        return self._submit(source, command, argument)

    def _submit_from_socket(self, reloader: Reloader, command: OperatorCommand, argument: str) -> Reply:
        if command is OperatorCommand.FLIP:
            return self._socket_flips.request(argument)
        if command is OperatorCommand.RELOAD:
            return reloader.request()
        reply = self._submit_remote("socket", command, argument)
        return with_health(reply, self._health.facts()) if command is OperatorCommand.STATUS else reply

    def _submit_from_telegram(
        self, command: OperatorCommand, answer: Callable[[CommandResult], None], argument: str
    ) -> None:
        self._submit_remote("phone", command, argument).add_done_callback(lambda reply: answer(reply.result()))

    # Alerts and results ----------------------------------------------------------------------

    def _configure_telegram(self, settings: Settings) -> None:
        self._telegram.configure(
            settings.telegram_bot_token, settings.telegram_chat_id, group_chats(settings), settings.telegram_api_url
        )

    def _labelled(self, alerts: Alerts) -> Alerts:
        """Return `alerts`. In paper and live mode they are wrapped so that each alert begins with the mode.

        Telegram needs no such label, because the title of its messages has the mode.
        """
        mode = mode_label(self._settings.trading_mode.value)
        return LabelledAlerts(alerts, mode) if mode.isupper() else alerts

    def _apply(self, settings: Settings) -> None:
        """Apply reloaded settings. The log gets new secrets first, so that it never shows them."""
        self._log.configure(settings.log_level_file, settings.log_level_console, setting_flags.secret_values(settings))
        self._configure_telegram(settings)

    def _print_summary(self, node: TradingNode, gaps: Iterable[str]) -> None:
        """Log the summary of a session that reached trading, and print it as JSON with --json."""
        services = node.services
        if services is None or not services.statistics.from_ms:
            return
        for line in services.queries.summary(tuple(gaps)).splitlines():
            logger.info("%s", line)
        if self._options.as_json and sys.stdout is not None:
            settings = shareable_settings(self._settings)
            results = services.statistics.results()
            summary = build_summary(services.rules.symbol, settings, results, tuple(gaps))
            sys.stdout.write(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
            sys.stdout.flush()

    def _print_files(self, record: Path | None) -> None:
        """Log where the session's log and record are, and which command opens its report."""
        if self._log.file is not None:
            logger.info("log %s", self._log.file)
        if record is not None:
            logger.info("record %s", record)
            logger.info("report: %s report %s --html report.html", DISTRIBUTION, shlex.quote(str(record)))


def group_chats(settings: Settings) -> list[str]:
    """The Telegram groups that receive alerts in addition to the owner."""
    groups = (settings.telegram_group_chat_id_1, settings.telegram_group_chat_id_2)
    return [group for group in groups if group]


def all_chats(settings: Settings) -> list[str]:
    """All Telegram chats that receive alerts, the owner's first."""
    owner = [settings.telegram_chat_id] if settings.telegram_chat_id else []
    return owner + group_chats(settings)


def _answered(result: CommandResult) -> Reply:
    reply: Reply = asyncio.get_running_loop().create_future()
    reply.set_result(result)
    return reply


def _exempt_from_garbage_collection() -> None:
    """Exempt all present objects, such as the loaded modules, from garbage collection.

    A full collection visits the objects of all modules. That takes 20 ms, in which no tick can run and no order can be
    sent.
    """
    gc.collect()
    gc.freeze()


def _ungrouped(failure: Exception) -> BaseException:
    return most_severe(failure) if isinstance(failure, BaseExceptionGroup) else failure


def report_failure(failure: BaseException, alerts: Alerts | None = None) -> ExitCode:
    """Send an alert with the reason of the session's end. Returns the exit code for it."""
    send = (alerts or LogAlerts()).send
    match failure:
        case ConfigError(problems=problems):
            what = f"{event_messages.counted(len(problems), 'problem')} with the settings or the key:"
            send(event_messages.ended("\n".join([what, *(f"  - {problem}" for problem in problems)])), logging.ERROR)
            return ExitCode.CONFIG
        case LogonRefused():
            send(event_messages.ended(str(failure)), logging.ERROR)
            return ExitCode.CONFIG
        case ExchangeUnreachable() | StartFailed():
            send(event_messages.ended(str(failure)), logging.ERROR)
            return ExitCode.UNREACHABLE
        case _:
            logger.error("unexpected error, a bug in this program; session ends", exc_info=failure)
            send(event_messages.ended(f"unexpectedly, by {type(failure).__name__}: {failure}"), logging.ERROR)
            return ExitCode.UNEXPECTED
