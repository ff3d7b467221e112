"""Tests of record lines in words."""

import json
from decimal import Decimal

import pytest

from trailingedge.model.market import SymbolRules
from trailingedge.session_replay.formatting import describe_line, field_differences

RULES = SymbolRules("ETHFDUSD", "ETH", "FDUSD", Decimal("0.01"), Decimal("0.0001"))


def request(method: str, **params: object) -> bytes:
    text = json.dumps({"id": 7, "method": method, "params": params} if params else {"id": 7, "method": method})
    return json.dumps([">", 1, 2, text]).encode()


def answer(**message: object) -> bytes:
    return b'["<text",1,7,%s]' % json.dumps(message).encode()


def command(name: str, fields: object) -> bytes:
    return json.dumps(["command", name, fields]).encode()


ORDER = {"symbol": "ETHFDUSD", "side": "SELL", "type": "LIMIT_MAKER", "quantity": "1.2", "price": "2500.01"}
PLACED = {"symbol": "ETHFDUSD", "orderId": 5, "clientOrderId": "TE-t-abc", "transactTime": 1, "status": "NEW"}
PLACE = {"tag": 3, "client_order_id": "TE-t-abc", "side": "SELL", "price": "2500.01", "quantity": "1.20"}
IN_WORDS = "SELL 1.2 ETH at 2500.01 FDUSD"

EXITING = (
    b'["decision",7,{"acted":"take-profit","state":{"regime":"BASE","anchor":2500.0,"gate":null,'
    b'"exit":{"kind":"t","side":"SELL","ending":null}},"trading_paused":false,"halted":false,"unit_value":2524.31,'
    b'"trail":{"armed":true}}]'
)
EXITING_IN_WORDS = "decision: holding base, take-profit SELL, trailing (rule: take-profit); bid 2524.31, anchor 2500"
GATED = (
    b'["decision",8,{"acted":null,"state":{"regime":"QUOTE","anchor":0.0005,"gate":{"shut_by":"flush"},"exit":null},'
    b'"trading_paused":true,"halted":false,"unit_value":0.0004,"trail":null}]'
)
TOP = b'"top":{"u":5,"s":"ETHFDUSD","b":"2500.10","B":"1","a":"2500.20","A":"2"}'


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'["<",1,7,{"u":1}]', 'received on connection 7: {"u":1}'),
        (b'["+text",0,7,{"u":1}]', 'received on connection 7: {"u":1}'),
        (b'["skipped",1,7,300]', "300 frames on connection 7 are not in the record"),
        (b'["!>",1,2,"{}","cut"]', "request on connection 2, not sent (cut): {}"),
        (b'["dial",1,2,"ws://m"]', "connection 2 to ws://m is open"),
        (b'["closed",1,2,"closed 1006"]', "connection 2 ended: closed 1006"),
        (b'["alert",1,20,"ready"]', "alert: ready"),
        (b'["core",1,{"fee":"0"}]', "trading core built"),
        (b'["call",1,"lock_balances_until",{"until_s":5.5}]', "lock balances until: until s 5.5"),
        (b'["call",1,"pause",{}]', "pause"),
        (b'["tick",1,null,0,{}]', "tick: nothing new"),
        (b'["tick",1,0,0,{"balances":{},"market_ms":5,%s},99]' % TOP, "tick: bid 2500.1, ask 2500.2, balances"),
        (b'["shutdown tick",1,0,0,{"account_proven":true}]', "shutdown tick: account proven"),
        (b'["requote",1,2.5,0,{"b":"2500.10","a":"2500.20"}]', "requote: bid 2500.1, ask 2500.2"),
        (b'["raised","BrokenInvariant","two orders"]', "error BrokenInvariant: two orders"),
        (
            b'["event","ExitStarted",{"kind":"t","side":"SELL","price":"2500.01000","trail":{"unit_value":1.0}}]',
            "event ExitStarted: kind take-profit, side SELL, price 2500.01",
        ),
        (b'["over",1,0]', "ended with exit code 0"),
        (b'["over",1,["KeyError","x"]]', "ended with an error: KeyError: x"),
        (b'["new",0]', '["new",0]'),
        (command("Place", PLACE), f"command order.place {IN_WORDS} (TE-t-abc)"),
        (command("Place", PLACE | {"escape": True}), f"command order.place {IN_WORDS} as a taker (TE-t-abc)"),
        (
            command("Replace", PLACE | {"order_id": 5}),
            f"command order.cancelReplace {IN_WORDS} for order 5 (TE-t-abc)",
        ),
        (
            command("QueryOrder", {"tag": 4, "order_id": None, "client_order_id": "TE-t-abc"}),
            "command order.status (TE-t-abc)",
        ),
        (command("Refresh", "balances"), "command Refresh: read balances again"),
        (request("time"), "request on connection 2: time"),
        (request("order.place", **ORDER), f"request on connection 2: order.place {IN_WORDS}"),
        (
            request("order.cancelReplace", **ORDER, newClientOrderId="TE-t-abc", cancelOrderId=5),
            f"request on connection 2: order.cancelReplace {IN_WORDS} for order 5 (TE-t-abc)",
        ),
        (
            request("order.place", **ORDER | {"type": "LIMIT"}),
            f"request on connection 2: order.place {IN_WORDS} LIMIT",
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
            f"received on connection 7: reply to 4: ok, order 5 NEW: {IN_WORDS} (TE-t-abc)",
        ),
        (EXITING, EXITING_IN_WORDS),
        (GATED, "decision: holding quote, gate shut by flush, paused; ask 2500, anchor 2000"),
        (b'["decision",7]', "decision with the checksum 7"),
        (b'["decision",7,{"state":5}]', "decision: another decision"),
    ],
)
def test_a_record_line_in_words(line: bytes, words: str) -> None:
    assert describe_line(line, RULES) == words


