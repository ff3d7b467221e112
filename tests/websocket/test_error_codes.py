"""Error codes: status, code and text of each error reply lead to one reject reason, or leave the outcome unknown."""

import pytest

from trailingedge.model.order_outcomes import Rejected, RejectReason, Unanswered
from trailingedge.websocket.error_codes import classify_error
from trailingedge.websocket.event_parser import Reply


@pytest.mark.parametrize(
    ("status", "code", "text", "refusal"),
    [
        pytest.param(400, -1002, "not authorized", RejectReason.UNAUTHORIZED, id="-1002"),
        pytest.param(429, -1003, "Too much request weight used", RejectReason.RATE_LIMITED, id="-1003 weight"),
        pytest.param(418, -1003, "Way too much request weight used", RejectReason.RATE_LIMITED, id="-1003 ban"),
        pytest.param(400, -1008, "server overloaded", RejectReason.BUSY, id="-1008"),
        pytest.param(400, -1010, "Market is closed.", RejectReason.NOT_TRADING, id="-1010 market closed"),
        pytest.param(400, -1013, "Filter failure: PRICE_FILTER", RejectReason.FILTER, id="-1013 price"),
        pytest.param(400, -1013, "Filter failure: LOT_SIZE", RejectReason.FILTER, id="-1013 lot"),
        pytest.param(400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE", RejectReason.FILTER, id="-1013 percent"),
        pytest.param(400, -1013, "Filter failure: NOTIONAL", RejectReason.FILTER, id="-1013 notional"),
        pytest.param(400, -1013, "This symbol does not allow the mode.", RejectReason.FILTER, id="-1013 other text"),
        pytest.param(400, -1014, "Unsupported order combination.", RejectReason.BAD_REQUEST, id="-1014"),
        pytest.param(429, -1015, "Too many new orders", RejectReason.TOO_MANY_ORDERS, id="-1015"),
        pytest.param(400, -1016, "service no longer available", RejectReason.BUSY, id="-1016"),
        pytest.param(400, -1020, "not supported", RejectReason.BAD_REQUEST, id="-1020"),
        pytest.param(400, -1021, "outside of the recvWindow", RejectReason.TIMESTAMP, id="-1021"),
        pytest.param(400, -1022, "signature not valid", RejectReason.BAD_REQUEST, id="-1022"),
        pytest.param(400, -1034, "too many connections", RejectReason.RATE_LIMITED, id="-1034"),
        pytest.param(400, -1100, "Illegal characters", RejectReason.BAD_REQUEST, id="-1100"),
        pytest.param(400, -1102, "Mandatory parameter", RejectReason.BAD_REQUEST, id="-1102"),
        pytest.param(400, -1104, "Not all sent parameters were read", RejectReason.BAD_REQUEST, id="-1104"),
        pytest.param(400, -1106, "sent when not required", RejectReason.BAD_REQUEST, id="-1106"),
        pytest.param(400, -1111, "too much precision", RejectReason.FILTER, id="-1111"),
        pytest.param(400, -1112, "no depth", RejectReason.BUSY, id="-1112"),
        pytest.param(400, -1121, "Invalid symbol.", RejectReason.BAD_REQUEST, id="-1121"),
        pytest.param(400, -1128, "bad combination", RejectReason.BAD_REQUEST, id="-1128"),
        pytest.param(400, -1145, "Invalid cancelRestrictions", RejectReason.BAD_REQUEST, id="-1145"),
        pytest.param(400, -1193, "session not authenticated", RejectReason.UNAUTHORIZED, id="-1193"),
        pytest.param(400, -1210, "Invalid pegPriceType", RejectReason.BAD_REQUEST, id="-1210"),
        pytest.param(400, -1220, "symbol does not match status", RejectReason.NOT_TRADING, id="-1220"),
        pytest.param(
            400, -2010, "Order would immediately match and take.", RejectReason.WOULD_TAKE, id="-2010 would match"
        ),
        pytest.param(
            400,
            -2010,
            "Account has insufficient balance for requested action.",
            RejectReason.INSUFFICIENT_BALANCE,
            id="-2010 balance",
        ),
        pytest.param(400, -2010, "Duplicate order sent.", RejectReason.DUPLICATE, id="-2010 duplicate"),
        pytest.param(400, -2010, "Filter failure: MAX_NUM_ORDERS", RejectReason.TOO_MANY_ORDERS, id="-2010 orders"),
        pytest.param(
            400, -2010, "Filter failure: EXCHANGE_MAX_NUM_ORDERS", RejectReason.TOO_MANY_ORDERS, id="-2010 all orders"
        ),
        pytest.param(400, -2010, "Filter failure: MAX_POSITION", RejectReason.FILTER, id="-2010 position"),
        pytest.param(400, -2010, "Market is closed.", RejectReason.NOT_TRADING, id="-2010 market closed"),
        pytest.param(
            400,
            -2010,
            "This order type is not possible in this trading phase.",
            RejectReason.NOT_TRADING,
            id="-2010 trading phase",
        ),
        pytest.param(
            400, -2010, "Limit orders require GTC for this phase.", RejectReason.NOT_TRADING, id="-2010 phase"
        ),
        pytest.param(
            400,
            -2010,
            "This action is disabled on this account.",
            RejectReason.NOT_TRADING,
            id="-2010 account disabled",
        ),
        pytest.param(
            400,
            -2010,
            "This symbol is not permitted for this account.",
            RejectReason.NOT_TRADING,
            id="-2010 not permitted",
        ),
        pytest.param(
            400, -2010, "This symbol is restricted for this account.", RejectReason.NOT_TRADING, id="-2010 restricted"
        ),
        pytest.param(400, -2010, "Price * QTY is zero or less.", RejectReason.BAD_REQUEST, id="-2010 zero"),
        pytest.param(
            400, -2010, "Pegged orders are not supported for this symbol.", RejectReason.BAD_REQUEST, id="-2010 no pegs"
        ),
        pytest.param(
            400,
            -2010,
            "Order book liquidity is too low for this pegged order.",
            RejectReason.BUSY,
            id="-2010 nothing to peg to",
        ),
        pytest.param(400, -2010, "A sentence of tomorrow.", RejectReason.OTHER, id="-2010 unknown text"),
        pytest.param(400, -2011, "Unknown order sent.", RejectReason.UNKNOWN_ORDER, id="-2011 unknown order"),
        pytest.param(
            400,
            -2011,
            "Order was not canceled due to cancel restrictions.",
            RejectReason.CANCEL_RESTRICTED,
            id="-2011 restrictions",
        ),
        pytest.param(400, -2011, "A sentence of tomorrow.", RejectReason.UNKNOWN_ORDER, id="-2011 unknown text"),
        pytest.param(400, -2013, "Order does not exist.", RejectReason.UNKNOWN_ORDER, id="-2013"),
        pytest.param(400, -2014, "API-key format invalid.", RejectReason.UNAUTHORIZED, id="-2014"),
        pytest.param(401, -2015, "Invalid API-key, IP, or permissions", RejectReason.UNAUTHORIZED, id="-2015"),
        pytest.param(400, -2026, "Order was archived", RejectReason.UNKNOWN_ORDER, id="-2026"),
        pytest.param(400, -2039, "ids disagree", RejectReason.BAD_REQUEST, id="-2039"),
        pytest.param(400, -4242, "A code of tomorrow.", RejectReason.OTHER, id="unknown code"),
        pytest.param(403, 0, "", RejectReason.BUSY, id="firewall"),
        pytest.param(429, 0, "", RejectReason.RATE_LIMITED, id="429 without an error"),
        pytest.param(401, 0, "", RejectReason.UNAUTHORIZED, id="401 without an error"),
    ],
)
def test_an_error_reply_gets_its_reject_reason(status: int, code: int, text: str, refusal: RejectReason) -> None:
    assert classify_error(Reply(status, code=code, text=text)) == Rejected(refusal, code, text)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        pytest.param(400, -1000, id="-1000"),
        pytest.param(400, -1001, id="-1001"),
        pytest.param(400, -1006, id="-1006"),
        pytest.param(400, -1007, id="-1007"),
        pytest.param(500, -2010, id="500 whatever it says"),
        pytest.param(503, -1008, id="503"),
        pytest.param(504, 0, id="504 without an error"),
        pytest.param(200, -2010, id="200 with an error"),
        pytest.param(400, 0, id="400 without an error"),
        pytest.param(409, 0, id="409 without an error"),
    ],
)
def test_some_error_replies_leave_the_outcome_unknown(status: int, code: int) -> None:
    assert isinstance(classify_error(Reply(status, code=code, text="Order would immediately match")), Unanswered)


@pytest.mark.parametrize("code", [-1003, -1015])
@pytest.mark.parametrize(
    ("data", "retry_at_ms"),
    [
        pytest.param({"serverTime": 1, "retryAfter": 1783000060000}, 1783000060000, id="with a time"),
        pytest.param(None, None, id="without data"),
        pytest.param({"retryAfter": "soon"}, None, id="with nonsense"),
    ],
)
def test_retry_after_is_passed_on(code: int, data: object, retry_at_ms: int | None) -> None:
    verdict = classify_error(Reply(429, code=code, text="too many", data=data))
    assert isinstance(verdict, Rejected)
    assert verdict.retry_at_ms == retry_at_ms
