"""`trailing-edge replay`: what the strategy would have made of recorded markets, or a recorded session once more.

The story of a market is told on stdout, as text or JSON, and on request as a ledger, as a page, or saved; progress
and what files were written go to stderr. Exit codes: 0, after Ctrl-C with what there is so far; 1 where a session
goes another way; 2 wrong usage; 3 halted by a rule; 78 where files or settings are wrong.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from trailingedge.commands import flags
from trailingedge.config import Settings
from trailingedge.config_validator import problems
from trailingedge.errors import ConfigError, ExitCode
from trailingedge.record.files import SUFFIX
from trailingedge.replay.kinds import is_session
from trailingedge.replay.market_story import add_market_arguments, story_of_market
from trailingedge.replay.progress import on_stderr
from trailingedge.report import saved
from trailingedge.report.data import as_data
from trailingedge.report.ledger_csv import as_csv
from trailingedge.report.page import page
from trailingedge.report.story import Story
from trailingedge.report.terminal import summary_text, terminal_width


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_market_arguments(parser, others=f"; or one session that the daemon has recorded (*{SUFFIX})")
    flags.add_arguments(parser, mode=False)
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a ledger with one row for each fill")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with charts, readable offline")
    parser.add_argument("--save", type=Path, metavar="FILE", help=f"save the story, usually as NAME{saved.SUFFIX}")


def run(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> ExitCode:
    """Replay the files, and tell the story in every way that was asked for."""
    try:
        sessions = list(filter(is_session, arguments.files))
        return _of_session(sessions, arguments) if sessions else _of_market(arguments, environ)
    except ConfigError as wrong:
        print("\n".join(wrong.problems), file=sys.stderr)
        return ExitCode.USAGE if flags.misspelt(arguments) else ExitCode.CONFIG


def read_settings(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Settings:
    """Those of a run with the same flags, but that no exchange is traded on. Raises ConfigError."""
    arguments.assignments = [*_assignments(arguments), ("TRADING_MODE", "sim")]
    reading = flags.read(arguments, environ)
    wrong = [*reading.problems, *problems(reading.settings, reading.sources, reading.unread)]
    if wrong:
        raise ConfigError([*wrong, *reading.warnings])
    return reading.settings


def _assignments(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    fee = [] if arguments.fee is None else [("FEE", str(arguments.fee))]
    return [*arguments.assignments, *fee]


def _of_market(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    settings, bar = read_settings(arguments, environ), on_stderr()
    try:
        symbol = flags.given(arguments).get("SYMBOL")
        story, halted = story_of_market(arguments.files, settings, symbol, arguments.balance, bar)
    finally:
        bar.close()
    _tell(story, arguments)
    if halted is not None:
        print(f"halted: {halted}", file=sys.stderr)
    return ExitCode.OK if halted is None else ExitCode.HALTED


def _of_session(sessions: Sequence[Path], arguments: argparse.Namespace) -> ExitCode:
    """A record tells itself with whom it traded and what was held: only settings can be other than they were."""
    if len(arguments.files) > 1:
        raise ConfigError([f"{sessions[0]} is a recorded session; replay it by itself, without other files beside it"])
    asked = {"--symbol": "symbol", "--balance": "balance", "--csv": "csv", "--html": "html", "--save": "save"}
    misplaced = [flag for flag, name in asked.items() if getattr(arguments, name) is not None]
    if misplaced:
        raise ConfigError(
            [
                f"{flag} is for market files; of {sessions[0]}, trailing-edge report tells the story"
                for flag in misplaced
            ]
        )
    from trailingedge.replay import session_command  # the whole daemon, for this alone

    return session_command.run(sessions[0], dict(_assignments(arguments)), as_json=arguments.json)


def _tell(story: Story, arguments: argparse.Namespace) -> None:
    """Files first, named on stderr, so that stdout holds nothing else."""
    if arguments.save is not None:
        saved.save(story, arguments.save)
        print(f"saved: {arguments.save}", file=sys.stderr)
    if arguments.csv is not None:
        _write(as_csv(story), "--csv", arguments.csv)
        print(f"ledger: {arguments.csv}", file=sys.stderr)
    if arguments.html is not None:
        _write(page(story), "--html", arguments.html)
        print(f"page: {arguments.html.absolute().as_uri()}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(as_data(story), indent=2, ensure_ascii=False))
    else:
        print(summary_text(story, terminal_width()))


def _write(text: str, flag: str, path: Path) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigError([f"{flag} {path}: {error.strerror}; choose a file that this user may write"]) from error
