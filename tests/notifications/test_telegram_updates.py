"""Tests of the updates: which are new, what the next request confirms, and what an update says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailingedge.notifications.telegram_updates import UpdateSequence, active_chat, chat_name, read_message


def update(number: object) -> dict[str, object]:
    return {"update_id": number}


def test_each_update_is_new_once_and_the_offset_confirms_the_last() -> None:
    sequence = UpdateSequence()
    assert sequence.accept([update(7), update(8)]) == [update(7), update(8)]
    assert sequence.offset == 9
    assert sequence.accept([update(7), update(8)]) == []
    assert sequence.offset == 9


def test_a_lower_id_is_new_and_followed() -> None:
    sequence = UpdateSequence()
    sequence.accept([update(900_000_000)])
    assert sequence.accept([update(5)]) == [update(5)]
    assert sequence.offset == 6


def test_a_confirmed_offset_is_not_sent_again() -> None:
    """It would confirm, unseen, a lower id that comes after a quiet week."""
    sequence = UpdateSequence()
    sequence.accept([update(900_000_000)])
    sequence.accept([])
    assert sequence.offset is None


@pytest.mark.parametrize(
    ("chat", "name"),
    [
        ({"id": 7, "type": "private", "first_name": "Anna"}, "7 (Anna, private)"),
        ({"id": -100, "type": "supergroup", "title": "Desk\n"}, "-100 (Desk\\n, supergroup)"),
        ({"id": 8}, "8 (no name, chat)"),
        ({"type": "private"}, None),
    ],
)
def test_a_chat_is_named_with_its_id(chat: dict[str, object], name: str | None) -> None:
    assert chat_name({"message": {"chat": chat}}) == name
    assert chat_name({"my_chat_member": {"chat": chat}}) == name


@pytest.mark.parametrize("number", [None, "7", -5, 1.5, True, 10**30], ids=str)
def test_an_update_without_a_usable_id_is_dropped(number: object) -> None:
    sequence = UpdateSequence()
    assert sequence.accept([update(number), {}, None, []]) == []
    assert sequence.offset is None


@given(st.lists(st.lists(st.integers(0, 30), max_size=5), max_size=20))
def test_no_order_of_ids_makes_an_update_new_twice(answers: list[list[int]]) -> None:
    sequence = UpdateSequence()
    new = [each for answer in answers for each in sequence.accept([update(number) for number in answer])]
    numbers = {number for answer in answers for number in answer}
    assert sorted(str(each) for each in new) == sorted(str(update(number)) for number in numbers)


PRIVATE = {"id": 7, "type": "private", "username": "Anna"}


@pytest.mark.parametrize(
    ("said", "names"),
    [
        pytest.param({"message": {"chat": PRIVATE}}, ("7", "@anna"), id="a message"),
        pytest.param({"message": {"chat": {"id": -5}}}, ("-5",), id="without a name"),
        pytest.param(
            {"my_chat_member": {"chat": {"id": -5}, "new_chat_member": {"status": "member"}}}, ("-5",), id="added"
        ),
        pytest.param(
            {"my_chat_member": {"chat": {"id": -5}, "new_chat_member": {"status": "kicked"}}}, (), id="blocked"
        ),
        pytest.param({"edited_message": {"chat": PRIVATE}}, (), id="of another kind"),
        pytest.param({"message": {"chat": {"id": "7"}}}, (), id="no number"),
        pytest.param(None, (), id="nothing"),
    ],
)
def test_the_chat_within_reach_is_named(said: object, names: tuple[str, ...]) -> None:
    assert active_chat(said) == names


MESSAGE = {"date": 5, "chat": {"id": 1, "type": "private"}, "from": {"id": 1}, "text": "/why"}


@pytest.mark.parametrize(
    "update",
    [
        pytest.param(None, id="nothing"),
        pytest.param([], id="a list"),
        pytest.param({"update_id": 1}, id="an update of another kind"),
        pytest.param({"edited_message": MESSAGE}, id="an edited message"),
        pytest.param({"message": "text"}, id="a message that is none"),
        pytest.param({"message": MESSAGE | {"text": None}}, id="no text"),
        pytest.param({"message": MESSAGE | {"date": "now"}}, id="no date"),
        pytest.param({"message": {k: v for k, v in MESSAGE.items() if k != "from"}}, id="no sender"),
        pytest.param({"message": MESSAGE | {"chat": {"id": -5, "type": "supergroup"}}}, id="a group"),
    ],
)
def test_what_is_no_private_text_message_is_none(update: object) -> None:
    assert read_message(update) is None


def test_a_private_text_message_is_read() -> None:
    said = read_message({"update_id": 9, "message": MESSAGE})
    assert said is not None
    assert (said.chat_id, said.sender_id, said.date_s, said.text) == (1, 1, 5, "/why")
