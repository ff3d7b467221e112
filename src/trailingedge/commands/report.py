"""Command `trailing-edge report`: the results of a recorded session, a saved backtest, or the account itself.

It prints text, JSON or a CSV ledger of fills, and can write an HTML page. All of them come from the same `RunReport`.
Exit codes: 0 done, or stopped by Ctrl-C and the results so far were shown; 1 the exchange rejected a request; 2 the
command line is wrong; 4 the exchange cannot be reached; 78 the file, the settings or the key are wrong; 130 Ctrl-C
before there was a result.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from trailingedge.commands import cli_errors, setting_flags
from trailingedge.commands.account_download import TimeRange, read_account
from trailingedge.commands.checks import local
from trailingedge.commands.checks.check_target import CheckTarget, CheckTools, OpenCheckTarget
from trailingedge.commands.checks.result import quiet_log
from trailingedge.commands.cli_errors import STDOUT
from trailingedge.core.background_threads import DaemonThreadExecutor
from trailingedge.core.errors import (
    ConfigError,
    ExchangeUnreachable,
    ExitCode,
    LogonRefused,
    OutcomeUnknown,
    ProtocolViolation,
    RequestRefused,
    SessionLost,
)
from trailingedge.core.time_units import DAY_MS
from trailingedge.eventlog.format import SUFFIX
from trailingedge.live.factory import account_report_params
from trailingedge.live.node_params import AccountReportParams
from trailingedge.report import file_format
from trailingedge.report.csv_ledger import as_csv
from trailingedge.report.from_account import build_report
from trailingedge.report.json_output import as_data
from trailingedge.report.model import RunReport
from trailingedge.report.page import page
from trailingedge.report.terminal import print_report

USUAL_DAYS: Final = 30


_DESCRIPTION: Final = """\
Show the results of a recorded session, of a saved backtest, or of the account
itself, from the trades and orders that the exchange has kept.
"""
_EXAMPLES: Final = f"""\
examples:
  trailing-edge report logs/trailingedge_2026-07-02_14-47-00{SUFFIX}
  trailing-edge report june{file_format.SUFFIX} --html june.html
  trailing-edge report --account --mode live --days 90 --csv > ledger.csv

exit codes:
  0    done; after Ctrl-C, the results so far
  1    the exchange rejected a request
  2    the command line is wrong
  4    the exchange cannot be reached
  78   the file, the settings or the key are wrong
  130  interrupted before there was a result
