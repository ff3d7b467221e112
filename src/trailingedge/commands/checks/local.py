"""What can be known of a start without the network: settings, the key's file, folders, the service manager."""

import asyncio
import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trailingedge import config_validator
from trailingedge.auth.manager import KeyManager
from trailingedge.commands.checks.result import CheckResult, failure, passed, skipped, warning
from trailingedge.config import CREDENTIAL, LoadedSettings, Settings
from trailingedge.core.errors import ConfigError
from trailingedge.live.control_socket import ControlSocket, NoRunningDaemon, request
from trailingedge.model.operator_commands import CommandResult

KEY_FILE: Final = "BINANCE_ED25519_PRIV_PATH"
_SETTINGS, _KEY, _LOGS, _SOCKET, _SERVICE = "settings", "private key", "log folder", "control socket", "systemd"
_LITTLE_BYTES: Final = 200 * 1024 * 1024  # a few weeks of session logs
_ANSWERED_WITHIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class LocalProblems:
    """What is wrong with the settings, by what it stops: everything, or only trading unattended."""

    settings: tuple[str, ...]
    key: tuple[str, ...]  # of the private key's file and what is in it
    consent: tuple[str, ...]  # to trade real money; a terminal is asked for it
    warnings: tuple[str, ...]

    @property
    def prevents_connecting(self) -> bool:
        """Nothing could connect with these."""
        return bool(self.settings or self.key)

    @property
    def problems(self) -> tuple[str, ...]:
        return self.settings + self.key + self.consent


def validate(reading: LoadedSettings) -> LocalProblems:
    """Everything that stops a start before it connects, what is wrong inside the key's file included."""
    chosen = reading.settings
    wrong, key = list(reading.problems), _inside_the_key(chosen)
    consent: list[str] = []
    for problem in config_validator.problems(chosen, reading.sources, reading.unread):
        name = problem.partition(" ")[0]  # each begins with the setting that it is about
        {KEY_FILE: key, "CONFIRM_LIVE": consent}.get(name, wrong).append(problem)
    # Settings that do not hold by themselves are not looked at any closer.
    warnings = [*reading.warnings, *([] if wrong else config_validator.warnings(chosen))]
    return LocalProblems(tuple(wrong), tuple(key), tuple(consent), tuple(warnings))


def settings(reading: LoadedSettings, judgement: LocalProblems) -> list[CheckResult]:
    """What is wrong with the settings, the key's file apart, or that they are fine."""
    found = [failure(_SETTINGS, problem) for problem in judgement.settings]
    found += [warning(_SETTINGS, said) for said in (*judgement.consent, *judgement.warnings)]
    changed = sum(source != "default" for source in reading.sources.values())
    return found or [passed(_SETTINGS, f"{len(reading.sources)} of them, {changed} not at their default")]


def private_key(reading: LoadedSettings, judgement: LocalProblems) -> list[CheckResult]:
    """The key's file: who may read it, and what is in it."""
    chosen = reading.settings
    if not chosen.trading_mode.needs_key:
        return [skipped(_KEY, f"{chosen.trading_mode.value} makes its own")]
    if judgement.key:
        return [failure(_KEY, problem) for problem in judgement.key]
    path = chosen.binance_ed25519_priv_path
    handed_over = ", handed over by systemd" if reading.sources[KEY_FILE] == CREDENTIAL else ""
    return [passed(_KEY, f"{path}, Ed25519, mode {stat.S_IMODE(path.stat().st_mode):04o}{handed_over}")]


def log_folder(log_dir: Path) -> CheckResult:
    """Whether a session log can be written, and for how long."""
    try:
        with _left_as_it_was(log_dir):
            log_dir.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=log_dir):
                free = shutil.disk_usage(log_dir).free
    except OSError as error:
        return failure(_LOGS, f"{log_dir}: {error.strerror}", "choose a LOG_DIR that this user owns")
    said = f"{log_dir.absolute()}, {free / 1e9:.1f} GB free"
    if free < _LITTLE_BYTES:
        return warning(_LOGS, said, "make room, or lower LOG_RETENTION_DAYS")
    return passed(_LOGS, said)


@contextlib.contextmanager
def _left_as_it_was(folder: Path) -> Iterator[None]:
    """What is missing of `folder` and is made meanwhile goes away again, unless somebody uses it by then."""
    missing = [each for each in (folder, *folder.parents) if not os.path.exists(each)]  # never raises, innermost first
    try:
        yield
    finally:
        for each in missing:
            with contextlib.suppress(OSError):
                each.rmdir()


async def control_socket(path: Path) -> tuple[CheckResult, bool]:
    """Whether a daemon could listen there, and whether one does."""
    try:
        answer = await request(path, "status", patience_s=_ANSWERED_WITHIN_S)
    except NoRunningDaemon as nobody:
        if nobody.command_sent:
            return warning(_SOCKET, f"{path}: {nobody}", "see what is running there"), True
    else:
        return passed(_SOCKET, f"{path}, where a daemon runs: {_beginning(str(answer['text']))}"), True
    control = ControlSocket(path, lambda _, tell: tell(CommandResult("only trying", done=False)))
    with _left_as_it_was(path.parent):
        trying, opening = asyncio.create_task(control.run()), asyncio.create_task(control.open.wait())
        await asyncio.wait((trying, opening), return_when=asyncio.FIRST_COMPLETED)
        for task in (trying, opening):
            task.cancel()
        await asyncio.wait((trying, opening))
    if control.unavailable_reason:
        return warning(_SOCKET, f"{path}: {control.unavailable_reason}", "the daemon goes on without it"), False
    return passed(_SOCKET, f"{path} can be made"), False


def _beginning(status: str) -> str:
    """Which daemon it is and how it stands; of what it holds and waits for it tells itself."""
    return " | ".join(status.split("\n")[0].split(" | ")[:2])


def service_manager(environ: Mapping[str, str]) -> CheckResult:
    """Whether systemd would hear that we are ready."""
    told = environ.get("NOTIFY_SOCKET", "")
    if not told:
        return skipped(_SERVICE, "not started by systemd, as a service is: NOTIFY_SOCKET is not set")
    if not told.startswith("@") and not os.access(told, os.W_OK):
        return warning(_SERVICE, f"NOTIFY_SOCKET is {told}, which cannot be written to", "use Type=notify in the unit")
    every = environ.get("WATCHDOG_USEC", "")
    watchdog = f"watchdog {int(every) / 1e6:g} s" if every.isdigit() else "no watchdog"
    return passed(_SERVICE, f"listens at {told}, {watchdog}")


def _inside_the_key(chosen: Settings) -> list[str]:
    """What is wrong inside the key's file; whether there is one that we may read is judged with the settings."""
    path = chosen.binance_ed25519_priv_path
    if not chosen.trading_mode.needs_key or not path.is_file() or not os.access(path, os.R_OK):
        return []
    try:
        KeyManager.from_file(path, chosen.binance_ed25519_api_key or "")
    except ConfigError as wrong:
        return list(wrong.problems)
    return []
