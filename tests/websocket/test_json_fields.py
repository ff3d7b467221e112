"""JSON field readers: each returns its type or raises ProtocolViolation."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailingedge.core.errors import ProtocolViolation
from trailingedge.websocket.json_fields import amount, decode, integer


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        pytest.param("60000.01000000", Decimal("60000.01"), id="text"),
        pytest.param("-1.00000000", Decimal(-1), id="negative"),
        pytest.param(5, Decimal(5), id="whole number"),
    ],
)
def test_an_amount_is_read_exactly(value: object, meant: Decimal) -> None:
    assert amount({"p": value}, "p") == meant


@pytest.mark.parametrize(
    "value",
    ["NaN", "Infinity", "-Infinity", "1e5", "1_000", " 1", "", ".5", "1.", "１", True, None, [], 1 << 64, "9" * 40],
)
def test_other_values_are_no_amount(value: object) -> None:
    with pytest.raises(ProtocolViolation, match="p: expected"):
        amount({"p": value}, "p")


@pytest.mark.parametrize("value", [True, "1", None, 1 << 63, {}])
def test_other_values_are_no_integer(value: object) -> None:
    with pytest.raises(ProtocolViolation, match="i: expected"):
        integer({"i": value}, "i")


def test_a_fraction_never_passes_through_a_float() -> None:
    assert amount(decode('{"p": 0.1000000000000000055}'), "p") == Decimal("0.1000000000000000055")


@pytest.mark.parametrize("frame", ["NaN", '{"a": Infinity}', "[" * 100_000, b"\xff\xfe\xfd", "{", "", "9" * 5000])
def test_invalid_json_is_a_protocol_violation(frame: str | bytes) -> None:
    with pytest.raises(ProtocolViolation):
        decode(frame)


@given(st.text() | st.binary())
def test_garbage_is_json_or_a_protocol_violation(frame: str | bytes) -> None:
    with suppress(ProtocolViolation):
        decode(frame)
