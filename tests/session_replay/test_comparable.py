"""Tests of the action keys of record lines."""

import pytest

from trailingedge.session_replay.comparable import action_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'["news","ExitArmed",{"price":"1"}]', b'["news","ExitArmed",{"price":"2"}]'),
        (b'["decision",[null,"watching"],{"u":1.0}]', b'["decision",[null,"watching"],{"u":2.0}]'),
    ],
    ids=["an event with other numbers", "a decision with other numbers"],
)
def test_lines_of_the_same_action_have_equal_keys(one: bytes, other: bytes) -> None:
    assert action_key(one) == action_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'["news","ExitArmed",{}]', b'["news","ExitEnded",{}]'),
        (b'["decision",[null,"watching"],{}]', b'["decision",["take-profit","exiting"],{}]'),
        (b'[">",2,"{\\"timestamp\\":1}"]', b'[">",2,"{\\"timestamp\\":2}"]'),
        (b'["over",0]', b'["over",3]'),
    ],
    ids=["another event", "another decision", "another request", "another end"],
)
def test_lines_of_other_actions_have_other_keys(one: bytes, other: bytes) -> None:
    assert action_key(one) != action_key(other)


def test_with_own_timing_times_and_numbers_of_requests_do_not_count() -> None:
    one = b'[">",2,"{\\"id\\":7,\\"timestamp\\":1,\\"newClientOrderId\\":\\"TE-t-abc\\"}"]'
    other = b'[">",2,"{\\"id\\":8,\\"timestamp\\":2,\\"newClientOrderId\\":\\"TE-t-xyz\\"}"]'
    kind = b'[">",2,"{\\"id\\":8,\\"timestamp\\":2,\\"newClientOrderId\\":\\"TE-m-xyz\\"}"]'
    assert action_key(one, own_timing=True) == action_key(other, own_timing=True) != action_key(kind, own_timing=True)
