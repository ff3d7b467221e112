"""Command `trailing-edge check`: prints all settings with their sources, and all problems.

With --online it also logs on to the exchange and checks whether the settings comply with the exchange's rules.

With --explain it prints only a table of all settings with defaults and meanings, with --example only the template of an
env file. Exit codes: 0 a daemon can start with these settings, 2 the command line has flags that exclude each other, 4
the exchange cannot be reached, 78 a daemon cannot start with them.
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
from trailingedge.commands.checks.check_target import OpenCheckTarget
from trailingedge.commands.checks.local import LocalProblems
from trailingedge.commands.checks.online_run import run_online_checks
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
    parser.add_argument("--changed", action="store_true", help="list only the settings that differ from their default")
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")


def run(
    arguments: argparse.Namespace, open_target: OpenCheckTarget, environ: Mapping[str, str] = os.environ
) -> ExitCode:
    """Check the settings, or describe them, and print the result."""
    if arguments.explain or arguments.example:
        return _describe(arguments)
    loaded = setting_flags.load_settings(arguments, environ)
    local_problems = local.validate(loaded, environ)
    online: list[CheckResult] = []
    if arguments.online and not local_problems.prevents_connecting:
        with quiet_log(setting_flags.secret_values(loaded.settings)):
            online = asyncio.run(_online_results(loaded, open_target))
    code = ExitCode.CONFIG if local_problems.problems else exit_code(online)
    names = _changed(loaded) if arguments.changed else list(OPTIONS)
    if arguments.json:
        print(json.dumps(_as_json(loaded, names, local_problems, online, code), ensure_ascii=False))
    else:
        shown = settings_with_sources(loaded, names) or ["all settings have their defaults"]
        for line in (*shown, "", *_problem_lines(local_problems), *map(str, online)):
            print(line)
        if arguments.online and local_problems.prevents_connecting:
            print("not logged on: correct these settings first")
    return code


def _describe(arguments: argparse.Namespace) -> ExitCode:
    """Print the table of all settings, or the env file template. Both show defaults, not the present values."""
    for flag, is_given in (("--json", arguments.json), ("--changed", arguments.changed)):
        if is_given:
            print(f"trailing-edge check: {flag} cannot be combined with --explain or --example", file=sys.stderr)
            return ExitCode.USAGE
    width = min(_WIDEST, max(_NARROWEST, shutil.get_terminal_size((_WIDEST, 0)).columns))
    print(settings_table(width) if arguments.explain else env_example(), end="")
    return ExitCode.OK


async def _online_results(loaded: LoadedSettings, open_target: OpenCheckTarget) -> list[CheckResult]:
    results: list[CheckResult] = []
    await run_online_checks(check_params(loaded.settings), open_target(loaded.settings), results.append, thorough=False)
    return results


def _changed(loaded: LoadedSettings) -> list[str]:
    """Return the names of the settings whose value differs from the default, or could not be read."""
    return [
        name
        for name, option in OPTIONS.items()
        if option.of(loaded.settings) != option.default or name in loaded.unread
    ]


def settings_with_sources(loaded: LoadedSettings, names: Sequence[str]) -> list[str]:
    """Return lines with each of these settings, its value and its source, in groups. Secrets are masked."""
    rows = [(name, _shown(loaded, name) or "–", loaded.sources[name]) for name in names]
    name_width, value_width = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
    lines, group, shown_group = [], "", ""
    told = {row[0]: row for row in rows}
    for each, option in OPTIONS.items():
        group = option.heading or group
        if each not in told:
            continue
        if group != shown_group:
            shown_group = group
            lines += ["", f"# {group}"]
        name, value, source = told[each]
        lines.append(f"{name:<{name_width}}  {value:<{value_width}}  {source}".rstrip())
    return lines[1:]


def _shown(loaded: LoadedSettings, name: str) -> str:
    option = OPTIONS[name]
    return option.shown(option.of(loaded.settings))


def _problem_lines(local_problems: LocalProblems) -> list[str]:
    """Problems and warnings, as lists of lines."""
    lines = _listed("problem", local_problems.problems) + _listed("warning", local_problems.warnings)
    return lines if local_problems.problems else [*lines, "a daemon can start with these settings"]


def _listed(what: str, sentences: Sequence[str]) -> list[str]:
    if not sentences:
        return []
    count = len(sentences)
    return [f"{count} {what if count == 1 else f'{what}s'}:", *(f"  - {sentence}" for sentence in sentences)]


def _as_json(
    loaded: LoadedSettings,
    names: Sequence[str],
    local_problems: LocalProblems,
    online: Sequence[CheckResult],
    code: ExitCode,
) -> dict[str, object]:
    return {
        "version": 1,
        "ok": code is ExitCode.OK,
        "symbol": loaded.settings.symbol,
        "mode": loaded.settings.trading_mode.value,
        "settings": {name: {"value": _shown(loaded, name) or None, "source": loaded.sources[name]} for name in names},
        "problems": list(local_problems.problems),
        "warnings": list(local_problems.warnings),
        "online": [finding.as_json() for finding in online],
    }
