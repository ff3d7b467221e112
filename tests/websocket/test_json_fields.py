"""JSON field readers: each returns its type or raises ProtocolViolation."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailingedge.core.errors import ProtocolViolation
from trailingedge.websocket.json_fields import amount, decode, id_number, id_or_none, integer, time_ms


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


@pytest.mark.parametrize("value", [-2, -(1 << 62), True, "7", 7.0, None, 1 << 63])
def test_other_values_are_no_id(value: object) -> None:
    for read in (id_number, id_or_none):
        with pytest.raises(ProtocolViolation, match="i: expected an id"):
            read({"i": value}, "i")


def test_minus_one_is_an_id_only_where_there_may_be_none() -> None:
    assert id_or_none({"i": -1}, "i") == -1
    with pytest.raises(ProtocolViolation, match="i: expected an id, got -1"):
        id_number({"i": -1}, "i")


@pytest.mark.parametrize("value", [-2, 4_102_444_800_000, 1 << 62, "1700000000000", 1.7e12, None, True])
def test_other_values_are_no_time(value: object) -> None:
    with pytest.raises(ProtocolViolation, match="T: expected a time in milliseconds"):
        time_ms({"T": value}, "T")


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
