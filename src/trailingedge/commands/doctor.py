"""`trailing-edge doctor`: everything that a start needs, tried out up to a canary order, one line each.

Whatever fails is named with its remedy, and the rest is looked at all the same. Exit codes: 0 where nothing
failed, else 78 where a person must mend it, 4 where the exchange cannot be reached, 1 for what nobody foresaw.
"""

import argparse
import asyncio
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from trailingedge.commands import setting_flags
from trailingedge.commands.checks import local
from trailingedge.commands.checks.environment import OpenCheckTarget
from trailingedge.commands.checks.online import OnlineChecks, ResultCallback
from trailingedge.commands.checks.result import (
    CheckResult,
    exit_code,
    failure,
    passed,
    quiet_log,
    skipped,
    summary_line,
)
from trailingedge.config import LoadedSettings, Settings, TradingMode
from trailingedge.core.errors import ConfigError, ExitCode
from trailingedge.live.control_socket import socket_path

TelegramCheck = Callable[[Settings, str], Awaitable[Mapping[str, str | None]]]
"""Sends a text to every chat. By part, the bot and each chat in words, what went wrong there, or None.

A refusal of Telegram's own begins with its code. It does not raise for reasons of the network, and names no token.
"""

_TELEGRAM: Final = "Telegram"
_REFUSED: Final = re.compile(r"4\d\d ")
_NO_SUCH_BOT: Final = ("401 ", "404 ")
_MESSAGE: Final = "Trailing Edge: the doctor tries whether messages arrive. This one did."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    setting_flags.add_arguments(parser)
    parser.add_argument("--order", action="store_true", help="live: place the test order too, and cancel it at once")
    parser.add_argument("--json", action="store_true", help="print all results as one JSON object")


def run(
    arguments: argparse.Namespace,
    open_venue: OpenCheckTarget,
    courier: TelegramCheck,
    environ: Mapping[str, str] = os.environ,
) -> ExitCode:
    """Examine, tell each finding as it is made, and sum up."""
    found: list[CheckResult] = []
    begun = datetime.now(UTC)
    progress = sys.stderr if arguments.json else sys.stdout

    def tell(finding: CheckResult) -> None:
        found.append(finding)
        print(finding, file=progress, flush=True)

    reading = setting_flags.load_settings(arguments, environ)
    with quiet_log(setting_flags.secret_values(reading.settings)):
        asyncio.run(examine(reading, open_venue, courier, environ, tell, order=arguments.order))
    code = exit_code(found)
    print(summary_line(found), file=progress)
    if arguments.json:
        report = {
            "version": 1,
            "ok": code is ExitCode.OK,
            "symbol": reading.settings.symbol,
            "mode": reading.settings.trading_mode.value,
            "at": begun.isoformat(timespec="seconds"),
            "findings": [finding.as_json() for finding in found],
        }
        print(json.dumps(report, ensure_ascii=False))
    return code


async def examine(
    reading: LoadedSettings,
    open_venue: OpenCheckTarget,
    courier: TelegramCheck,
    environ: Mapping[str, str],
    tell: ResultCallback,
    *,
    order: bool,
) -> None:
    """Look at everything. `order`: in live, the canary may be placed."""
    settings, judgement = reading.settings, local.validate(reading)
    for finding in (*local.settings(reading, judgement), *local.private_key(reading, judgement)):
        tell(finding)
    tell(local.log_folder(settings.log_dir))
    running = False
    if any(problem.startswith("SYMBOL ") for problem in judgement.settings):  # it is a part of the socket's name
        tell(skipped("control socket", "correct SYMBOL first"))
    else:
        socket, running = await local.control_socket(socket_path(settings.symbol, environ, settings.log_dir))
        tell(socket)
    tell(local.service_manager(environ))
    for finding in await _telegram(settings, courier):
        tell(finding)
    if judgement.prevents_connecting:
        tell(skipped("the exchange", "correct the settings first"))
        return
    why_not = why_not_placed(settings.trading_mode, asked_for=order, running=running)
    try:
        async with open_venue(settings) as venue:
            await OnlineChecks(settings, venue, tell, place=not why_not, why_not=why_not).run()
    except ConfigError as wrong:
        for problem in wrong.problems:
            tell(failure("the exchange", problem))


def why_not_placed(mode: TradingMode, *, asked_for: bool, running: bool) -> str:
    """Why the canary is not placed: a daemon is `running`, or it is real money and nobody asked. Empty if it is."""
    if mode.embedded:
        return ""
    if running:
        return "a daemon runs here"
    return "in live that takes --order" if mode is TradingMode.LIVE and not asked_for else ""


async def _telegram(settings: Settings, courier: TelegramCheck) -> list[CheckResult]:
    if settings.telegram_bot_token is None:
        return [skipped(_TELEGRAM, "no token, no alerts on the phone")]
    told = await courier(settings, _MESSAGE)
    return [
        _untold(f"{part}: {trouble}", trouble, settings) if trouble else passed(_TELEGRAM, f"{part}: reached")
        for part, trouble in told.items()
    ]


def _untold(said: str, trouble: str, settings: Settings) -> CheckResult:
    """A message that did not arrive, and whose fault that is."""
    if trouble.startswith(_NO_SUCH_BOT):
        return failure(_TELEGRAM, said, "check TELEGRAM_BOT_TOKEN: no bot has this one")
    if _REFUSED.match(trouble):
        return failure(
            _TELEGRAM, said, "check the chat's number, and write to the bot there once, so that it may answer"
        )
    server = settings.telegram_api_url
    remedy = f"check TELEGRAM_API_URL, {server}" if server else "see that this machine may reach api.telegram.org"
    return failure(_TELEGRAM, said, f"{remedy}, and try again", code=ExitCode.UNREACHABLE)
