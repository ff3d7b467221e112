"""Choice of the UI: the live panel if the terminal can draw it and the user wants it, else plain lines."""

import sys
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Final, TextIO

from trailingedge.console.plain_ui import InteractiveUi, PlainUi
from trailingedge.console.terminal import Terminal, terminal_of

_WITHOUT_TERM: Final = "win32"  # Windows does not set TERM


class UiStyle(Enum):
    """The style in which the status is shown."""

    LIVE = "live"
    PLAIN = "plain"


def choose_style(*, stdout_is_tty: bool, plain: bool, term: str | None, platform: str) -> UiStyle:
    """Choose the style by standard output and the user's wishes. Standard input has no influence."""
    # An unset TERM means no terminal that we know, but for Windows, which never sets it.
    able = term != "dumb" and (bool(term) or platform == _WITHOUT_TERM)
    return UiStyle.LIVE if stdout_is_tty and able and not plain else UiStyle.PLAIN


def open_ui(
    stdout: TextIO,
    environ: Mapping[str, str],
    title: str,
    *,
    plain: bool,
    keys: bool,
    hints: Sequence[str] = (),
    platform: str = sys.platform,
    terminal: Callable[[TextIO], Terminal] = terminal_of,
) -> InteractiveUi:
    """Open the UI for `stdout`. `plain` is True if the user wants plain lines, `keys` if hotkeys are read.

    `hints` replace the usual list of hotkeys. NO_COLOR in `environ` removes the colours of the live panel, but not the
    panel. Source: https://no-color.org
    """
    style = choose_style(
        stdout_is_tty=_is_tty(stdout),
        plain=plain,
        term=environ.get("TERM"),
        platform=platform,
    )
    if style is UiStyle.PLAIN:
        return PlainUi(stdout)
    from trailingedge.console.live_ui import LiveUi  # loaded late: a service never needs it

    try:
        found = terminal(stdout)
        able = found.enable_escapes()
    except (OSError, ValueError):
        return PlainUi(stdout)
    if not able:
        return PlainUi(stdout)
    return LiveUi(stdout, found, title, keys=keys, hints=hints, colours=not environ.get("NO_COLOR"))


def _is_tty(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False
