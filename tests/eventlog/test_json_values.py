"""Tests of values as JSON: all digits stay, and a change holds what differs and nothing else."""

import json
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from trailingedge.eventlog.decision_sums import DECISION_FIELDS
from trailingedge.eventlog.json_values import JsonValues, fields_within, merged
from trailingedge.indicators.donchian import Channel
from trailingedge.model.market import Side
from trailingedge.model.order_commands import OrderReply
from trailingedge.model.order_outcomes import NotTried, Unanswered
from trailingedge.strategy.decide import Decision

JSON = JsonValues()


@dataclass(frozen=True)
class Inner:
    """A value within another."""

    high: float = 1.0
    low: float = 0.5


@dataclass(frozen=True)
class Outer:
    """A value with all that a record has."""

    price: Decimal = Decimal("2.50")
    inner: Inner | None = Inner()
    number: int = 1
    amounts: tuple[Decimal, ...] = ()


def changes(values: JsonValues, before: object, after: object) -> object:
    return json.loads(f"{{{values.changes(before, after)}}}")


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        pytest.param(Decimal("0.00000000"), "0.00000000", id="a zero keeps its decimals"),
        pytest.param(Decimal("1E+3"), "1000", id="an exponent"),
        pytest.param(float("inf"), "inf", id="infinity"),
        pytest.param(0.1 + 0.2, 0.30000000000000004, id="all digits of a float"),
        pytest.param(Side.SELL, "SELL", id="a member of an enumeration"),
        pytest.param((1, None, True), [1, None, True], id="a tuple"),
        pytest.param(
            Channel(2.0, 1.0, full=True),
            {"upper": 2.0, "lower": 1.0, "full": True, "squeeze_share": None},
            id="a named tuple",
        ),
        pytest.param(NotTried(), {"is": "NotTried"}, id="a member of a union without fields"),
        pytest.param(
            OrderReply(3, Unanswered("lost")),
            {"is": "OrderReply", "tag": 3, "outcome": {"is": "Unanswered", "reason": "lost"}},
            id="a member of a union",
        ),
    ],
)
def test_a_value_as_json(value: object, encoded: object) -> None:
    assert json.loads(JSON.to_text(value)) == encoded


@pytest.mark.parametrize(
    ("after", "change"),
    [
        pytest.param(Outer(), {}, id="nothing"),
        pytest.param(Outer(inner=Inner(low=0.25)), {"inner": {"low": 0.25}}, id="a field of a field"),
        pytest.param(Outer(inner=None), {"inner": None}, id="a field that is gone"),
        pytest.param(Outer(price=Decimal("2.5")), {"price": "2.5"}, id="other decimals of the same number"),
        pytest.param(Outer(number=True), {"number": True}, id="a flag for a number"),
        pytest.param(Outer(amounts=(Decimal("1.0"),)), {"amounts": ["1.0"]}, id="a longer tuple"),
    ],
)
def test_a_change_holds_what_differs(after: Outer, change: dict[str, object]) -> None:
    assert changes(JSON, Outer(), after) == change
    assert merged(json.loads(JSON.to_text(Outer())), change) == json.loads(JSON.to_text(after))


def test_what_was_nothing_before_is_written_in_full() -> None:
    assert changes(JSON, Outer(inner=None), Outer()) == {"inner": {"high": 1.0, "low": 0.5}}
    assert changes(JSON, None, Inner()) == {"high": 1.0, "low": 0.5}


def test_a_field_that_an_older_version_did_not_know_is_left_out() -> None:
    older = JsonValues({"Inner": ["high"]})
    assert json.loads(older.to_text(Outer()))["inner"] == {"high": 1.0}
    assert changes(older, Outer(), Outer(inner=Inner(low=0.25))) == {}
    assert changes(older, Outer(), Outer(inner=Inner(high=2.0, low=0.25))) == {"inner": {"high": 2.0}}


def test_the_fields_within_a_type_are_those_of_its_parts_too() -> None:
    assert fields_within(Outer) == {"Inner": ["high", "low"], "Outer": ["price", "inner", "number", "amounts"]}
    assert fields_within(Decision) == DECISION_FIELDS
    assert {"Decision", "StrategyState", "Trail", "Channel", "Holdings", "ReentryGate"} <= set(DECISION_FIELDS)


def test_a_changed_number_in_equal_values_is_seen_at_any_depth() -> None:
    before = replace(Outer(), amounts=(Decimal("1.0"), Decimal(2)))
    after = replace(Outer(), amounts=(Decimal("1.00"), Decimal(2)))
    assert changes(JSON, before, after) == {"amounts": ["1.00", "2"]}
