"""Tests of the comparison of record lines."""

import pytest

from trailingedge.session_replay.comparable import action_key, says_the_same


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


@pytest.mark.parametrize(
    ("recorded", "replayed"),
    [
        pytest.param(b'["over",0]', b'["over",0]', id="equal"),
        pytest.param(b'["decision",[],{"u":1.0}]', b'["decision",[],{"u":1.0,"new":[]}]', id="a new field"),
        pytest.param(
            b'["decision",[],{"memory":{"high":1.0}}]',
            b'["decision",[],{"memory":{"new":7,"high":1.0}}]',
            id="a new field of the state",
        ),
        pytest.param(
            b'["news","LateOrder",{"past":{"orders":[{"id":1}]}}]',
            b'["news","LateOrder",{"past":{"orders":[{"id":1,"new":null}]}}]',
            id="a new field in a list",
        ),
    ],
)
def test_a_field_that_an_older_version_did_not_record_is_not_compared(recorded: bytes, replayed: bytes) -> None:
    assert says_the_same(recorded, replayed)


@pytest.mark.parametrize(
    ("recorded", "replayed"),
    [
        pytest.param(b'["decision",[],{"u":1.0}]', b'["decision",[],{"u":2.0,"new":0}]', id="another value"),
        pytest.param(b'["decision",[],{"u":1.0}]', b'["decision",[],{"u":1,"new":0}]', id="another type"),
        pytest.param(b'["decision",[],{"u":1.0,"old":0}]', b'["decision",[],{"u":1.0}]', id="a field is gone"),
        pytest.param(b'["decision",[],{"u":[]}]', b'["decision",[],{"u":[1]}]', id="a longer list"),
        pytest.param(b'["decision",["a"],{}]', b'["decision",["b"],{}]', id="another key"),
        pytest.param(b'["news","GateShut",{}]', b'["news","GateOpened",{}]', id="another event"),
        pytest.param(b'[">",2,"{}"]', b'[">",2,"{\\"new\\":1}"]', id="another request"),
    ],
)
def test_all_that_is_recorded_is_compared(recorded: bytes, replayed: bytes) -> None:
    assert not says_the_same(recorded, replayed)
