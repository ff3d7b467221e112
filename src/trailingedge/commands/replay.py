"""Command `trailing-edge replay`: a backtest on market files, or the replay of one recorded session.

The report of a backtest goes to stdout as text or JSON, and on request into a ledger, a page or a saved report.
Progress and the names of written files go to stderr. Exit codes: 0 done, or Ctrl-C with the results so far; 1 a session
replayed with its own settings differs from the record (with other settings this is 0); 2 the command line is wrong; 3
trading was halted; 4 the archive of past markets cannot be reached; 78 files or settings are wrong; 130 Ctrl-C before
there was a result.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from trailingedge.backtest.backtest_report import report_of_market
from trailingedge.backtest.file_kinds import is_session
from trailingedge.commands import cli_errors, setting_flags
from trailingedge.commands.cli_errors import STDOUT
from trailingedge.commands.market_arguments import add_market_arguments
from trailingedge.commands.market_history.named_files import named_files
from trailingedge.config import settings_without_secrets
from trailingedge.config_validator import problems
from trailingedge.core.errors import ConfigError, ExchangeUnreachable, ExitCode, UsageError
from trailingedge.eventlog.format import SUFFIX
from trailingedge.report import file_format
from trailingedge.report.csv_ledger import as_csv
from trailingedge.report.json_output import as_data
from trailingedge.report.model import RunReport
from trailingedge.report.page import page
from trailingedge.report.progress import on_stderr
from trailingedge.report.terminal import print_report

_DESCRIPTION: Final = """\
With market files: run the strategy on them (a backtest) and show the results.
With one recorded session: run it again, and show whether the program does the
same as then; with --set or --fee, show where other settings act differently.
"""
_EXAMPLES: Final = f"""\
examples:
  trailing-edge replay sample
  trailing-edge replay ETHUSDT --from 2025-06-02 --to 2025-06-15
  trailing-edge replay ETHUSDT-1m-2025-06-*.zip
  trailing-edge replay ETHUSDT-1m-2025-06-*.zip --fee 0.001 --html june.html
  trailing-edge replay logs/trailingedge_2026-07-02_14-47-00{SUFFIX} \\
    --set BUFFER=0.003

exit codes:
  0    done; after Ctrl-C, the results so far
  1    the session goes differently (never with --set or --fee)
  2    the command line is wrong
  3    halted by a rule
  4    the archive of past markets cannot be reached
  78   files or settings are wrong
  130  interrupted before there was a result
