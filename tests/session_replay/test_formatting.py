"""A line of a record in words, so that nobody has to read it."""

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
    "decision: exiting, holding base, take-profit SELL, trail armed (by the rule: take-profit); "
    "bid 2524.31, anchor 2500"
)
GATED = (
    b'["decision",[null,"gated","QUOTE","flush",null,true,false,false],'
    b'{"u":0.0004,"memory":{"regime":"QUOTE","anchor":0.0005}}]'
)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'["<",1,2,7,{"u":1}]', 'heard over line 7: {"u":1}'),
        (b'["+text",0,0,7,{"u":1}]', 'heard over line 7: {"u":1}'),
        (b'["!>",2,"{}",["SessionLost","cut"]]', "request over line 2, not written (SessionLost: cut): {}"),
        (b'["ask",3,"the end of 1"]', "waits for the end of 1 (3)"),
        (b'["told",1,2,3,null]', "what it waited for has come (3)"),
        (b'["told",1,2,3,"logs/a"]', "what it waited for has come (3): logs/a"),
        (b'["told",1,2,3,["SessionLost","closed",0.0]]', "what it waited for has failed (3): SessionLost: closed"),
        (b'["alarm",3,0.5]', "alarm 3 set, in 0.5 s"),
        (b'["ring",1,2,3]', "alarm 3 rang"),
        (b'["tick",1,2]', "time passed"),
        (b'["obey",1,2,"flip","phone"]', "phone asked: flip"),
        (b'["stop",1,2,"quit",0]', "told to stop: quit (0)"),
        (b'["stir",1,2]', "stirred"),
        (b'["alert",20,"ready"]', "alert: ready"),
        (
            b'["news","ExitArmed",{"kind":"t","side":"SELL","price":"2500.01000","trail":{"u":1.0}}]',
            "event ExitArmed: kind take-profit, side SELL, price 2500.01",
        ),
        (b'["over",0]', "ended with code 0"),
        (b'["over",["KeyError","x"]]', "ended by a failure: KeyError: x"),
        (b'["new",0]', '["new",0]'),
        (b"nobody listens to line 1", "nobody listens to line 1"),
        (request("time"), "request over line 2: time"),
        (request("order.place", **ORDER), "request over line 2: order.place SELL 1.2 ETH at 2500.01 FDUSD"),
        (
            request("order.cancelReplace", **ORDER, newClientOrderId="TE-t-abc", cancelOrderId=5),
            "request over line 2: order.cancelReplace SELL 1.2 ETH at 2500.01 FDUSD for order 5 (TE-t-abc)",
        ),
        (
            request("order.place", **ORDER | {"type": "LIMIT"}),
            "request over line 2: order.place SELL 1.2 ETH at 2500.01 FDUSD LIMIT",
        ),
        (
            request("order.cancel", symbol="ETHFDUSD", origClientOrderId="TE-t-abc"),
            "request over line 2: order.cancel (TE-t-abc)",
        ),
        (request("klines", interval="1m", limit=61), "request over line 2: klines interval 1m limit 61"),
        (
            answer(
                stream="ethfdusd@bookTicker", data={"u": 2, "s": "ETHFDUSD", "b": "2.50", "B": "1", "a": "3", "A": "1"}
            ),
            "heard over line 7: book bid 2.5, ask 3",
        ),
        (answer(id=4, status=200, result={}), "heard over line 7: answer to 4: ok"),
        (
            answer(id=4, status=400, error={"code": -2010, "msg": "no funds"}),
            "heard over line 7: answer to 4: 400, -2010 no funds",
        ),
        (
            answer(id=4, status=200, result=PLACED | {"side": "SELL", "price": "2500.01", "origQty": "1.2"}),
            "heard over line 7: answer to 4: ok, order 5 NEW: SELL 1.2 ETH at 2500.01 FDUSD (TE-t-abc)",
        ),
        (EXITING, EXITING_IN_WORDS),
        (
            GATED,
            "decision: gated, holding quote, gate shut by flush, on hold; ask 2500, anchor 2000",
        ),
        (b'["decision",["of another version"],{}]', 'decision: ["of another version"]'),
    ],
)
def test_a_line_in_words(line: bytes, words: str) -> None:
    assert describe_line(line, RULES) == words


def test_before_the_rules_are_known_amounts_bear_no_assets() -> None:
    assert describe_line(request("order.place", **ORDER)).endswith("order.place SELL 1.2 at 2500.01")


def test_two_requests_differ_in_what_they_ask_for() -> None:
    one, other = request("order.place", **ORDER), request("order.place", **ORDER | {"price": "2500.02"})
    assert list(field_differences(one, other)) == [("params.price", "2500.01", "2500.02")]


def test_two_decisions_differ_in_their_numbers() -> None:
    one = b'["decision",[null],{"u":1.0,"memory":{"high":2.5,"gate":null}}]'
    other = b'["decision",[null],{"u":1.0,"memory":{"high":2.75,"gate":{"price":1.0}}}]'
    assert list(field_differences(one, other)) == [
        ("memory.high", "2.5", "2.75"),
        ("memory.gate", "nothing", '{"price": 1.0}'),
    ]


def test_what_is_of_another_kind_differs_altogether() -> None:
    assert list(field_differences(b'["over",0]', b'["alert",20,"ready"]')) == []
    assert list(field_differences(b"no line", b'["over",0]')) == []
    assert list(field_differences(b'["over",0]', b'["over",3]')) == [("over 1", "0", "3")]
