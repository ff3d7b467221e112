"""Telegram updates: which updates of the Bot API are new, and which messages they contain.

The code is pure. The ids of updates usually grow, but after a week without an update the next id is random and may be
lower (Bot API, "Update"). So an update counts as new if its id has not been seen before, even if the id is lower than
earlier ids.

A request with an offset confirms all updates with lower ids, and Telegram never sends these again. After a quiet week,
an old offset could confirm a new update with a lower id before it was read. So each offset is sent only until one
request with it is answered. A request without an offset returns all updates that are not confirmed, whatever their ids.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trailingedge.core.printable import printable
from trailingedge.core.recent_ids import RecentIds

_REMEMBERED_IDS: Final = 1000  # ten full answers
_LONGEST_NAME: Final = 40
_LARGEST_ID: Final = 2**53
_LEFT: Final = ("kicked", "left")


@dataclass(frozen=True, slots=True)
class OwnerMessage:
    """A text message to the bot. `date_s` is Telegram's time, in seconds since 1970."""

    chat_id: int
    sender_id: int
    date_s: int
    text: str


class UpdateSequence:
    """Tells new updates from repeated ones, and computes the offset of the next request.

    `offset` is None if the next request needs none.
    """

    def __init__(self) -> None:
        self.offset: int | None = None
        self._seen = RecentIds(_REMEMBERED_IDS)

    def accept(self, updates: Sequence[object]) -> list[object]:
        """Return the new updates among `updates`, which are from one answer, and set `offset` for the next request.

        An update without a usable id is dropped: it cannot be confirmed, so Telegram would send it
        again and again.
        """
        numbered = [(number, update) for update in updates if (number := _number(update)) is not None]
        # The last one of the answer, not the highest: a lower id that follows is the newer update.
        self.offset = numbered[-1][0] + 1 if numbered else None
        return [update for number, update in numbered if self._seen.add(number)]


def read_message(update: object) -> OwnerMessage | None:
    """Return the text message in an update from a private chat; None for any other update."""
    match update:
        case {
            "message": {
                "chat": {"id": int(chat_id), "type": "private"},
                "from": {"id": int(sender_id)},
                "date": int(date_s),
                "text": str(text),
            }
        }:
            return OwnerMessage(chat_id, sender_id, date_s, text)
    return None


def active_chat(update: object) -> tuple[str, ...]:
    """Return the number and, if it has one, the @name of the chat that an update shows to be reachable.

    Such an update is a message to the bot, or the news that the bot was added to the chat or
    unblocked. For other updates the result is empty.
    """
    match update:
        case {"my_chat_member": {"new_chat_member": {"status": str(status)}}} if status in _LEFT:
            return ()
        case {"message": {"chat": {"id": int(number), **chat}}} | {
            "my_chat_member": {"chat": {"id": int(number), **chat}}
        }:
            name = chat.get("username")
            return (str(number), f"@{name.lower()}") if isinstance(name, str) else (str(number),)
    return ()


def chat_name(update: object) -> str | None:
    """Return the id of an update's chat, with the name and the kind of the chat: "4711 (Anna, private)".

    None if the update has no chat.
    """
    match update:
        case {"message": {"chat": {"id": int(number), **chat}}} | {
            "my_chat_member": {"chat": {"id": int(number), **chat}}
        }:
            names = (chat.get(key) for key in ("title", "first_name", "username"))
            name = next((printable(each, _LONGEST_NAME) for each in names if isinstance(each, str) and each), "no name")
            kind = chat.get("type")
            return f"{number} ({name}, {printable(kind, _LONGEST_NAME) if isinstance(kind, str) else 'chat'})"
    return None


def _number(update: object) -> int | None:
    """Return the id of an update; None if the update has no id that an offset can confirm."""
    match update:
        # A negative number would have another meaning as an offset: it counts from the end.
        case {"update_id": int(number)} if not isinstance(number, bool) and 0 <= number <= _LARGEST_ID:
            return number
    return None
