"""Tests of record lines in words."""

import json
from decimal import Decimal

import pytest

from trailingedge.model.market import SymbolRules
from trailingedge.session_replay.formatting import describe_line, field_differences

RULES = SymbolRules("ETHFDUSD", "ETH", "FDUSD", Decimal("0.01"), Decimal("0.0001"))


def request(method: str, **params: object) -> bytes:
    text = json.dumps({"id": 7, "method": method, "params": params} if params else {"id": 7, "method": method})
    return json.dumps([">", 2, text]).encode()


def answer(**message: object) -> bytes:
    return b'["<text",1,2,7,%s]' % json.dumps(message).encode()


ORDER = {"symbol": "ETHFDUSD", "side": "SELL", "type": "LIMIT_MAKER", "quantity": "1.2", "price": "2500.01"}
PLACED = {"symbol": "ETHFDUSD", "orderId": 5, "clientOrderId": "TE-t-abc", "transactTime": 1, "status": "NEW"}


EXITING = (
    b'["decision",["take-profit","exiting","BASE",null,["t","SELL",null],false,false,true],'
    b'{"u":2524.31,"memory":{"regime":"BASE","anchor":2500.0}}]'
)
EXITING_IN_WORDS = (
    "decision: exiting, holding base, take-profit SELL, trailing (rule: take-profit); bid 2524.31, anchor 2500"
)
GATED = (
    b'["decision",[null,"gated","QUOTE","flush",null,true,false,false],'
    b'{"u":0.0004,"memory":{"regime":"QUOTE","anchor":0.0005}}]'
)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'["<",1,2,7,{"u":1}]', 'received on connection 7: {"u":1}'),
        (b'["+text",0,0,7,{"u":1}]', 'received on connection 7: {"u":1}'),
        (b'["!>",2,"{}",["SessionLost","cut"]]', "request on connection 2, not sent (SessionLost: cut): {}"),
        (b'["ask",3,"the end of 1"]', "waits for the end of 1 (operation 3)"),
        (b'["told",1,2,3,null]', "operation 3 completed"),
        (b'["told",1,2,3,"logs/a"]', "operation 3 completed: logs/a"),
        (b'["told",1,2,3,["SessionLost","closed",0.0]]', "operation 3 failed: SessionLost: closed"),
        (b'["alarm",3,0.5]', "timer 3 set to 0.5 s"),
        (b'["ring",1,2,3]', "timer 3 fired"),
        (b'["tick",1,2]', "time passed"),
        (b'["obey",1,2,"flip","phone"]', "command flip from phone"),
        (b'["stop",1,2,"quit",0]', "stop requested: quit (exit code 0)"),
        (b'["stir",1,2]', "trading loop woken"),
        (b'["alert",20,"ready"]', "alert: ready"),
        (
            b'["news","ExitArmed",{"kind":"t","side":"SELL","price":"2500.01000","trail":{"u":1.0}}]',
            "event ExitArmed: kind take-profit, side SELL, price 2500.01",
        ),
        (b'["over",0]', "ended with exit code 0"),
        (b'["over",["KeyError","x"]]', "ended with an error: KeyError: x"),
        (b'["new",0]', '["new",0]'),
        (b"timer 3 is not set", "timer 3 is not set"),
        (request("time"), "request on connection 2: time"),
        (request("order.place", **ORDER), "request on connection 2: order.place SELL 1.2 ETH at 2500.01 FDUSD"),
        (
            request("order.cancelReplace", **ORDER, newClientOrderId="TE-t-abc", cancelOrderId=5),
            "request on connection 2: order.cancelReplace SELL 1.2 ETH at 2500.01 FDUSD for order 5 (TE-t-abc)",
        ),
        (
            request("order.place", **ORDER | {"type": "LIMIT"}),
            "request on connection 2: order.place SELL 1.2 ETH at 2500.01 FDUSD LIMIT",
        ),
        (
            request("order.cancel", symbol="ETHFDUSD", origClientOrderId="TE-t-abc"),
            "request on connection 2: order.cancel (TE-t-abc)",
        ),
        (request("klines", interval="1m", limit=61), "request on connection 2: klines interval 1m limit 61"),
        (
            answer(
                stream="ethfdusd@bookTicker", data={"u": 2, "s": "ETHFDUSD", "b": "2.50", "B": "1", "a": "3", "A": "1"}
            ),
            "received on connection 7: book bid 2.5, ask 3",
        ),
        (answer(id=4, status=200, result={}), "received on connection 7: reply to 4: ok"),
        (
            answer(id=4, status=400, error={"code": -2010, "msg": "no funds"}),
            "received on connection 7: reply to 4: 400, -2010 no funds",
        ),
        (
            answer(id=4, status=200, result=PLACED | {"side": "SELL", "price": "2500.01", "origQty": "1.2"}),
            "received on connection 7: reply to 4: ok, order 5 NEW: SELL 1.2 ETH at 2500.01 FDUSD (TE-t-abc)",
        ),
        (EXITING, EXITING_IN_WORDS),
        (
            GATED,
            "decision: gated, holding quote, gate shut by flush, paused; ask 2500, anchor 2000",
        ),
        (b'["decision",["of another version"],{}]', 'decision: ["of another version"]'),
    ],
)
def test_a_record_line_in_words(line: bytes, words: str) -> None:
    assert describe_line(line, RULES) == words


def test_without_rules_amounts_have_no_assets() -> None:
    assert describe_line(request("order.place", **ORDER)).endswith("order.place SELL 1.2 at 2500.01")


def test_field_differences_of_two_requests() -> None:
    one, other = request("order.place", **ORDER), request("order.place", **ORDER | {"price": "2500.02"})
    assert list(field_differences(one, other)) == [("params.price", "2500.01", "2500.02")]


def test_field_differences_of_two_decisions() -> None:
    one = b'["decision",[null],{"u":1.0,"memory":{"high":2.5,"gate":null}}]'
    other = b'["decision",[null],{"u":1.0,"memory":{"high":2.75,"gate":{"price":1.0}}}]'
    assert list(field_differences(one, other)) == [
        ("memory.high", "2.5", "2.75"),
        ("memory.gate", "nothing", '{"price": 1.0}'),
    ]


def test_a_field_that_the_record_lacks_is_no_field_difference() -> None:
    recorded = b'["decision",[null],{"u":1.0,"memory":{"high":2.0}}]'
    replayed = b'["decision",[null],{"u":1.5,"memory":{"high":2.0,"new":3},"newer":4}]'
    assert list(field_differences(recorded, replayed)) == [("u", "1", "1.5")]


def test_field_differences_of_two_frames() -> None:
    """A text frame is text, and any other frame is bytes."""
    text, other = b'["<text",1,2,7,{"a":1}]', b'["<",1,2,7,{"b":"\xc3\xa9\xff"}]'
    assert list(field_differences(text, other)) == [("< 4", '{"a":1}', '{"b":"\u00e9\ufffd"}')]
    assert list(field_differences(other, text)) == [("< 4", '{"b":"\u00e9\ufffd"}', '{"a":1}')]


def test_lines_of_other_kinds_have_no_field_differences() -> None:
    assert list(field_differences(b'["over",0]', b'["alert",20,"ready"]')) == []
    assert list(field_differences(b"no line", b'["over",0]')) == []
    assert list(field_differences(b'["over",0]', b'["over",3]')) == [("over 1", "0", "3")]
