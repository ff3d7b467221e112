"""Command `trailing-edge replay`: runs a recorded session again and compares the program's actions with the record.

The result goes to stdout as text or JSON. Exit codes: 0 done; 1 the session was replayed with its own settings and
differs from the record (a difference with other settings, or with --as-market, is 0); 2 the command line is wrong; 78
the file or settings are wrong; 130 after Ctrl-C. Recorded markets are for `trailing-edge backtest`.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from trailingedge.backtest.file_kinds import require_session
from trailingedge.backtest.paths import MOST_LATENCY_MS
from trailingedge.commands import cli_errors, setting_flags
from trailingedge.commands.argument_parser import whole_number
from trailingedge.core.errors import ConfigError, ExitCode
from trailingedge.eventlog.format import SUFFIX
from trailingedge.report.progress import on_stderr, stop_on_ctrl_c
from trailingedge.report.terminal import terminal_width
from trailingedge.simulator.amount_arguments import parse_fraction

_DESCRIPTION: Final = """\
Run one recorded session again, and show whether the program does the same as
then; with --set or --fee, show where other settings act differently. With
--as-market, backtest the prices of the session, and compare its exits with the
session's own.
Recorded markets are for trailing-edge backtest.
"""
_EXAMPLES: Final = f"""\
examples:
  trailing-edge replay logs/trailingedge_2026-07-02_14-47-00{SUFFIX}
  trailing-edge replay logs/trailingedge_2026-07-02_14-47-00{SUFFIX} \\
    --set BUFFER=0.003
  trailing-edge replay logs/trailingedge_2026-07-02_14-47-00{SUFFIX} \\
    --as-market

exit codes:
  0    done
  1    the session goes differently (never with --set, --fee or
       --as-market)
  2    the command line is wrong
  78   the file or settings are wrong
  130  interrupted before there was a result
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.formatter_class, parser.description, parser.epilog = cli_errors.HelpFormat, _DESCRIPTION, _EXAMPLES
    # More than one file is accepted here, so that market files get the one error that names the right command.
    parser.add_argument_group("input").add_argument(
        "files", nargs="+", type=Path, metavar="SESSION", help=f"one session recorded by the daemon (*{SUFFIX})"
    )
    market = parser.add_argument_group("live compared with backtest")
    market.add_argument(
        "--as-market",
        action="store_true",
        help="backtest the recorded prices, and compare: slippage, time to fill, refusals, latency",
    )
    market.add_argument(
        "--latency",
        type=whole_number(0, MOST_LATENCY_MS),
        metavar="MS",
        help="with --as-market: time of a message each way (half the median round trip of the session)",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="print everything as one JSON object")
    settings = parser.add_argument_group("settings", "The session's recorded settings apply, except for these.")
    settings.add_argument(
        "--fee", type=parse_fraction, metavar="F", help="maker fee as a fraction; the same as --set FEE=F"
    )
    setting_flags.add_assignments(settings)


def run(arguments: argparse.Namespace, *, program: str = "") -> ExitCode:
    """Replay the session and print the result. `program` is our version."""
    try:
        if arguments.latency is not None and not arguments.as_market:
            cli_errors.raise_usage_errors([f"--latency {arguments.latency} is for --as-market; add it"])
        session = require_session(arguments.files)
        assignments = dict(setting_flags.assignments_with_fee(arguments))
        if arguments.as_market:
            return _compare(session, assignments, arguments.latency, as_json=arguments.json)
        from trailingedge.session_replay import command  # the whole daemon, for this alone

        return command.run(session, assignments, as_json=arguments.json, program=program)
    except ConfigError as error:
        return cli_errors.print_errors("replay", error, arguments)
    except cli_errors.ABSURD_NUMBER_ERRORS as error:
        return cli_errors.print_absurd_number("replay", error)


def _compare(session: Path, assignments: Mapping[str, str], latency_ms: int | None, *, as_json: bool) -> ExitCode:
    """Backtest the session's own market, and print the exits of the backtest beside those of the session.

    Raises ConfigError.
    """
    from trailingedge.backtest.as_market import comparison, comparison_text  # the whole daemon, for this alone

    bar = on_stderr()
    try:
        with stop_on_ctrl_c() as stopped:
            compared = comparison.compare_session(session, assignments, latency_ms, bar, stopped)
    except KeyboardInterrupt:
        bar.close()
        print("interrupted before the comparison had a result", file=sys.stderr)
        return ExitCode.INTERRUPTED
    finally:
        bar.close()
    if as_json:
        print(json.dumps(comparison_text.comparison_json(compared), indent=2, ensure_ascii=False))
    else:
        print(comparison_text.comparison_text(compared, terminal_width()))
    return ExitCode.OK
