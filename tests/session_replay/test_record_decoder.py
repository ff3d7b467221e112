"""Tests of deserialization: a value comes out of a record as it went in, and a wrong one is refused."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from tests.session_replay.golden_sessions import SESSIONS
from tests.strategy.strategy_harness import in_base

from trailingedge.eventlog.format import to_text
from trailingedge.eventlog.recorded_core import RECORDED_CALLS
from trailingedge.eventlog.writer import MemoryRecord
from trailingedge.live.core_factory import CoreStart
from trailingedge.model.market import Balance, BookTop, OrderRecord, Side
from trailingedge.model.market_state import StateView
from trailingedge.model.order_commands import ListedOrders, OrderInput, OrderReply, OrdersListed, ReplaceReply
from trailingedge.model.order_outcomes import NotTried, Rejected, RejectReason, ReplaceOutcome, Unanswered
from trailingedge.session_replay.record_decoder import DECODE_ERRORS, decode_value
from trailingedge.session_replay.replayed_core import _parameters
from trailingedge.strategy.decide import Decision
from trailingedge.strategy.state import StrategyState

ORDER = OrderRecord(5, "TE-t-abc", Side.SELL, None, Decimal("2500.10"), Decimal(1), Decimal(0), None, 1_783_000_000_000)
REJECTED = Rejected(RejectReason.RATE_LIMITED, -1003, "too much", 1_783_000_000_000)


def through_json(value: object) -> Any:
    return json.loads(to_text(value))


@pytest.mark.parametrize("name", SESSIONS)
def test_each_input_of_a_session_is_deserialized_to_the_same_value(name: str) -> None:
    notebook = MemoryRecord()
    SESSIONS[name](notebook)
    seen = set()
    for kind, *fields in notebook.entries:
        if kind == "core":
            assert decode_value(CoreStart, through_json(fields[1])) == fields[1]
        elif kind == "call":
            _, method, arguments, _ = fields
            for argument, value in arguments.items():
                found = decode_value(_parameters(method)[argument][0], through_json(value), argument)
                assert found == value
                assert repr(found) == repr(value)
            seen.add(method)
    assert seen >= {"restore", "on_report", "deliver", "lock_balances_until"}


def test_the_types_of_all_arguments_are_known() -> None:
    for method in RECORDED_CALLS:
        assert _parameters(method) is not None


@pytest.mark.parametrize(
    "value",
    [
        OrderReply(1, NotTried()),
        OrderReply(2, Unanswered("lost")),
        ReplaceReply(3, ReplaceOutcome(REJECTED, NotTried())),
        OrdersListed(4, (ORDER, ORDER)),
        OrdersListed(5, REJECTED),
        ORDER,
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_member_of_a_union_is_told_by_its_name(value: object) -> None:
    kind = OrderRecord if isinstance(value, OrderRecord) else OrderInput
    assert decode_value(kind, through_json(value)) == value


def test_a_field_that_an_older_version_did_not_record_has_its_default() -> None:
    fields = through_json(in_base().tick("2510").decision)
    del fields["exit_blocks"], fields["state"]["squeezed"]
    older: Decision = decode_value(Decision, fields)
    assert (older.exit_blocks, older.state.squeezed) == ((), StrategyState().squeezed)


@pytest.mark.parametrize(
    ("kind", "encoded"),
    [
        pytest.param(BookTop, {"bid": "1"}, id="a field without a default is missing"),
        pytest.param(BookTop, {"bid": "2", "ask": "1"}, id="a crossed book"),
        pytest.param(BookTop, ["1", "2"], id="a list for a value with fields"),
        pytest.param(Decimal, "1E+999999", id="an exponent"),
        pytest.param(Decimal, 1.5, id="a number for an amount"),
        pytest.param(int, True, id="a flag for a number"),
        pytest.param(int, 1 << 70, id="a number of more than 64 bits"),
        pytest.param(float, "1e5", id="a float in words"),
        pytest.param(str, 5, id="a number for a text"),
        pytest.param(bool, 1, id="a number for a flag"),
        pytest.param(Side, "HOLD", id="no such side"),
        pytest.param(Mapping[str, Balance], [1], id="a list for a mapping"),
        pytest.param(tuple[int, ...], {"a": 1}, id="a mapping for a list"),
        pytest.param(tuple[int, int], [1, 2, 3], id="one too many"),
        pytest.param(OrderInput, {"is": "Order", "tag": 1}, id="no member of the union"),
        pytest.param(OrderInput, {"tag": 1}, id="a member without its name"),
        pytest.param(ListedOrders, "all", id="a text for a member"),
        pytest.param(StateView, {}, id="nothing"),
    ],
)
def test_a_wrong_value_is_refused(kind: Any, encoded: object) -> None:
    with pytest.raises(DECODE_ERRORS):
        decode_value(kind, encoded)


@pytest.mark.parametrize(
    ("kind", "name", "encoded"), [(int, "time_ms", 1 << 60), (float, "now_s", 1e300), (float, "now_s", float("nan"))]
)
def test_a_time_that_cannot_be_is_refused(kind: Any, name: str, encoded: float) -> None:
    with pytest.raises(ValueError, match="is no time"):
        decode_value(kind, encoded, name)
