"""`trailing-edge replay`: what the strategy would have made of recorded markets; or a recorded session, once more.

The story is told on stdout, as text or JSON, and on request as a ledger, as a page, or saved; progress and what
files were written go to stderr. Exit codes: 0, after Ctrl-C with what there is so far; 2 wrong usage; 3 halted by
a rule; 78 where files or settings are wrong.
"""

import argparse
import gc
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from trailingedge.commands import flags
from trailingedge.config import Settings
from trailingedge.config_validator import problems
from trailingedge.errors import ConfigError, ExitCode
from trailingedge.record.files import SUFFIX
from trailingedge.replay.ground import Ground, doubts, ground, open_files
from trailingedge.replay.progress import Bar, ctrl_c_heeded, on_stderr
from trailingedge.replay.reading import columns_of
from trailingedge.replay.run import Replay
from trailingedge.report import saved
from trailingedge.report.data import as_data
from trailingedge.report.ledger_csv import as_csv
from trailingedge.report.page import page
from trailingedge.report.story import Story
from trailingedge.report.terminal import summary_text
from trailingedge.results import shown_settings
from trailingedge.simulator.amounts import balances, fraction
from trailingedge.simulator.recorded import RecordedMarket

_RARELY: Final = 50_000  # new objects between two collections
_FILES_HELP: Final = (
    "market files in Binance's public CSV layouts (klines, trades, aggTrades, bookTicker), zipped or not"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_market_arguments(parser, f"{_FILES_HELP}; or one recorded session (*{SUFFIX})")
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a ledger with one row for each fill")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with charts, readable offline")
    parser.add_argument("--save", type=Path, metavar="FILE", help=f"save the story, usually as NAME{saved.SUFFIX}")


def add_market_arguments(parser: argparse.ArgumentParser, files: str = _FILES_HELP) -> None:
    """Which market, with which settings, from which balances."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=files)
    parser.add_argument(
        "--balance", type=balances, metavar="ASSET=AMOUNT,…", help="what the account owns (1 of the base asset)"
    )
    parser.add_argument("--fee", type=fraction, metavar="F", help="maker fee as a fraction; the same as --set FEE=F")
    flags.add_arguments(parser, mode=False)


def run(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> ExitCode:
    """Replay the files, and tell the story in every way that was asked for."""
    try:
        return _run(arguments, environ)
    except ConfigError as wrong:
        print("\n".join(wrong.problems), file=sys.stderr)
        return ExitCode.USAGE if flags.misspelt(arguments) else ExitCode.CONFIG


def _run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    sessions = [path for path in arguments.files if path.name.endswith(SUFFIX)]
    if sessions:
        return _replay_session(sessions, arguments)
    settings, bar = read_settings(arguments, environ), on_stderr()
    bar.show(0.0, "looking through the files")
    try:
        market = open_files(arguments.files, settings, symbol=arguments.symbol)
        story, halted = _replayed(market, ground(market, settings, arguments.balance), bar)
    finally:
        bar.close()
    _tell(story, arguments)
    if halted is not None:
        print(f"halted: {halted}", file=sys.stderr)
    return ExitCode.OK if halted is None else ExitCode.HALTED


def read_settings(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Settings:
    """Those of a run with the same flags, but that no exchange is traded on. Raises ConfigError."""
    given = {"FEE": str(arguments.fee)} if arguments.fee is not None else {}
    arguments.assignments = [*arguments.assignments, *given.items(), ("TRADING_MODE", "sim")]
    reading = flags.read(arguments, environ)
    wrong = [*reading.problems, *problems(reading.settings, reading.sources, reading.unread)]
    if wrong:
        raise ConfigError([*wrong, *reading.warnings])
    return reading.settings


def _replay_session(sessions: Sequence[Path], arguments: argparse.Namespace) -> ExitCode:
    """A file of the daemon's own flight recorder, which is no market. Raises ConfigError."""
    if len(arguments.files) > 1:
        raise ConfigError([f"{sessions[0]} is a recorded session; replay it by itself, without other files beside it"])
    if arguments.csv or arguments.html or arguments.save:
        raise ConfigError([f"{sessions[0]} is a recorded session; its ledger and page come from trailing-edge report"])
    from trailingedge.replay import session_command  # the whole daemon, for this alone

    return session_command.run(sessions[0], dict(arguments.assignments), as_json=arguments.json)


def _replayed(market: RecordedMarket, standing: Ground, bar: Bar) -> tuple[Story, str | None]:
    """The story of it, to its end or until Ctrl-C; and why it was halted, if it was."""
    with ctrl_c_heeded() as stopped:
        replay = Replay(standing, stopped=stopped)
        gc.freeze()  # nothing of what is there by now will ever be garbage, and little of what comes
        gc.set_threshold(_RARELY)
        replay.run(columns_of(market, lambda share: bar.show(share, _moment(replay.time_ms))))
        gaps = [*market.gaps, *doubts(market, standing.settings)]
        if stopped():
            gaps.append(f"stopped at {_moment(replay.time_ms)}; what came after it was not replayed")
        if replay.trader.memory.funded is False:
            gaps.append("in the end too little was held to make an order; give more with --balance")
    return replay.chronicle.story(shown_settings(standing.settings), tuple(gaps)), replay.ended_because


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
        print(summary_text(story))


def _write(text: str, flag: str, path: Path) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigError([f"{flag} {path}: {error.strerror}; choose a file that this user may write"]) from error


def _moment(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
