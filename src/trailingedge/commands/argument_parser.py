"""Argument parser of every command: its usage errors quote the command line without secrets and as printable text."""

import argparse
from typing import NoReturn

from trailingedge.core.printable import printable
from trailingedge.core.redaction import redact_words


class CommandLineParser(argparse.ArgumentParser):
    """An `ArgumentParser` whose error messages are safe to show: a token or a key may stand in the wrong place."""

    def error(self, message: str) -> NoReturn:
        """Print usage and message to stderr and exit with code 2."""
        super().error(redact_words(printable(message)))
