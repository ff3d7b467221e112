"""Tests of the record format: what is encoded is decoded unchanged, except for secrets."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailingedge.eventlog.format import FrameBatch, decode, encode
from trailingedge.indicators.donchian import Channel
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Side
from trailingedge.strategy.strategy_events import ExitStarted


def lines(data: bytes) -> list[bytes]:
    assert data.endswith(b"\n")
    return data[:-1].split(b"\n")


def test_a_frame_batch_is_encoded_like_its_frames() -> None:
    frames = [b'{"u":1}', b"", b"\x00\n", b'{"u":2}']
    assert encode(("<", 5, 2, 1, FrameBatch(frames))) == encode(("<", 5, 2, 1, frames))
    assert FrameBatch(frames).size_bytes == sum(map(len, frames))


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param((">", 2, '{"id":1,"method":"time"}'), id="request"),
        pytest.param(("!>", 2, "{}", ["SessionLost", "closed", 0.0]), id="request that was not written"),
        pytest.param(("ask", 1, "dial ws://memory"), id="ask"),
        pytest.param(("alarm", 3, 0.1), id="alarm"),
        pytest.param(("alert", 30, "hard stop: −1.2 %\nsecond line"), id="alert"),
        pytest.param(("over", 0), id="over"),
        pytest.param(("hole", 17), id="hole"),
    ],
)
def test_each_output_is_one_line(entry: tuple[object, ...]) -> None:
    (line,) = lines(encode(entry))
    assert decode(line) == entry
    assert json.loads(line) == list(entry)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("begin", ()),
        ("told", (3, "done")),
        ("ring", (4, -7)),
        ("tick", ()),
        ("obey", ("flip", "socket")),
        ("stop", ("q", 0)),
        ("stir", ()),
    ],
)
def test_an_input_carries_the_time_since_the_start(kind: str, more: tuple[object, ...]) -> None:
    (line,) = lines(encode((kind, 5_000_000_123, 7, *more), zero_ns=5_000_000_000))
    assert decode(line) == (kind, 123, 7, *more)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'["<",-5,0,1,{}]', id="before the start"),
        pytest.param(b'["<",1_0,0,1,{}]', id="an underscore"),
        pytest.param(b'["<",5,0,99999999999999999999,{}]', id="a number of more than 64 bits"),
        pytest.param(b'["tick",-1,0]', id="a negative time"),
        pytest.param(b'["told",1,0,-3,null]', id="a negative number"),
        pytest.param(b'["told",1,0,3]', id="without an outcome"),
        pytest.param(b'["told",1,0,3,null,4]', id="with one field too many"),
        pytest.param(b'["obey",1,0,["flip"],"key"]', id="a list for a command"),
        pytest.param(b'["ring",1,0,4,1e300]', id="a clock moved by a float"),
        pytest.param(b'["stop",1,0,"q",true]', id="a flag for a code"),
        pytest.param(b"[" * 100_000, id="nested deeply"),
        pytest.param(b'["<",1,0,1,"' + b"[" * 10, id="a frame without an end"),
        pytest.param(b'[["tick"],1,0]', id="a list for a kind"),
        pytest.param(b"[]", id="nothing"),
    ],
)
def test_a_line_with_a_wrong_field_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(line)


@given(st.lists(st.one_of(st.binary(), st.text()), min_size=1, max_size=3))
def test_frames_that_arrive_together_are_decoded_as_they_arrived(frames: list[bytes | str]) -> None:
    first, *others = map(decode, lines(encode(("<", 1_000, 5, 2, frames), zero_ns=1_000)))
    assert first == ("<", 0, 5, 2, frames[0])
    assert others == [("+", 0, 0, 2, frame) for frame in frames[1:]]


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b'{"stream":"x@bookTicker","data":{"u":1}}', id="JSON as it is"),
        pytest.param('{"stream":"x@bookTicker","data":{"u":1}}', id="JSON in a text"),
        pytest.param('{"name":"Ö"}'.encode(), id="with more than ASCII"),
    ],
)
def test_a_json_frame_stands_in_the_line_unchanged(frame: bytes | str) -> None:
    raw = frame if isinstance(frame, bytes) else frame.encode()
    (line,) = lines(encode(("<", 0, 5, 2, (frame,))))
    assert line.endswith(b"," + raw + b"]")
    assert json.loads(line)[4] == json.loads(raw)


@pytest.mark.parametrize(
    "frame", [b'{"torn":', b"{not\njson}", b'{"\xff":1}', b"", "{\n}", '"quoted"', b'"quoted"'], ids=repr
)
def test_another_frame_is_a_string_and_is_decoded_to_the_same_bytes(frame: bytes | str) -> None:
    (line,) = lines(encode(("<", 0, 5, 2, (frame,))))
    assert isinstance(json.loads(line)[4], str)
    assert decode(line)[4] == frame


def test_keys_and_signatures_are_redacted_in_requests_and_frames() -> None:
    logon = '{"id":1,"params":{"apiKey":"the key","signature": "c2VjcmV0","timestamp":1}}'
    answer = b'{"id":1,"result":{"apiKey" : "the key","n":1}}'
    written = encode((">", 1, logon)) + encode(("<", 0, 1, 1, (answer, answer.decode(), b'torn "apiKey":"the key"')))
    assert b"the key" not in written
    assert b"c2VjcmV0" not in written
    assert decode(written.splitlines(keepends=True)[0])[2] == (
        '{"id":1,"params":{"apiKey":"…","signature":"…","timestamp":1}}'
    )


def test_an_event_is_encoded_with_all_its_fields() -> None:
    armed = ExitStarted(ExitKind.MANUAL, Side.SELL, 17, None, None)
    (line,) = lines(encode(("news", "ExitStarted", armed)))
    assert decode(line) == (
        "news",
        "ExitStarted",
        {"kind": "m", "side": "SELL", "number": 17, "price": None, "trail": None},
    )


def test_a_named_tuple_becomes_an_object_and_another_tuple_a_list() -> None:
    (line,) = lines(encode(("decision", [], Channel(upper=2.0, lower=1.0, full=True, squeeze_share=None))))
    assert decode(line)[2] == {"upper": 2.0, "lower": 1.0, "full": True, "squeeze_share": None}


def test_infinity_and_nan_are_written_as_text() -> None:
    (line,) = lines(encode(("decision", (float("inf"), None), {"gain": float("nan")})))
    assert decode(line) == ("decision", ["inf", None], {"gain": "nan"})


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b'["<",1,2,3,{}', b'["<",1,2]', b'["<",a,2,3,{}]', b"[1"])
def test_another_text_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        decode(line)
