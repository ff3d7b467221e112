"""Event parser: the frames of the documentation, and damaged ones."""

import json
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trailingedge.core.errors import ProtocolViolation
from trailingedge.model.market import (
    Balance,
    BookTop,
    ExecutionReport,
    ExecutionType,
    Kline,
    OrderStatus,
    RateLimit,
    Side,
)
from trailingedge.websocket.event_parser import (
    AccountPosition,
    BalanceUpdate,
    BookUpdate,
    ControlReply,
    ExternalLockUpdate,
    InvalidBook,
    KlineUpdate,
    ParsedReply,
    Reply,
    ServerShutdown,
    StreamError,
    StreamTerminated,
    Unrecognized,
    read_api_frame,
    read_stream_frame,
)

REPORT = (
    '{"subscriptionId":0,"event":{"e":"executionReport","E":1783000000005,"s":"BTCUSDT","c":"mm-1","S":"BUY",'
    '"o":"LIMIT_MAKER","f":"GTC","q":"0.00100000","p":"60000.00000000","P":"0.00000000","F":"0.00000000","g":-1,'
    '"C":"","x":"NEW","X":"NEW","r":"NONE","i":501,"l":"0.00000000","z":"0.00000000","L":"0.00000000","n":"0",'
    '"N":null,"T":1783000000004,"t":-1,"I":9001,"w":true,"m":false,"M":false,"O":1783000000004,"Z":"0.00000000",'
    '"Y":"0.00000000","Q":"0.00000000","W":1783000000004,"V":"EXPIRE_MAKER"}}'
)
POSITION = (
    '{"subscriptionId":0,"event":{"e":"outboundAccountPosition","E":1783000000005,"u":1783000000004,"B":['
    '{"a":"BTC","f":"0.50000000","l":"0.00000000"},{"a":"USDT","f":"940.00000000","l":"60.00000000"}]}}'
)
TOP = (
    '{"stream":"btcusdt@bookTicker","data":{"u":400900217,"s":"BTCUSDT","b":"60000.00000000","B":"1.20000000",'
    '"a":"60000.01000000","A":"0.80000000"}}'
)
KLINE = (
    '{"e":"kline","E":1783000002000,"s":"BTCUSDT","k":{"t":1782999960000,"T":1783000019999,"s":"BTCUSDT","i":"1m",'
    '"f":100,"L":200,"o":"59990.00000000","c":"60000.00000000","h":"60001.00000000","l":"59980.00000000",'
    '"v":"12.00000000","n":101,"x":false,"q":"719000.00000000","V":"6.00000000","Q":"359000.00000000","B":"0"}}'
)


def report(**changes: object) -> ExecutionReport:
    event = json.loads(REPORT)["event"] | changes
    heard = read_api_frame(json.dumps({"subscriptionId": 0, "event": event}))
    assert isinstance(heard, ExecutionReport)
    return heard


def test_the_documented_execution_report_is_read() -> None:
    heard = read_api_frame(REPORT)
    assert heard == ExecutionReport(
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type="LIMIT_MAKER",
        client_order_id="mm-1",
        order_id=501,
        execution_type=ExecutionType.NEW,
        status=OrderStatus.NEW,
        price=Decimal(60000),
        quantity=Decimal("0.001"),
        filled_quantity=Decimal(0),
        filled_quote=Decimal(0),
        time_ms=1783000000004,
        event_ms=1783000000005,
        execution_id=9001,
    )


def test_a_cancel_is_reported_under_the_orders_own_id() -> None:
    assert report(x="CANCELED", X="CANCELED", c="web_77", C="mm-1").client_order_id == "mm-1"
    assert report(x="REPLACED", c="mm-2", C="mm-1").client_order_id == "mm-1"


def test_a_cancel_without_an_original_id_keeps_the_one_it_has() -> None:
    assert report(x="CANCELED", X="CANCELED", C="").client_order_id == "mm-1"


def test_a_new_order_keeps_its_id_whatever_the_original_id() -> None:
    assert report(x="NEW", C="other").client_order_id == "mm-1"


