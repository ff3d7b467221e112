"""The colour of a log line on the terminal: warnings and errors by their level, fills and losses by their words.

`trailing-edge watch` gets the lines of the daemon as text, so the text alone decides, in both terminals alike.
"""

import re
from typing import Final

from trailingedge.notifications.panel_content import TextStyle

# The time, then the level of a warning or an error, then the message. Source: logging_config.
_LINE: Final = re.compile(r"(?:\d\d:\d\d:\d\d )?(?:(WARNING|ERROR|CRITICAL) )?(.*)", re.DOTALL)
# "order filled: SELL …", and the alert on a finished exit: "hard stop filled: sold …, round trip -0.52 % (…), …".
_FILL: Final = re.compile(r"(?:[A-Z]+ )?(?:order filled|[a-z][a-z -]* filled: )")
# A sale tells its round trip, a buy-back what it brought, a day its result.
_LOSS: Final = re.compile(r"\b(?:round trip|result) -|, -[\d.]+ % \S+ compared with the last sale")


def line_style(line: str) -> TextStyle:
    """Return the style in which `line` is shown."""
    level, message = _LINE.fullmatch(line).groups()  # type: ignore[union-attr]  # the pattern matches every text
    if level is not None:
        return TextStyle.WARNING if level == "WARNING" else TextStyle.BAD
    if _LOSS.search(message):
        return TextStyle.BAD
    return TextStyle.GOOD if _FILL.match(message) else TextStyle.PLAIN
