"""Foreign JSON: a text is a value of bounded depth, or raises one error, whatever is wrong with it."""

import ast
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailingedge.core import foreign_json
from trailingedge.core.foreign_json import DEEPEST, UnreadableJson

_SOURCE = Path(__file__).parents[2] / "src" / "trailingedge"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("", "not JSON", id="nothing"),
        pytest.param("<html>502 Bad Gateway</html>", "not JSON", id="another format"),
        pytest.param('{"a": 1', "not JSON", id="truncated"),
        pytest.param('{"a": 1} {"a": 1}', "not JSON", id="two values"),
        pytest.param(b"\xff\xfe{}", "not UTF-8", id="other bytes"),
        pytest.param("\ufeff{}", "not JSON", id="byte order mark"),
        pytest.param("[" * 4000, "nested", id="brackets without end"),
        pytest.param("[" * (DEEPEST + 1), "nested", id="one too deep and without end"),
        pytest.param("[" * DEEPEST, "not JSON", id="as deep as the limit and without end"),
        pytest.param('{"a": "' + "[" * 100, "not JSON", id="brackets in a string without end"),
        pytest.param('["\\"' + "[" * 100 + '", x', "not JSON", id="brackets in a string behind an escaped quote"),
        pytest.param("[" * 100_000 + "]" * 100_000, "nested", id="as deep as no stack"),
        pytest.param("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "nested", id="one too deep"),
        pytest.param('{"a":' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1), "nested", id="objects one too deep"),
        pytest.param("1" * 5000, "number", id="a whole number of 5000 digits"),
        pytest.param("1e999", "number", id="a fraction beyond all floats"),
        pytest.param("[-1e999]", "number", id="the same below zero"),
        pytest.param("NaN", "number", id="NaN"),
        pytest.param("[Infinity]", "number", id="Infinity"),
    ],
)
def test_whatever_is_wrong_the_error_is_the_same_and_says_what(text: str | bytes, fault: str) -> None:
    with pytest.raises(UnreadableJson, match=fault) as raised:
        foreign_json.parse(text)
    assert len(str(raised.value)) < 200


def test_a_text_may_be_nested_as_deep_as_the_limit() -> None:
    value = foreign_json.parse("[" * DEEPEST + "]" * DEEPEST)
    for _ in range(DEEPEST - 1):
        [value] = value
    assert value == []


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert foreign_json.parse(json.dumps([[{}]] * 10_000)) == [[{}]] * 10_000


def test_brackets_within_a_text_are_not_deep() -> None:
    assert foreign_json.parse(json.dumps("[{" * 10_000)) == "[{" * 10_000


def test_fractions_keep_their_text_where_they_are_wanted_so() -> None:
    value = foreign_json.parse('[0.1, 1e999, 7, "a"]', foreign_json.decoder(parse_float=str))
    assert value == ["0.1", "1e999", 7, "a"]


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), 1 << 63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(_VALUES)
def test_what_json_can_hold_is_read_back(value: object) -> None:
    assert foreign_json.parse(json.dumps(value)) == value
    assert foreign_json.parse(json.dumps(value).encode()) == value


@given(st.binary(max_size=200) | st.text(alphabet='[]{}":,0123456789eE.-+aNIt', max_size=200))
def test_any_bytes_are_a_value_or_the_error(text: str | bytes) -> None:
    try:
        value = foreign_json.parse(text)
    except UnreadableJson:
        return
    assert not isinstance(value, float) or math.isfinite(value)


def test_no_other_module_parses_json() -> None:
    """A parser of its own forgets one of the faults: nesting, above all, raises an error that is no ValueError."""
    others = [
        str(path.relative_to(_SOURCE))
        for path in sorted(_SOURCE.rglob("*.py"))
        if path.name != "foreign_json.py" and _parses_json(path)
    ]
    assert others == []


_PARSERS = ("json.loads", "json.load", "json.JSONDecoder")


def _parses_json(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return any(name in text for name in _PARSERS) and any(
        isinstance(node, ast.Attribute) and ast.unparse(node) in _PARSERS for node in ast.walk(ast.parse(text))
    )