"""
_MARKET_FILES: Final = "market files: "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.formatter_class, parser.description, parser.epilog = cli_errors.HelpFormat, _DESCRIPTION, _EXAMPLES
    input_ = parser.add_argument_group("input")
    add_market_arguments(input_, others=f"; or one session recorded by the daemon (*{SUFFIX})", alone=_MARKET_FILES)
    output = parser.add_argument_group("output")
    output.add_argument("--trades", action="store_true", help=f"{_MARKET_FILES}list every exit above the summary")
    output.add_argument("--json", action="store_true", help="print everything as one JSON object")
    output.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help=f"{_MARKET_FILES}write a ledger with one row for each fill (-: print it)",
    )
    output.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help=f"{_MARKET_FILES}write a page with charts, which needs no network (-: print it)",
    )
    output.add_argument(
        "--save",
        type=Path,
        metavar="FILE",
        help=f"{_MARKET_FILES}save the run for trailing-edge report, usually as NAME{file_format.SUFFIX}",
    )
    settings = parser.add_argument_group(
        "settings", "A session keeps those it was recorded with, except for --set and --fee."
    )
    setting_flags.add_arguments(settings, mode=False)


def run(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ, *, program: str = "") -> ExitCode:
    """Backtest the market files or replay the session, and print the result. `program` is our version."""
    try:
        cli_errors.raise_usage_errors(_output_problems(arguments))
        sessions = list(filter(is_session, arguments.files))
        return _replay_session(sessions, arguments, program) if sessions else _backtest(arguments, environ)
    except ConfigError as error:
        return cli_errors.print_errors("replay", error, arguments)
    except ExchangeUnreachable as error:
        return cli_errors.print_unreachable(error)
    except cli_errors.ABSURD_NUMBER_ERRORS as error:
        return cli_errors.print_absurd_number("replay", error)


def read_settings(arguments: argparse.Namespace, environ: Mapping[str, str]) -> dict[str, str]:
    """Read the settings for these flags, by name and as text. Raises ConfigError.

    The mode is always SIM, because a backtest trades on no exchange: the checks for LIVE (keys,
    CONFIRM_LIVE) do not apply. Warnings go to stderr. Secrets are left out, because no backtest
    needs them and the workers of a sweep may run on other machines.
    """
    arguments.assignments = [*_assignments(arguments), ("TRADING_MODE", "sim")]
    loaded = setting_flags.load_settings(arguments, environ)
    found = [*loaded.problems, *problems(loaded.settings, loaded.sources, loaded.unread)]
    if found:
        raise ConfigError([*found, *loaded.warnings])
    for warning in loaded.warnings:
        print(warning, file=sys.stderr)
    return settings_without_secrets(loaded.settings)


def _assignments(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    fee = [] if arguments.fee is None else [("FEE", str(arguments.fee))]
    return [*arguments.assignments, *fee]


def _backtest(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    settings, bar = read_settings(arguments, environ), on_stderr()
    try:
        symbol = setting_flags.flag_settings(arguments).get("SYMBOL")
        files = named_files(arguments, settings["BINANCE_ARCHIVE_URL"], bar)
        report, halt_reason = report_of_market(files, settings, symbol, arguments.balance, bar)
    except KeyboardInterrupt:
        bar.close()
        print("interrupted before the backtest had a result", file=sys.stderr)
        return ExitCode.INTERRUPTED
    finally:
        bar.close()
    _write_outputs(report, arguments)
    if halt_reason is not None:
        print(f"halted: {halt_reason}", file=sys.stderr)
    return ExitCode.OK if halt_reason is None else ExitCode.HALTED


def _replay_session(sessions: Sequence[Path], arguments: argparse.Namespace, program: str) -> ExitCode:
    """Replay one session. Symbol and balances are in the record; only settings can be changed."""
    if len(arguments.files) > 1:
        raise UsageError([f"{sessions[0]} is a recorded session; replay it by itself, without other files"])
    cli_errors.raise_usage_errors(_misplaced_options(sessions[0], arguments))
    from trailingedge.session_replay import command  # the whole daemon, for this alone

    return command.run(sessions[0], dict(_assignments(arguments)), as_json=arguments.json, program=program)


def _misplaced_options(session: Path, arguments: argparse.Namespace) -> Iterator[str]:
    """Yield an error for each option given that does not apply to the replay of a recorded session."""
    of_report = {
        "--csv": arguments.csv,
        "--html": arguments.html,
        "--save": arguments.save,
        "--trades": arguments.trades or None,
    }
    yield from cli_errors.flags_not_for_this(
        of_report, f"is for market files; for {session} use trailing-edge report, which has this option, too"
    )
    of_market = {
        "--symbol": arguments.symbol,
        "--balance": arguments.balance,
        "--from": arguments.begin,
        "--to": arguments.end,
    }
    yield from cli_errors.flags_not_for_this(
        of_market, f"is for market files; {session} contains its symbol and balances"
    )
    of_settings = {"--env-file": arguments.env_file}
    yield from cli_errors.flags_not_for_this(
        of_settings, f"is for market files; {session} contains its settings, change them with --set"
    )


def _output_problems(arguments: argparse.Namespace) -> Iterator[str]:
    """Yield an error for each destination (file or stdout) that the report cannot be written to."""
    on_stdout = {
        "--json": arguments.json,
        "--csv -": arguments.csv == STDOUT,
        "--html -": arguments.html == STDOUT,
    }
    yield from cli_errors.stdout_conflicts(on_stdout)
    yield from cli_errors.trades_without_text(arguments, on_stdout)
    yield from cli_errors.stdout_not_allowed({"--save": arguments.save}, "a saved report is binary")
    written = {"--csv": arguments.csv, "--html": arguments.html, "--save": arguments.save}
    yield from cli_errors.overwritten_inputs(written, [*arguments.files, arguments.env_file])


def _write_outputs(report: RunReport, arguments: argparse.Namespace) -> None:
    """Write files first and name them on stderr; stdout gets exactly one output, so that it can be piped."""
    if arguments.save is not None:
        file_format.save(report, arguments.save)
        print(f"saved: {arguments.save}", file=sys.stderr)
    if arguments.csv is not None:
        cli_errors.write_output(as_csv(report), "--csv", arguments.csv, f"ledger: {arguments.csv}")
    if arguments.html is not None:
        cli_errors.write_output(page(report), "--html", arguments.html, f"page: {arguments.html.absolute().as_uri()}")
    if arguments.json:
        print(json.dumps(as_data(report), indent=2, ensure_ascii=False))
    elif STDOUT not in (arguments.csv, arguments.html):
        print_report(report, trades=arguments.trades)
    elif arguments.csv == STDOUT:
        cli_errors.print_gaps(report)
