"""Command-line errors of backtest, replay, sweep and report: their texts and exit codes.

Exit code 2: the command line itself is wrong, that is a flag, an unknown setting, or flags that contradict each other.
Exit code 78: a file is wrong, or the value of a setting, no matter where it was set.
"""

import argparse
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from decimal import InvalidOperation
from pathlib import Path
from typing import Final

from trailingedge.commands import setting_flags
from trailingedge.core import private_files
from trailingedge.core.errors import ConfigError, ExchangeUnreachable, ExitCode, UsageError
from trailingedge.report.model import RunReport
from trailingedge.report.tables import shown_gaps

STDOUT: Final = Path("-")
ABSURD_NUMBER_ERRORS: Final = (OverflowError, InvalidOperation)  # what arithmetic raises on absurd numbers
_WIDTH: Final = 80


class HelpFormat(argparse.RawDescriptionHelpFormatter):
    """Help formatter: at most 80 columns wide. It does not wrap descriptions and examples."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=min(_WIDTH, shutil.get_terminal_size().columns) - 2)


def print_errors(word: str, wrong: ConfigError, arguments: argparse.Namespace) -> ExitCode:
    """Print the problems of command `word` to stderr and return its exit code."""
    usage = isinstance(wrong, UsageError)
    for problem in wrong.problems:
        print(f"trailing-edge {word}: {problem}" if usage else problem, file=sys.stderr)
    return ExitCode.USAGE if usage or setting_flags.has_unknown_setting(arguments) else ExitCode.CONFIG


def print_unreachable(error: ExchangeUnreachable) -> ExitCode:
    """Print to stderr that the archive of past markets or the exchange cannot be used; return the exit code."""
    print(error, file=sys.stderr)
    return ExitCode.UNREACHABLE


def print_absurd_number(word: str, error: ArithmeticError) -> ExitCode:
    """Print to stderr that the input has a number too large to calculate with; return the exit code."""
    why = f"the input has a number that is too large for a price, amount or time ({type(error).__name__})"
    print(f"trailing-edge {word}: {why}; look for it, or download the file again", file=sys.stderr)
    return ExitCode.CONFIG


def flags_not_for_this(values: Mapping[str, object], why: str) -> list[str]:
    """Return an error for each of these flags that was given. `why` says why it is not allowed."""
    return [f"{flag} {why}" for flag, value in values.items() if value is not None and value != []]


def stdout_conflicts(asked: Mapping[str, bool]) -> list[str]:
    """Return an error if more than one of these flags writes to standard output."""
    flags_asked = [flag for flag, is_asked in asked.items() if is_asked]
    if len(flags_asked) < 2:
        return []
    return [f"{' and '.join(flags_asked)} would share standard output; choose one of them, or name a file"]


def trades_without_text(arguments: argparse.Namespace, on_stdout: Mapping[str, bool]) -> list[str]:
    """Return an error if --trades was given with a flag that replaces the text."""
    others = [flag for flag, is_asked in on_stdout.items() if is_asked]
    return (
        [f"--trades is for text; {others[0]} has every exit anyway, leave --trades out"]
        if arguments.trades and others
        else []
    )


def stdout_not_allowed(paths: Mapping[str, Path | None], why: str) -> list[str]:
    """Return an error for each of these flags that asks for standard output with `-`.

    `why` says why the flag must name a file instead.
    """
    return [f"{flag} -: {why}; name a file" for flag, path in paths.items() if path == STDOUT]


def overwritten_inputs(written: Mapping[str, Path | None], read: Iterable[Path | None]) -> Iterator[str]:
    """One error for each output flag that would overwrite an input file or the output of another flag."""
    taken = {_file_identity(path): "is an input" for path in read if path is not None}
    for flag, path in written.items():
        if path is None or path == STDOUT or path.is_char_device():
            continue
        why = taken.get(_file_identity(path))
        if why is not None:
            yield f"{flag} {path}: {why}, and would be lost; name another file"
        taken.setdefault(_file_identity(path), f"is already written by {flag}")


def _file_identity(path: Path) -> object:
    """Return a key that is the same for all paths of one file."""
    try:
        there = path.stat()
    except OSError:
        return path.absolute()
    return there.st_dev, there.st_ino


def print_gaps(report: RunReport) -> None:
    """Print to stderr which parts the report lacks (its gaps), because the CSV ledger cannot show them."""
    for gap in shown_gaps(report.gaps):
        print(f"note: {gap}", file=sys.stderr)


def raise_usage_errors(problems: Iterable[str]) -> None:
    """Raise UsageError with all problems, if there are any."""
    found = list(problems)
    if found:
        raise UsageError(found)


def write_output(text: str, flag: str, path: Path, message: str) -> None:
    """Write `text` to `path` and print `message` to stderr; for `-`, only write to stdout. Raises ConfigError."""
    if path == STDOUT:
        sys.stdout.write(text)
        return
    try:
        private_files.write_all(private_files.open_chosen(path), text.encode())
    except OSError as error:
        raise ConfigError([f"{flag} {path}: {error.strerror}; choose a file that this user may write"]) from error
    print(message, file=sys.stderr)
