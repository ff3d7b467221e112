"""Local checks: find problems of a start that need no network: settings, key file, folders, service manager."""

import asyncio
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trailingedge import config_validator
from trailingedge.auth.manager import key_file_problems
from trailingedge.commands.checks.result import CheckResult, failure, passed, skipped, warning
from trailingedge.config import CREDENTIAL, LoadedSettings
from trailingedge.core import private_files
from trailingedge.core.session_log import folder_problems
from trailingedge.live.control_socket import ControlSocket, NoRunningDaemon, request
from trailingedge.model.operator_commands import CommandResult, OperatorCommand

KEY_FILE: Final = "BINANCE_ED25519_PRIV_PATH"
_SETTINGS, _KEY, _LOGS, _SOCKET, _SERVICE = "settings", "private key", "log folder", "control socket", "systemd"
_LITTLE_BYTES: Final = 200 * 1024 * 1024  # a few weeks of session logs
_ANSWER_WITHIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class LocalProblems:
    """Problems of the settings: those that prevent any connection, and those that prevent only unattended trading."""

    settings: tuple[str, ...]
    key: tuple[str, ...]  # of the private key's file and its content
    consent: tuple[str, ...]  # to trade real money; at a terminal the daemon asks for it
    warnings: tuple[str, ...]
    log_dir: tuple[str, ...] = ()  # of the folder of the log, without which a daemon does not start

    @property
    def prevents_connecting(self) -> bool:
        """Whether the exchange cannot be reached with these settings."""
        return bool(self.settings or self.key)

    @property
    def problems(self) -> tuple[str, ...]:
        """All problems but the warnings."""
        return self.settings + self.key + self.log_dir + self.consent


def validate(reading: LoadedSettings, environ: Mapping[str, str]) -> LocalProblems:
    """Find every local problem that prevents a start: in settings, key file, log folder and proxies."""
    settings = reading.settings
    wrong, consent, key = list(reading.problems), list[str](), list[str]()
    if settings.trading_mode.needs_key:
        key += key_file_problems(settings.binance_ed25519_priv_path, settings.binance_ed25519_api_key or "")
    for problem in config_validator.problems(settings, reading.sources, reading.unread):
        name = problem.partition(" ")[0]  # each problem begins with the name of its setting
        {KEY_FILE: key, "CONFIRM_LIVE": consent}.get(name, wrong).append(problem)
    wrong += config_validator.proxy_problems(settings, environ)
    # Most warnings compare several settings, which means little while one of them is wrong.
    others = config_validator.secret_warnings(settings) if wrong else config_validator.warnings(settings)
    warnings = [*reading.warnings, *others]
    warnings += config_validator.telegram_proxy_warnings(settings, environ)
    logs = tuple(folder_problems(settings.log_dir))
    return LocalProblems(tuple(wrong), tuple(key), tuple(consent), tuple(warnings), logs)


def settings(reading: LoadedSettings, problems: LocalProblems) -> list[CheckResult]:
    """The findings about the settings, apart from the key file."""
    found = [failure(_SETTINGS, problem) for problem in problems.settings]
    found += [warning(_SETTINGS, text) for text in (*problems.consent, *problems.warnings)]
    changed = sum(source != "default" for source in reading.sources.values())
    return found or [passed(_SETTINGS, f"{len(reading.sources)} read, {changed} of them changed from their default")]


def private_key(reading: LoadedSettings, problems: LocalProblems) -> list[CheckResult]:
    """The findings about the key file: who may read it, and its content."""
    chosen = reading.settings
    if not chosen.trading_mode.needs_key:
        return [skipped(_KEY, f"{chosen.trading_mode.value} makes its own")]
    if problems.key:
        return [failure(_KEY, problem) for problem in problems.key]
    path = chosen.binance_ed25519_priv_path
    handed_over = ", handed over by systemd" if reading.sources[KEY_FILE] == CREDENTIAL else ""
    return [passed(_KEY, f"{path}, Ed25519, mode {stat.S_IMODE(path.stat().st_mode):04o}{handed_over}")]


def log_folder(log_dir: Path) -> CheckResult:
    """Check whether a session log can be written, and how much disk space is free."""
    problems = folder_problems(log_dir)
    if problems:
        return failure(_LOGS, problems[0])
    there = next(folder for folder in (log_dir.absolute(), *log_dir.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    text = f"{log_dir.absolute()}, {free / 1e9:.1f} GB free"
    if free < _LITTLE_BYTES:
        return warning(_LOGS, text, "make room, or lower LOG_MAX_MB, RECORD_MAX_MB or LOG_RETENTION_DAYS")
    return passed(_LOGS, text)


async def control_socket(path: Path) -> tuple[CheckResult, bool]:
    """Check whether a daemon could listen at `path`. Also returns whether one listens there now."""
    try:
        answer = await request(path, "status", timeout_s=_ANSWER_WITHIN_S)
    except NoRunningDaemon as reason:
        # A program accepted the connection but did not answer like a daemon. It blocks the path, hung or not.
        if reason.command_sent:
            return warning(_SOCKET, f"{path}: {reason}", "see which program uses this path"), True
    else:
        return passed(_SOCKET, f"{path}, where a daemon runs: {_mode_and_position(str(answer['text']))}"), True
    # No daemon answered. Open the socket as a daemon would; that finds a path that is too long, taken or forbidden.
    control = ControlSocket(path, _refuse)
    with private_files.restored(path.parent):
        running, opening = asyncio.create_task(control.run()), asyncio.create_task(control.open.wait())
        await asyncio.wait((running, opening), return_when=asyncio.FIRST_COMPLETED)
        for task in (running, opening):
            task.cancel()
        await asyncio.wait((running, opening))
    if control.unavailable_reason:
        return warning(
            _SOCKET, f"{path}: {control.unavailable_reason}", "the daemon can trade without a control socket"
        ), False
    return passed(_SOCKET, f"{path} can be created"), False


def _refuse(_command: OperatorCommand, _argument: str) -> asyncio.Future[CommandResult]:
    """Refuse every command: the socket is open only for a moment, and there is no daemon that could execute it."""
    reply: asyncio.Future[CommandResult] = asyncio.get_running_loop().create_future()
    reply.set_result(CommandResult("only trying", done=False))
    return reply


def _mode_and_position(status: str) -> str:
    """Return the first two parts of a status line. The other parts change every second, so they are left out."""
    return " | ".join(status.split("\n")[0].split(" | ")[:2])


def service_manager(environ: Mapping[str, str]) -> CheckResult:
    """Whether systemd would receive our messages."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return skipped(
            _SERVICE, "this command was not started by systemd, which starts a service: NOTIFY_SOCKET is not set"
        )
    if not address.startswith("@") and not os.access(address, os.W_OK):
        text = f"NOTIFY_SOCKET is {address}, which cannot be written to"
        return warning(_SERVICE, text, "use Type=notify in the unit")
    every = environ.get("WATCHDOG_USEC", "")
    watchdog = f"watchdog {int(every) / 1e6:g} s" if every.isdigit() else "no watchdog"
    return passed(_SERVICE, f"listens at {address}, {watchdog}")
