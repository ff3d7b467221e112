"""Address of a Telegram chat: the chat, and the topic if the chat is a forum group."""

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChatAddress:
    """A chat's number as text or its @name, and the number of a topic in it.

    Without a topic, messages to a forum group appear in its General topic.
    """

    chat: str
    topic: int | None = None

    @classmethod
    def parse(cls, text: str) -> "ChatAddress":
        """Return the address that a setting names: `chat` or `chat:topic`."""
        chat, _, topic = text.partition(":")
        return cls(chat, int(topic) if topic else None)

    @property
    def is_group(self) -> bool:
        """Whether the chat is a group or a channel; the number of a private chat is positive."""
        return self.chat.startswith(("-", "@"))

    def moved_to(self, chat_id: int) -> "ChatAddress":
        """Return this address with the new number `chat_id` of the group, and the same topic."""
        return dataclasses.replace(self, chat=str(chat_id))

    def fields(self) -> dict[str, object]:
        """Return the fields by which a request of the Bot API names the chat."""
        topic = {} if self.topic is None else {"message_thread_id": self.topic}
        return {"chat_id": self.chat, **topic}
