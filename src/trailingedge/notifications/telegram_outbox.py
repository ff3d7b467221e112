"""What waits to be sent to one chat, and how it is put together into messages.

Pure: the time is told. What arrives while a message is away, or while Telegram is, goes into one message
together as far as it fits: a phone should not ring ten times for one storm, and a chat takes few messages.
Nothing waits without end, either: when the room is used up, the least important alert goes, the oldest of
them first, and the next message says how many went.
"""

import html
import logging
import re
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from trailingedge.core.time_units import MINUTE_MS

MAX_MESSAGE_UNITS: Final = 4096  # UTF-16 code units; the Bot API's limit, as its clients count
MAX_ALERT_UNITS: Final = 3800  # the rest is for title, marks, times and what is said of others
MAX_TITLE_UNITS: Final = 64
MAX_WAITING_ALERTS: Final = 500  # letters kept for a chat that takes none; some hours of a bad day
MIN_GAP_S: Final = 1.0  # between two messages to one chat
SHOW_TIME_AFTER_MS: Final = MINUTE_MS  # "hard stop" from an hour ago must not read as one from now
_SAME_WITHIN_MS: Final = 1000
_SEPARATOR: Final = "\n\n"
_RESERVE_UNITS: Final = 64  # "500 messages left out; they are in the log"
_TO_SEND_BACK: Final = re.compile(r"/[a-z]+ \d{4}")

_GROUP_WINDOW_S: Final = 60.0
_GROUP_MESSAGES: Final = 20


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """One alert. `at_ms` is the wall clock's time at which it was written."""

    text: str
    level: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """Letters that go out together, oldest first, and how many were left out before them."""

    alerts: tuple[AlertMessage, ...]
    left_out: int = 0

    def text(self, title: str, now_ms: int, *, marked_up: bool) -> str:
        """What is sent: as HTML for the Bot API's parse mode, or plain. The title comes first, and before it a mark."""
        head = mark(max(letter.level for letter in self.alerts)) + _title(title, marked_up=marked_up)
        told = [_told(letter, now_ms, marked_up=marked_up) for letter in self.alerts]
        if len(self.alerts) == 1:
            parts = [f"{head} · {told[0]}"]
        else:
            marked = (f"{mark(letter.level)}{text}" for letter, text in zip(self.alerts, told, strict=True))
            parts = [head, *marked]
        if self.left_out:
            messages = "message" if self.left_out == 1 else "messages"
            parts.append(f"{self.left_out} {messages} left out; the log has them")
        return _SEPARATOR.join(parts)


class Outbox:
    """The letters that wait for one chat, at most `room` of them."""

    def __init__(self, room: int = MAX_WAITING_ALERTS) -> None:
        self._room = room
        self._alerts: deque[AlertMessage] = deque()
        self._left_out = 0

    def __len__(self) -> int:
        return len(self._alerts)

    def add(self, text: str, level: int, now_ms: int) -> None:
        """Take `text` in. One that was said word for word within the last second is told once."""
        text = shortened(clean(text), MAX_ALERT_UNITS)
        if not text:
            return
        for place in range(len(self._alerts) - 1, -1, -1):
            waiting = self._alerts[place]
            if now_ms - waiting.at_ms > _SAME_WITHIN_MS:
                break
            if waiting.text == text:
                self._alerts[place] = AlertMessage(text, max(level, waiting.level), waiting.at_ms)
                return
        self._alerts.append(AlertMessage(text, level, now_ms))
        self._make_room()

    def take(self) -> OutgoingMessage | None:
        """As much as one message holds, oldest first; None when nothing waits. It is the taker's now."""
        if not self._alerts:
            return None
        taken = [self._alerts.popleft()]
        units = _RESERVE_UNITS + MAX_TITLE_UNITS + _cost(taken[0])
        while self._alerts and units + _cost(self._alerts[0]) <= MAX_MESSAGE_UNITS:
            units += _cost(self._alerts[0])
            taken.append(self._alerts.popleft())
        left_out, self._left_out = self._left_out, 0
        return OutgoingMessage(tuple(taken), left_out)

    def put_back(self, message: OutgoingMessage) -> None:
        """It could not be sent."""
        self._alerts.extendleft(reversed(message.alerts))
        self._left_out += message.left_out
        self._make_room()

    def _make_room(self) -> None:
        while len(self._alerts) > self._room:
            self._alerts.remove(min(self._alerts, key=lambda letter: letter.level))  # the first, so the oldest
            self._left_out += 1


class SendRateLimit:
    """How fast a chat may be written to: a message a second, and twenty a minute to a group.

    Source: the Bot API's FAQ, "My bot is hitting limits".
    """

    def __init__(self, *, group: bool) -> None:
        self._sent_s: deque[float] = deque(maxlen=_GROUP_MESSAGES if group else 1)

    def wait_s(self, now_s: float) -> float:
        """How long until the next message may go."""
        if not self._sent_s:
            return 0.0
        next_s = self._sent_s[-1] + MIN_GAP_S
        if len(self._sent_s) == _GROUP_MESSAGES:
            next_s = max(next_s, self._sent_s[0] + _GROUP_WINDOW_S)
        return max(0.0, next_s - now_s)

    def sent(self, now_s: float) -> None:
        self._sent_s.append(now_s)


def mark(level: int) -> str:
    """What tells an alert's weight at a glance, on a locked screen: nothing for news."""
    if level >= logging.ERROR:
        return "🛑 "
    return "⚠️ " if level >= logging.WARNING else ""


def units(text: str) -> int:
    """The length of `text` as Telegram counts it, in UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def shortened(text: str, longest: int) -> str:
    """`text`, cut to so many UTF-16 code units, with a sign where it was cut. No character is cut in two."""
    if units(text) <= longest:
        return text
    return text.encode("utf-16-le")[: 2 * (longest - 1)].decode("utf-16-le", "ignore") + "…"


def clean(text: str) -> str:
    """`text` without half characters, which no JSON can carry, and without blanks around it."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").strip()


def escaped(text: str) -> str:
    """`text` as HTML that shows exactly it."""
    return html.escape(text, quote=False)


def _title(title: str, *, marked_up: bool) -> str:
    short = shortened(clean(title), MAX_TITLE_UNITS)
    return f"<b>{escaped(short)}</b>" if marked_up else short


def _told(letter: AlertMessage, now_ms: int, *, marked_up: bool) -> str:
    """The letter, with its time where it is not from now."""
    said = "\n".join(_marked_up(line) for line in letter.text.split("\n")) if marked_up else letter.text
    return _when(letter.at_ms, now_ms) + said


def _marked_up(line: str) -> str:
    """A line that is to be sent back is copied with a tap."""
    return f"<code>{line}</code>" if _TO_SEND_BACK.fullmatch(line) else escaped(line)


def _when(at_ms: int, now_ms: int) -> str:
    if now_ms - at_ms < SHOW_TIME_AFTER_MS:
        return ""
    at, now = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (at_ms, now_ms))
    return at.strftime("%H:%M UTC · " if at.date() == now.date() else "%d %b %H:%M UTC · ")


def _cost(letter: AlertMessage) -> int:
    """The most units that a letter takes in a message: with its mark, its time and what parts it from others."""
    return units(letter.text) + 3 + 24 + len(_SEPARATOR)