"""
_OF_ACCOUNT: Final = "--account: "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.formatter_class, parser.description, parser.epilog = cli_errors.HelpFormat, _DESCRIPTION, _EXAMPLES
    read = parser.add_argument_group("input")
    source = read.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "path", nargs="?", type=Path, metavar="FILE", help="a recorded session, or a run saved by backtest --save"
    )
    source.add_argument(
        "--account", action="store_true", help="read the account's orders and trades at the exchange instead"
    )
    read.add_argument("--days", type=_parse_days, metavar="N", help=f"{_OF_ACCOUNT}the last N days ({USUAL_DAYS})")
    read.add_argument(
        "--from", dest="begin", type=_parse_from, metavar="D", help=f"{_OF_ACCOUNT}from that day on, as 2026-07-02, UTC"
    )
    read.add_argument(
        "--to", dest="end", type=_parse_to, metavar="D", help=f"{_OF_ACCOUNT}to the end of that day (now)"
    )
    form = parser.add_argument_group("output")
    printed = form.add_mutually_exclusive_group()
    printed.add_argument("--json", action="store_true", help="print everything as one JSON object")
    printed.add_argument("--csv", action="store_true", help="print a ledger with one row for each fill")
    form.add_argument("--trades", action="store_true", help="list every exit above the summary")
    form.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page with charts, which needs no network (-: print it)"
    )
    form.add_argument("--save", type=Path, metavar="FILE", help=f"save the run, usually as NAME{file_format.SUFFIX}")
    settings = parser.add_argument_group("settings", "For --account only: a file contains its own settings.")
    setting_flags.add_arguments(settings)


def run(
    arguments: argparse.Namespace,
    open_target: OpenCheckTarget,
    environ: Mapping[str, str] = os.environ,
    tools: CheckTools | None = None,
) -> ExitCode:
    """Build the report and print or write it in each form that the flags request. Returns the exit code."""
    try:
        cli_errors.raise_usage_errors(_usage_errors(arguments))
        report = (
            _from_account(arguments, open_target, environ, tools) if arguments.account else _from_file(arguments.path)
        )
        _print_report(report, arguments)
    except ConfigError as error:
        return cli_errors.print_errors("report", error, arguments)
    except cli_errors.ABSURD_NUMBER_ERRORS as absurd:
        return cli_errors.print_absurd_number("report", absurd)
    except LogonRefused as error:
        return _print_failure([str(error)], ExitCode.CONFIG)
    except (SessionLost, OutcomeUnknown, ExchangeUnreachable) as error:
        remedy = "check that this machine is online and that the exchange's address is right, and try again"
        return _print_failure([f"{error}; {remedy}"], ExitCode.UNREACHABLE)
    except (RequestRefused, ProtocolViolation) as error:
        return _print_failure([f"the exchange rejected the request: {error}"], ExitCode.UNEXPECTED)
    return ExitCode.OK


def _print_report(report: RunReport, arguments: argparse.Namespace) -> None:
    """Write the report to the requested files, and print it to stdout in one form.

    The names of the files go to stderr.
    """
    if arguments.save:
        file_format.save(report, arguments.save)
        print(f"saved: {arguments.save}", file=sys.stderr)
    if arguments.html:
        cli_errors.write_output(page(report), "--html", arguments.html, f"page: {arguments.html.absolute().as_uri()}")
    if arguments.json:
        print(json.dumps(as_data(report), indent=2, ensure_ascii=False))
    elif arguments.csv:
        print(as_csv(report), end="")
        cli_errors.print_gaps(report)
    elif arguments.html != STDOUT:
        print_report(report, trades=arguments.trades)


def _print_failure(problems: tuple[str, ...] | list[str], code: ExitCode) -> ExitCode:
    for problem in problems:
        print(problem, file=sys.stderr)
    return code


# --- from a file ---


def _from_file(path: Path) -> RunReport:
    """Build the report of a recorded session, or load a saved report. Raises ConfigError."""
    from trailingedge.backtest import file_kinds  # a report of the account needs no files

    return (
        _from_session(path)
        if file_kinds.report_source_kind(path) is file_kinds.FileKind.SESSION
        else file_format.load(path)
    )


def _from_session(path: Path) -> RunReport:
    """Build the report of a recorded session. After Ctrl-C, the report covers what was read until then.

    Raises ConfigError if the record cannot be read, and KeyboardInterrupt if nothing was read before Ctrl-C.
    """
    from trailingedge.report.progress import on_stderr, replay_progress, stop_on_ctrl_c
    from trailingedge.session_replay.session_report import report_of_session  # the whole daemon, for this alone

    bar = on_stderr()
    try:
        with stop_on_ctrl_c() as asked:
            return report_of_session(path, replay_progress(bar, asked))
    finally:
        bar.close()


# --- from the account ---


def _from_account(
    arguments: argparse.Namespace, open_target: OpenCheckTarget, environ: Mapping[str, str], tools: CheckTools | None
) -> RunReport:
    reading = setting_flags.load_settings(arguments, environ)
    settings, judgement = reading.settings, local.validate(reading, environ)
    if judgement.prevents_connecting:  # consent to trade is not needed to read
        raise ConfigError([*judgement.settings, *judgement.key])
    if settings.trading_mode.embedded:
        why = f"TRADING_MODE is {settings.trading_mode.value}: its exchange ends with each run and keeps no history"
        raise ConfigError([f"{why}; choose --mode testnet, demo or live, or report a file"])
    with quiet_log(setting_flags.secret_values(settings)):
        params, opening = account_report_params(settings), open_target(settings)
        return asyncio.run(_read(params, opening, _time_range(arguments), tools or CheckTools()))


async def _read(
    params: AccountReportParams,
    opening: AbstractAsyncContextManager[CheckTarget],
    time_range: TimeRange,
    tools: CheckTools,
) -> RunReport:
    # A name lookup that hangs keeps its thread; the end of the command must not wait for it.
    asyncio.get_running_loop().set_default_executor(DaemonThreadExecutor())
    async with opening as target:
        return build_report(await read_account(params, target, time_range, _progress, tools))


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _time_range(arguments: argparse.Namespace) -> TimeRange:
    if arguments.begin is None:
        return TimeRange(days=arguments.days or USUAL_DAYS, to_ms=arguments.end)
    return TimeRange(from_ms=arguments.begin, to_ms=arguments.end)


def _usage_errors(arguments: argparse.Namespace) -> Iterator[str]:
    """Errors in the combination of flags."""
    if not arguments.account:
        days = {"--days": arguments.days, "--from": arguments.begin, "--to": arguments.end}
        yield from cli_errors.flags_not_for_this(days, "is for --account; a file is reported whole")
        settings = {
            "--mode": arguments.mode,
            "--symbol": arguments.symbol,
            "--env-file": arguments.env_file,
            "--set": arguments.assignments,
        }
        yield from cli_errors.flags_not_for_this(settings, "is for --account; a file contains its own settings")
    if arguments.days is not None and arguments.begin is not None:
        yield "--days and --from both say where to begin; leave one out"
    if arguments.begin is not None and arguments.end is not None and arguments.end < arguments.begin:
        yield "--to is before --from"
    on_stdout = {"--json": arguments.json, "--csv": arguments.csv, "--html -": arguments.html == STDOUT}
    yield from cli_errors.stdout_conflicts(on_stdout)
    yield from cli_errors.trades_without_text(arguments, on_stdout)
    yield from cli_errors.stdout_not_allowed({"--save": arguments.save}, "a saved report is binary")
    written = {"--html": arguments.html, "--save": arguments.save}
    yield from cli_errors.overwritten_inputs(written, [arguments.path, arguments.env_file])


def _parse_days(text: str) -> int:
    days = int(text) if text.isascii() and text.isdecimal() else 0
    if not 1 <= days <= 3650:
        raise argparse.ArgumentTypeError(f"{text} is not a number of days from 1 to 3650")
    return days


def _parse_from(text: str) -> int:
    return _parse_time(text)


def _parse_to(text: str) -> int:
    """Parse --to to Unix ms: the last millisecond of a day, or the exact time if `text` contains a time."""
    return _parse_time(text) + (DAY_MS - 1 if _is_day(text) else 0)


def _is_day(text: str) -> bool:
    return len(text) <= len("2026-07-02")


def _parse_time(text: str) -> int:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text} is not a day; write it as 2026-07-02, or 2026-07-02T14:00, UTC"
        ) from None
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
    return (time - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
