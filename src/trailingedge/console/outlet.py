"""A stream that may be poor in letters, or gone: neither is worth an exception."""

import contextlib
import os
from typing import Final, TextIO

_BEYOND_ASCII: Final = "─·…–✓"


class Outlet:
    """Text goes out through here, from one thread."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._heard = True

    @property
    def rich(self) -> bool:
        """Whether more than ASCII can be shown."""
        try:
            _BEYOND_ASCII.encode(self._stream.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def write(self, text: str) -> None:
        """Write `text` at once. Once nobody reads any more, this does nothing."""
        if not self._heard:
            return
        try:
            self._print(text)
        except (OSError, ValueError):  # the reader hung up, or the stream was closed
            self._heard = False
            self._silence()

    def _print(self, text: str) -> None:
        try:
            self._stream.write(text)
        except UnicodeEncodeError as poor:  # a terminal without our dashes and dots
            self._stream.write(text.encode(poor.encoding, "replace").decode(poor.encoding))
        self._stream.flush()

    def _silence(self) -> None:
        """Send the stream nowhere: what is left in its buffer would fail again when the process ends."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
