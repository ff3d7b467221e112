"""`trailing-edge doctor`: checks everything that a start needs, up to a canary order, one line per finding.

A failed check is shown with its remedy, and the other checks still run. Exit codes: 0 nothing
failed, 78 a person must correct something, 4 the exchange cannot be reached, 1 another failure.
"""

import argparse
import asyncio
import json
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from trailingedge.commands import setting_flags
from trailingedge.commands.checks import local
from trailingedge.commands.checks.check_target import ChatSearch, OpenCheckTarget, TelegramCheck, no_chats
from trailingedge.commands.checks.online import ResultCallback
from trailingedge.commands.checks.online_run import run_online_checks
from trailingedge.commands.checks.result import (
    CheckResult,
    exit_code,
    failure,
    passed,
    quiet_log,
    skipped,
    summary_line,
    warning,
)
from trailingedge.config import LoadedSettings, TradingMode
from trailingedge.core.errors import ConfigError, ExitCode
from trailingedge.live.control_socket import socket_path
from trailingedge.live.factory import check_params

_TELEGRAM: Final = "Telegram"
_REFUSED: Final = re.compile(r"4\d\d ")
_NO_SUCH_BOT: Final = ("401 ", "404 ")
_MESSAGE: Final = "Trailing Edge: test message of trailing-edge doctor. Alerts arrive in this chat."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    setting_flags.add_arguments(parser)
    parser.add_argument("--order", action="store_true", help="live: place the test order too, and cancel it at once")
    parser.add_argument("--json", action="store_true", help="print all results as one JSON object")


def run(
    arguments: argparse.Namespace,
    open_target: OpenCheckTarget,
    check_telegram: TelegramCheck,
    environ: Mapping[str, str] = os.environ,
    find_chats: ChatSearch = no_chats,
) -> ExitCode:
    """Run every check, print each finding as it is made, and sum up."""
    found: list[CheckResult] = []
    begun = datetime.now(UTC)
    progress = sys.stderr if arguments.json else sys.stdout

    def on_result(result: CheckResult) -> None:
        found.append(result)
        print(result, file=progress, flush=True)

    # `read` reports problems in the result instead of raising, so that every other check can still run.
    reading = setting_flags.load_settings(arguments, environ)
    with quiet_log(setting_flags.secret_values(reading.settings)):
        checks = run_checks(
            reading, open_target, check_telegram, environ, on_result, order=arguments.order, find_chats=find_chats
        )
        asyncio.run(checks)
    # With --json the lines go to stderr, so that stdout holds one JSON object and nothing else.
    code = exit_code(found)
    print(summary_line(found), file=progress)
    if arguments.json:
        report = {
            "version": 1,
            "ok": code is ExitCode.OK,
            "symbol": reading.settings.symbol,
            "mode": reading.settings.trading_mode.value,
            "at": begun.isoformat(timespec="seconds"),
            "findings": [result.as_json() for result in found],
        }
        print(json.dumps(report, ensure_ascii=False))
    return code


async def run_checks(
    reading: LoadedSettings,
    open_target: OpenCheckTarget,
    check_telegram: TelegramCheck,
    environ: Mapping[str, str],
    on_result: ResultCallback,
    *,
    order: bool,
    find_chats: ChatSearch = no_chats,
) -> None:
    """Run every check. In live mode, the canary order is placed only if `order` is True."""
    settings, problems = reading.settings, local.validate(reading, environ)
    for result in (*local.settings(reading, problems), *local.private_key(reading, problems)):
        on_result(result)
    on_result(local.log_folder(settings.log_dir))
    running = False
    if any(problem.startswith("SYMBOL ") for problem in problems.settings):  # it is a part of the socket's name
        on_result(skipped("control socket", "correct SYMBOL first"))
    else:
        socket, running = await local.control_socket(socket_path(settings.symbol, environ, settings.log_dir))
        on_result(socket)
    on_result(local.service_manager(environ))
    for result in await _telegram(reading, check_telegram):
        on_result(result)
    # A daemon fetches the messages itself, and Telegram serves only one.
    if reading.settings.telegram_bot_token is not None and not running:
        for result in await _chats(reading, find_chats):
            on_result(result)
    if problems.prevents_connecting:
        on_result(skipped("the exchange", "correct the settings first"))
        return
    why_not = why_not_placed(settings.trading_mode, asked_for=order, running=running)
    params, opening = check_params(settings), open_target(settings)
    await run_online_checks(params, opening, on_result, place=not why_not, why_not=why_not)


def why_not_placed(mode: TradingMode, *, asked_for: bool, running: bool) -> str:
    """Return why the canary order is not placed; "" if it is placed.

    It is not placed while a daemon is `running`, because the order would change the balances that
    the daemon sees. In live mode it is placed only with --order.
    """
    if mode.embedded:
        return ""
    if running:
        return "a daemon runs here"
    return "in live mode an order is placed only with --order" if mode is TradingMode.LIVE and not asked_for else ""


async def _telegram(reading: LoadedSettings, check_telegram: TelegramCheck) -> list[CheckResult]:
    if reading.settings.telegram_bot_token is None:
        return [skipped(_TELEGRAM, "TELEGRAM_BOT_TOKEN is not set, so no alerts are sent to the phone")]
    try:
        errors = await check_telegram(reading.settings, _MESSAGE)
    except ConfigError as wrong:
        return [failure(_TELEGRAM, problem) for problem in wrong.problems]
    server = reading.settings.telegram_api_url
    return [
        _not_delivered(f"{part}: {error}", error, server) if error else passed(_TELEGRAM, f"{part}: reached")
        for part, error in errors.items()
    ]


async def _chats(reading: LoadedSettings, find_chats: ChatSearch) -> list[CheckResult]:
    """Show who has written to the bot, because the id of a chat is hard to find otherwise."""
    try:
        found = await find_chats(reading.settings)
    except ConfigError:  # reported with the messages
        found = ()
    if found:
        return [passed(_TELEGRAM, f"chats that wrote to the bot: {', '.join(found)}")]
    if reading.settings.telegram_chat_id is not None:
        return []
    remedy = "send the bot a message; then doctor shows the number for TELEGRAM_CHAT_ID"
    return [warning(_TELEGRAM, "no chat is set, and none has written to the bot lately", remedy)]


def _not_delivered(text: str, error: str, server: str | None) -> CheckResult:
    """Return the finding for a Telegram message that did not arrive. `server` is the setting TELEGRAM_API_URL."""
    if error.startswith(_NO_SUCH_BOT):
        return failure(_TELEGRAM, text, "check TELEGRAM_BOT_TOKEN: no bot has this token")
    if _REFUSED.match(error):
        return failure(
            _TELEGRAM,
            text,
            "check the chat's number, and write to the bot in that chat once, so that the bot is allowed to answer",
        )
    remedy = f"check TELEGRAM_API_URL, {server}" if server else "check that this machine may reach api.telegram.org"
    return failure(_TELEGRAM, text, f"{remedy}, and try again", code=ExitCode.UNREACHABLE)
