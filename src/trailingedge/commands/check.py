"""Command `trailing-edge check`: every setting with its source, all problems at once, and with --online a logon.

`--explain` prints a table of all settings with defaults and meanings instead, `--example` the template of an env file.
Exit codes: 0 a daemon can start with these settings, 2 flags that do not go together, 4 the exchange cannot be
reached, 78 a daemon cannot start with them.
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from trailingedge.commands import setting_flags
from trailingedge.commands.checks import local
from trailingedge.commands.checks.environment import OpenCheckTarget
from trailingedge.commands.checks.local import LocalProblems
from trailingedge.commands.checks.online import OnlineChecks
from trailingedge.commands.checks.result import CheckResult, exit_code, quiet_log
from trailingedge.config import OPTIONS, LoadedSettings, env_example, settings_table
from trailingedge.core.errors import ExitCode
from trailingedge.live.factory import check_params

_NARROWEST: Final = 80  # columns of the table of settings
_WIDEST: Final = 120


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    setting_flags.add_arguments(parser)
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--online", action="store_true", help="log on too, and compare with the exchange; no order is placed"
    )
    instead.add_argument(
        "--explain",
        action="store_true",
        help="print a table of all settings, their defaults and meanings, and nothing else",
    )
    instead.add_argument("--example", action="store_true", help="print a template for .env, and nothing else")
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")


def run(
    arguments: argparse.Namespace, open_venue: OpenCheckTarget, environ: Mapping[str, str] = os.environ
) -> ExitCode:
    """Check the settings, or describe them, and print the result."""
    if arguments.explain or arguments.example:
        return _describe(arguments)
    reading = setting_flags.load_settings(arguments, environ)
    judgement = local.validate(reading)
    online: list[CheckResult] = []
    if arguments.online and not judgement.prevents_connecting:
        with quiet_log(setting_flags.secret_values(reading.settings)):
            online = asyncio.run(_run_online_checks(reading, open_venue))
    code = ExitCode.CONFIG if judgement.problems else exit_code(online)
    if arguments.json:
        print(json.dumps(_as_json(reading, judgement, online, code), ensure_ascii=False))
    else:
        for line in (*settings_with_sources(reading), "", *_problem_lines(judgement), *map(str, online)):
            print(line)
        if arguments.online and judgement.prevents_connecting:
            print("not logged on: correct these first")
    return code


def _describe(arguments: argparse.Namespace) -> ExitCode:
    """Print the declared settings, independent of what is set."""
    if arguments.json:
        print("trailing-edge check: --json goes with neither --explain nor --example", file=sys.stderr)
        return ExitCode.USAGE
    width = min(_WIDEST, max(_NARROWEST, shutil.get_terminal_size((_WIDEST, 0)).columns))
    print(settings_table(width) if arguments.explain else env_example(), end="")
    return ExitCode.OK


async def _run_online_checks(reading: LoadedSettings, open_venue: OpenCheckTarget) -> list[CheckResult]:
    found: list[CheckResult] = []
    async with open_venue(reading.settings) as venue:
        await OnlineChecks(check_params(reading.settings), venue, found.append, thorough=False).run()
    return found


def settings_with_sources(reading: LoadedSettings) -> list[str]:
    """Every setting, its value and its source, in columns and groups. Secrets are masked."""
    rows = [(name, _shown(reading, name) or "–", reading.sources[name]) for name in OPTIONS]
    names, values = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = []
    for name, value, source in rows:
        heading = OPTIONS[name].heading
        if heading:
            lines += ["", f"# {heading}"]
        lines.append(f"{name:<{names}}  {value:<{values}}  {source}".rstrip())
    return lines[1:]


def _shown(reading: LoadedSettings, name: str) -> str:
    option = OPTIONS[name]
    return option.shown(option.of(reading.settings))


def _problem_lines(judgement: LocalProblems) -> list[str]:
    """Problems and warnings, as lists of lines."""
    lines = _listed("problem", judgement.problems) + _listed("warning", judgement.warnings)
    return lines if judgement.problems else [*lines, "a daemon can start with these settings"]


def _listed(what: str, sentences: Sequence[str]) -> list[str]:
    if not sentences:
        return []
    count = len(sentences)
    return [f"{count} {what if count == 1 else f'{what}s'}:", *(f"  - {sentence}" for sentence in sentences)]


def _as_json(
    reading: LoadedSettings, judgement: LocalProblems, online: Sequence[CheckResult], code: ExitCode
) -> dict[str, object]:
    return {
        "version": 1,
        "ok": code is ExitCode.OK,
        "symbol": reading.settings.symbol,
        "mode": reading.settings.trading_mode.value,
        "settings": {
            name: {"value": _shown(reading, name) or None, "source": source} for name, source in reading.sources.items()
        },
        "problems": list(judgement.problems),
        "warnings": list(judgement.warnings),
        "online": [finding.as_json() for finding in online],
    }
