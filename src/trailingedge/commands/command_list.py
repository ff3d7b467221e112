"""List of the commands, for `trailing-edge help [COMMAND]` and for an unknown command."""

import argparse
import difflib
from collections.abc import Mapping
from typing import Final

from trailingedge.commands.argument_parser import command_lines
from trailingedge.core.printable import printable
from trailingedge.core.redaction import redact_words

_LONGEST_QUOTED: Final = 40  # characters of a word that is no command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `help`."""
    parser.add_argument("command", nargs="?", metavar="COMMAND", help="the command to describe (all are listed)")


def unknown_command(word: str, purposes: Mapping[str, str]) -> str:
    """Return the error for an unknown command, with the nearest command and the list of all commands."""
    near = difflib.get_close_matches(word.lower(), list(purposes), n=1, cutoff=0.5)
    meant = f"; did you mean {near[0]}?" if near else ""
    shown = printable(redact_words(word), _LONGEST_QUOTED)  # a secret that is cut no longer looks like one
    # Last, because the list alone fills a small terminal.
    return f"commands:\n{command_lines(purposes)}\ntrailing-edge: there is no command {shown}{meant}"
