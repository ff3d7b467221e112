"""Pseudo-terminals for tests, and the mark of tests that need one: a bare chroot or container has none."""

import os
from typing import Final

import pytest

_REASON: Final = "this system makes no pseudo-terminals; on Linux, mount devpts at /dev/pts"


def open_terminal() -> tuple[int, int]:
    """The keyboard's end and the program's; skips the test where there is none."""
    try:
        return os.openpty()
    except (AttributeError, OSError):
        pytest.skip(_REASON)


def _has_terminals() -> bool:
    try:
        ends = os.openpty()
    except (AttributeError, OSError):
        return False
    for each in ends:
        os.close(each)
    return True


needs_terminals = pytest.mark.skipif(not _has_terminals(), reason=_REASON)
