"""Tests of the comparison of record lines."""

import pytest

from trailingedge.session_replay.comparable import says_the_same


@pytest.mark.parametrize(
    ("recorded", "replayed"),
    [
        pytest.param(b'["raised","BrokenInvariant","x"]', b'["raised","BrokenInvariant","x"]', id="equal"),
        pytest.param(b'["event","A",{"u":1.0}]', b'["event","A",{"u":1.0,"new":[]}]', id="a new field"),
        pytest.param(
            b'["event","LateOrder",{"late_exit":{"orders":[{"id":1}]}}]',
            b'["event","LateOrder",{"late_exit":{"orders":[{"id":1,"new":null}]}}]',
            id="a new field in a list",
        ),
        pytest.param(b'["command","Place",{"tag":1}]', b'["command","Place",{"new":false,"tag":1}]', id="of a command"),
        pytest.param(b'["decision",5]', b'["decision",5,{"acted":null}]', id="a decision that is written in full"),
    ],
)
def test_a_field_that_an_older_version_did_not_record_is_not_compared(recorded: bytes, replayed: bytes) -> None:
    assert says_the_same(recorded, replayed)


@pytest.mark.parametrize(
    ("recorded", "replayed"),
    [
        pytest.param(b'["event","A",{"u":1.0}]', b'["event","A",{"u":2.0,"new":0}]', id="another value"),
        pytest.param(b'["event","A",{"u":1.0}]', b'["event","A",{"u":1,"new":0}]', id="another type"),
        pytest.param(b'["event","A",{"u":1.0,"old":0}]', b'["event","A",{"u":1.0}]', id="a field is gone"),
        pytest.param(b'["event","A",{"u":[]}]', b'["event","A",{"u":[1]}]', id="a longer list"),
        pytest.param(b'["event","GateShut",{}]', b'["event","GateOpened",{}]', id="another event"),
        pytest.param(b'["command","Place",{"price":"1"}]', b'["command","Place",{"price":"1.0"}]', id="other decimals"),
        pytest.param(b'["decision",5]', b'["decision",6]', id="another sum"),
        pytest.param(b'["decision",5,{"acted":null}]', b'["decision",6,{"acted":null}]', id="a sum of other fields"),
    ],
)
def test_all_that_is_recorded_is_compared(recorded: bytes, replayed: bytes) -> None:
    assert not says_the_same(recorded, replayed)
