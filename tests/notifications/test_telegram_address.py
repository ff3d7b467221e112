"""Tests of a chat's address."""

import pytest

from trailingedge.notifications.telegram_address import ChatAddress


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        pytest.param("4711", {"chat_id": "4711"}, id="a private chat"),
        pytest.param("-1001:42", {"chat_id": "-1001", "message_thread_id": 42}, id="a topic"),
        pytest.param("@forum:7", {"chat_id": "@forum", "message_thread_id": 7}, id="a topic of a public group"),
    ],
)
def test_the_fields_name_chat_and_topic(text: str, fields: dict[str, object]) -> None:
    assert ChatAddress.parse(text).fields() == fields


def test_the_topic_stays_when_the_group_gets_another_number() -> None:
    assert ChatAddress.parse("-5:9").moved_to(-1005) == ChatAddress("-1005", 9)
