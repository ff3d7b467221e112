"""Argument parser of every command: its usage errors quote the command line without secrets and as printable text."""

import argparse
from typing import NoReturn

from trailingedge.core.printable import printable
from trailingedge.core.redaction import redact_words


class CommandLineParser(argparse.ArgumentParser):
    """An `ArgumentParser` that removes secrets from its error messages: a user may type a key in the wrong place."""

    def error(self, message: str) -> NoReturn:
        """Print usage and message to stderr and exit with code 2."""
        super().error(redact_words(printable(message)))