def test_without_rules_amounts_have_no_assets() -> None:
    assert describe_line(request("order.place", **ORDER)).endswith("order.place SELL 1.2 at 2500.01")


def test_field_differences_of_two_commands() -> None:
    one, other = command("Place", PLACE), command("Place", PLACE | {"price": "2500.02"})
    assert list(field_differences(one, other)) == [("price", "2500.01", "2500.02")]


def test_field_differences_of_two_decisions() -> None:
    one = b'["decision",1,{"unit_value":1.0,"state":{"high":2.5,"gate":null}}]'
    other = b'["decision",1,{"unit_value":1.0,"state":{"high":2.75,"gate":{"price":1.0}}}]'
    assert list(field_differences(one, other)) == [
        ("state.high", "2.5", "2.75"),
        ("state.gate", "nothing", '{"price": 1.0}'),
    ]


def test_a_field_that_the_record_lacks_is_no_field_difference() -> None:
    recorded = b'["event","A",{"u":1.0,"state":{"high":2.0}}]'
    replayed = b'["event","A",{"u":1.5,"state":{"high":2.0,"new":3},"newer":4}]'
    assert list(field_differences(recorded, replayed)) == [("u", "1", "1.5")]


def test_field_differences_of_two_frames() -> None:
    """A text frame is text, and any other frame is bytes."""
    text, other = b'["<text",1,7,{"a":1}]', b'["<",1,7,{"b":"\xc3\xa9\xff"}]'
    assert list(field_differences(text, other)) == [("< 3", '{"a":1}', '{"b":"\u00e9\ufffd"}')]
    assert list(field_differences(other, text)) == [("< 3", '{"b":"\u00e9\ufffd"}', '{"a":1}')]


def test_lines_of_other_kinds_have_no_field_differences() -> None:
    assert list(field_differences(b'["over",1,0]', b'["alert",1,20,"ready"]')) == []
    assert list(field_differences(b"no line", b'["over",1,0]')) == []
    assert list(field_differences(b'["over",1,0]', b'["over",1,3]')) == [("over 2", "0", "3")]
    assert list(field_differences(b'["decision",1]', b'["decision",2,{}]')) == []
