"""Argument parser of every command: its usage errors quote the command line without secrets and as printable text."""

import argparse
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from trailingedge.core.printable import printable
from trailingedge.core.redaction import redact_words

_UNRECOGNIZED: Final = "unrecognized arguments: "


def command_lines(purposes: Mapping[str, str]) -> str:
    """Return a line for each command, with its purpose."""
    return "\n".join(f"  {name:<10} {purpose}" for name, purpose in purposes.items())


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return the parser of an argument that is a whole number from `least` to `most`."""

    def parse(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else -1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text} is not a whole number from {least} to {most}")
        return number

    return parse


class CommandLineParser(argparse.ArgumentParser):
    """An `ArgumentParser` that removes secrets from its error messages: a user may type a key in the wrong place."""

    def error(self, message: str) -> NoReturn:
        """Print usage and message to stderr and exit with code 2.

        If a flag is misspelled, the message names the likely one.
        """
        super().error(redact_words(printable(message)) + self._meant(message))

    def _meant(self, message: str) -> str:
        """Return "; did you mean --symbol?" for a flag that does not exist but resembles another; else ""."""
        if not message.startswith(_UNRECOGNIZED):
            return ""
        import difflib  # imported late: a start needs no near misses

        flag = message.removeprefix(_UNRECOGNIZED).split(" ")[0].partition("=")[0]
        near = difflib.get_close_matches(flag, [name for name in self._option_string_actions if len(name) > 2], n=1)
        return f"; did you mean {near[0]}?" if near and flag.startswith("-") else ""
