"""What is wrong, and with which exit code it ends: one rule for replay, sweep and report.

2 where the command line is wrong by itself: a flag, a name that is no setting, flags that do not go together.
78 where a person must look elsewhere: at a file, or at a setting that has a value it cannot have, wherever it was set.
"""

import argparse
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from decimal import InvalidOperation
from pathlib import Path
from typing import Final

from trailingedge.commands import setting_flags
from trailingedge.core.errors import ConfigError, ExitCode, UsageError
from trailingedge.report.model import RunReport
from trailingedge.report.tables import missing

STDOUT: Final = Path("-")
ABSURD: Final = (OverflowError, InvalidOperation)  # what becomes of numbers out of all proportion
_WIDTH: Final = 80


class HelpFormat(argparse.RawDescriptionHelpFormatter):
    """Help of at most 80 columns, however wide the terminal is, with descriptions and examples as they were written."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=min(_WIDTH, shutil.get_terminal_size().columns) - 2)


def refused(word: str, wrong: ConfigError, arguments: argparse.Namespace) -> ExitCode:
    """Say on stderr what is wrong with the command `word`; its exit code."""
    usage = isinstance(wrong, UsageError)
    for problem in wrong.problems:
        print(f"trailing-edge {word}: {problem}" if usage else problem, file=sys.stderr)
    return ExitCode.USAGE if usage or setting_flags.misspelt(arguments) else ExitCode.CONFIG


def out_of_proportion(word: str, error: ArithmeticError) -> ExitCode:
    """Say on stderr that what is read has a number that nobody can reckon with; the exit code."""
    why = f"what is read has a number beyond any price, amount or time ({type(error).__name__})"
    print(f"trailing-edge {word}: {why}; look for it, or download the file again", file=sys.stderr)
    return ExitCode.CONFIG


def misplaced(values: Mapping[str, object], why: str) -> list[str]:
    """Of flags by name with what was given, those that were given; `why` they must not be."""
    return [f"{flag} {why}" for flag, value in values.items() if value is not None and value != []]


def one_on_stdout(asked: Mapping[str, bool]) -> list[str]:
    """What is wrong where more than one of these flags asks for standard output."""
    flags_asked = [flag for flag, is_asked in asked.items() if is_asked]
    if len(flags_asked) < 2:
        return []
    return [f"{' and '.join(flags_asked)} would share standard output; choose one of them, or name a file"]


def no_stdout(paths: Mapping[str, Path | None], why: str) -> list[str]:
    """What is wrong where one of these flags asks for standard output with `-`; `why` that cannot be."""
    return [f"{flag} -: {why}; name a file" for flag, path in paths.items() if path == STDOUT]


def apart(written: Mapping[str, Path | None], read: Iterable[Path | None]) -> Iterator[str]:
    """What is wrong where one of these flags would write over a file that is read, or that another of them writes."""
    taken = {_place(path): "is what is read" for path in read if path is not None}
    for flag, path in written.items():
        if path is None or path == STDOUT or path.is_char_device():
            continue
        why = taken.get(_place(path))
        if why is not None:
            yield f"{flag} {path}: {why}, and would be lost; name another file"
        taken.setdefault(_place(path), f"is written by {flag} already")


def _place(path: Path) -> object:
    """The same for two names of one file."""
    try:
        there = path.stat()
    except OSError:
        return path.absolute()
    return there.st_dev, there.st_ino


def tell_what_is_missing(story: RunReport) -> None:
    """On stderr, for whoever only gets a ledger, which has no place for it."""
    for gap in missing(story.gaps):
        print(f"missing: {gap}", file=sys.stderr)


def check(problems: Iterable[str]) -> None:
    """Raises UsageError where there are any."""
    found = list(problems)
    if found:
        raise UsageError(found)


def write(text: str, flag: str, path: Path, told: str) -> None:
    """To that file, which is then told on stderr; to standard output where it is `-`. Raises ConfigError."""
    if path == STDOUT:
        sys.stdout.write(text)
        return
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigError([f"{flag} {path}: {error.strerror}; choose a file that this user may write"]) from error
    print(told, file=sys.stderr)