def test_a_fill_carries_its_price_fee_and_role() -> None:
    fill = report(
        x="TRADE", X="FILLED", l="0.001", L="60000", Y="60", z="0.001", Z="60", n="0.06", N="USDT", t=7, m=True
    )
    assert (fill.trade_id, fill.last_price, fill.last_quantity, fill.last_quote) == (
        7,
        Decimal(60000),
        Decimal("0.001"),
        Decimal(60),
    )
    assert (fill.commission, fill.commission_asset, fill.is_maker) == (Decimal("0.06"), "USDT", True)


def test_a_pegged_order_is_reported_at_the_price_it_got() -> None:
    assert report(p="0.00000000", gP="PRIMARY_PEG", gp="60000.01").price == Decimal("60000.01")


def test_unknown_enum_values_become_unrecognized() -> None:
    strange = report(x="SOMETHING", X="ELSE", brand="new")
    assert (strange.execution_type, strange.status) == (ExecutionType.UNRECOGNIZED, OrderStatus.UNRECOGNIZED)


def test_the_documented_account_position_is_read() -> None:
    balances = (Balance("BTC", Decimal("0.5")), Balance("USDT", Decimal(940), Decimal(60)))
    assert read_api_frame(POSITION) == AccountPosition(balances, 1783000000005)


@pytest.mark.parametrize(
    ("event", "meant"),
    [
        pytest.param(
            {"e": "balanceUpdate", "E": 5, "a": "BTC", "d": "-0.5", "T": 4},
            BalanceUpdate("BTC", Decimal("-0.5"), 5),
            id="withdrawal",
        ),
        pytest.param(
            {"e": "balanceUpdate", "E": 5, "a": "BTC", "d": "1"},
            BalanceUpdate("BTC", Decimal(1), 5),
            id="no clear time",
        ),
        pytest.param(
            {"e": "externalLockUpdate", "E": 5, "a": "BTC", "d": "1", "T": 4},
            ExternalLockUpdate("BTC", Decimal(1), 5),
            id="lock",
        ),
        pytest.param({"e": "eventStreamTerminated", "E": 5}, StreamTerminated(5), id="terminated"),
        pytest.param({"e": "listStatus", "E": 5}, Unrecognized("listStatus"), id="list status"),
        pytest.param({"e": "brandNew", "E": 5}, Unrecognized("brandNew"), id="unknown event"),
        pytest.param({"e": "serverShutdown", "E": 5}, ServerShutdown(5), id="shutdown"),
    ],
)
@pytest.mark.parametrize("subscription", [{"subscriptionId": 0}, {}], ids=["subscribed", "bare"])
def test_account_events_are_read(event: dict[str, Any], subscription: dict[str, Any], meant: object) -> None:
    assert read_api_frame(json.dumps({**subscription, "event": event})) == meant


def test_a_success_is_read_with_its_limits() -> None:
    frame = (
        '{"id":7,"status":200,"result":{},"rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE",'
        '"intervalNum":1,"limit":6000,"count":12},{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,'
        '"limit":100,"count":1}]}'
    )
    limits = (RateLimit("REQUEST_WEIGHT", 60, 6000, 12), RateLimit("ORDERS", 10, 100, 1))
    assert read_api_frame(frame) == ParsedReply(7, Reply(200, {}, limits=limits))


def test_an_error_reply_is_read_with_its_data() -> None:
    frame = '{"id":8,"status":418,"error":{"code":-1003,"msg":"banned","data":{"serverTime":1,"retryAfter":2}}}'
    data = {"serverTime": 1, "retryAfter": 2}
    assert read_api_frame(frame) == ParsedReply(8, Reply(418, None, -1003, "banned", data))


def test_a_revocation_has_no_request_id() -> None:
    frame = '{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}}'
    heard = read_api_frame(frame)
    assert isinstance(heard, ParsedReply)
    assert (heard.request_id, heard.reply.status) == (None, 401)


@pytest.mark.parametrize("limits", ['"many"', "[1]", '[{"interval":"SECOND"}]', '[{"interval":"CENTURY"}]'])
def test_a_reply_with_unreadable_limits_is_read(limits: str) -> None:
    heard = read_api_frame(f'{{"id":7,"status":200,"result":{{}},"rateLimits":{limits}}}')
    assert heard == ParsedReply(7, Reply(200, {}))


