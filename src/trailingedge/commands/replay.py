"""Command `trailing-edge replay`: runs a recorded session again and compares what the program does with the record.

The result goes to stdout as text or JSON. Exit codes: 0 done; 1 a session replayed with its own settings differs from
the record (with other settings this is 0); 2 the command line is wrong; 78 the file or settings are wrong. Recorded
markets are for `trailing-edge backtest`.
"""

import argparse
from pathlib import Path
from typing import Final

from trailingedge.backtest.file_kinds import require_session
from trailingedge.commands import cli_errors, setting_flags
from trailingedge.core.errors import ConfigError, ExitCode
from trailingedge.eventlog.format import SUFFIX
from trailingedge.simulator.amount_arguments import parse_fraction

_DESCRIPTION: Final = """\
Run one recorded session again, and show whether the program does the same as
then; with --set or --fee, show where other settings act differently.
Recorded markets are for trailing-edge backtest.
"""
_EXAMPLES: Final = f"""\
examples:
  trailing-edge replay logs/trailingedge_2026-07-02_14-47-00{SUFFIX}
  trailing-edge replay logs/trailingedge_2026-07-02_14-47-00{SUFFIX} \\
    --set BUFFER=0.003

exit codes:
  0    done
  1    the session goes differently (never with --set or --fee)
  2    the command line is wrong
  78   the file or settings are wrong
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.formatter_class, parser.description, parser.epilog = cli_errors.HelpFormat, _DESCRIPTION, _EXAMPLES
    # More than one file is accepted here, so that market files get the one error that names the right command.
    parser.add_argument_group("input").add_argument(
        "files", nargs="+", type=Path, metavar="SESSION", help=f"one session recorded by the daemon (*{SUFFIX})"
    )
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="print everything as one JSON object")
    settings = parser.add_argument_group("settings", "A session keeps its own, except for these.")
    settings.add_argument(
        "--fee", type=parse_fraction, metavar="F", help="maker fee as a fraction; the same as --set FEE=F"
    )
    setting_flags.add_assignments(settings)


def run(arguments: argparse.Namespace, *, program: str = "") -> ExitCode:
    """Replay the session and print the result. `program` is our version."""
    try:
        session = require_session(arguments.files)
        from trailingedge.session_replay import command  # the whole daemon, for this alone

        assignments = dict(setting_flags.assignments_with_fee(arguments))
        return command.run(session, assignments, as_json=arguments.json, program=program)
    except ConfigError as error:
        return cli_errors.print_errors("replay", error, arguments)
    except cli_errors.ABSURD_NUMBER_ERRORS as error:
        return cli_errors.print_absurd_number("replay", error)
