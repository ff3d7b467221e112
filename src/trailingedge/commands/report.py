"""`trailing-edge report`: what a recorded session, a replay or the account itself came to.

On the terminal, as JSON, as a ledger of fills in CSV, and as a page of HTML, all of the same story. Exit codes: 0,
after Ctrl-C with what there is so far of a session; 1 the exchange refused a question; 2 the command line is wrong by
itself; 4 the exchange cannot be reached; 78 the file, the settings or the key are wrong; 130 Ctrl-C before there was
anything to tell.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from trailingedge.commands import cli_errors, setting_flags
from trailingedge.commands.account_history import DAY_MS, TimeRange, read_account
from trailingedge.commands.checks import local
from trailingedge.commands.checks.environment import CheckTools, OpenCheckTarget
from trailingedge.commands.checks.result import alone
from trailingedge.commands.cli_errors import STDOUT
from trailingedge.config import Settings
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
from trailingedge.eventlog.retention import SUFFIX
from trailingedge.report import file_format
from trailingedge.report.csv_ledger import as_csv
from trailingedge.report.from_account import story_of
from trailingedge.report.json_output import as_data
from trailingedge.report.model import RunReport
from trailingedge.report.page import page
from trailingedge.report.terminal import summary_text, terminal_width

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
        "path", nargs="?", type=Path, metavar="FILE", help="a recorded session, or a run saved by replay --save"
    )
    source.add_argument(
        "--account", action="store_true", help="read the account's orders and trades at the exchange instead"
    )
    read.add_argument("--days", type=_days, metavar="N", help=f"{_OF_ACCOUNT}the last N days ({USUAL_DAYS})")
    read.add_argument(
        "--from", dest="begin", type=_beginning, metavar="D", help=f"{_OF_ACCOUNT}from that day on, as 2026-07-02, UTC"
    )
    read.add_argument("--to", dest="end", type=_ending, metavar="D", help=f"{_OF_ACCOUNT}to the end of that day (now)")
    form = parser.add_argument_group("output")
    printed = form.add_mutually_exclusive_group()
    printed.add_argument("--json", action="store_true", help="print everything as one JSON object")
    printed.add_argument("--csv", action="store_true", help="print a ledger with one row for each fill")
    form.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page with charts, which needs no network (-: print it)"
    )
    form.add_argument("--save", type=Path, metavar="FILE", help=f"save the run, usually as NAME{file_format.SUFFIX}")
    settings = parser.add_argument_group("settings", "For --account only: a file brings its own.")
    setting_flags.add_arguments(settings)


def run(
    arguments: argparse.Namespace,
    open_venue: OpenCheckTarget,
    environ: Mapping[str, str] = os.environ,
    means: CheckTools | None = None,
) -> ExitCode:
    """Find the story, and tell it in every way that was asked for."""
    try:
        cli_errors.check(_misused(arguments))
        story = _of_account(arguments, open_venue, environ, means) if arguments.account else _of_file(arguments.path)
        _tell(story, arguments)
    except ConfigError as error:
        return cli_errors.refused("report", error, arguments)
    except cli_errors.ABSURD as absurd:
        return cli_errors.out_of_proportion("report", absurd)
    except LogonRefused as error:
        return _failed([str(error)], ExitCode.CONFIG)
    except (SessionLost, OutcomeUnknown, ExchangeUnreachable) as error:
        remedy = "see that this machine is online and the address is right, and try again"
        return _failed([f"{error}; {remedy}"], ExitCode.UNREACHABLE)
    except (RequestRefused, ProtocolViolation) as error:
        return _failed([f"the exchange said: {error}"], ExitCode.UNEXPECTED)
    return ExitCode.OK


def _tell(story: RunReport, arguments: argparse.Namespace) -> None:
    """On stdout in one form; files are named on stderr, so that stdout holds nothing else."""
    if arguments.save:
        file_format.save(story, arguments.save)
        print(f"saved: {arguments.save}", file=sys.stderr)
    if arguments.html:
        cli_errors.write(page(story), "--html", arguments.html, f"page: {arguments.html.absolute().as_uri()}")
    if arguments.json:
        print(json.dumps(as_data(story), indent=2, ensure_ascii=False))
    elif arguments.csv:
        print(as_csv(story), end="")
        cli_errors.tell_what_is_missing(story)
    elif arguments.html != STDOUT:
        print(summary_text(story, terminal_width()))


def _failed(problems: tuple[str, ...] | list[str], code: ExitCode) -> ExitCode:
    for problem in problems:
        print(problem, file=sys.stderr)
    return code


# --- from a file ---


def _of_file(path: Path) -> RunReport:
    """Of a recorded session, or as it was saved. Raises ConfigError."""
    from trailingedge.backtest import file_kinds  # a report of the account needs no files

    return _of_session(path) if file_kinds.to_be_told(path) is file_kinds.FileKind.SESSION else file_format.load(path)


def _of_session(path: Path) -> RunReport:
    """A session as the daemon recorded it, to its end or until Ctrl-C. Raises ConfigError, and KeyboardInterrupt."""
    from trailingedge.report.progress import ctrl_c_heeded, on_stderr, seen_on
    from trailingedge.session_replay.session_report import story_of_session  # the whole daemon, for this alone

    bar = on_stderr()
    try:
        with ctrl_c_heeded() as asked:
            return story_of_session(path, seen_on(bar, asked))
    finally:
        bar.close()


# --- from the account ---


def _of_account(
    arguments: argparse.Namespace, open_venue: OpenCheckTarget, environ: Mapping[str, str], means: CheckTools | None
) -> RunReport:
    reading = setting_flags.read(arguments, environ)
    settings, judgement = reading.settings, local.judge(reading)
    if judgement.grave:  # consent to trade is not needed to read
        raise ConfigError([*judgement.settings, *judgement.key])
    if settings.trading_mode.embedded:
        why = f"TRADING_MODE is {settings.trading_mode.value}: its exchange ends with each run and keeps no books"
        raise ConfigError([f"{why}; choose --mode testnet, demo or live, or report a file"])
    with alone(setting_flags.secrets(settings)):
        return asyncio.run(_read(settings, open_venue, _span(arguments), means or CheckTools()))


async def _read(settings: Settings, open_venue: OpenCheckTarget, span: TimeRange, means: CheckTools) -> RunReport:
    async with open_venue(settings) as venue:
        return story_of(await read_account(settings, venue, span, _progress, means))


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _span(arguments: argparse.Namespace) -> TimeRange:
    if arguments.begin is None:
        return TimeRange(days=arguments.days or USUAL_DAYS, to_ms=arguments.end)
    return TimeRange(from_ms=arguments.begin, to_ms=arguments.end)


def _misused(arguments: argparse.Namespace) -> Iterator[str]:
    """What is wrong with flags that are right by themselves."""
    if not arguments.account:
        days = {"--days": arguments.days, "--from": arguments.begin, "--to": arguments.end}
        yield from cli_errors.misplaced(days, "is for --account; a file is told whole")
        settings = {
            "--mode": arguments.mode,
            "--symbol": arguments.symbol,
            "--env-file": arguments.env_file,
            "--set": arguments.assignments,
        }
        yield from cli_errors.misplaced(settings, "is for --account; a file is told as it was")
    if arguments.days is not None and arguments.begin is not None:
        yield "--days and --from both say where to begin; leave one out"
    if arguments.begin is not None and arguments.end is not None and arguments.end < arguments.begin:
        yield "--to is before --from"
    on_stdout = {"--json": arguments.json, "--csv": arguments.csv, "--html -": arguments.html == STDOUT}
    yield from cli_errors.one_on_stdout(on_stdout)
    yield from cli_errors.no_stdout({"--save": arguments.save}, "a saved story is not for standard output")
    written = {"--html": arguments.html, "--save": arguments.save}
    yield from cli_errors.apart(written, [arguments.path, arguments.env_file])


def _days(text: str) -> int:
    days = int(text) if text.isascii() and text.isdecimal() else 0
    if not 1 <= days <= 3650:
        raise argparse.ArgumentTypeError(f"{text} is no number of days from 1 to 3650")
    return days


def _beginning(text: str) -> int:
    return _moment(text)


def _ending(text: str) -> int:
    """The last millisecond of a day, or the moment itself where one is given."""
    return _moment(text) + (DAY_MS - 1 if _is_day(text) else 0)


def _is_day(text: str) -> bool:
    return len(text) <= len("2026-07-02")


def _moment(text: str) -> int:
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text} is no day; write it as 2026-07-02, or 2026-07-02T14:00, UTC"
        ) from None
    told = told.replace(tzinfo=UTC) if told.tzinfo is None else told
    return (told - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
