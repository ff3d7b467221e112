"""Command `trailing-edge backtest`: runs the strategy on recorded market files and shows the results.

The report goes to stdout as text or JSON. On request it is also written as a ledger, a page or a saved report. Progress
and the names of written files go to stderr. Exit codes: 0 done, or stopped by Ctrl-C and the results so far were shown;
2 the command line is wrong; 3 trading was halted; 4 the archive of past markets cannot be reached; 78 files or settings
are wrong; 130 Ctrl-C before there was a result.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from trailingedge.backtest.backtest_report import MarketRequest, report_of_market, run_markets
from trailingedge.backtest.market_choice import chosen_files
from trailingedge.backtest.paths import (
    DEFAULT_PATHS,
    MOST_PATHS,
    Scenario,
)
from trailingedge.commands import cli_errors, setting_flags
from trailingedge.commands.argument_parser import whole_number
from trailingedge.commands.cli_errors import STDOUT
from trailingedge.commands.market_arguments import add_latency_argument, add_market_arguments
from trailingedge.commands.market_history.named_files import named_files
from trailingedge.config import settings_without_secrets
from trailingedge.config_validator import problems
from trailingedge.core.errors import ConfigError, ExchangeUnreachable, ExitCode
from trailingedge.report import file_format
from trailingedge.report.csv_ledger import as_csv
from trailingedge.report.json_output import as_data
from trailingedge.report.markets import markets_json, markets_text
from trailingedge.report.model import RunReport
from trailingedge.report.page import page
from trailingedge.report.progress import ProgressBar, on_stderr, stop_on_ctrl_c
from trailingedge.report.robustness import Walk
from trailingedge.report.terminal import print_report, terminal_width
from trailingedge.simulator.feeds.inspection import published_symbol

_DESCRIPTION: Final = """\
Run the strategy on recorded market files (a backtest) and show the results.
A candle does not show the sequence of its prices: the result is the median over
random paths within the candles, with its 5th and 95th percentile. With files of
several symbols, each symbol is a market: one row for each, and the mean.
"""
_EXAMPLES: Final = """\
examples:
  trailing-edge backtest sample
  trailing-edge backtest ETHUSDT --from 2025-06-02 --to 2025-06-15
  trailing-edge backtest ETHUSDT-1m-2025-06-*.zip
  trailing-edge backtest ETHUSDT-1m-2025-06-*.zip --fee 0.001 --html june.html
  trailing-edge backtest *-1m-2025-06.zip --balance USDT=1000
  trailing-edge backtest ETHUSDT-1m-2025-06-*.zip --walk straight --latency 0

exit codes:
  0    done; after Ctrl-C, the results so far
  2    the command line is wrong
  3    halted by a rule
  4    the archive of past markets cannot be reached
  78   files or settings are wrong
  130  interrupted before there was a result
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.formatter_class, parser.description, parser.epilog = cli_errors.HelpFormat, _DESCRIPTION, _EXAMPLES
    add_market_arguments(parser.add_argument_group("input"))
    scenario = parser.add_argument_group("assumptions of the backtest")
    scenario.add_argument(
        "--paths",
        type=whole_number(1, MOST_PATHS),
        metavar="N",
        help=f"candles: number of random paths within them ({DEFAULT_PATHS})",
    )
    scenario.add_argument(
        "--walk",
        type=Walk,
        choices=(Walk.RANDOM, Walk.STRAIGHT, Walk.OPPOSITE),
        default=Walk.RANDOM,
        metavar="WALK",
        help="candles: random paths (random), or straight lines: open-low-high-close if the candle closes up, else "
        "open-high-low-close (straight), or with low and high exchanged (opposite)",
    )
    add_latency_argument(scenario)
    output = parser.add_argument_group("output")
    output.add_argument("--trades", action="store_true", help="list every exit above the summary")
    output.add_argument("--json", action="store_true", help="print everything as one JSON object")
    output.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="write a ledger with one row for each fill (-: print it)",
    )
    output.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="write a page with charts, which needs no network (-: print it)",
    )
    output.add_argument(
        "--save",
        type=Path,
        metavar="FILE",
        help=f"save the run for trailing-edge report, usually as NAME{file_format.SUFFIX}",
    )
    setting_flags.add_arguments(parser.add_argument_group("settings"), mode=False)


