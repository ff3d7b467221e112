"""The outbox of one Telegram chat: it queues alerts and joins them into messages.

The code is pure: the time is an argument. Alerts wait while a message is being sent or while Telegram is unreachable.
Waiting alerts are joined into one message as far as they fit, because a phone should not ring ten times for one
incident, and because Telegram limits the messages to a chat. When the outbox is full, the oldest alert of the lowest
level is dropped, and the next message says how many alerts were dropped.
"""

import html
import logging
import re
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Final

from trailingedge.core.time_units import MINUTE_MS

MAX_MESSAGE_UNITS: Final = 4096  # UTF-16 code units, the Bot API's limit
MAX_ALERT_UNITS: Final = 3800  # the rest is for the title, marks, times and the note on dropped alerts
MAX_TITLE_UNITS: Final = 64
MAX_WAITING_ALERTS: Final = 500  # alerts kept for a chat that cannot be reached: some hours of a bad day
MIN_GAP_S: Final = 1.0  # between two messages to one chat
SHOW_TIME_AFTER_MS: Final = MINUTE_MS  # an older alert shows its time: an old "hard stop" must not look new
_DUPLICATE_WITHIN_MS: Final = 1000
_LEVEL: Final = attrgetter("level")
_SEPARATOR: Final = "\n\n"
_RESERVE_UNITS: Final = 64  # for the note on dropped alerts
_CONFIRMATION_LINE: Final = re.compile(r"/[a-z]+ \d{6}", re.ASCII)

_GROUP_WINDOW_S: Final = 60.0
_GROUP_MESSAGES: Final = 20


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """One alert. `at_ms` is the wall time at which it was queued."""

    text: str
    level: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """Alerts that are sent together, oldest first. `left_out` is the number of alerts that were dropped before them."""

    alerts: tuple[AlertMessage, ...]
    left_out: int = 0

    def text(self, title: str, now_ms: int, *, marked_up: bool) -> str:
        """Return the text to send: a mark for the highest level, the title and the alerts.

        The text is HTML for the Bot API if `marked_up`, else plain text.
        """
        head = mark(max(alert.level for alert in self.alerts)) + _title(title, marked_up=marked_up)
        texts = [_text(alert, now_ms, marked_up=marked_up) for alert in self.alerts]
        if len(self.alerts) == 1:
            # An answer such as "today sim ETHFDUSD: …" names the pair itself.
            named = bool(title) and title in self.alerts[0].text.partition("\n")[0]
            parts = [f"{mark(self.alerts[0].level)}{texts[0]}" if named else f"{head} · {texts[0]}"]
        else:
            marked = (f"{mark(alert.level)}{text}" for alert, text in zip(self.alerts, texts, strict=True))
            parts = [head, *marked]
        if self.left_out:
            messages = "message" if self.left_out == 1 else "messages"
            parts.append(f"{self.left_out} {messages} not sent; the log file has them")
        return _SEPARATOR.join(parts)


class Outbox:
    """A queue of at most `room` alerts."""

    def __init__(self, room: int = MAX_WAITING_ALERTS) -> None:
        self._room = room
        self._alerts: deque[AlertMessage] = deque()
        self._left_out = 0

    def __len__(self) -> int:
        return len(self._alerts)

    def add(self, text: str, level: int, now_ms: int) -> None:
        """Queue `text`, unless the same text was queued within the last second and still waits."""
        text = shortened(clean(text), MAX_ALERT_UNITS)
        if not text:
            return
        # The same event can reach the outbox by two ways, as an alert and as the reply to a command. The louder level
        # wins.
        for place in range(len(self._alerts) - 1, -1, -1):
            waiting = self._alerts[place]
            if now_ms - waiting.at_ms > _DUPLICATE_WITHIN_MS:
                break
            if waiting.text == text:
                self._alerts[place] = AlertMessage(text, max(level, waiting.level), waiting.at_ms)
                return
        self._alerts.append(AlertMessage(text, level, now_ms))
        self._drop_excess()

    def take(self) -> OutgoingMessage | None:
        """Take as many alerts as fit into one message, oldest first.

        Returns None if no alert waits.
        """
        if not self._alerts:
            return None
        taken = [self._alerts.popleft()]
        # `_cost` is an upper bound that includes the time and the mark of an alert, so that a message never exceeds
        # the limit.
        units = _RESERVE_UNITS + MAX_TITLE_UNITS + _cost(taken[0])
        while self._alerts and units + _cost(self._alerts[0]) <= MAX_MESSAGE_UNITS:
            units += _cost(self._alerts[0])
            taken.append(self._alerts.popleft())
        left_out, self._left_out = self._left_out, 0
        return OutgoingMessage(tuple(taken), left_out)

    def put_back(self, message: OutgoingMessage) -> None:
        """Put the alerts of an unsent message back at the front of the queue."""
        # To the front, in the old order: alerts are read in the order of events.
        self._alerts.extendleft(reversed(message.alerts))
        self._left_out += message.left_out
        self._drop_excess()

    def _drop_excess(self) -> None:
        while len(self._alerts) > self._room:
            # Of several with the lowest level, min returns the first, which is the oldest.
            self._alerts.remove(min(self._alerts, key=_LEVEL))
            self._left_out += 1


