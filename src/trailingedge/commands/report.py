"""`trailing-edge report`: what a recorded session, a replay or the account itself came to.

On the terminal, as JSON, as a ledger of fills in CSV, and as a page of HTML, all of the same story. Exit codes: 0;
2 wrong usage; 78 where the file, the settings or the key are wrong; 4 where the exchange cannot be reached.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from trailingedge.commands import flags, premises
from trailingedge.commands.findings import alone
from trailingedge.commands.ledger import DAY_MS, Span, read_account
from trailingedge.commands.venue import Means, OpenVenue
from trailingedge.config import Settings
from trailingedge.errors import (
    ConfigError,
    ExchangeUnreachable,
    ExitCode,
    LogonRefused,
    OutcomeUnknown,
    ProtocolViolation,
    RequestRefused,
    SessionLost,
)
from trailingedge.report import saved
from trailingedge.report.books import story_of
from trailingedge.report.data import as_data
from trailingedge.report.ledger_csv import as_csv
from trailingedge.report.page import page
from trailingedge.report.story import Story
from trailingedge.report.terminal import summary_text, terminal_width

USUAL_DAYS: Final = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("path", nargs="?", type=Path, metavar="FILE", help="a saved story, or a recorded session")
    source.add_argument("--account", action="store_true", help="read the account's own books at the exchange instead")
    parser.add_argument("--days", type=_days, metavar="N", help=f"--account: the last N days ({USUAL_DAYS})")
    parser.add_argument(
        "--from", dest="begin", type=_beginning, metavar="D", help="--account: from that day on, as 2026-07-02, UTC"
    )
    parser.add_argument("--to", dest="end", type=_ending, metavar="D", help="--account: to the end of that day (now)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print everything as one JSON object")
    form.add_argument("--csv", action="store_true", help="print a ledger with one row for each fill")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with charts, readable offline")
    parser.add_argument("--save", type=Path, metavar="FILE", help=f"save the story, usually as NAME{saved.SUFFIX}")
    flags.add_arguments(parser)


def run(
    arguments: argparse.Namespace,
    open_venue: OpenVenue,
    environ: Mapping[str, str] = os.environ,
    means: Means | None = None,
) -> ExitCode:
    """Find the story, and tell it in every way that was asked for."""
    wrong = _misused(arguments)
    if wrong:
        print(f"trailing-edge report: {wrong}", file=sys.stderr)
        return ExitCode.USAGE
    try:
        story = _of_account(arguments, open_venue, environ, means) if arguments.account else _of_file(arguments.path)
        _tell(story, arguments)
    except ConfigError as error:
        return _failed(error.problems, ExitCode.CONFIG)
    except LogonRefused as error:
        return _failed([str(error)], ExitCode.CONFIG)
    except (SessionLost, OutcomeUnknown, ExchangeUnreachable) as error:
        remedy = "see that this machine is online and the address is right, and try again"
        return _failed([f"{error}; {remedy}"], ExitCode.UNREACHABLE)
    except (RequestRefused, ProtocolViolation) as error:
        return _failed([f"the exchange said: {error}"], ExitCode.UNEXPECTED)
    return ExitCode.OK


def _tell(story: Story, arguments: argparse.Namespace) -> None:
    """On stdout in one form; files are named on stderr, so that stdout holds nothing else."""
    if arguments.save:
        saved.save(story, arguments.save)
        print(f"saved: {arguments.save}", file=sys.stderr)
    if arguments.html:
        _write(page(story), arguments.html)
        print(f"page: {arguments.html.absolute().as_uri()}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(as_data(story), indent=2, ensure_ascii=False))
    elif arguments.csv:
        print(as_csv(story), end="")
    else:
        print(summary_text(story, terminal_width()))


def _write(text: str, path: Path) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError([f"--html {path}: {error.strerror}; choose a file that this user may write"]) from error


def _failed(problems: tuple[str, ...] | list[str], code: ExitCode) -> ExitCode:
    for problem in problems:
        print(problem, file=sys.stderr)
    return code


# --- from a file ---


def _of_file(path: Path) -> Story:
    """Of a recorded session, or as it was saved. Raises ConfigError."""
    from trailingedge.replay import kinds  # a report of the account needs no files

    return _of_session(path) if kinds.to_be_told(path) is kinds.Kind.SESSION else saved.load(path)


def _of_session(path: Path) -> Story:
    """A session as the daemon recorded it. Raises ConfigError."""
    from trailingedge.replay.session_story import story_of_session  # the whole daemon, for this alone

    return story_of_session(path)


# --- from the account ---


def _of_account(
    arguments: argparse.Namespace, open_venue: OpenVenue, environ: Mapping[str, str], means: Means | None
) -> Story:
    reading = flags.read(arguments, environ)
    settings, judgement = reading.settings, premises.judge(reading)
    if judgement.grave:  # consent to trade is not needed to read
        raise ConfigError([*judgement.settings, *judgement.key])
    if settings.trading_mode.embedded:
        why = f"TRADING_MODE is {settings.trading_mode.value}: its exchange ends with each run and keeps no books"
        raise ConfigError([f"{why}; choose --mode testnet, demo or live, or report a file"])
    with alone(flags.secrets(settings)):
        return asyncio.run(_read(settings, open_venue, _span(arguments), means or Means()))


async def _read(settings: Settings, open_venue: OpenVenue, span: Span, means: Means) -> Story:
    async with open_venue(settings) as venue:
        return story_of(await read_account(settings, venue, span, _progress, means))


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _span(arguments: argparse.Namespace) -> Span:
    if arguments.begin is None:
        return Span(days=arguments.days or USUAL_DAYS, to_ms=arguments.end)
    return Span(from_ms=arguments.begin, to_ms=arguments.end)


def _misused(arguments: argparse.Namespace) -> str | None:
    """What is wrong with flags that are right by themselves."""
    given = [
        flag
        for flag, value in (("--days", arguments.days), ("--from", arguments.begin), ("--to", arguments.end))
        if value is not None
    ]
    if given and not arguments.account:
        return f"{given[0]} is for --account; a file is told whole"
    if arguments.days is not None and arguments.begin is not None:
        return "--days and --from both say where to begin; leave one out"
    if arguments.begin is not None and arguments.end is not None and arguments.end < arguments.begin:
        return "--to is before --from"
    return None


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
