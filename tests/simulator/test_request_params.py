from decimal import Decimal
from typing import Any

import pytest

from trailingedge.model.market import Side
from trailingedge.simulator.errors import ExchangeError
from trailingedge.simulator.request_params import OLDEST_MS, JsonNumber, RequestParameters, plain_json, read_json

NOW_MS = 1_783_000_000_000


def sent(text: str) -> RequestParameters:
    params = read_json(text)
    assert isinstance(params, dict)
    return RequestParameters(params)


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        pytest.param('{"b": 1, "a": "x", "signature": "s"}', "a=x&b=1", id="by name, without the signature"),
        pytest.param('{"price": 0.10, "n": 1e2}', "n=1e2&price=0.10", id="numbers as they were sent"),
        pytest.param('{"a": true, "b": ["x"]}', 'a=true&b=["x"]', id="other values as JSON"),
        pytest.param('{"symbol": "币安", "a": "1 &2"}', "a=1 &2&symbol=币安", id="not encoded"),
        pytest.param('{"a": null, "b": 1}', "b=1", id="null is not sent"),
    ],
)
def test_the_signature_covers_the_text_that_was_sent(text: str, payload: str) -> None:
    assert sent(text).signed_payload() == payload


@pytest.mark.parametrize(
    ("value", "amount"),
    [('"1"', "1"), ('"0.00100000"', "0.00100000"), ("1.5", "1.5"), ('"1.123456780000"', "1.123456780000")],
)
def test_an_amount_is_a_plain_decimal(value: str, amount: str) -> None:
    assert sent(f'{{"q": {value}}}').amount("q") == Decimal(amount)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        pytest.param('"-1"', -1100, id="a sign"),
        pytest.param("5e-05", -1100, id="an exponent"),
        pytest.param('".5"', -1100, id="a bare dot"),
        pytest.param('"1."', -1100, id="a dangling dot"),
        pytest.param('"x"', -1100, id="letters"),
        pytest.param('"0.123456789"', -1111, id="nine decimals"),
        pytest.param('""', -1105, id="nothing"),
        pytest.param("true", -1102, id="a boolean"),
        pytest.param("[1]", -1102, id="a list"),
    ],
)
def test_a_malformed_amount_is_rejected(value: str, code: int) -> None:
    with pytest.raises(ExchangeError) as refusal:
        sent(f'{{"q": {value}}}').amount("q")
    assert refusal.value.code == code


def test_an_unread_parameter_is_rejected() -> None:
    parameters = sent('{"symbol": "X", "extra": 1}')
    parameters.text("symbol")
    parameters.text("absent")
    with pytest.raises(ExchangeError) as refusal:
        parameters.check_all_read()
    assert refusal.value.code == -1104
    assert "read '1' parameter(s) but was sent '2'" in refusal.value.text


@pytest.mark.parametrize(
    ("read", "code"),
    [
        pytest.param(lambda parameters: parameters.required_text("gone"), -1102, id="a required text"),
        pytest.param(lambda parameters: parameters.required_text("empty"), -1102, id="a required text that is empty"),
        pytest.param(lambda parameters: parameters.required_amount("gone"), -1102, id="a required amount"),
        pytest.param(lambda parameters: parameters.required_choice("gone", Side), -1102, id="a required choice"),
        pytest.param(lambda parameters: parameters.choice("word", Side), -1130, id="not a choice"),
        pytest.param(lambda parameters: parameters.integer("word"), -1100, id="not a number"),
        pytest.param(lambda parameters: parameters.flag("word"), -1130, id="not a flag"),
        pytest.param(lambda parameters: parameters.text_list("word"), -1130, id="not a list"),
        pytest.param(lambda parameters: parameters.client_order_id("spaced"), -1100, id="an id with a space"),
        pytest.param(lambda parameters: parameters.client_order_id("long"), -1100, id="an id of 37 characters"),
        pytest.param(lambda parameters: parameters.market_time_ms("old", NOW_MS), -1130, id="a time before 2017"),
        pytest.param(lambda parameters: parameters.market_time_ms("ahead", NOW_MS), -1130, id="a time ahead"),
    ],
)
def test_a_wrong_parameter_has_its_error_code(read: Any, code: int) -> None:
    parameters = RequestParameters(
        {
            "word": "word",
            "empty": "",
            "spaced": "a b",
            "long": "x" * 37,
            "old": JsonNumber(OLDEST_MS - 1),
            "ahead": JsonNumber(NOW_MS + 10_001),
        }
    )
    with pytest.raises(ExchangeError) as refusal:
        read(parameters)
    assert refusal.value.code == code


def test_times_may_be_in_microseconds() -> None:
    assert RequestParameters({"t": JsonNumber(NOW_MS * 1000 + 999)}).market_time_ms("t", NOW_MS) == NOW_MS


def test_an_id_is_echoed_as_it_came() -> None:
    assert plain_json(read_json("7")) == 7
    assert plain_json(read_json('"7"')) == "7"
    assert plain_json(None) is None


@pytest.mark.parametrize("text", ["NaN", "Infinity", "{", ""])
def test_what_is_not_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text is the JSON library's
        read_json(text)
