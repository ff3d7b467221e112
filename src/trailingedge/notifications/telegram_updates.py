"""Updates of the Bot API: which of them are new, and what they say.

Pure. The ids of updates usually grow, but after a week without an update the next id is random and may be lower (Bot
API, "Update"). So an update is new if its id has not been seen, and not if its id is higher than all before.

A request with an offset confirms all updates below it, and Telegram never sends these again. A low id that comes after
a quiet week would be confirmed unseen by the offset of the week before. So the offset is sent only until a request with
it has been answered; after that Telegram sends whatever is not confirmed, whichever id it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trailingedge.core.recent_ids import RecentIds

_REMEMBERED_IDS: Final = 1000  # ten full answers
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
        """Return the new ones of `updates`, the answer to the request with the present `offset`.

        An update without a usable id is dropped: it cannot be confirmed, so it would be carried out for ever.
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
    """Return the names of the chat that an update shows to be within reach: its number and, if it has one, its @name.

    Such an update is a message to the bot, or the news that the bot was added to the chat or is no longer blocked.
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


def _number(update: object) -> int | None:
    """Return the id of an update; None if it has none that could be confirmed."""
    match update:
        # A negative number would have another meaning as an offset: it counts from the end.
        case {"update_id": int(number)} if not isinstance(number, bool) and 0 <= number <= _LARGEST_ID:
            return number
    return None