def test_book_tops_are_read_raw_and_combined() -> None:
    top = BookTop(Decimal(60000), Decimal("60000.01"), Decimal("1.2"), Decimal("0.8"), 400900217)
    assert read_stream_frame(TOP) == BookUpdate("BTCUSDT", top)
    assert read_stream_frame(json.dumps(json.loads(TOP)["data"])) == BookUpdate("BTCUSDT", top)


@pytest.mark.parametrize(
    ("bid", "ask"),
    [
        pytest.param("2", "1", id="crossed"),
        pytest.param("2", "2", id="locked"),
        pytest.param("0", "1", id="no bid"),
        pytest.param("-1", "1", id="negative bid"),
        pytest.param("1", "0", id="no ask"),
    ],
)
def test_a_crossed_book_is_no_protocol_violation(bid: str, ask: str) -> None:
    frame = json.dumps({"u": 1, "s": "BTCUSDT", "b": bid, "B": "1", "a": ask, "A": "1"})
    assert isinstance(read_stream_frame(frame), InvalidBook)


def test_klines_are_read_raw_and_combined() -> None:
    kline = Kline(
        open_ms=1782999960000,
        close_ms=1783000019999,
        open=Decimal(59990),
        high=Decimal(60001),
        low=Decimal(59980),
        close=Decimal(60000),
        volume=Decimal(12),
        closed=False,
    )
    meant = KlineUpdate("BTCUSDT", "1m", kline, 1783000002000)
    assert read_stream_frame(KLINE) == meant
    combined = {"stream": "btcusdt@kline_1m", "data": json.loads(KLINE)}
    assert read_stream_frame(json.dumps(combined)) == meant


def test_an_inconsistent_kline_is_a_violation() -> None:
    with pytest.raises(ProtocolViolation, match="not a kline"):
        read_stream_frame(KLINE.replace('"h":"60001.00000000"', '"h":"1"'))


@pytest.mark.parametrize(
    ("frame", "meant"),
    [
        pytest.param('{"e":"serverShutdown","E":5}', ServerShutdown(5), id="shutdown, raw"),
        pytest.param(
            '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":5}}',
            ServerShutdown(5),
            id="shutdown, combined",
        ),
        pytest.param('{"result":null,"id":1}', ControlReply(1), id="subscribed"),
        pytest.param('{"result":["btcusdt@bookTicker"],"id":"a"}', ControlReply("a"), id="listed"),
        pytest.param(
            '{"code":2,"msg":"Invalid request: x","id":1}', StreamError(2, "Invalid request: x"), id="refused"
        ),
        pytest.param('{"e":"aggTrade","E":5}', Unrecognized("aggTrade"), id="another stream"),
    ],
)
def test_other_stream_messages_are_read(frame: str, meant: object) -> None:
    assert read_stream_frame(frame) == meant


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
SAMPLES = [json.loads(sample) for sample in (REPORT, POSITION, TOP, KLINE)]


@st.composite
def damaged_samples(draw: st.DrawFn) -> str:
    """A documented frame with one field replaced or missing."""
    sample = json.loads(json.dumps(draw(st.sampled_from(SAMPLES))))
    place = sample
    while True:
        inner = [value for value in place.values() if isinstance(value, dict)]
        if not inner or draw(st.booleans()):
            break
        place = draw(st.sampled_from(inner))
    name = draw(st.sampled_from(sorted(place)))
    if draw(st.booleans()):
        del place[name]
    else:
        place[name] = draw(json_values)
    return json.dumps(sample)


@pytest.mark.parametrize("read", [read_api_frame, read_stream_frame])
@given(frame=st.text() | st.binary() | json_values.map(json.dumps) | damaged_samples())
@settings(max_examples=80, deadline=None)
def test_garbage_is_a_message_or_a_protocol_violation(
    read: Callable[[str | bytes], object], frame: str | bytes
) -> None:
    with suppress(ProtocolViolation):
        assert read(frame) is not None