def run(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> ExitCode:
    """Run the backtest and print the result."""
    try:
        cli_errors.raise_usage_errors(_output_problems(arguments))
        return _run(arguments, environ)
    except ConfigError as error:
        return cli_errors.print_errors("backtest", error, arguments)
    except ExchangeUnreachable as error:
        return cli_errors.print_unreachable(error)
    except cli_errors.ABSURD_NUMBER_ERRORS as error:
        return cli_errors.print_absurd_number("backtest", error)


def read_settings(arguments: argparse.Namespace, environ: Mapping[str, str]) -> dict[str, str]:
    """Read the settings for these flags, by name and as text. Raises ConfigError.

    The mode is always SIM, because a backtest trades on no exchange: the checks for LIVE (keys,
    CONFIRM_LIVE) do not apply. Warnings go to stderr. Secrets are left out, because no backtest
    needs them and the workers of a sweep may run on other machines.
    """
    arguments.assignments = [*setting_flags.assignments_with_fee(arguments), ("TRADING_MODE", "sim")]
    loaded = setting_flags.load_settings(arguments, environ)
    found = [*loaded.problems, *problems(loaded.settings, loaded.sources, loaded.unread)]
    if found:
        raise ConfigError([*found, *loaded.warnings])
    for warning in loaded.warnings:
        print(warning, file=sys.stderr)
    return settings_without_secrets(loaded.settings)


def _run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    settings, bar = read_settings(arguments, environ), on_stderr()
    scenario = Scenario(arguments.walk, arguments.paths or DEFAULT_PATHS, arguments.latency)
    try:
        files = named_files(arguments, settings["BINANCE_ARCHIVE_URL"], bar)
        symbol = symbol_given(arguments, files)
        markets = [
            MarketRequest(each, settings, symbol, arguments.balance, scenario) for each in chosen_files(files, symbol)
        ]
        if len(markets) > 1:
            return _run_several(markets, arguments, bar)
        with stop_on_ctrl_c() as stopped:
            report, halt_reason = report_of_market(markets[0], bar, stopped)
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


def symbol_given(arguments: argparse.Namespace, files: Sequence[Path]) -> str | None:
    """Return the symbol that the command line gives; None if the names of the files decide."""
    given = setting_flags.flag_settings(arguments)
    if "SYMBOL" not in given and not given.keys().isdisjoint(("BASE_ASSET", "QUOTE_ASSET")):
        # Assets on the command line are meant for these files; those of a settings file may be for another pair.
        return published_symbol(files[0])
    return given.get("SYMBOL")


def _run_several(markets: Sequence[MarketRequest], arguments: argparse.Namespace, bar: ProgressBar) -> ExitCode:
    """Backtest several markets; print one row for each and the mean, or all reports as JSON."""
    of_one = {
        "--csv": arguments.csv,
        "--html": arguments.html,
        "--save": arguments.save,
        "--trades": arguments.trades or None,
    }
    cli_errors.raise_usage_errors(
        cli_errors.flags_not_for_this(of_one, "is for one market; these files have several symbols")
    )
    try:
        with stop_on_ctrl_c() as stopped:
            result = run_markets(markets, bar, stopped)
    finally:
        bar.close()
    if not result.reports:
        for note in result.notes:
            print(note, file=sys.stderr)
        print("no market has a result", file=sys.stderr)
        return ExitCode.INTERRUPTED if result.interrupted else ExitCode.CONFIG
    if arguments.json:
        print(json.dumps(markets_json(result.reports, result.notes), indent=2, ensure_ascii=False))
    else:
        print(markets_text(result.reports, result.notes, terminal_width()))
    return ExitCode.HALTED if result.halted else ExitCode.OK


def _output_problems(arguments: argparse.Namespace) -> Iterator[str]:
    """Yield an error for flags that contradict each other, and for each place that cannot be written to."""
    if arguments.paths and arguments.paths > 1 and arguments.walk is not Walk.RANDOM:
        yield f"--paths {arguments.paths}: --walk {arguments.walk.value} is one path; leave one of the two out"
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
