"""Reading a bookTicker by regular expression gives what the JSON reader gives, or nothing."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailingedge.core.errors import ProtocolViolation
from trailingedge.model.market import BookTop
from trailingedge.websocket.event_parser import BookFrames, BookUpdate, read_stream_frame, read_top_fast


def frame(bid: str = "100.00000000", ask: str = "100.01000000", update_id: object = 400, **other: object) -> bytes:
    data = {"u": update_id, "s": "ETHFDUSD", "b": bid, "B": "1.5", "a": ask, "A": "2", **other}
    return json.dumps({"stream": "ethfdusd@bookTicker", "data": data}, separators=(",", ":")).encode()


def test_the_usual_frame_is_read_by_the_regular_expression() -> None:
    top = BookTop(Decimal(100), Decimal("100.01"), Decimal("1.5"), Decimal(2), 400)
    assert read_top_fast(frame()) == BookUpdate("ETHFDUSD", top) == read_stream_frame(frame())


def test_blanks_after_separators_are_accepted() -> None:
    spaced = json.dumps(json.loads(frame())).encode()
    assert b", " in spaced
    assert read_top_fast(spaced) == read_top_fast(frame())


@pytest.mark.parametrize(
    "strange",
    [
        pytest.param(frame(E=1), id="a field more"),
        pytest.param(frame().replace(b",", b",  "), id="wide blanks"),
        pytest.param(frame(bid="1e2"), id="an exponent"),
        pytest.param(frame(bid="-1"), id="negative"),
        pytest.param(frame(bid=""), id="no price"),
        pytest.param(frame(bid="100.02"), id="crossed"),
        pytest.param(frame(update_id="400"), id="the id as text"),
        pytest.param(frame(update_id=1 << 70), id="an id beyond 64 bits"),
        pytest.param(frame() + b" ", id="something after it"),
        pytest.param(b"[" * 100_000, id="nonsense"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(frame().decode(), id="text instead of bytes"),
    ],
)
def test_unusual_frames_are_left_to_the_json_reader(strange: str | bytes) -> None:
    assert read_top_fast(strange) is None


@given(
    st.from_regex(r"[0-9]{0,3}\.?[0-9]{0,3}", fullmatch=True),
    st.from_regex(r"[0-9]{0,3}\.?[0-9]{0,3}", fullmatch=True),
    st.one_of(st.integers(), st.text(max_size=3), st.booleans()),
)
def test_both_readers_agree(bid: str, ask: str, update_id: object) -> None:
    raw = frame(bid, ask, update_id)
    short = read_top_fast(raw)
    if short is not None:
        assert short == read_stream_frame(raw)


@given(st.binary(max_size=60), st.integers(0, 120))
def test_a_damaged_frame_is_read_alike_or_not_at_all(wound: bytes, at: int) -> None:
    raw = frame()[:at] + wound + frame()[at + len(wound) :]
    short = read_top_fast(raw)
    if short is not None:
        try:
            assert short == read_stream_frame(raw)
        except ProtocolViolation as violation:
            raise AssertionError(f"the long reading refuses {raw!r}") from violation


def test_of_several_the_newest_readable_one_of_the_symbol_is_found() -> None:
    books = BookFrames("ETHFDUSD")
    other = frame(s="BTCUSDT").replace(b"ethfdusd", b"btcusdt")
    frames = [frame(update_id=1), frame(update_id=2), frame(bid="200"), frame(s="BTCUSDT"), other, b"garbage"]
    index, heard = books.newest_book(frames)
    assert index == 1
    assert heard is not None
    assert heard.top.update_id == 2
    assert [books.is_book(each) for each in frames] == [True, True, True, True, False, False]
    assert books.newest_book([b"garbage", "text"]) == (-1, None)


def test_a_frame_that_only_the_json_reader_reads_counts_too() -> None:
    index, heard = BookFrames("ETHFDUSD").newest_book([frame(update_id=1), frame(update_id=2, E=5)])
    assert (index, heard is not None and heard.top.update_id) == (1, 2)
