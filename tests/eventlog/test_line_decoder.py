"""Tests of the decoder of record lines: a line with a wrong field is refused."""

import pytest

from trailingedge.eventlog.line_decoder import decode


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'["<",-5,1,{}]', id="before the start"),
        pytest.param(b'["<",1_0,1,{}]', id="an underscore"),
        pytest.param(b'["<",5,99999999999999999999,{}]', id="a number of more than 64 bits"),
        pytest.param(b'["tick",-1,0,0,{}]', id="a negative time"),
        pytest.param(b'["tick",1,"soon",0,{}]', id="an age in words"),
        pytest.param(b'["tick",1,-5,0,{}]', id="a negative age"),
        pytest.param(b'["tick",1,0,1e9,{}]', id="a float for an offset"),
        pytest.param(b'["tick",1,0,0]', id="without a view"),
        pytest.param(b'["tick",1,0,0,{},4,5]', id="with one field too many"),
        pytest.param(b'["call",1,["halt"],{}]', id="a list for a method"),
        pytest.param(b'["requote",1,1e300,0,{}]', id="seconds that no clock shows"),
        pytest.param(b'["decision","one"]', id="a text for a sum"),
        pytest.param(b'["decision",1,[]]', id="a list for a decision"),
        pytest.param(b'["over",1,true]', id="a flag for a code"),
        pytest.param(b'["over",1,[]]', id="an error without a name"),
        pytest.param(b"[" * 100_000, id="nested deeply"),
        pytest.param(b'["<",1,1,"' + b"[" * 10, id="a frame without an end"),
        pytest.param(b'[["tick"],1,0]', id="a list for a kind"),
        pytest.param(b"[]", id="nothing"),
        pytest.param(b"", id="an empty line"),
        pytest.param(b"{}", id="an object"),
        pytest.param(b'["<",1,2,{}', id="no end"),
        pytest.param(b'["<",1,2]', id="no frame"),
        pytest.param(b'["<",a,2,{}]', id="a letter for a time"),
        pytest.param(b"[1", id="no line"),
    ],
)
def test_a_line_with_a_wrong_field_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(line)


def test_a_line_of_an_unknown_kind_is_accepted() -> None:
    assert decode(b'["weather",1,"rain"]') == ("weather", 1, "rain")
