"""Tests of the lines that `subscribe` sends: what they say, and that a reader takes nothing else for one."""

import contextlib
import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.notifications.status_views import RULES, SELLING

from trailingedge.execution.order_events import OrderCancelled, OrderFilled, OrderInDoubt, OrderPlaced, OrderReplaced
from trailingedge.execution.trader_events import MarketFresh, TraderEvent
from trailingedge.live.feed_format import (
    UnreadableFeed,
    encode,
    encode_state,
    history_row,
    line,
    of_event,
    of_panel,
    panel_of,
    parse,
    samples_of,
    unix_ms,
)
from trailingedge.model.market import BookTop, Regime, Side
from trailingedge.notifications.level_history import LevelSample
from trailingedge.notifications.panel_content import PanelContent, panel_content
from trailingedge.notifications.status import StatusView

D = Decimal
AT_MS = 1_783_000_020_123
AT = "2026-07-02T13:47:00.123+00:00"
VIEW = StatusView(
    "sim",
    RULES,
    "watching",
    regime=Regime.BASE,
    top=BookTop(D("2500.1"), D("2500.11")),
    anchor=2490.0,
    take_profit=2495.5,
    stop=2477.55,
    data_age_s=0.2,
    reconnects=3,
    active_exit=SELLING,
)


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        pytest.param(
            OrderPlaced("TE-t-1", 7, Side.SELL, D("2500.10"), D("0.50")),
            {"type": "order", "change": "placed", "price": "2500.1", "quantity": "0.5", "side": "SELL"},
            id="placed",
        ),
        pytest.param(
            OrderReplaced("TE-t-1", 8, Side.SELL, D(2501), D(2500), D(1)),
            {"type": "order", "change": "replaced", "price": "2500", "quantity": "1", "side": "SELL"},
            id="replaced",
        ),
        pytest.param(
            OrderCancelled("TE-t-1", 8, Side.BUY, D(2500), D(0), D(1)),
            {"type": "order", "change": "cancelled", "price": "2500", "quantity": "1", "side": "BUY"},
            id="cancelled",
        ),
        pytest.param(
            OrderFilled("TE-t-1", 8, Side.BUY, D(2500), D("0.4"), D(1000), D("0.6")),
            {"type": "fill", "price": "2500", "quantity": "0.4", "quote": "1000", "remaining": "0.6", "side": "BUY"},
            id="filled",
        ),
    ],
)
def test_an_order_event_is_a_line_with_amounts_as_strings(event: TraderEvent, fields: dict[str, str]) -> None:
    expected = {"version": 1, "time": AT, "client_order_id": "TE-t-1", **fields}
    assert of_event(event, AT_MS) == expected


def test_another_change_is_named_and_what_is_only_logged_has_no_line() -> None:
    assert of_event(MarketFresh(3.0), AT_MS) == line("event", time=AT, name="market_fresh")
    assert of_event(OrderInDoubt("TE-t-1", None, "no reply"), AT_MS) is None


def test_a_line_is_read_as_it_was_sent() -> None:
    fields = line("log", time=AT, level="INFO", text="a\nb ≥ “c”")
    sent = encode(fields)
    assert sent.count(b"\n") == 1
    assert parse(sent) == fields


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no JSON",
        b"[]",
        b'{"version":1}',
        b'{"version":2,"type":"log"}',
        b'{"type":"log"}',
        b'{"type":7,"version":1}',
    ],
)
def test_anything_else_is_no_line(text: bytes) -> None:
    with pytest.raises(UnreadableFeed):
        parse(text)


def test_the_panel_survives_the_way_to_those_who_watch() -> None:
    for view in (VIEW, replace(VIEW, halted=True, anchor=None), StatusView("live", RULES, "unfunded")):
        content = panel_content(view)
        assert panel_of(json.loads(json.dumps(of_panel(content)))) == replace(content, samples=())


def test_a_panel_with_control_characters_cannot_control_the_terminal() -> None:
    fields = json.loads(json.dumps(of_panel(panel_content(VIEW))))
    fields["rows"] = [["order", "\x1b[2J", "plain"]]
    assert panel_of(fields).rows[0].text == r"\x1b[2J"


junk = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(max_size=5) | some.floats(allow_nan=False),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(name=some.sampled_from(list(of_panel(panel_content(VIEW)))), value=junk)
def test_a_panel_with_an_odd_field_is_a_panel_or_unreadable(name: str, value: object) -> None:
    with contextlib.suppress(UnreadableFeed):
        assert isinstance(panel_of({**of_panel(panel_content(VIEW)), name: value}), PanelContent)


def test_the_history_keeps_prices_on_the_grid_and_levels_that_did_not_apply_as_null() -> None:
    sample = LevelSample(AT_MS, D("2500.1"), anchor=2490.0, stop=2477.549, gate_shut=True)
    state = parse(encode_state(line("state", status=None), [history_row(sample, 2)]))
    assert state["history"]["columns"][:2] == ["time", "bid"]
    assert state["history"]["rows"] == [[AT, "2500.10", None, None, None, "2490.00", None, None, "2477.55", True]]
    assert samples_of(state) == ((AT_MS, 2500.1),)


@pytest.mark.parametrize("history", [None, {}, {"rows": [[]]}, {"rows": [["now", "1"]]}, {"rows": [[AT, "x"]]}])
def test_an_odd_history_is_unreadable(history: object) -> None:
    with pytest.raises(UnreadableFeed):
        samples_of({"history": history})


def test_times_keep_their_milliseconds() -> None:
    assert unix_ms(AT) == AT_MS
