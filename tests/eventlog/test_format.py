"""Tests of the record format: what is encoded is decoded unchanged, except for secrets."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.eventlog.record_builders import ZERO_NS, encoder, lines
from tests.strategy.strategy_harness import in_base

from trailingedge.core.errors import BrokenInvariant
from trailingedge.eventlog.format import FrameBatch, without_frames
from trailingedge.eventlog.line_decoder import decode
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Balance, BookTop, Side
from trailingedge.model.market_state import StateView
from trailingedge.model.order_commands import Cancel, Refresh
from trailingedge.session_replay.recorded_steps import RecordedViews
from trailingedge.strategy.strategy_events import ExitStarted

TOP = BookTop(Decimal("2500.10"), Decimal("2500.20"), Decimal("1.00"), Decimal(2), 77)
VIEW = StateView(
    now_s=6.25,
    market_ms=1_783_000_001_250,
    top=TOP,
    top_age_s=0.25,
    balances={"ETH": Balance("ETH", Decimal("1.50")), "FDUSD": Balance("FDUSD", Decimal(0))},
    balances_ms=1_783_000_000_000,
    account_proven=True,
    closed_klines=(),
)
SERVER_MS = 1_783_000_001_300


def tick(view: StateView, *more: object) -> tuple[object, ...]:
    """The entry of a tick; `more` are commands, events, decision and error."""
    return ("tick", view, SERVER_MS, *(*more, *((), (), None, None)[len(more) :]))


# Frames and other lines ----------------------------------------------------------------------


def test_a_frame_batch_is_encoded_like_its_frames() -> None:
    frames = [b'{"u":1}', b"", b"\x00\n", b'{"u":2}']
    assert lines(("<", ZERO_NS, 1, FrameBatch(frames))) == lines(("<", ZERO_NS, 1, frames))
    assert FrameBatch(frames).size_bytes == sum(map(len, frames))


def test_frames_that_are_left_out_are_counted() -> None:
    assert without_frames(("<", 7, 1, FrameBatch([b"a", b"b"]))) == ("skipped", 7, 1, 2)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        pytest.param(">", (2, '{"id":1,"method":"time"}'), id="request"),
        pytest.param("!>", (2, "{}", "closed"), id="request that was not written"),
        pytest.param("dial", (1, "ws://memory"), id="connection"),
        pytest.param("closed", (1, "closed 1006"), id="end of a connection"),
        pytest.param("skipped", (1, 300), id="frames left out"),
        pytest.param("alert", (30, "hard stop: −1.2 %\nsecond line"), id="alert"),
        pytest.param("over", (0,), id="end"),
        pytest.param("over", (["KeyError", "x"],), id="end by an error"),
    ],
)
def test_a_line_has_the_time_since_the_start(kind: str, more: tuple[object, ...]) -> None:
    (line,) = lines((kind, ZERO_NS + 123, *more))
    assert decode(line) == (kind, 123, *more)
    assert json.loads(line) == [kind, 123, *more]


@pytest.mark.parametrize("entry", [("hole", 17), ("part", 2)])
def test_a_line_about_the_file_has_no_time(entry: tuple[object, ...]) -> None:
    (line,) = lines(entry)
    assert decode(line) == entry


@given(st.lists(st.one_of(st.binary(), st.text()), min_size=1, max_size=3))
def test_frames_that_arrive_together_are_decoded_as_they_arrived(frames: list[bytes | str]) -> None:
    written = encoder().encode(("<", ZERO_NS + 9, 2, frames))
    first, *others = map(decode, written[:-1].split(b"\n"))
    assert first == ("<", 9, 2, frames[0])
    assert others == [("+", 9, 2, frame) for frame in frames[1:]]


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
    (line,) = lines(("<", ZERO_NS, 2, (frame,)))
    assert line.endswith(b"," + raw + b"]")
    assert json.loads(line)[3] == json.loads(raw)


@pytest.mark.parametrize(
    "frame", [b'{"torn":', b"{not\njson}", b'{"\xff":1}', b"", "{\n}", '"quoted"', b'"quoted"'], ids=repr
)
def test_another_frame_is_a_string_and_is_decoded_to_the_same_bytes(frame: bytes | str) -> None:
    (line,) = lines(("<", ZERO_NS, 2, (frame,)))
    assert isinstance(json.loads(line)[3], str)
    assert decode(line)[3] == frame


def test_keys_and_signatures_are_redacted_in_requests_and_frames() -> None:
    logon = '{"id":1,"params":{"apiKey":"the key","signature": "c2VjcmV0","timestamp":1}}'
    answer = b'{"id":1,"result":{"apiKey" : "the key","n":1}}'
    torn = b'torn "apiKey":"the key"'
    request, *received = lines((">", ZERO_NS, 1, logon), ("<", ZERO_NS, 1, (answer, answer.decode(), torn)))
    assert not [line for line in (request, *received) if b"the key" in line or b"c2VjcmV0" in line]
    assert decode(request)[3] == '{"id":1,"params":{"apiKey":"…","signature":"…","timestamp":1}}'


# The core ------------------------------------------------------------------------------------


def test_an_input_is_followed_by_its_output() -> None:
    started = ExitStarted(ExitKind.MANUAL, Side.SELL, 17, None, None)
    made = in_base().tick("2510").decision
    commands = (Cancel(3, 5, "TE-t-abc"), Refresh.BALANCES)
    first, *output = lines(tick(VIEW, commands, (started,), made, BrokenInvariant("two orders")))
    assert decode(first)[:4] == ("tick", 1_250_000_000, 250_000_000, SERVER_MS - 1250)
    assert list(map(decode, output)) == [
        ("command", "Cancel", {"tag": 3, "order_id": 5, "client_order_id": "TE-t-abc"}),
        ("command", "Refresh", "balances"),
        ("event", "ExitStarted", {"kind": "m", "side": "SELL", "number": 17, "price": None, "trail": None}),
        ("decision", decode(output[3])[1], json.loads(output[3])[2]),
        ("raised", "BrokenInvariant", "two orders"),
    ]


def test_a_view_that_equals_the_one_before_but_for_a_price_is_written_as_its_difference() -> None:
    moved = replace(TOP, bid=Decimal("2500.15"), update_id=78)
    _, second = lines(tick(VIEW), tick(VIEW._replace(now_s=6.75, market_ms=VIEW.market_ms + 500, top=moved)))
    offset = SERVER_MS - 1750
    assert json.loads(second) == [
        "tick",
        1_750_000_000,
        250_000_000,
        offset,
        {"top": {"u": 78, "s": "", "b": "2500.15", "B": "1.00", "a": "2500.20", "A": "2"}},
    ]


def test_while_only_time_passes_a_view_is_empty() -> None:
    _, second = lines(tick(VIEW), tick(VIEW._replace(now_s=7.0, market_ms=VIEW.market_ms + 750, top_age_s=1.0)))
    assert json.loads(second) == ["tick", 2_000_000_000, None, SERVER_MS - 2000, {}]


def test_only_the_balance_that_changed_is_written() -> None:
    more = {**VIEW.balances, "ETH": Balance("ETH", Decimal("1.5"))}
    _, second = lines(tick(VIEW), tick(VIEW._replace(balances=more)))
    assert json.loads(second)[4] == {"balances": {"ETH": {"asset": "ETH", "free": "1.5", "locked": "0"}}}


amounts = st.decimals(min_value=0, max_value=10**6, places=8)
seconds = st.floats(5.0, 10**7)
views = st.builds(
    StateView,
    now_s=st.one_of(seconds, seconds.map(lambda value: round(value * 1e9) / 1e9)),
    market_ms=st.integers(0, 4 * 10**12),
    top=st.none()
    | st.builds(
        lambda bid, spread, id_: BookTop(bid + 1, bid + spread + 2, spread, bid, id_),
        amounts,
        amounts,
        st.integers(0, 99),
    ),
    top_age_s=st.one_of(st.floats(0.0, 10**6), st.just(float("inf")), st.just(0.0)),
    balances=st.dictionaries(st.sampled_from(["ETH"]), amounts.map(lambda free: Balance("ETH", free)), min_size=1),
    balances_ms=st.integers(0, 4 * 10**12),
    account_proven=st.booleans(),
    closed_klines=st.just(()),
    balance_updates=st.integers(0, 5),
    balances_in_doubt=st.booleans(),
    highest_bid=st.none() | amounts,
    lowest_ask=st.none() | amounts,
)


@given(st.lists(views, min_size=1, max_size=5))
def test_views_are_restored_exactly(written: list[StateView]) -> None:
    restored = RecordedViews(ZERO_NS)
    written.sort(key=lambda view: view.now_s)
    for view, line in zip(written, lines(*map(tick, written)), strict=True):
        _, at_ns, age, _, changed = decode(line)
        found = restored.view(at_ns, age, changed)
        assert found == view
        assert repr(found) == repr(view)  # `==` takes 2.50 and 2.5 for the same