class SendRateLimit:
    """The rate limit of a chat: one message per second, and for a group also twenty per minute.

    Source: the Bot API's FAQ, "My bot is hitting limits".
    """

    def __init__(self, *, group: bool) -> None:
        self._sent_s: deque[float] = deque(maxlen=_GROUP_MESSAGES if group else 1)

    def wait_s(self, now_s: float) -> float:
        """The seconds until the next message may be sent."""
        if not self._sent_s:
            return 0.0
        next_s = self._sent_s[-1] + MIN_GAP_S
        # Only for groups: a private chat's deque holds a single time.
        if len(self._sent_s) == _GROUP_MESSAGES:
            next_s = max(next_s, self._sent_s[0] + _GROUP_WINDOW_S)
        return max(0.0, next_s - now_s)

    def sent(self, now_s: float) -> None:
        self._sent_s.append(now_s)


def mark(level: int) -> str:
    """Return the sign that shows the level of an alert on a phone; "" for INFO."""
    if level >= logging.ERROR:
        return "🛑 "
    return "⚠️ " if level >= logging.WARNING else ""


def units(text: str) -> int:
    """The length of `text` as Telegram counts it, in UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def shortened(text: str, longest: int) -> str:
    """`text` cut to `longest` UTF-16 code units, with an ellipsis. No character is cut in two."""
    if units(text) <= longest:
        return text
    # Cutting may split a surrogate pair; "ignore" drops the half that is left.
    return text.encode("utf-16-le")[: 2 * (longest - 1)].decode("utf-16-le", "ignore") + "…"


def clean(text: str) -> str:
    """`text` without lone surrogates, which JSON cannot carry, and without blanks around it."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").strip()


def escaped(text: str) -> str:
    """`text` escaped for HTML."""
    return html.escape(text, quote=False)


def _title(title: str, *, marked_up: bool) -> str:
    short = shortened(clean(title), MAX_TITLE_UNITS)
    return f"<b>{escaped(short)}</b>" if marked_up else short


def _text(alert: AlertMessage, now_ms: int, *, marked_up: bool) -> str:
    """Return the text of an alert. If the alert is old, the text begins with the alert's time."""
    text = "\n".join(_marked_up(line) for line in alert.text.split("\n")) if marked_up else alert.text
    return _when(alert.at_ms, now_ms) + text


def _marked_up(line: str) -> str:
    """Return `line` as HTML. A confirmation line becomes a code element, which a tap copies."""
    return f"<code>{line}</code>" if _CONFIRMATION_LINE.fullmatch(line) else escaped(line)


def _when(at_ms: int, now_ms: int) -> str:
    if now_ms - at_ms < SHOW_TIME_AFTER_MS:
        return ""
    at, now = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (at_ms, now_ms))
    return at.strftime("%H:%M UTC · " if at.date() == now.date() else "%d %b %H:%M UTC · ")


def _cost(alert: AlertMessage) -> int:
    """Return an upper limit of the UTF-16 units of an alert in a message, with its mark, time and separator."""
    return units(alert.text) + 3 + 24 + len(_SEPARATOR)
